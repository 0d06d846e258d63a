from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from modica_facade import Modica, __version__
from modica_facade.cli import main
from modica_facade.simulator import Simulator

from .support import HERE, PASSWORD, modica, process, rows

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


def every_command() -> Iterator[click.Command]:
    for command in main.commands.values():
        yield from command.commands.values() if isinstance(command, click.Group) else [command]


def test_no_option_takes_a_password() -> None:
    options = {option for command in every_command() for param in command.params for option in param.opts}
    assert {option for option in options if "pass" in option} == {"--password-env", "--password-file"}


def test_every_command_that_prints_can_print_json() -> None:
    without = {
        command.name
        for command in every_command()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {"simulate"}


def test_the_help_documents_exit_codes_and_where_credentials_come_from() -> None:
    text = modica("--help").stdout
    assert all(f"\n    {code}  " in text for code in range(5))
    assert "MODICA_PASSWORD" in text


def test_a_bug_is_one_line_that_says_where_it_is_and_never_claims_that_nothing_was_sent(
    gateway: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(Modica, "send", broken)
    result = modica("send", HERE, "Kia ora", "--json")
    assert (result.exit_code, rows(result)[0]["error"]["type"]) == (4, "ZeroDivisionError")
    [line] = result.stderr.splitlines()
    assert line.startswith("modica: internal error, please report it: ZeroDivisionError: by zero (test_app.py:")


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


def test_a_damaged_installation_is_told_in_one_line() -> None:
    code = "import sys; sys.modules['csv'] = None; from modica_facade.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("modica: this installation is damaged")


def test_arguments_are_not_expanded_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    from modica_facade.__main__ import main as way_in

    given: dict[str, Any] = {}
    monkeypatch.setattr(click.Group, "main", lambda _, **options: given.update(options))
    with pytest.raises(SystemExit):
        way_in()
    assert given == {"prog_name": "modica", "windows_expand_args": False, "standalone_mode": False}
