"""Who gets a broadcast: numbers from arguments, files and standard input, read and checked before anything is sent."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import reprlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import click
from attrs import frozen

from ..errors import InvalidRequestError
from ..text import normalise
from ._output import note, plural

_DELIMITERS = ",;\t"
_SHOWN_BAD = 100
_NUMBER = re.compile(r"\+?(?=\D*\d)[\d\s().\-/]+")
_INTERNATIONAL = re.compile(r"\+[1-9]\d{7,14}", re.ASCII)
_EXPONENT = re.compile(r"\d+([.,]\d+)?e\+?\d+", re.IGNORECASE)
_DECIMAL = re.compile(r"\d{7,}\.0+")

# A file that was meant for something else may have a megabyte where a number should be.
_quoted = reprlib.Repr()
_quoted.maxstring = 60


@frozen
class BadRow:
    """A row that cannot be sent to.

    Attributes:
        where: such as ``"customers.csv, line 7"``.
        value: what it says.
        reason: what is wrong with it, and what to do.
    """

    where: str
    value: str
    reason: str


@frozen
class Destinations:
    """What was read.

    Attributes:
        wanted: each destination once, in order.
        bad: the rows left out since they cannot be sent to.
        repeated: how many rows repeat an earlier number.
        changed: numbers that were rewritten in international form, as written and as sent.
        local: rows in a local form that were left as they are.
    """

    wanted: Sequence[str]
    bad: Sequence[BadRow]
    repeated: int
    changed: Sequence[tuple[str, str]]
    local: Sequence[tuple[str, str]]


def number_key(destination: str) -> str:
    """What two ways to write one number have in common: its digits, for ``+64 21 123 4567`` and ``006421-1234567``."""
    if destination.startswith("+") and destination[1:].isdecimal():  # nearly all of them, so without a pattern
        return destination[1:]
    if not _NUMBER.fullmatch(destination):
        return destination
    digits = re.sub(r"\D", "", destination)
    return digits if destination.startswith("+") else digits.removeprefix("00")


def canonical(destination: str) -> str:
    """A number in one way of writing it, so that two files that write it differently mean one recipient."""
    prefix = "+" if destination.startswith(("+", "00")) and _NUMBER.fullmatch(destination) else ""
    return f"{prefix}{number_key(destination)}"


def read_destinations(
    arguments: Iterable[str], files: Iterable[str], column: str | None, country: str | None
) -> Destinations:
    """Read all rows and check each.

    Args:
        arguments: destinations as typed; ``-`` is standard input.
        files: paths, or ``-``.
        column: the heading of the column with the numbers; None for files with one number a line.
        country: to write local numbers in international form, such as ``"NZ"``.

    Raises:
        UsageError: a file cannot be read, or not as it is meant.
    """
    wanted: dict[str, str] = {}
    bad: list[BadRow] = []
    changed: list[tuple[str, str]] = []
    local: list[tuple[str, str]] = []
    rows = 0
    for where, value in _rows(arguments, files, column):
        rows += 1
        if reason := _why_bad(value, typed=where.startswith("argument")):
            bad.append(BadRow(where, value, reason))
            continue
        destination = value
        if country is not None and not _INTERNATIONAL.fullmatch(value):
            try:
                destination = normalise(value, country)
            except InvalidRequestError as error:
                if error.field == "country":
                    raise click.UsageError(f"--country: {error}.") from None
                bad.append(BadRow(where, value, f"not a number of {country.upper()}"))
                continue
            changed.append((value, destination))
        elif re.match(r"0[1-9]", value):
            local.append((where, value))
        wanted.setdefault(number_key(destination), destination)
    return Destinations(list(wanted.values()), bad, rows - len(bad) - len(wanted), changed, local)


def checked_destinations(
    arguments: Sequence[str], files: Sequence[str], column: str | None, country: str | None, *, skip_bad: bool
) -> Sequence[str]:
    """The destinations to send to, each of them once; what was left out or changed is printed.

    Raises:
        UsageError: as `read_destinations`; there are none; or some are bad and ``skip_bad`` was not given.
    """
    if column is not None and not files:
        raise click.UsageError("--column needs --file.")
    read = read_destinations(arguments, files, column, country)
    for bad in read.bad[:_SHOWN_BAD]:
        note(f"{bad.where}: {_quoted.repr(bad.value)}: {bad.reason}")
    if len(read.bad) > _SHOWN_BAD:
        note(f"and {len(read.bad) - _SHOWN_BAD:,} more")
    if read.bad:
        count = f"{plural(len(read.bad), 'row')} cannot be sent to"
        if not skip_bad:
            raise click.UsageError(f"{count}: correct that, or go on without with --skip-bad. Nothing was sent.")
        note(f"{count}: left out")
    if not read.wanted:
        raise click.UsageError("No destinations: give some, or --file with one a line.")
    if read.repeated:
        note(f"left out: {plural(read.repeated, 'repeated destination')}")
    if read.changed:
        written, sent = read.changed[0]
        note(f"written in international form: {plural(len(read.changed), 'number')}, the first {written!r} as {sent}")
    if read.local and country is None:
        where, value = read.local[0]
        note(f"in local form: {plural(len(read.local), 'number')}, the first {value!r} ({where}); see --country")
    return read.wanted


def read_standard_input() -> str:
    """All of standard input as text.

    Raises:
        UsageError: it is not UTF-8.
    """
    return _decode("standard input", bytes(cast("io.TextIOWrapper", sys.stdin).buffer.read()))


def _why_bad(value: str, *, typed: bool) -> str | None:
    if not value.isprintable() and not _NUMBER.fullmatch(value):
        return "it has invisible characters"
    if _EXPONENT.fullmatch(value):
        return "a spreadsheet has rounded this number; format the column as text and enter it again"
    if _DECIMAL.fullmatch(value):
        return "a spreadsheet has made a decimal of this number; format the column as text"
    # Somebody who types such a thing means it; in a file it is more likely the wrong column, or a heading.
    if not typed and not _NUMBER.fullmatch(value):
        return "not a number" if value else "empty"
    return None


def _rows(arguments: Iterable[str], files: Iterable[str], column: str | None) -> Iterator[tuple[str, str]]:
    """Where each destination stands, and what is there."""
    standard_input_read = False
    for number, argument in enumerate(arguments, 1):
        if argument != "-":
            if argument.strip():
                yield f"argument {number}", argument.strip()
            continue
        files = [*files, argument]
    for file in files:
        if file == "-":
            if standard_input_read:
                raise click.UsageError("Standard input was named twice.")
            standard_input_read = True
            name, text = "standard input", read_standard_input()
        else:
            name, text = Path(file).name, _read(Path(file))
        lines = _lines(name, text) if column is None else _cells(name, text, column)
        yield from ((f"{name}, line {line}", value) for line, value in lines)


def _read(path: Path) -> str:
    try:
        return _decode(str(path), path.read_bytes())
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from error


def _decode(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise click.UsageError(
            f"{name} is not UTF-8 text (line {line}); save it as UTF-8, in a spreadsheet as 'CSV UTF-8'."
        ) from None


def _lines(name: str, text: str) -> Iterator[tuple[int, str]]:
    """One number a line, without blank lines and those that begin with #."""
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        value = line.strip()
        if not value or value.startswith("#"):
            continue
        if any(delimiter in value for delimiter in f'{_DELIMITERS}"'):
            raise click.UsageError(f"{name} has columns (line {number}); say which one has the numbers: --column NAME.")
        yield number, value


