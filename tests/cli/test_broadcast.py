from __future__ import annotations

import os
from pathlib import Path

import pytest

from modica_facade.simulator import Simulator

from .support import ELSEWHERE, HERE, THERE, broadcast, noted, process, rows, sent_to


def test_a_broadcast_prints_a_table_and_a_summary(gateway: Simulator) -> None:
    result = broadcast(HERE, "X")
    [message] = gateway.messages
    heading, first, second = result.stdout.splitlines()
    assert heading.split() == ["destination", "status", "id", "reason"]
    assert first.split() == [HERE, "success", message.id]
    assert second.split(maxsplit=3) == ["X", "failure", "-", "Invalid destination (X)"]
    assert result.stderr == "modica: 2 destinations: 1 submitted, 1 failed, 0 unknown, 0 not sent\n"


def test_a_broadcast_that_reached_everybody_is_0_and_one_that_did_not_is_1(gateway: Simulator) -> None:
    assert broadcast(HERE, THERE).exit_code == 0
    assert broadcast(HERE, "X").exit_code == 1


def test_a_broadcast_prints_csv(gateway: Simulator) -> None:
    result = broadcast(HERE, 'X",', "--format", "csv")
    assert result.stdout.splitlines() == [
        "destination,id,status,reason",
        f"{HERE},{gateway.messages[0].id},success,",
        '"X"",",,failure,"Invalid destination (X"",)"',
    ]


@pytest.mark.parametrize("option", [["--format", "jsonl"], ["--json"]])
def test_a_broadcast_prints_json_lines(gateway: Simulator, option: list[str]) -> None:
    assert rows(broadcast(HERE, "X", *option)) == [
        {"destination": HERE, "id": gateway.messages[0].id, "status": "success", "reason": None},
        {"destination": "X", "id": None, "status": "failure", "reason": "Invalid destination (X)"},
    ]


def test_destinations_come_from_arguments_and_a_file_each_once(gateway: Simulator, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.txt"
    numbers.write_bytes(f"\ufeff{THERE}\r\n\r\n  {HERE}\n{ELSEWHERE}".encode())
    result = broadcast(HERE, "--file", str(numbers))
    assert [message.destination for message in gateway.messages] == [HERE, THERE, ELSEWHERE]
    assert "1 repeated destinations are left out" in result.stderr


def test_destinations_come_from_standard_input(gateway: Simulator) -> None:
    assert broadcast("--file", "-", stdin=f"{HERE}\n{THERE}\n".encode()).exit_code == 0
    assert [message.destination for message in gateway.messages] == [HERE, THERE]


def test_a_file_that_is_not_text_is_refused_as_a_whole(gateway: Simulator) -> None:
    result = broadcast("--file", "-", stdin=f"{HERE}\n".encode() + b"\xff\xfe\n")
    assert (result.exit_code, gateway.requests) == (2, [])
    assert "UTF-8" in result.stderr


def test_a_broadcast_goes_out_in_batches(gateway: Simulator) -> None:
    broadcast(HERE, THERE, ELSEWHERE, "--batch-size", "2", "--reference", "r")
    assert [request.json["destination"] for request in gateway.requests] == [[HERE, THERE], [ELSEWHERE]]
    assert {message.reference for message in gateway.messages} == {"r"}


def test_on_v2_a_broadcast_is_one_request_each(gateway: Simulator) -> None:
    result = broadcast(HERE, "X", THERE, "--v2", "--json")
    assert [row["status"] for row in rows(result)] == ["success", "failure", "success"]
    assert result.exit_code == 1
    assert {request.path for request in gateway.requests} == {"/rest/sms/v2/messages"}


def test_a_batch_that_may_have_been_sent_is_unknown_and_the_rest_is_not_sent(gateway: Simulator) -> None:
    gateway.fail(cut="after", match=lambda request: THERE in request.json["destination"])
    result = broadcast(HERE, THERE, ELSEWHERE, "--batch-size", "1", "--json")
    *outcomes, error = rows(result)
    assert [(row["destination"], row["status"]) for row in outcomes] == [(HERE, "success"), (THERE, "unknown")]
    assert (result.exit_code, error["error"]["type"]) == (4, "OutcomeUnknownError")
    assert "3 destinations: 1 submitted, 0 failed, 1 unknown, 1 not sent" in result.stderr
    assert "do not repeat the whole command" in result.stderr


def test_a_broadcast_that_was_refused_as_a_whole_may_be_repeated_as_it_is(gateway: Simulator) -> None:
    gateway.fail(status=401)
    result = broadcast(HERE, THERE)
    assert (result.exit_code, gateway.messages) == (1, [])
    assert "0 submitted, 0 failed, 0 unknown, 2 not sent" in result.stderr
    assert "do not repeat" not in result.stderr


def test_when_nobody_reads_the_rows_any_more_the_broadcast_stops_without_losing_one(
    gateway: Simulator, results: Path
) -> None:
    everyone = [HERE, "X", THERE]
    command = ["--content", "Kia ora koutou", *everyone, "--batch-size", "2", "--results", str(results)]
    reader, writer = os.pipe()
    gateway.fail(match=lambda _: os.close(reader) is None)
    with process("broadcast", *command, stdout=writer) as running:
        os.close(writer)
        _, complaint = running.communicate()
    assert (running.returncode, noted(results), sent_to(gateway)) == (3, {HERE: "success", "X": "failure"}, {HERE: 1})
    assert {line.partition(":")[0] for line in complaint.splitlines()} == {"modica"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_rows_that_cannot_be_printed_and_are_kept_nowhere_are_unknown(gateway: Simulator) -> None:
    with (
        Path("/dev/full").open("w") as full,
        process("broadcast", "--content", "Kia ora", HERE, stdout=full) as running,
    ):
        _, complaint = running.communicate()
    assert running.returncode == 3
    assert (gateway.messages, "cannot be written" in complaint) == ([], True)
