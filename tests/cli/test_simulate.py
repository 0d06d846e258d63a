from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modica_facade import Modica
from modica_facade.simulator import Simulator, serve

from ..support.callback_receiver import Receiver
from .support import HERE, modica, process

FIRST = "9007199254740993"


def urls(lines: Iterator[str]) -> dict[str, str]:
    """The banner, read to its end."""
    found: dict[str, str] = {}
    for line in lines:
        if match := re.match(r"  (page|REST v1|REST v2|control) +(\S+)\n", line):
            found[match[1]] = match[2]
        if line.startswith("  export MODICA_BASE_URL"):
            return found
    raise AssertionError("the simulator ended")


def rest(lines: Iterator[str]) -> Iterator[str]:
    return (line for line in lines if line.strip())


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_both_versions_and_the_page_until_it_is_told_to_end(ending: signal.Signals) -> None:
    with process("simulate", "--port", "0") as running:
        assert running.stdout is not None
        found = urls(running.stdout)
        with Modica("any", "thing", base_url=found["REST v1"]) as client:
            assert client.send(HERE, "Kia ora").id == FIRST
        running.send_signal(ending)
        out, err = running.communicate()
    assert found["REST v2"] == found["page"] + "rest/sms/v2"
    assert found["control"] == found["page"] + "_modica/v1"
    assert re.fullmatch(rf"\d\d:\d\d:\d\d POST /rest/gateway/messages any 201 {FIRST}\n", out.lstrip())
    assert (running.returncode, err) == (0, "")


def test_it_listens_on_8024_unless_told() -> None:
    assert "default: 8024" in modica("simulate", "--help").stdout


@pytest.mark.slow
def test_every_request_and_every_callback_is_printed_with_its_result() -> None:
    receiver = Receiver(500)
    with serve(receiver) as url, process("simulate", "--port", "0", "--dlr-url", url, "--mo-url", url) as running:
        assert running.stdout is not None
        found = urls(running.stdout)
        lines = (line.split(" ", 1)[1].rstrip() for line in rest(running.stdout))
        with Modica("any", "thing", base_url=found["REST v1"]) as client:
            client.broadcast([HERE, HERE], "Kia ora\x1b[2J")
        assert next(lines) == "POST /rest/gateway/messages/broadcast any 201 2 messages"
        assert next(lines) == f"receipt sent {FIRST} -> {url} 500"
        assert next(lines) == f"receipt sent {int(FIRST) + 1} -> {url} 200"


def test_json_lines_are_for_programs() -> None:
    with process("simulate", "--port", "0", "--json") as running:
        assert running.stdout is not None
        ready = json.loads(running.stdout.readline())
        assert ready["event"] == "ready"
        with Modica("any", "thing", base_url=ready["v1"]) as client:
            client.send(HERE, "Kia ora")
        request = json.loads(running.stdout.readline())
    assert (request["event"], request["status_code"], request["accepted"]) == ("request", 201, [FIRST])


def test_quiet_prints_nothing_but_where_it_is() -> None:
    with process("simulate", "--port", "0", "--quiet") as running:
        assert running.stdout is not None
        found = urls(running.stdout)
        with Modica("any", "thing", base_url=found["REST v1"]) as client:
            client.send(HERE, "Kia ora")
        running.send_signal(signal.SIGINT)
        assert running.communicate()[0].strip() == ""


def test_replies_are_read_when_asked_and_what_is_none_is_not_sent() -> None:
    receiver = Receiver()
    with (
        serve(receiver) as url,
        process("simulate", "--port", "0", "--quiet", "--replies", "--mo-url", url, stdin=-1) as running,
    ):
        assert running.stdout is not None
        assert running.stdin is not None
        found, lines = urls(running.stdout), rest(running.stdout)
        assert next(lines).startswith("Type a number and a text")

        def typed(line: str) -> str:
            assert running.stdin is not None
            running.stdin.write(line + "\n")
            running.stdin.flush()
            return next(lines).rstrip()

        assert typed("help").startswith("Type a number and a text")
        assert typed(HERE).startswith("Type a number and a text")
        assert typed(f"{HERE} Hello?") == f"inbound message {FIRST} from {HERE}, which no message has reached yet"
        with Modica("any", "thing", base_url=found["REST v1"]) as client:
            sent = client.send(HERE, "Kia ora")
        assert typed(f"{HERE} Yes please") == f"inbound message {int(sent.id) + 1} from {HERE}, in reply to {sent.id}"
        running.stdin.close()
        with Modica("any", "thing", base_url=found["REST v1"]) as client:
            assert client.get(sent.id).content == "Kia ora"  # it goes on after the end of its input


