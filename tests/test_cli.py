from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from modica_facade import Modica, __version__
from modica_facade.cli import main
from modica_facade.simulator import Simulator

HERE, THERE, ELSEWHERE = "+64211234567", "+64211234568", "+64211234569"
PASSWORD = "canary-hunter2"


@pytest.fixture
def gateway(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The gateway that the environment names, and no time lost between attempts."""
    monkeypatch.setenv("MODICA_USERNAME", "application")
    monkeypatch.setenv("MODICA_PASSWORD", PASSWORD)
    monkeypatch.setenv("MODICA_BASE_URL", simulator.base_url)
    monkeypatch.setenv("MODICA_V2_BASE_URL", simulator.v2_base_url)
    monkeypatch.setattr("modica_facade.client._base.random.random", lambda: 0.0)
    return simulator


def modica(*arguments: str, charset: str = "utf-8", stdin: bytes | None = None) -> Result:
    result = CliRunner(charset=charset).invoke(main, arguments, input=stdin, prog_name="modica")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@contextlib.contextmanager
def process(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "modica_facade", *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **{**pipes, **options}) as running:
        try:
            yield running
        finally:
            running.kill()


# Send and get


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


# What went wrong, in one line and one number


FAILURES: list[tuple[Callable[[Simulator], object], int, str]] = [
    (lambda gateway: gateway.fail(error="invalid_attrib"), 1, "InvalidAttributeError"),
    (lambda gateway: gateway.fail(status=401), 1, "AuthenticationError"),
    (lambda gateway: gateway.fail(status=307, headers={"Location": "/"}), 1, "UnexpectedResponseError"),
    (lambda gateway: gateway.stop(), 3, "NotSentError"),
    (lambda gateway: gateway.fail(cut="after"), 4, "OutcomeUnknownError"),
    (lambda gateway: gateway.fail(status=503), 4, "ServerError"),
    (lambda gateway: gateway.fail(status=201, body="<html>"), 4, "UnexpectedResponseError"),
]


@pytest.mark.parametrize(("spoil", "code", "kind"), FAILURES)
def test_the_exit_code_says_whether_it_may_be_sent_again(
    gateway: Simulator, spoil: Callable[[Simulator], object], code: int, kind: str
) -> None:
    spoil(gateway)
    result = modica("send", HERE, "Kia ora", "--reference", "order-42")
    assert (result.exit_code, result.stdout) == (code, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("modica: ")


@pytest.mark.parametrize(("spoil", "code", "kind"), FAILURES)
def test_with_json_the_error_is_on_standard_output_too(
    gateway: Simulator, spoil: Callable[[Simulator], object], code: int, kind: str
) -> None:
    spoil(gateway)
    result = modica("send", HERE, "Kia ora", "--reference", "order-42", "--json")
    [line] = rows(result)
    assert (result.exit_code, line["error"]["exit_code"], line["error"]["type"]) == (code, code, kind)
    assert line["error"]["may_have_been_sent"] is (code == 4)
    assert f"modica: {line['error']['message']}\n" == result.stderr
    assert line["error"].get("reference", "order-42") == "order-42"
    assert PASSWORD not in result.output


def test_a_message_that_is_not_there_is_a_no(gateway: Simulator) -> None:
    result = modica("get", "123", "--json")
    assert (result.exit_code, rows(result)[0]["error"]["status_code"]) == (1, 404)


def test_a_get_without_an_answer_sent_nothing(gateway: Simulator) -> None:
    gateway.stop()
    assert modica("get", "123").exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", HERE, ""],
        ["send", HERE, "Kia ora", "--scheduled", "tomorrow"],
        ["send", HERE, "Kia ora", "--scheduled", "2030-01-01T00:00:00"],
        ["send", HERE, "Kia ora", "--source", "2020", "--class", "alerts"],
        ["send", HERE, "Kia ora", "--sms-class", "4"],
        ["send", HERE, "Kia", "ora"],
        ["send", HERE],
        ["send", HERE, "Kia ora", "--base-url", "http://gateway.example/"],
        ["get", "not-an-id"],
        ["get", "1", "--nonsense"],
        ["broadcast", "--content", "Kia ora"],
        ["broadcast", HERE],
        ["broadcast", HERE, "--content", ""],
        ["broadcast", HERE, "--content", "Kia ora", "--file", "/nowhere"],
        ["broadcast", HERE, "--content", "Kia ora", "--results", "/nowhere/results"],
        ["broadcast", HERE, "--content", "Kia ora", "--batch-size", "1001"],
        ["demo", "--live"],
        ["demo", "--live", "--destination", ""],
        ["demo", "--destination", HERE],
        ["listen", "--username", "gateway"],
        ["listen", "--username", "gateway", "--password-env", "NOT_SET"],
        ["simulate", "--port", "many"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(gateway: Simulator, arguments: list[str]) -> None:
    result = modica(*arguments)
    assert (result.exit_code, gateway.requests) == (2, [])
    if arguments[0] != "simulate":
        [line] = result.stderr.splitlines()
        assert line.startswith("modica: ")


def test_an_error_is_one_line_whatever_was_typed(gateway: Simulator) -> None:
    result = modica("send", HERE, "Kia ora", "--sms-class", "1\n\x1b[2J")
    [line] = result.stderr.splitlines()
    assert r"1\n\x1b[2J" in line


def test_a_usage_error_is_told_in_json_too(gateway: Simulator) -> None:
    result = modica("send", "--sms-class", "9", HERE, "Kia ora", "--json")
    assert (result.exit_code, rows(result)[0]["error"]["exit_code"]) == (2, 2)


@pytest.mark.parametrize("missing", ["MODICA_USERNAME", "MODICA_PASSWORD"])
@pytest.mark.parametrize(
    "arguments", [["send", HERE, "Kia ora"], ["demo", "--live", "--destination", HERE]], ids=["send", "demo"]
)
def test_without_credentials_nothing_is_sent(
    gateway: Simulator, monkeypatch: pytest.MonkeyPatch, missing: str, arguments: list[str]
) -> None:
    monkeypatch.delenv(missing)
    result = modica(*arguments)
    assert (result.exit_code, result.stdout, gateway.requests) == (2, "", [])
    assert missing in result.stderr


def test_no_option_takes_a_password() -> None:
    options = [option for command in main.commands.values() for param in command.params for option in param.opts]
    assert [option for option in options if "pass" in option] == ["--password-env"]


def test_every_command_that_prints_can_print_json() -> None:
    without = {
        name
        for name, command in main.commands.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {"simulate"}


def test_the_help_documents_exit_codes_and_where_credentials_come_from() -> None:
    text = modica("--help").stdout
    assert all(f"\n    {code}  " in text for code in range(5))
    assert "MODICA_PASSWORD" in text


def test_an_error_of_ours_that_is_a_bug_is_not_hidden(gateway: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modica_facade.simulator", None)
    with pytest.raises(ModuleNotFoundError):
        modica("demo")


def test_a_send_that_is_interrupted_is_unknown(gateway: Simulator) -> None:
    gateway.fail(delay=60, match=lambda _: os.kill(os.getpid(), signal.SIGINT) is None)
    result = modica("send", HERE, "Kia ora", "--reference", "order-42", "--json")
    assert result.exit_code == 4
    assert rows(result)[0]["error"]["reference"] == "order-42"
    assert len(gateway.messages) == 1


def test_a_get_that_is_interrupted_is_130(gateway: Simulator) -> None:
    gateway.fail(delay=60, match=lambda _: os.kill(os.getpid(), signal.SIGINT) is None)
    assert modica("get", "123").exit_code == 130


# Broadcast


def broadcast(*arguments: str, stdin: bytes | None = None) -> Result:
    return modica("broadcast", "--content", "Kia ora koutou", *arguments, stdin=stdin)


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


# Going on after an interruption: the results file


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def sent_to(gateway: Simulator) -> Counter[str]:
    return Counter(message.destination for message in gateway.messages)


def noted(results: Path) -> dict[str, str]:
    """The last word on every destination."""
    entries = [json.loads(line) for line in results.read_text().splitlines()]
    return {entry["destination"]: entry["status"] for entry in entries if "destination" in entry}


def test_a_results_file_holds_the_intent_before_the_request_and_the_outcomes_after_it(
    gateway: Simulator, results: Path
) -> None:
    seen: list[str] = []
    gateway.fail(delay=0, match=lambda _: seen.append(results.read_text()) is None)
    broadcast(HERE, "X", "--results", str(results))
    header, intent = map(json.loads, seen[0].splitlines())
    assert list(header) == ["broadcast"]
    assert intent == {"intent": [HERE, "X"]}
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert lines[:2] == [header, intent]
    assert lines[2:] == [
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


def test_wherever_a_crash_cuts_the_file_nobody_is_sent_to_twice(gateway: Simulator, results: Path) -> None:
    command = [HERE, THERE, "X", "--batch-size", "2", "--results", str(results)]
    broadcast(*command)
    whole = results.read_bytes()
    already = sent_to(gateway)
    for length in range(len(whole)):
        # The request of a batch leaves after its intent is whole: what was sent by then follows from the cut.
        gateway.reset()
        results.write_bytes(whole[:length])
        intended = [line for line in whole[:length].splitlines(keepends=True) if line.endswith(b"]}\n")]
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
    "line", ["nonsense", "[]", "{}", '{"destination": 1, "status": "success"}', '{"destination": "a", "status": "b"}']
)
def test_a_line_that_makes_no_sense_stops_everything(gateway: Simulator, results: Path, line: str) -> None:
    broadcast(HERE, "--results", str(results))
    before = results.read_text() + line + "\n"
    results.write_text(before)
    result = broadcast(HERE, THERE, "--results", str(results))
    assert (result.exit_code, sent_to(gateway), results.read_text()) == (2, {HERE: 1}, before)
    assert "line 4 of" in result.stderr


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
    assert "wait for the other broadcast" in complaint


def test_when_the_intent_cannot_be_written_nothing_is_sent(
    gateway: Simulator, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("modica_facade.cli._results_file.os.fsync", full)
    result = broadcast(HERE, THERE, "--results", str(results))
    assert (result.exit_code, gateway.requests) == (3, [])
    assert "No space left" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
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


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_lets_the_batch_in_flight_finish(gateway: Simulator, results: Path, signal_: int) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    gateway.fail(match=lambda _: os.kill(os.getpid(), signal_) is None)
    command = [HERE, THERE, "--batch-size", "1", "--results", str(results)]
    result = broadcast(*command)
    assert (result.exit_code, noted(results)) == (3, {HERE: "success"})
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert broadcast(*command).exit_code == 0
    assert sent_to(gateway) == {HERE: 1, THERE: 1}


def test_a_broadcast_in_the_background_is_not_stopped_by_ctrl_c(gateway: Simulator, results: Path) -> None:
    gateway.fail(match=lambda _: os.kill(os.getpid(), signal.SIGINT) is None)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts a job in the background
    try:
        assert broadcast(HERE, THERE, "--batch-size", "1").exit_code == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_stops_at_once_and_says_what_is_unknown(gateway: Simulator, results: Path) -> None:
    received = threading.Event()
    gateway.fail(delay=60, match=lambda _: received.set() is None)
    command = ["--content", "Kia ora koutou", HERE, THERE, "--batch-size", "1", "--results", str(results)]
    with process("broadcast", *command) as running:
        assert received.wait(60)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert running.stderr.readline() == "\n"
        assert "once more to stop at once" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        _, complaint = running.communicate()
    assert (running.returncode, noted(results)) == (4, {HERE: "unknown"})
    assert "1 unknown, 1 not sent" in complaint


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
    assert [line.partition(":")[0] for line in complaint.splitlines()] == ["modica", "modica"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_rows_that_cannot_be_printed_and_are_kept_nowhere_are_unknown(gateway: Simulator) -> None:
    with (
        Path("/dev/full").open("w") as full,
        process("broadcast", "--content", "Kia ora", HERE, stdout=full) as running,
    ):
        _, complaint = running.communicate()
    assert running.returncode == 3
    assert (gateway.messages, "cannot be written" in complaint) == ([], True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_id_that_cannot_be_printed_is_told_where_it_can(gateway: Simulator) -> None:
    with Path("/dev/full").open("w") as full, process("send", HERE, "Kia ora", stdout=full) as running:
        _, complaint = running.communicate()
    [message] = gateway.messages
    assert running.returncode == 4
    assert complaint.startswith(f"modica: sent, with id {message.id}, but that could not be printed (No space left")
    assert len(complaint.splitlines()) == 1


def test_progress_is_shown_on_a_terminal_only(gateway: Simulator) -> None:
    command = ["--content", "Kia ora koutou", HERE, THERE]
    mine, theirs = os.openpty()
    with process("broadcast", *command, stderr=theirs) as running:
        os.close(theirs)
        outcomes, _ = running.communicate()
    shown = os.read(mine, 65536).decode()
    os.close(mine)
    assert "sending" in shown
    assert "100%" in shown
    assert len(outcomes.splitlines()) == 3
    assert "sending" not in broadcast(HERE).output


# Listen, simulate, demo, parts


@contextlib.contextmanager
def listening(*arguments: str, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with process("listen", "--port", "0", *arguments, **options) as running:
        assert running.stderr is not None
        yield running, next(word for word in running.stderr.readline().split() if word.startswith("http://"))


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


def test_simulate_serves_both_versions() -> None:
    with process("simulate", "--port", "0") as running:
        assert running.stdout is not None
        base_url = next(line.split()[-1] for line in running.stdout if "REST v1" in line)
        with Modica("any", "thing", base_url=base_url) as client:
            assert client.send(HERE, "Kia ora").id
        running.send_signal(signal.SIGINT)
        running.communicate()
    assert running.returncode == 0


STEPS = ["gateway", "send", "broadcast", "get", "receipts", "reply"]


@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_the_demo_tells_the_whole_story_on_the_simulator(gateway: Simulator, version: list[str]) -> None:
    result = modica("demo", "--json", *version)
    steps = {step.pop("step"): step for step in rows(result)}
    assert (result.exit_code, list(steps), gateway.requests) == (0, STEPS, [])
    assert steps["gateway"]["simulator"] is True
    message_id = steps["send"]["submitted"]["id"]
    assert [outcome["status"] for outcome in steps["broadcast"]["outcomes"]] == ["success", "success", "failure"]
    assert steps["get"]["message"]["id"] == message_id
    receipts = [each["status"] for each in steps["receipts"]["receipts"] if each["message_id"] == message_id]
    assert receipts == ["sent", "received"]
    assert steps["reply"]["answers"] == steps["get"]["message"]["content"]
    matched_by = steps["reply"]["matched_by"]
    assert matched_by == (HERE if version else steps["send"]["submitted"]["reference"])


@pytest.mark.parametrize("version", [[], ["--v2"]], ids=["v1", "v2"])
def test_a_live_demo_says_what_it_costs_first_and_sends_no_more_than_that(
    gateway: Simulator, version: list[str]
) -> None:
    result = modica("demo", "--live", "--destination", HERE, *version)
    assert result.exit_code == 0, result.stderr
    assert sent_to(gateway) == {HERE: 2}
    first, second, *_ = result.stdout.splitlines()
    assert "real" in first
    assert f"2 SMS will be sent to {HERE}" in second
    assert "Receipts and replies are left out" in result.stdout


def test_a_live_demo_says_what_it_costs_before_the_first_request(gateway: Simulator) -> None:
    before: list[str] = []
    with process("demo", "--live", "--destination", HERE) as running:
        assert running.stdout is not None
        gateway.fail(match=lambda _: before.append(running.stdout.readline() + running.stdout.readline()) is None)
        running.wait()
    assert "2 SMS will be sent" in before[0]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Kia ora", "GSM-7, 1 SMS, 7 septets, 153 free in the last SMS"),
        ("Ngāti", "UCS-2, 1 SMS, 5 UTF-16 units, 65 free in the last SMS"),
    ],
)
def test_parts_says_how_many_sms_a_text_makes(text: str, first: str) -> None:
    assert modica("parts", text).stdout.splitlines()[0] == first


def test_parts_names_what_forces_the_costlier_encoding() -> None:
    assert modica("parts", "Ngā\u200b").stdout.splitlines()[1:] == [
        "not in GSM-7: ā (U+0101 LATIN SMALL LETTER A WITH MACRON)",
        r"not in GSM-7: \u200b (U+200B ZERO WIDTH SPACE)",
    ]
    [counted] = rows(modica("parts", "Ngā", "--json"))
    assert counted == {"encoding": "UCS-2", "count": 1, "units": 3, "free": 67, "non_gsm7": ["ā"]}


# The way in


def test_the_module_runs_the_demo() -> None:
    with process("demo") as running:
        shown, complaint = running.communicate()
    assert (running.returncode, complaint) == (0, "")
    assert "nothing leaves this machine" in shown.splitlines()[1]
    assert shown.splitlines()[0].startswith("The gateway here is the embedded simulator")
    assert "X                failure" in shown


def test_the_command_is_installed_and_knows_its_version() -> None:
    command = Path(sys.executable).with_name("modica")
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert shown == f"modica, version {__version__}\n"


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [("click", [], "modica-facade[cli]"), ("uvicorn", ["demo"], "modica-facade[simulator]")],
)
def test_without_an_extra_the_command_says_what_to_install(module: str, arguments: list[str], extra: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = {arguments!r}; "
    code += "from modica_facade.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("modica: ")
    assert extra in line


def test_another_missing_module_is_a_bug_and_looks_like_one() -> None:
    code = "import sys; sys.modules['csv'] = None; from modica_facade.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_arguments_are_not_expanded_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    from modica_facade.__main__ import main as way_in

    given: dict[str, Any] = {}
    monkeypatch.setattr(click.Group, "main", lambda _, **options: given.update(options))
    way_in()
    assert given == {"prog_name": "modica", "windows_expand_args": False}
