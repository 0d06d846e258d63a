"""Standard output and standard error: lines that no text from outside can break, tables, CSV, JSON lines."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
import click

from ..models import BroadcastOutcome

Format = Literal["table", "csv", "jsonl"]

HEADING = f"{'destination':<16} {'status':<8} {'id':<36} reason"


class OutputError(Exception):
    """Standard output cannot be written, for another reason than that nobody reads it."""


def row(outcome: BroadcastOutcome) -> str:
    """An outcome as a line under `HEADING`."""
    return f"{outcome.destination:<16} {outcome.status:<8} {outcome.id or '-':<36} {outcome.reason or ''}".rstrip()


def to_json_dict(record: attrs.AttrsInstance) -> dict[str, Any]:
    """A record as JSON can carry it; decoded bytes are left out, the text they came from is there."""
    return attrs.asdict(record, filter=lambda attribute, _: attribute.name != "data")


def printable(text: str) -> str:
    """``text`` with an escape for every line break, terminal control and invisible character."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def echo(line: str) -> None:
    """Print a line for a reader."""
    _write(f"{printable(line)}\n")


def print_json(fields: Mapping[str, Any]) -> None:
    """Print a line for a program: ASCII only, so that it survives any console or pipe."""
    _write(f"{json.dumps(fields)}\n")


def note(message: str, *, prefix: str = "modica: ") -> None:
    """Print a line on standard error. Where that fails too, there is nowhere left to say so."""
    with contextlib.suppress(OSError):
        click.echo(f"{prefix}{printable(message)}", err=True)


def plural(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def summary(counts: Counter[str]) -> str:
    """How many destinations have which status."""
    return (
        f"{plural(counts.total(), 'destination')}: {counts['success']:,} submitted, {counts['failure']:,} failed, "
        f"{counts['unknown']:,} unknown, {counts['unsent']:,} not sent"
    )


def _write(text: str) -> None:
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        detach_stdout()
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def detach_stdout() -> None:
    """Give up standard output: what is left in its buffer must not fail once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class OutcomePrinter:
    """Prints outcomes as they come, for as long as that works.

    Args:
        format_: how; None for not at all.
        on_failure: called when printing does not work any more.

    Attributes:
        failure: why it does not, or None.
    """

    def __init__(self, format_: Format | None, on_failure: Callable[[], object] = lambda: None) -> None:
        self.failure: str | None = None
        self._format = format_
        self._on_failure = on_failure
        if format_ == "table":
            self._print(echo, HEADING)
        elif format_ == "csv":
            self._print(_print_csv, [field.name for field in attrs.fields(BroadcastOutcome)])

    def print(self, outcome: BroadcastOutcome) -> None:
        """Print one."""
        if self._format == "table":
            self._print(echo, row(outcome))
        elif self._format == "csv":
            self._print(_print_csv, list(to_json_dict(outcome).values()))
        elif self._format == "jsonl":
            self._print(print_json, to_json_dict(outcome))

    def _print(self, how: Callable[[Any], None], what: object) -> None:
        if self.failure is not None:
            return
        try:
            how(what)
        except BrokenPipeError as error:
            detach_stdout()
            self.failure = f"standard output cannot be written: {error.strerror}"
        except OutputError as error:
            self.failure = str(error)
        else:
            return
        self._on_failure()


def _print_csv(values: list[str | None]) -> None:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(values)
    _write(line.getvalue())