def _cells(name: str, text: str, column: str) -> Iterator[tuple[int, str]]:
    """What stands in one column of a table, without blank rows and those that begin with #."""
    delimiter = _delimiter(name, text, column)
    position: int | None = None
    number = 0
    for number, row in _table(name, text, delimiter):
        first = row[0].strip() if row else ""
        if not any(cell.strip() for cell in row):
            continue
        if position is None:
            position = _position(row, column)
            if position is None and not first.startswith("#"):
                raise click.UsageError(f"{name} has no column {column!r}; it has {', '.join(_headings(row))}.")
        elif not first.startswith("#"):
            yield number, row[position].strip() if position < len(row) else ""
    if position is None:
        raise click.UsageError(f"{name} has no heading, so no column {column!r}.")


def _table(name: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row, and the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise click.UsageError(f"{name} cannot be read as a table (line {line}): {error}.") from None
        yield line, row
        line = reader.line_num + 1


def _delimiter(name: str, text: str, column: str) -> str:
    """Comma, semicolon or tab: what the sniffer says, unless the heading speaks for another."""
    candidates = list(_DELIMITERS)
    with contextlib.suppress(csv.Error):  # as for a table of one column
        candidates.insert(0, csv.Sniffer().sniff(text[:8192], _DELIMITERS).delimiter)
    for delimiter in candidates:
        with contextlib.suppress(click.UsageError):  # with the wrong one, a heading may be no heading at all
            for _, row in _table(name, text, delimiter):
                if _position(row, column) is not None:
                    return delimiter
                if any(cell.strip() for cell in row) and not row[0].strip().startswith("#"):
                    break
    return candidates[0]


def _headings(row: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in row]


def _position(row: Sequence[str], column: str) -> int | None:
    headings = [heading.casefold() for heading in _headings(row)]
    wanted = column.strip().casefold()
    if headings.count(wanted) > 1:
        raise click.UsageError(f"There are several columns {column!r}; give the right one a heading of its own.")
    return headings.index(wanted) if wanted in headings else None