# A shell with job control, as far as it matters: it owns the terminal, and runs the simulator in the background.
SHELL = """
import fcntl, os, subprocess, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = subprocess.Popen([sys.executable, "-m", "modica_facade", *sys.argv[1:]], process_group=0)
sys.stdout.write(f"{job.pid}\\n")
sys.stdout.flush()
job.wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals of this kind")
def test_in_the_background_of_a_terminal_it_runs_and_reads_no_replies() -> None:
    import pty

    ours, theirs = pty.openpty()
    shell = [sys.executable, "-c", SHELL, "simulate", "--port", "0", "--replies"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        os.fdopen(ours, "wb", buffering=0),
        os.fdopen(theirs, "rb", buffering=0) as terminal,
        subprocess.Popen(shell, stdin=terminal, text=True, **pipes) as running,
    ):
        assert running.stdout is not None
        assert running.stderr is not None
        job = int(running.stdout.readline())
        try:
            found = urls(running.stdout)
            assert any("no replies are read" in line for line in running.stderr)
            with Modica("any", "thing", base_url=found["REST v1"]) as client:
                assert client.send(HERE, "Kia ora").id == FIRST
        finally:
            os.kill(job, signal.SIGKILL)


def test_only_the_given_credentials_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED", "secret")
    with process("simulate", "--port", "0", "--username", "shop", "--password-env", "SIMULATED") as running:
        assert running.stdout is not None
        found = urls(running.stdout)
        with Modica("shop", "secret", base_url=found["REST v1"]) as client:
            assert client.send(HERE, "Kia ora").id == FIRST


def test_https_is_served_with_a_certificate_that_its_authority_vouches_for(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with process("simulate", "--port", "0", "--tls", "--ca-file", str(ca_file), "--small-ids") as running:
        assert running.stdout is not None
        found = urls(running.stdout)
        assert f"SSL_CERT_FILE={ca_file}" in running.stdout.readline() + running.stdout.readline()
        assert found["REST v1"].startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=ca_file)
        port = int(found["page"].rstrip("/").rpartition(":")[2])
        for name in ("localhost", socket.gethostname(), "127.0.0.1"):
            with (
                socket.create_connection(("127.0.0.1", port)) as connection,
                context.wrap_socket(connection, server_hostname=name) as secured,
            ):
                assert secured.version() is not None
        import httpx

        with httpx.Client(verify=context, trust_env=False) as http:
            message = {"destination": HERE, "content": "Kia ora"}
            response = http.post(found["REST v1"] + "/messages", json=message, auth=("any", "thing"))
    assert response.json() == [1001]
    assert response.headers["location"] == found["REST v1"] + "/messages/1001"


def test_another_address_comes_with_a_plain_warning() -> None:
    with process("simulate", "--port", "0", "--host", "0.0.0.0") as running:
        assert running.stdout is not None
        found = urls(running.stdout)
        with Modica("any", "thing", base_url=found["REST v1"]) as client:
            assert client.send(HERE, "Kia ora").id == FIRST
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert err.startswith("modica: listening on 0.0.0.0: anyone who can reach this machine can read the messages")


@pytest.mark.parametrize("where", [["--host", "192.0.2.1"], ["--host", "nowhere.invalid"]], ids=lambda each: each[1])
def test_an_address_that_is_not_there_is_told_in_one_line(where: list[str]) -> None:
    result = modica("simulate", "--port", "0", *where)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"modica: {where[1]} port 0 cannot be used: ")


def test_settings_that_no_gateway_has_are_told_in_one_line() -> None:
    result = modica("simulate", "--port", "0", "--username", "with:colon", "--password-env", "PATH")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_a_taken_port_is_told_in_one_line() -> None:
    with Simulator() as sim:
        result = modica("simulate", "--port", sim.url.rpartition(":")[2])
    [line] = result.stderr.splitlines()
    assert (result.exit_code, "Address already in use" in line) == (2, True)


def test_it_ends_quietly_when_nobody_reads_what_it_prints() -> None:
    with process("simulate", "--port", "0") as running:
        assert running.stdout is not None
        found = urls(running.stdout)
        running.stdout.close()
        with Modica("any", "thing", base_url=found["REST v1"]) as client:
            client.send(HERE, "Kia ora")
        running.wait(30)
        assert running.stderr is not None
        assert running.stderr.read() == ""
    assert running.returncode == 141
