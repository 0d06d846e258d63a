from __future__ import annotations

import errno
import json
import os
import threading
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from click.testing import Result

from modica_facade import BroadcastOutcome, ConfigurationError
from modica_facade.cli import _results_file
from modica_facade.cli._results_file import append_outcome
from modica_facade.simulator import Simulator

from .support import ELSEWHERE, HERE, PASSWORD, THERE, broadcast, modica, noted, process, rows, sent_to


def test_a_results_file_holds_the_intent_before_the_request_and_the_outcomes_after_it(
    gateway: Simulator, results: Path
) -> None:
    seen: list[str] = []
    gateway.fail(delay=0, match=lambda _: seen.append(results.read_text()) is None)
    broadcast(HERE, "X", "--results", str(results))
    header, planned, intent = map(json.loads, seen[0].splitlines())
    assert list(header) == ["broadcast"]
    assert planned == {"planned": [HERE, "X"]}
    assert intent == {"intent": [HERE, "X"]}
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert lines[:3] == [header, planned, intent]
    assert lines[3:] == [
        {"destination": HERE, "id": gateway.messages[0].id, "status": "success", "reason": None},
        {"destination": "X", "id": None, "status": "failure", "reason": "Invalid destination (X)"},
    ]


def test_a_results_file_is_private_and_holds_neither_text_nor_password(gateway: Simulator, results: Path) -> None:
    broadcast(HERE, "--results", str(results), "--reference", "r")
    assert results.stat().st_mode & 0o077 == 0
    assert "Kia ora" not in results.read_text()
    assert PASSWORD not in results.read_text()


@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_a_finished_broadcast_is_not_sent_again(gateway: Simulator, results: Path, version: list[str]) -> None:
    command = [HERE, THERE, "X", "--results", str(results), *version]
    first, again = broadcast(*command), broadcast(*command)
    assert sent_to(gateway) == {HERE: 1, THERE: 1}
    assert (first.exit_code, again.exit_code) == (1, 1)
    assert len(again.stdout.splitlines()) == 1
    assert first.stderr == again.stderr


def test_a_rerun_sends_only_to_those_that_have_no_outcome(gateway: Simulator, results: Path) -> None:
    gateway.fail(status=401, match=lambda request: THERE in request.json["destination"])
    command = [HERE, THERE, ELSEWHERE, "--batch-size", "1", "--results", str(results)]
    first = broadcast(*command)
    assert (first.exit_code, noted(results)) == (1, {HERE: "success", THERE: "unsent"})
    assert "run the same command again" in first.stderr
    assert broadcast(*command).exit_code == 0
    assert sent_to(gateway) == {HERE: 1, THERE: 1, ELSEWHERE: 1}


@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_unknown_ones_are_never_sent_again_and_never_forgotten(
    gateway: Simulator, results: Path, version: list[str]
) -> None:
    gateway.fail(cut="after", match=lambda request: THERE in request.json["destination"])
    command = [HERE, THERE, ELSEWHERE, "--batch-size", "1", "--results", str(results), *version]
    assert broadcast(*command).exit_code == 4
    again = broadcast(*command)
    assert sent_to(gateway) == {HERE: 1, THERE: 1, ELSEWHERE: 1}
    assert (again.exit_code, noted(results)[THERE]) == (4, "unknown")
    assert "2 submitted, 0 failed, 1 unknown, 0 not sent" in again.stderr


def test_a_person_may_have_the_last_word_on_an_unknown_one(gateway: Simulator, results: Path) -> None:
    gateway.fail(cut="after")
    command = [HERE, THERE, "--results", str(results)]
    assert broadcast(*command).exit_code == 4
    with results.open("a") as file:
        file.write(f'{{"destination": "{HERE}", "status": "success"}}\n')
        file.write(f'{{"destination": "{THERE}", "status": "unsent"}}\n')
    assert broadcast(*command).exit_code == 0
    assert sent_to(gateway) == {HERE: 1, THERE: 2}


def test_kill_9_between_a_request_and_its_outcome_makes_no_duplicate(gateway: Simulator, results: Path) -> None:
    received = threading.Event()
    gateway.fail(delay=60, match=lambda request: THERE in request.json["destination"] and received.set() is None)
    command = [HERE, THERE, ELSEWHERE, "--batch-size", "1", "--results", str(results)]
    with process("broadcast", "--content", "Kia ora koutou", *command) as running:
        assert received.wait(60)
        running.kill()
    assert json.loads(results.read_text().splitlines()[-1]) == {"intent": [THERE]}
    assert broadcast(*command).exit_code == 4
    assert sent_to(gateway) == {HERE: 1, THERE: 1, ELSEWHERE: 1}
    assert noted(results) == {HERE: "success", THERE: "unknown", ELSEWHERE: "success"}


