from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from modica_facade import BroadcastOutcome, Modica
from modica_facade.cli._results_file import ResultsFile
from modica_facade.simulator import Simulator

from .support import (
    ELSEWHERE,
    HERE,
    THERE,
    broadcast,
    modica,
    noted,
    on_terminal,
    process,
    rows,
    sent_to,
)


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
    assert "left out: 1 repeated destination" in result.stderr


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


# Before the first request


@pytest.fixture
def customers(tmp_path: Path) -> str:
    file = tmp_path / "customers.csv"
    file.write_text(f'name,mobile\n"Smith, A",021 123 4567\nB,6.4211E+10\nC,{THERE}\n')
    return str(file)


def test_one_bad_row_stops_a_broadcast_before_it_begins(gateway: Simulator, customers: str) -> None:
    result = broadcast("--file", customers, "--column", "mobile", "--country", "NZ")
    assert (result.exit_code, gateway.requests) == (2, [])
    first, second = result.stderr.splitlines()
    assert first.startswith("modica: customers.csv, line 3: '6.4211E+10': a spreadsheet has rounded this number")
    assert "1 row cannot be sent to" in second
    assert "--skip-bad" in second


def test_with_skip_bad_it_goes_on_without(gateway: Simulator, customers: str) -> None:
    result = broadcast("--file", customers, "--column", "mobile", "--country", "NZ", "--skip-bad")
    assert (result.exit_code, sent_to(gateway)) == (0, {HERE: 1, THERE: 1})
    assert f"written in international form: 1 number, the first '021 123 4567' as {HERE}" in result.stderr


def test_a_table_without_column_is_refused_with_advice_and_posted_to_nobody(gateway: Simulator, customers: str) -> None:
    result = broadcast("--file", customers)
    assert (result.exit_code, gateway.requests) == (2, [])
    assert "--column NAME" in result.stderr


def test_local_numbers_are_pointed_out(gateway: Simulator) -> None:
    result = broadcast("021 123 4567")
    assert "in local form: 1 number, the first '021 123 4567' (argument 1); see --country" in result.stderr


def test_a_dry_run_shows_the_plan_and_sends_nothing(gateway: Simulator, results: Path) -> None:
    result = broadcast(HERE, THERE, "--dry-run", "--results", str(results))
    assert (result.exit_code, gateway.requests, results.exists()) == (0, [], False)
    assert result.stdout.splitlines() == [
        f"to         2 destinations: {HERE}, {THERE}",
        "text       14 characters, GSM-7, 1 SMS each, 2 in all",
        f"gateway    Modica(username='application', base_url='{gateway.base_url}')",
        "when       now",
        "dry run: nothing was sent",
    ]


def test_a_dry_run_knows_what_an_earlier_run_did(gateway: Simulator, results: Path) -> None:
    broadcast(HERE, "--results", str(results))
    before = results.read_bytes()
    [plan] = rows(broadcast(HERE, THERE, "--dry-run", "--json", "--results", str(results)))
    assert (plan["destinations"], plan["first"], plan["earlier"]) == (1, [THERE], 1)
    assert (results.read_bytes(), len(gateway.requests)) == (before, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mask", "m" * 21],
        ["--reference", ""],
        ["--scheduled", "2001-01-01T00:00:00Z"],
        ["--base-url", "http://x.example"],
    ],
    ids=str,
)
@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_options_are_checked_before_anything_else(
    gateway: Simulator, results: Path, arguments: list[str], dry_run: list[str]
) -> None:
    result = broadcast(HERE, *arguments, *dry_run, "--results", str(results))
    assert (result.exit_code, gateway.requests, results.exists()) == (2, [], False)


def test_the_text_may_come_from_standard_input(gateway: Simulator) -> None:
    assert modica("broadcast", HERE, "--content", "-", stdin="Tēnā koe\n".encode()).exit_code == 0
    assert modica("broadcast", "-", "--content", "Tēnā koe", stdin=THERE.encode()).exit_code == 0
    assert [(each.destination, each.content) for each in gateway.messages] == [(HERE, "Tēnā koe"), (THERE, "Tēnā koe")]


@pytest.mark.parametrize(
    "arguments", [["-", "--content", "-"], ["--file", "-", "--content", "-"], ["-", "-", "--content", "x"]]
)
def test_standard_input_is_one_thing_only(gateway: Simulator, arguments: list[str]) -> None:
    result = modica("broadcast", *arguments, stdin=HERE.encode())
    assert (result.exit_code, gateway.requests) == (2, [])
    assert "tandard input" in result.stderr


