from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import httpx
import pytest

from modica_facade.simulator import Simulator

from .support import HERE, PASSWORD, listening, modica

RECEIPT = {"message_id": "12", "status": "received", "reference": "order-42"}
INBOUND = {"id": 13, "source": HERE, "destination": "202", "content": "Ka pai\x1b[2J!", "operator": "One"}


def test_listen_shows_receipts_and_inbound_messages(tmp_path: Path) -> None:
    with listening() as (running, url):
        assert httpx.post(url, json=RECEIPT).status_code == 200
        assert httpx.post(f"{url}/anywhere", json={**INBOUND, "reply_to": "12", "reference": "r"}).status_code == 200
        assert httpx.post(url, json={"id": 1}).status_code == 400
        running.send_signal(signal.SIGINT)
        shown, complaint = running.communicate()
    assert running.returncode == 0
    assert shown.splitlines() == [
        "receipt  12  received  reference order-42",
        rf"inbound  13  {HERE} -> 202: Ka pai\x1b[2J!  in reply to 12  reference r",
    ]
    assert "unreadable callback" in complaint


def test_listen_prints_json_and_asks_for_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBACK_PASSWORD", PASSWORD)
    with listening("--json", "--username", "gateway", "--password-env", "CALLBACK_PASSWORD") as (running, url):
        assert httpx.post(url, json=RECEIPT).status_code == 401
        assert httpx.post(url, json={**RECEIPT, "more": 1}, auth=("gateway", PASSWORD)).status_code == 200
        binary = {**INBOUND, "content": "AAE=", "encoding": "base64"}
        assert httpx.post(url, json=binary, auth=("gateway", PASSWORD)).status_code == 200
        running.send_signal(signal.SIGINT)
        shown, complaint = running.communicate()
    receipt, inbound = map(json.loads, shown.splitlines())
    assert (receipt["callback"], receipt["status"], receipt["raw"]["more"]) == ("receipt", "received", 1)
    assert (inbound["callback"], inbound["id"], inbound["content"]) == ("inbound", "13", "AAE=")
    assert PASSWORD not in shown + complaint


def test_listen_ends_when_nobody_reads_it_any_more() -> None:
    reader, writer = os.pipe()
    with listening(stdout=writer) as (running, url):
        os.close(writer)
        os.close(reader)
        assert httpx.post(url, json=RECEIPT).status_code == 500
        running.communicate()
    assert running.returncode == 141


def test_a_port_that_is_taken_is_told_in_one_line(simulator: Simulator) -> None:
    port = simulator.base_url.split(":")[2].split("/")[0]
    for command in ("listen", "simulate"):
        result = modica(command, "--port", port)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
