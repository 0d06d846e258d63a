from __future__ import annotations

import os
import re
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

from .support import (
    HERE,
    PASSWORD,
    THERE,
    modica,
    process,
    rows,
)

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
        ["simulate", "--port", "70000"],
        ["simulate", "--keep", "0"],
        ["simulate", "--dlr-url", "receiver.example/dlr"],
        ["simulate", "--mo-url", "http://receiver.example:99999"],
        ["simulate", "--dlr-url", "http://receiver..example"],
        ["simulate", "--ca-file", "ca.pem"],
        ["simulate", "--tls", "--ca-file", "/nowhere/ca.pem"],
        ["simulate", "--username", "shop", "--password-env", "NOT_SET"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(gateway: Simulator, arguments: list[str]) -> None:
    result = modica(*arguments)
    assert (result.exit_code, gateway.requests) == (2, [])
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
    assert not without


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
    [("click", [], ".[cli]"), ("uvicorn", ["demo"], ".[simulator]")],
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


# Streams that are closed or full


def shell(script: str) -> tuple[int, str]:
    """A command line as a shell runs it, ``modica`` being this command; its exit code and what it complained of."""
    command = f'modica() {{ {sys.executable} -m modica_facade "$@"; }}; {script}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["> /dev/full", ">&-"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"send {HERE} hi", 4),
        (f"broadcast {HERE} --content hi", 3),
        ("get 9007199254740993", 2),
        ("parts hi", 2),
        ("demo", 2),
        ("--help", 2),
        ("send --help", 2),
        ("--version", 2),
    ],
)
def test_standard_output_that_cannot_be_written_is_one_line_and_never_a_no_of_the_gateway(
    gateway: Simulator, command: str, code: int, stream: str
) -> None:
    with Modica() as client:
        client.send(THERE, "Kia ora")
    status, complaint = shell(f"modica {command} {stream}")
    last = complaint.splitlines()[-1]
    assert (status, "standard output cannot be written" in last) == (code, True)
    assert "Traceback" not in complaint
    assert "Exception ignored" not in complaint


@pytest.mark.parametrize("stream", ["2>&-", "<&-", "2>&- <&-", "2> /dev/full"])
def test_a_send_needs_no_other_stream(gateway: Simulator, stream: str) -> None:
    assert shell(f"modica send {HERE} hi {stream}") == (0, "")
    assert len(gateway.messages) == 1


def test_closed_streams_do_not_turn_up_in_the_middle_of_a_request(gateway: Simulator) -> None:
    # Without a stand-in, the socket gets the descriptor of a closed stream, and what is written there goes out.
    assert shell(f"modica broadcast {HERE} X --content hi >&- 2>&- <&-")[0] == 3
    assert shell(f"modica send {HERE} hi 2>&- <&- >&-")[0] == 4
    assert [message.content for message in gateway.messages] == ["hi"]


def test_an_error_that_cannot_be_printed_as_json_keeps_its_exit_code(gateway: Simulator) -> None:
    gateway.fail(cut="after")
    code, complaint = shell(f"modica send {HERE} hi --json > /dev/full")
    assert (code, "may have been sent" in complaint) == (4, True)
    gateway.fail(status=401)
    assert shell(f"modica send {HERE} hi --json >&-")[0] == 1


def test_an_id_that_nobody_reads_is_told_on_standard_error(gateway: Simulator) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with process("send", HERE, "hi", stdout=writer) as running:
        os.close(writer)
        _, complaint = running.communicate()
    [message] = gateway.messages
    assert (running.returncode, f"sent, with id {message.id}" in complaint) == (4, True)


def test_an_interrupt_while_the_id_is_printed_does_not_lose_it(
    gateway: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modica_facade.cli._send.echo", interrupt)
    result = modica("send", HERE, "hi")
    [message] = gateway.messages
    assert (result.exit_code, f"sent, with id {message.id}" in result.stderr) == (4, True)


def test_closed_standard_input_is_empty(gateway: Simulator) -> None:
    code, complaint = shell("modica broadcast --file - --content hi <&-")
    assert (code, complaint.startswith("modica: No destinations")) == (2, True)


def test_an_interrupted_start_is_130_without_a_traceback() -> None:
    code = """
import signal, sys
from modica_facade.__main__ import main

class Interrupting:
    def find_spec(self, *_):
        signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# Advice in terms of what can be typed


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["send", HERE, "hi", "--source", "1", "--class", "c"], "give --source or --class, not both"),
        (["send", HERE, "hi", "--base-url", "http://x.example"], "--base-url must begin with https://"),
        (
            ["send", HERE, "hi", "--base-url", "https://u:p@x.example"],
            "set MODICA_USERNAME and MODICA_PASSWORD instead",
        ),
        (["send", HERE, "hi", "--base-url", ""], "--base-url is empty"),
        (["send", HERE, "hi", "--v2", "--integration-id", "u"], "--integration-id must be a UUID"),
        (["get", "12345678-1234-1234-1234-123456789abc"], "is an id of REST v2; add --v2"),
        (["get", "12345678-1234-1234-1234-123456789ABC"], "is an id of REST v2; add --v2"),
        (["get", "123", "--v2"], "is an id of REST v1; leave out --v2"),
        (["send", "-", "hi"], "use broadcast --file -"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_advice_can_be_followed_at_a_prompt(gateway: Simulator, arguments: list[str], advice: str) -> None:
    result = modica(*arguments)
    assert (result.exit_code, gateway.requests) == (2, [])
    assert advice in result.stderr


def test_a_refused_password_points_at_the_variables(gateway: Simulator) -> None:
    gateway.fail(status=401)
    assert "check MODICA_USERNAME and the password" in modica("send", HERE, "hi").stderr


def test_no_message_of_a_call_names_an_argument_of_python(gateway: Simulator) -> None:
    gateway.fail(cut="after")
    complaint = modica("send", HERE, "hi").stderr
    assert "give --reference next time" in complaint
    assert not re.search(r"\b(base_url|class_|sms_class|integration_id|http_client)\b", complaint)


@pytest.mark.parametrize("variable", ["MODICA_BASE_URL", "MODICA_V2_BASE_URL"])
def test_an_empty_base_url_is_not_the_live_gateway(
    gateway: Simulator, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "")
    result = modica("send", HERE, "hi", *(["--v2"] if "V2" in variable else []))
    assert (result.exit_code, f"unset {variable}" in result.stderr) == (2, True)


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_is_clicks_own(shell_name: str) -> None:
    command = Path(sys.executable).with_name("modica")
    environment = {**os.environ, "_MODICA_COMPLETE": f"{shell_name}_source"}
    done = subprocess.run([command], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "_MODICA_COMPLETE" in done.stdout
