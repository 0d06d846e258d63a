from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from modica_facade.simulator import Simulator

from .support import ELSEWHERE, HERE, THERE, broadcast, modica, on_terminal, process, rows, sent_to

LATER = "+64211234570"


@pytest.fixture
def command(gateway: Simulator, results: Path) -> list[str]:
    """A broadcast with one of each status in its results file."""
    gateway.fail(cut="after", match=lambda request: THERE in request.json["destination"])
    command = [HERE, "X", THERE, ELSEWHERE, "--batch-size", "2", "--reference", "r", "--results", str(results)]
    assert broadcast(*command).exit_code == 4
    gateway.fail(status=401)
    assert broadcast(*command[:4], LATER, *command[4:]).exit_code == 4
    return [*command[:4], LATER, *command[4:]]


def test_it_shows_who_got_it_who_did_not_and_why(command: list[str], results: Path) -> None:
    result = modica("results", str(results))
    heading, *shown = [line.split(maxsplit=3) for line in result.stdout.splitlines()]
    assert heading == ["destination", "status", "id", "reason"]
    assert [line[:2] for line in shown] == [
        [HERE, "success"],
        ["X", "failure"],
        [THERE, "unknown"],
        [ELSEWHERE, "unknown"],
        [LATER, "unsent"],
    ]
    assert shown[1][3] == "Invalid destination (X)"
    assert "may have been sent" in shown[2][3]
    assert result.stderr == "modica: 5 destinations: 1 submitted, 1 failed, 2 unknown, 1 not sent\n"
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("status", "found"),
    [("success", [HERE]), ("failure", ["X"]), ("unknown", [THERE, ELSEWHERE]), ("unsent", [LATER])],
)
def test_it_shows_those_of_one_status(command: list[str], results: Path, status: str, found: list[str]) -> None:
    assert [row["destination"] for row in rows(modica("results", str(results), "--status", status, "--json"))] == found
    lines = modica("results", str(results), "--status", status, "--format", "csv").stdout.splitlines()
    assert lines[0] == "destination,id,status,reason"
    assert [line.split(",")[0] for line in lines[1:]] == found


def test_those_that_were_never_tried_are_listed_too(gateway: Simulator, results: Path) -> None:
    gateway.fail(status=401)
    broadcast(HERE, THERE, "--batch-size", "1", "--results", str(results))
    found = {row["destination"]: row["status"] for row in rows(modica("results", str(results), "--json"))}
    assert found == {HERE: "unsent", THERE: "unsent"}


def test_what_went_out_is_settled_with_its_id_and_never_sent_again(
    gateway: Simulator, command: list[str], results: Path
) -> None:
    before = sent_to(gateway)
    settled = modica("results", str(results), "--settle", "64 21 123 4568", "--sent", "9007199254740999")
    assert (settled.exit_code, settled.stdout) == (0, "")
    assert THERE in settled.stderr
    last = json.loads(results.read_text().splitlines()[-1])
    assert last == {"destination": THERE, "id": "9007199254740999", "status": "success", "reason": "settled by hand"}
    assert broadcast(*command).exit_code == 4  # ELSEWHERE is still unknown
    assert sent_to(gateway) == before + Counter([LATER])


def test_what_did_not_go_out_is_sent_by_the_next_run(gateway: Simulator, command: list[str], results: Path) -> None:
    gateway.reset()
    for number in (THERE, ELSEWHERE):
        assert modica("results", str(results), "--settle", number, "--not-sent", "--yes").exit_code == 0
    assert broadcast(*command).exit_code == 1
    assert sent_to(gateway) == {THERE: 1, ELSEWHERE: 1, LATER: 1}


@pytest.mark.parametrize(("answer", "status"), [("y", "unsent"), ("n", "unknown")])
def test_not_sent_asks_first_since_a_wrong_answer_is_a_second_sms(
    command: list[str], results: Path, answer: str, status: str
) -> None:
    code, shown = on_terminal("results", str(results), "--settle", THERE, "--not-sent", answers={"[y/N]: ": answer})
    assert "that is a second SMS" in shown.replace("\r\n", "")
    assert (code == 0) is (answer == "y")
    found = {row["destination"]: row["status"] for row in rows(modica("results", str(results), "--json"))}
    assert found[THERE] == status


def test_not_sent_without_anybody_to_ask_changes_nothing(command: list[str], results: Path) -> None:
    before = results.read_bytes()
    result = modica("results", str(results), "--settle", THERE, "--not-sent", stdin=b"")
    assert (result.exit_code, results.read_bytes()) == (2, before)
    assert "--yes" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--settle", THERE], "either --sent ID or --not-sent"),
        (["--settle", THERE, "--sent", "1", "--not-sent"], "either --sent ID or --not-sent"),
        (["--sent", "1"], "need --settle"),
        (["--not-sent"], "need --settle"),
        (["--settle", "+64219999999", "--sent", "1"], "is not in"),
        (["--settle", HERE, "--sent", "1"], "is not unknown but success (line 4 of"),
        (["--settle", "X", "--not-sent", "--yes"], "is not unknown but failure (line 5 of"),
        (["--settle", THERE, "--sent", "order-42"], "is not a message id"),
    ],
    ids=str,
)
def test_what_cannot_be_settled_leaves_the_file_as_it_is(
    command: list[str], results: Path, arguments: list[str], complaint: str
) -> None:
    before = results.read_bytes()
    result = modica("results", str(results), *arguments)
    assert (result.exit_code, results.read_bytes()) == (2, before)
    [line] = result.stderr.splitlines()
    assert complaint in line


def test_a_file_that_a_broadcast_is_using_is_shown_but_not_settled(gateway: Simulator, results: Path) -> None:
    seen: list[object] = []

    def look(_request: object) -> bool:
        seen.append([row["status"] for row in rows(modica("results", str(results), "--json"))])
        seen.append(modica("results", str(results), "--settle", HERE, "--sent", "1").stderr)
        return False

    gateway.fail(match=look)
    assert broadcast(HERE, "--results", str(results)).exit_code == 0
    assert seen[0] == ["unknown"]
    assert "wait for the other command" in str(seen[1])


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("nowhere", "cannot be used: No such file"), (".", "not a regular file"), ("/dev/zero", "not a regular file")],
)
def test_only_a_results_file_is_read(tmp_path: Path, name: str, complaint: str) -> None:
    result = modica("results", str(tmp_path / name))
    assert (result.exit_code, complaint in result.stderr) == (2, True)


@pytest.mark.parametrize("content", ["", "+64211234567\n", "{}\n", '{"broadcast": 1'])
@pytest.mark.parametrize("settle", [[], ["--settle", HERE, "--sent", "1"]])
def test_a_file_that_is_something_else_is_not_touched(results: Path, content: str, settle: list[str]) -> None:
    results.write_text(content)
    result = modica("results", str(results), *settle)
    assert (result.exit_code, results.read_text()) == (2, content)
    assert "is not a results file" in result.stderr


def test_rows_that_cannot_be_printed_are_an_error(command: list[str], results: Path) -> None:
    with Path("/dev/full").open("w") as full, process("results", str(results), stdout=full) as running:
        _, complaint = running.communicate()
    assert (running.returncode, complaint) == (
        2,
        "modica: standard output cannot be written: No space left on device\n",
    )
