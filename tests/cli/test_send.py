from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from modica_facade import Modica
from modica_facade.simulator import Simulator

from .support import (
    HERE,
    modica,
    process,
    rows,
)


def test_send_prints_the_id_of_the_message_that_went_out(gateway: Simulator) -> None:
    result = modica("send", HERE, "Tēnā koe", "--reference", "order-42")
    [message] = gateway.messages
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"id {message.id}\n", "")
    assert (message.destination, message.content, message.reference) == (HERE, "Tēnā koe", "order-42")


def test_send_passes_every_option_on(gateway: Simulator, simulator_at_now: Simulator) -> None:
    moments = ["--scheduled", "2030-05-06T10:00:00+13:00", "--expires", "2030-05-07T10:00:00+13:00"]
    others = ["--class", "alerts", "--mask", "Shop", "--sms-class", "0", "--reference", "r"]
    result = modica("send", HERE, "Kia ora", *moments, *others, "--json", "--base-url", simulator_at_now.base_url)
    [request] = simulator_at_now.requests
    assert rows(result)[0]["scheduled"] == "2030-05-06T10:00:00+13:00"
    assert request.json == {
        "destination": HERE,
        "content": "Kia ora",
        "scheduled": "2030-05-06T10:00:00+13:00",
        "expires": "2030-05-07T10:00:00+13:00",
        "class": "alerts",
        "mask": "Shop",
        "sms_class": 0,
        "reference": "r",
    }


def test_send_can_name_a_source(gateway: Simulator) -> None:
    assert modica("send", HERE, "Kia ora", "--source", "2020").exit_code == 0
    assert gateway.messages[0].source == "2020"


def test_send_speaks_v2_when_asked(gateway: Simulator) -> None:
    uuid = "11111111-1111-4111-8111-111111111111"
    result = modica("send", HERE, "Kia ora", "--v2", "--integration-id", uuid, "--json")
    [message] = gateway.messages
    assert (message.version, message.integration_id) == (2, uuid)
    assert rows(result)[0]["id"] == message.id


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(["--v2", "--expires", "2030-01-01T00:00:00Z"], "--expires"), (["--integration-id", "u"], "--integration-id")],
)
def test_an_option_that_the_version_does_not_have_is_a_usage_error(
    gateway: Simulator, arguments: list[str], option: str
) -> None:
    result = modica("send", HERE, "Kia ora", *arguments)
    assert (result.exit_code, gateway.requests) == (2, [])
    assert option in result.stderr


def test_get_prints_what_is_known_of_a_message(gateway: Simulator) -> None:
    message_id = modica("send", HERE, "Kia ora", "--reference", "r").stdout.split()[1]
    result = modica("get", message_id)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"id           {message_id}",
        "source       202",
        f"destination  {HERE}",
        "content      Kia ora",
        "reference    r",
    ]
    [message] = rows(modica("get", message_id, "--json"))
    assert (message["id"], message["operator"]) == (message_id, None)


def test_get_on_v2_shows_the_status(gateway: Simulator) -> None:
    message_id = modica("send", HERE, "Kia ora", "--v2").stdout.split()[1]
    [message] = rows(modica("get", message_id, "--v2", "--json"))
    assert (message["direction"], message["status"]) == ("MT", "accepted")


def test_text_from_a_stranger_cannot_steer_a_terminal(gateway: Simulator) -> None:
    with Modica() as client:
        sent = client.send(HERE, "\x1b[2Jgone\nid 1 \x9b2J \u202eback")
    shown = modica("get", sent.id).stdout
    assert r"content      \x1b[2Jgone\nid 1 \x9b2J \u202eback" in shown.splitlines()


def test_a_pipe_that_cannot_carry_a_macron_gets_an_escape(gateway: Simulator) -> None:
    with Modica() as client:
        sent = client.send(HERE, "Tēnā koe")
    assert r"T\u0113n\u0101 koe" in modica("get", sent.id, charset="cp1252").stdout
    assert rows(modica("get", sent.id, "--json", charset="cp1252"))[0]["content"] == "Tēnā koe"


def test_a_message_that_is_not_there_is_a_no(gateway: Simulator) -> None:
    result = modica("get", "123", "--json")
    assert (result.exit_code, rows(result)[0]["error"]["status_code"]) == (1, 404)


def test_a_get_without_an_answer_sent_nothing(gateway: Simulator) -> None:
    gateway.stop()
    assert modica("get", "123").exit_code == 3


def test_a_send_that_is_interrupted_is_unknown(gateway: Simulator) -> None:
    gateway.fail(delay=60, match=lambda _: os.kill(os.getpid(), signal.SIGINT) is None)
    result = modica("send", HERE, "Kia ora", "--reference", "order-42", "--json")
    assert result.exit_code == 4
    assert rows(result)[0]["error"]["reference"] == "order-42"
    assert len(gateway.messages) == 1


def test_a_get_that_is_interrupted_is_130(gateway: Simulator) -> None:
    gateway.fail(delay=60, match=lambda _: os.kill(os.getpid(), signal.SIGINT) is None)
    assert modica("get", "123").exit_code == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_id_that_cannot_be_printed_is_told_where_it_can(gateway: Simulator) -> None:
    with Path("/dev/full").open("w") as full, process("send", HERE, "Kia ora", stdout=full) as running:
        _, complaint = running.communicate()
    [message] = gateway.messages
    assert running.returncode == 4
    assert complaint.startswith(f"modica: sent, with id {message.id}, but that could not be printed (standard output")
    assert len(complaint.splitlines()) == 1


def test_the_text_may_come_from_standard_input(gateway: Simulator) -> None:
    assert modica("send", HERE, "-", stdin="Tēnā koe,\nhaere mai\r\n".encode()).exit_code == 0
    assert gateway.messages[0].content == "Tēnā koe,\nhaere mai"


def test_standard_input_that_is_not_utf_8_is_called_that(gateway: Simulator) -> None:
    result = modica("send", HERE, "-", stdin=b"Kia ora\nT\xeana koe")
    assert (result.exit_code, gateway.requests) == (2, [])
    assert "standard input is not UTF-8 text (line 2)" in result.stderr


def test_a_local_time_is_scheduled_in_its_zone(gateway: Simulator) -> None:
    result = modica("send", HERE, "Kia ora", "--scheduled", "tomorrow 9:00 Pacific/Auckland", "--json")
    scheduled = datetime.fromisoformat(rows(result)[0]["scheduled"])
    assert (scheduled.hour, scheduled.utcoffset() in {timedelta(hours=12), timedelta(hours=13)}) == (9, True)