@pytest.mark.slow
def test_wherever_a_crash_cuts_the_file_nobody_is_sent_to_twice(gateway: Simulator, results: Path) -> None:
    command = [HERE, THERE, "X", "--batch-size", "2", "--results", str(results)]
    broadcast(*command)
    whole = results.read_bytes()
    already = sent_to(gateway)
    for length in range(len(whole)):
        # The request of a batch leaves after its intent is whole: what was sent by then follows from the cut.
        gateway.reset()
        results.write_bytes(whole[:length])
        intended = [
            line for line in whole[:length].splitlines() if line.startswith(b'{"intent"') and line.endswith(b"]}")
        ]
        before = Counter({HERE: 1, THERE: 1}) if intended else Counter[str]()
        result = broadcast(*command)
        assert result.exit_code in {1, 4}, result.stderr
        assert before + sent_to(gateway) == already


def test_a_gateway_that_spells_numbers_in_its_own_way_is_followed(gateway: Simulator, results: Path) -> None:
    answer = [{"status": "success", "message": None, "destination": n, "id": i} for i, n in enumerate([HERE, THERE], 1)]
    gateway.fail(status=201, body=json.dumps(answer))
    given = ["+64 21 123 4567", THERE]
    result = broadcast(*given, "--results", str(results), "--json")
    assert [(row["destination"], row["id"]) for row in rows(result)] == [(given[0], "1"), (given[1], "2")]
    assert noted(results) == dict.fromkeys(given, "success")


@pytest.mark.parametrize(
    "other", [["--reference", "r"], ["--content", "Other"], ["--v2"], ["--base-url", "http://127.0.0.1:9/rest/gateway"]]
)
def test_a_results_file_serves_one_broadcast(gateway: Simulator, results: Path, other: list[str]) -> None:
    broadcast(HERE, "--results", str(results))
    result = broadcast(HERE, "--results", str(results), *other)
    assert (result.exit_code, sent_to(gateway)) == (2, {HERE: 1})
    assert "not the results file of this broadcast" in result.stderr


@pytest.mark.parametrize("content", ["+64211234567", "+64211234567\n", '{"broadcast": 1}\n', "\x00" * 100])
def test_a_file_that_is_something_else_is_left_as_it_is(gateway: Simulator, results: Path, content: str) -> None:
    results.write_text(content)
    assert broadcast(HERE, "--results", str(results)).exit_code == 2
    assert (results.read_text(), gateway.requests) == (content, [])


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "{}",
        '{"destination": 1, "status": "success"}',
        '{"destination": "a", "status": "b"}',
        '{"intent": [1]}',
    ],
)
def test_a_line_that_makes_no_sense_stops_everything(gateway: Simulator, results: Path, line: str) -> None:
    broadcast(HERE, "--results", str(results))
    before = results.read_text() + line + "\n"
    results.write_text(before)
    result = broadcast(HERE, THERE, "--results", str(results))
    assert (result.exit_code, sent_to(gateway), results.read_text()) == (2, {HERE: 1}, before)
    assert "line 5 of" in result.stderr


def test_two_broadcasts_cannot_use_one_file_at_once(gateway: Simulator, results: Path) -> None:
    inner: list[Result] = []
    command = [HERE, THERE, "--results", str(results)]

    def rerun() -> None:
        with process("broadcast", "--content", "Kia ora koutou", *command) as running:
            _, complaint = running.communicate()
            inner.append((running.returncode, complaint))

    gateway.fail(delay=60, match=lambda _: threading.Thread(target=lambda: (rerun(), gateway.stop())).start() is None)
    broadcast(*command)
    [(code, complaint)] = inner
    assert (code, sent_to(gateway)) == (2, {HERE: 1, THERE: 1})
    assert "wait for the other command" in complaint


