from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modica_facade.simulator import Simulator, serve

from .support import (
    HERE,
    PASSWORD,
    listening,
    modica,
)

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


# Handing callbacks on


@contextlib.contextmanager
def application(status: int = 200) -> Iterator[tuple[str, list[tuple[str | None, Any]]]]:
    """What somebody develops: its URL, and the credentials and JSON that it was posted."""
    posted: list[tuple[str | None, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body = (await receive())["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        posted.append((headers.get("authorization"), json.loads(body)))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with serve(app) as url:
        yield url, posted


def test_listen_hands_callbacks_on_as_they_came_and_shows_what_became_of_them() -> None:
    with application(204) as (target, posted):
        forward = target.replace("//", "//name:secret@") + "/modica"
        with listening("--forward-to", forward) as (running, url):
            assert httpx.post(url, json={**RECEIPT, "more": [1]}).status_code == 200
            assert httpx.post(url, json=INBOUND).status_code == 200
            assert httpx.post(url, json={"id": 1}).status_code == 400
            running.send_signal(signal.SIGINT)
            shown, complaint = running.communicate()
    assert posted == [("Basic bmFtZTpzZWNyZXQ=", {**RECEIPT, "more": [1]}), ("Basic bmFtZTpzZWNyZXQ=", INBOUND)]
    first, second = shown.splitlines()
    assert first == "receipt  12  received  reference order-42  -> 204"
    assert second.endswith("-> 204")
    assert "secret" not in shown + complaint


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_the_application_did_not_take_is_not_acknowledged(status: int) -> None:
    with application(status) as (target, posted), listening("--forward-to", target, "--json") as (running, url):
        assert httpx.post(url, json=RECEIPT).status_code == 500
        running.send_signal(signal.SIGINT)
        shown, complaint = running.communicate()
    assert len(posted) == 1
    assert json.loads(shown)["forwarded"] == {"status_code": status, "problem": None}
    assert len(complaint.splitlines()) <= 1


def test_an_application_that_is_not_there_is_shown_and_listen_goes_on() -> None:
    with listening("--forward-to", "http://127.0.0.1:1/") as (running, url):
        for _ in range(2):
            assert httpx.post(url, json=RECEIPT).status_code == 500
        running.send_signal(signal.SIGINT)
        shown, _ = running.communicate()
    assert [line.partition("-> ")[2].partition(":")[0] for line in shown.splitlines()] == ["ConnectionRefusedError"] * 2


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8000", "ftp://x", "http://", "http://x:70000/", "http://u:secret@x:y/"),
        *("http://[::1/", "http://a b/", "http://x/é", f"http://{'x' * 64}/", "http://u:secret/@x"),
    ],
)
@pytest.mark.parametrize(
    "command", [["listen", "--forward-to"], ["trigger", "receipt", "--to"]], ids=lambda each: each[0]
)
def test_a_url_that_cannot_be_posted_to_is_refused_without_being_shown(command: list[str], url: str) -> None:
    result = modica(*command, url)
    assert (result.exit_code, "give a URL like" in result.stderr) == (2, True)
    assert "secret" not in result.stderr


@pytest.mark.parametrize("port", ["70000", "-1", "many"])
def test_a_port_that_does_not_exist_is_a_usage_error(port: str) -> None:
    result = modica("listen", "--port", port)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