@pytest.fixture
def crowd(tmp_path: Path) -> list[str]:
    file = tmp_path / "crowd.txt"
    file.write_text("\n".join(f"+6421{number}" for number in range(1_000_000, 1_000_101)))
    return ["broadcast", "--content", "Kia ora", "--file", str(file)]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "sent"), [("y", 0, 101), ("n", 3, 0), ("", 3, 0)])
def test_on_a_terminal_a_large_broadcast_is_shown_and_asked_about_first(
    gateway: Simulator, crowd: list[str], answer: str, code: int, sent: int
) -> None:
    status, shown = on_terminal(*crowd, answers={"[y/N]: ": answer})
    assert (status, len(gateway.messages)) == (code, sent)
    assert "101 destinations: +64211000000, +64211000001, +64211000002, ..." in shown
    assert "GSM-7, 1 SMS each, 101 in all" in shown
    assert "give --results to be able to resume" in shown
    assert "Send to 101 destinations? [y/N]" in shown


def test_a_hundred_are_not_asked_about(gateway: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "hundred.txt"
    file.write_text("\n".join(f"+6421{number}" for number in range(1_000_000, 1_000_100)))
    code, shown = on_terminal("broadcast", "--content", "Kia ora", "--file", str(file))
    assert (code, "[y/N]" in shown) == (0, False)


def test_yes_and_a_small_number_and_no_terminal_are_not_asked_about(gateway: Simulator, crowd: list[str]) -> None:
    assert on_terminal(*crowd, "--yes")[0] == 0
    assert on_terminal("broadcast", "--content", "Kia ora", HERE)[0] == 0
    assert modica(*crowd).exit_code == 0
    assert len(gateway.messages) == 203


def test_where_nobody_can_answer_a_terminal_asks_for_yes(gateway: Simulator, crowd: list[str]) -> None:
    code, shown = on_terminal(*crowd, stdin=subprocess.DEVNULL)
    assert (code, gateway.requests) == (2, [])
    assert "101 destinations: say --yes, or look first with --dry-run" in shown


def test_what_a_results_file_cannot_do_without_a_reference_is_said(gateway: Simulator, results: Path) -> None:
    complaint = "without --reference no receipt will tell"
    assert complaint in broadcast(HERE, "--results", str(results)).stderr
    assert complaint not in broadcast(HERE).stderr
    assert complaint not in broadcast(HERE, "--reference", "r", "--results", f"{results}2").stderr


def test_without_a_results_file_an_interrupted_broadcast_says_how_far_it_came(gateway: Simulator) -> None:
    gateway.fail(status=401, match=lambda request: ELSEWHERE in request.json["destination"])
    result = broadcast(HERE, THERE, ELSEWHERE, "--batch-size", "1")
    assert result.exit_code == 1
    assert f"do not repeat the whole command: it is done down to {THERE} (--results would keep count)" in result.stderr


def test_an_answer_that_leaves_a_destination_out_leaves_it_unknown(
    gateway: Simulator, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_only(_modica: Modica, destinations: Iterable[str], *_: object, **__: object) -> Iterator[BroadcastOutcome]:
        for destination in list(destinations)[:1]:
            yield BroadcastOutcome(destination, "1", "success")

    monkeypatch.setattr(Modica, "broadcast_many", one_only)
    result = broadcast(HERE, THERE, "--results", str(results))
    assert (result.exit_code, noted(results)) == (4, {HERE: "success", THERE: "unknown"})


def test_a_wrong_column_does_not_fill_the_screen(gateway: Simulator, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("name,mobile\n" + "Smith,+64211234567\n" * 150)
    result = broadcast("--file", str(table), "--column", "name")
    lines = result.stderr.splitlines()
    assert (result.exit_code, len(lines), gateway.requests) == (2, 102, [])
    assert lines[99] == "modica: table.csv, line 101: 'Smith': not a number"
    assert lines[100] == "modica: and 50 more"


def test_a_column_without_a_file_is_a_usage_error(gateway: Simulator) -> None:
    assert broadcast(HERE, "--column", "mobile").exit_code == 2


def test_ten_of_many_problems_are_shown_where_a_results_file_has_the_rest(gateway: Simulator, results: Path) -> None:
    everyone = [f"X{number}" for number in range(12)]
    code, shown = on_terminal("broadcast", "--content", "Kia ora", *everyone, "--results", str(results), columns=200)
    assert code == 1
    assert [each for each in everyone if f"{each} " in shown] == everyone[:10]
    assert f"2 more: modica results {results}" in shown


def test_a_third_interrupt_ends_it_with_unknown(
    gateway: Simulator, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ResultsFile, "record", interrupt)
    result = broadcast(HERE, "--results", str(results))
    assert (result.exit_code, noted(results)) == (4, {HERE: "unknown"})
    assert "what was in flight may have been sent" in result.stderr