def test_when_the_intent_cannot_be_written_nothing_is_sent(
    gateway: Simulator, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("modica_facade.cli._results_file.os.fsync", full)
    result = broadcast(HERE, THERE, "--results", str(results))
    assert (result.exit_code, gateway.requests) == (3, [])
    assert "No space left" in result.stderr


def test_when_outcomes_cannot_be_written_no_further_batch_is_sent(
    gateway: Simulator, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(descriptor: int) -> None:
        with Path("/dev/full").open("wb") as full:
            os.dup2(full.fileno(), descriptor)

    monkeypatch.setattr("modica_facade.cli._results_file.os.fsync", fill_up)
    command = [HERE, THERE, "--batch-size", "1", "--results", str(results), "--json"]
    result = broadcast(*command)
    outcome, error = rows(result)
    assert (outcome["destination"], outcome["status"]) == (HERE, "success")
    assert (result.exit_code, error["error"]["type"]) == (4, "OutcomeUnknownError")
    monkeypatch.undo()
    for name, value in zip(["USERNAME", "PASSWORD", "BASE_URL"], ["application", "p", gateway.base_url], strict=True):
        monkeypatch.setenv(f"MODICA_{name}", value)
    broadcast(*command)
    assert sent_to(gateway) == {HERE: 1, THERE: 1}


# What a person adds by hand


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_last_line_by_hand_counts_with_or_without_its_newline(gateway: Simulator, results: Path, end: str) -> None:
    gateway.fail(cut="after")
    command = [HERE, "--results", str(results)]
    assert broadcast(*command).exit_code == 4
    with results.open("a") as file:
        file.write(f'{{"destination": "{HERE}", "status": "unsent"}}{end}')
    assert broadcast(*command).exit_code == 0
    assert sent_to(gateway) == {HERE: 2}
    assert all(json.loads(line) for line in results.read_text().splitlines())


@pytest.mark.parametrize(
    "line",
    [
        f'{{"destination": "{HERE}", "status": "success"',
        f'{{"destination": "{HERE}", "sta',
        f"{HERE} was sent",
        '{"status": "success", "destination": "',
    ],
)
def test_an_unfinished_last_line_by_hand_is_refused_with_its_number(
    gateway: Simulator, results: Path, line: str
) -> None:
    broadcast(HERE, "--results", str(results))
    before = results.read_text() + line
    results.write_text(before)
    result = broadcast(HERE, "--results", str(results))
    assert (result.exit_code, results.read_text()) == (2, before)
    assert f"line 5 of {results}" in result.stderr


@pytest.mark.parametrize("last", [2, 3, 4, 5], ids=["planned", "intent", "first outcome", "last outcome"])
def test_a_line_that_a_crash_cut_off_is_left_out_and_named(gateway: Simulator, results: Path, last: int) -> None:
    broadcast(r'quo"ted\\', HERE, "--results", str(results))
    lines = results.read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines[last - 1]) - 1):
        results.write_bytes(b"".join(lines[: last - 1]) + lines[last - 1][:cut])
        complaint = f"line {last} of {results} was cut off by a crash and is left out"
        assert complaint in modica("results", str(results)).stderr
        assert complaint in broadcast(r'quo"ted\\', HERE, "--results", str(results), "--dry-run").stderr


def test_a_resume_says_what_is_unknown_and_where(gateway: Simulator, results: Path) -> None:
    gateway.fail(cut="after")
    everyone = [f"+6421{number}" for number in range(1_000_000, 1_000_012)]
    broadcast(*everyone, "--results", str(results), "--reference", "r")
    notes = broadcast(*everyone, "--results", str(results), "--reference", "r").stderr.splitlines()
    assert notes[0] == f"modica: {everyone[0]} is unknown from an earlier run (line 4 of {results})"
    assert notes[9].startswith(f"modica: {everyone[9]} is unknown")
    assert notes[10] == "modica: unknown as well: 2 more"
    assert notes[11] == f"modica: settle unknown ones by their receipts: modica results {results} --settle NUMBER"


def test_another_way_to_write_a_number_is_not_another_number(gateway: Simulator, results: Path) -> None:
    assert broadcast(HERE, "--results", str(results)).exit_code == 0
    assert broadcast("0064 21 123 4567", "+64 21 123 4567", "--results", str(results)).exit_code == 0
    assert sent_to(gateway) == {HERE: 1}


def test_a_country_is_part_of_what_identifies_a_broadcast(gateway: Simulator, results: Path) -> None:
    # 021 123 4567, left as it is by the first run, must not become another number in the second.
    broadcast("021 123 4567", "--results", str(results))
    result = broadcast("021 123 4567", "--results", str(results), "--country", "NZ")
    assert (result.exit_code, len(gateway.requests)) == (2, 1)


# Files that are none


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_a_device_is_not_taken_as_a_results_file(gateway: Simulator, device: str) -> None:
    result = broadcast(HERE, "--results", device)
    assert (result.exit_code, gateway.requests) == (2, [])
    assert f"{device} is not a regular file" in result.stderr


def test_a_pipe_is_not_taken_as_a_results_file(gateway: Simulator, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = broadcast(HERE, "--results", str(tmp_path / "pipe"))
    assert (result.exit_code, gateway.requests) == (2, [])


@pytest.mark.parametrize("content", ["", "numbers\n", '{"broadcast": 1'])
def test_nothing_is_added_to_a_file_that_became_another_one_meanwhile(results: Path, content: str) -> None:
    results.write_text(content)
    with pytest.raises(ConfigurationError, match="is not a results file"):
        append_outcome(results, BroadcastOutcome(HERE, "1", "success"))
    assert results.read_text() == content


def test_an_outcome_that_cannot_be_added_is_told(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = OSError(errno.ENOSPC, "No space left on device")
    results.write_text('{"broadcast": 1}\n')
    monkeypatch.setattr(_results_file, "_write_and_sync", mock.Mock(side_effect=broken))
    with pytest.raises(ConfigurationError, match="cannot be written: No space left on device"):
        append_outcome(results, BroadcastOutcome(HERE, "1", "success"))
