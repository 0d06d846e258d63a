"""Run the command, in this process or in one of its own, and look at what it did."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import termios
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from modica_facade.cli import main
from modica_facade.simulator import Simulator

HERE, THERE, ELSEWHERE = "+64211234567", "+64211234568", "+64211234569"
PASSWORD = "canary-hunter2"


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
            running.terminate()
            try:
                running.wait(1)  # in order, if it can: then what it ran is counted
            except subprocess.TimeoutExpired:
                running.kill()


def broadcast(*arguments: str, stdin: bytes | None = None) -> Result:
    return modica("broadcast", "--content", "Kia ora koutou", *arguments, stdin=stdin)


def sent_to(gateway: Simulator) -> Counter[str]:
    return Counter(message.destination for message in gateway.messages)


def noted(results: Path) -> dict[str, str]:
    """The last line about every destination that was tried."""
    statuses: dict[str, str] = {}
    for entry in map(json.loads, results.read_text().splitlines()):
        statuses.update(dict.fromkeys(entry.get("intent", ()), "unknown"))
        if "destination" in entry:
            statuses[entry["destination"]] = entry["status"]
    return statuses


@contextlib.contextmanager
def listening(*arguments: str, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with process("listen", "--port", "0", *arguments, **options) as running:
        assert running.stderr is not None
        yield running, next(word for word in running.stderr.readline().split() if word.startswith("http://"))


def on_terminal(
    *arguments: str, columns: int = 80, answers: Mapping[str, str] | None = None, stdin: Any = None, **environment: str
) -> tuple[int, str]:
    """Run the command on a pseudo-terminal of its own; its exit code, and everything the terminal was given.

    Args:
        arguments: of the command.
        columns: how wide the terminal is.
        answers: what a person types when the terminal shows this.
        stdin: standard input, if it is not the terminal.
        environment: variables to set.
    """
    mine, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    command = [sys.executable, "-m", "modica_facade", *arguments]
    # pytest-xdist sets the size of its own terminal.
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    if stdin is None:
        # Whoever opens a terminal first in a new session gets it as its own, and can be asked for a password there.
        command = ["sh", "-c", 'exec "$@" < "$0"', os.ttyname(theirs), *command]
    running = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=theirs,
        stderr=theirs,
        env={**inherited, "TERM": "xterm-256color", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    shown, waiting = b"", dict(answers or {})
    with contextlib.suppress(OSError):  # how Linux ends a pseudo-terminal
        while piece := os.read(mine, 65536):
            shown += piece
            for question in [each for each in waiting if each.encode() in shown]:
                os.write(mine, f"{waiting.pop(question)}\n".encode())
    os.close(mine)
    return running.wait(), shown.decode()


def screen_lines(shown: str) -> list[str]:
    """Every line that the terminal was told to draw, without colours and cursor movements."""
    return [line.rstrip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown))]
