r"""Who got a broadcast, written down before and after: the results file, by which an interrupted one is resumed.

JSON lines, only ever appended::

    {"broadcast": ...}                            what is sent, where: no other broadcast may use the file
    {"planned": ["+64211234567", ...]}            everybody it is for, a thousand a line
    {"intent": ["+64211234567", ...]}             on disk before the request leaves
    {"destination": "+64211234567", "id": ..., "status": ..., "reason": ...}

The last line about a destination counts. ``status`` is the gateway's ``success`` or ``failure``, or ``unsent``
(certainly not sent: the intent is taken back), or ``unknown``. An intent without an outcome, as a crash leaves it, is
unknown too: nothing here sends it again. Two ways to write one number are one destination.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import attrs
from attrs import frozen

from ..errors import ConfigurationError
from ..models import BroadcastOutcome
from ._destinations import number_key

if sys.platform == "win32":  # pragma: no cover - the other branch is the one tested
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


STATUSES = ("success", "failure", "unknown", "unsent")
_PLANNED_IN_A_LINE = 1000
_ANNOUNCED = {
    "planned": BroadcastOutcome("", None, "unsent"),
    "intent": BroadcastOutcome("", None, "unknown", "interrupted in an earlier run"),
}
_APPEND = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)


@frozen
class Entry:
    """Where one destination stands.

    Attributes:
        outcome: the last one about it.
        line: of the results file, counted from 1; 0 for what is only in memory.
    """

    outcome: BroadcastOutcome
    line: int


class Account:
    """What a results file says, line by line.

    Attributes:
        header: the first line.
        entries: where each destination stands, by `number_key`.
        lines: how many whole lines there are.
        left_out: the number of a last line that a crash cut off, or None.
    """

    def __init__(self) -> None:
        self.header: Mapping[str, Any] = {}
        self.entries: dict[str, Entry] = {}
        self.lines = 0
        self.left_out: int | None = None

    def read(self, file: BinaryIO, path: Path) -> int:
        """Read it to its end and return how many bytes are whole lines, the last one perhaps without its newline.

        Raises:
            ConfigurationError: a line is not one of a results file.
        """
        whole = 0
        for line in file:
            number = self.lines + 1
            if not self._take(line, number):
                if not line.endswith(b"\n") and (number == 1 or _is_cut_off(line)):
                    # A crash while it was written: what a line of ours announces has not happened yet.
                    self.left_out = number
                    break
                if number == 1:
                    raise ConfigurationError(f"{path} is not a results file")
                raise ConfigurationError(
                    f"line {number} of {path} is not one of a results file; correct or remove it first"
                )
            self.lines = number
            whole += len(line)
        return whole

    def _take(self, line: bytes, number: int) -> bool:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            return False
        if not isinstance(fields, dict):
            return False
        fields = cast("dict[str, Any]", fields)
        if number == 1:
            self.header = fields
            return "broadcast" in fields
        for name, outcome in _ANNOUNCED.items():
            if name in fields:
                if not _are_texts(fields[name]):
                    return False
                for each in fields[name]:
                    if name == "intent" or number_key(each) not in self.entries:
                        self.note(attrs.evolve(outcome, destination=each), number)
                return True
        destination, status = fields.get("destination"), fields.get("status")
        if not isinstance(destination, str) or status not in STATUSES:
            return False
        details = [value if isinstance(value := fields.get(name), str) else None for name in ("id", "reason")]
        self.note(BroadcastOutcome(destination, details[0], status, details[1]), number)
        return True

    def note(self, outcome: BroadcastOutcome, line: int = 0) -> None:
        """Take an outcome for the last one about its destination."""
        self.entries[number_key(outcome.destination)] = Entry(outcome, line)

    def status(self, destination: str) -> str:
        """Where a destination stands."""
        entry = self.entries.get(number_key(destination))
        return "unsent" if entry is None else entry.outcome.status


def _is_cut_off(line: bytes) -> bool:
    """Could this be the beginning of a line of ours? Whoever adds one by hand gives a status right away, and no id."""
    for beginning in (b'{"planned": [', b'{"intent": ['):
        if beginning.startswith(line) or line.startswith(beginning):
            return True
    beginning, after = b'{"destination": "', b'", "id": '
    if beginning.startswith(line):
        return True
    rest = re.sub(rb'^(?:[^"\\]|\\.?)*', b"", line.removeprefix(beginning))
    return line.startswith(beginning) and (after.startswith(rest) or rest.startswith(after))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in cast("list[object]", value))


def read_account(path: Path) -> Account:
    """What a results file says, without changing it.

    Raises:
        ConfigurationError: it cannot be read, or is not one.
    """
    account = Account()
    with _opened(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)) as file:
        account.read(file, path)
    if account.lines == 0:
        raise ConfigurationError(f"{path} is not a results file")
    return account


def append_outcome(path: Path, outcome: BroadcastOutcome) -> None:
    """Add a line to a results file that no broadcast is using.

    Raises:
        ConfigurationError: it is in use, or cannot be written.
    """
    with _opened(path, _APPEND) as file:
        _lock_or_raise(file, path)
        whole = Account().read(file, path)
        if not whole:
            raise ConfigurationError(f"{path} is not a results file")
        _end_with_newline(file, whole)
        try:
            _write_and_sync(file, _line(attrs.asdict(outcome)))
        except OSError as error:
            raise ConfigurationError(f"the results file {path} cannot be written: {error.strerror}") from error


class ResultsFile:
    """The account of one broadcast, in memory and, with a path, in a file that is locked while this is open.

    Args:
        path: the results file; None to keep the account in memory only.
        broadcast: what identifies the broadcast; JSON can carry it.
        read_only: for a dry run: a file that does not exist is not made, one that does is not changed.

    Attributes:
        account: what is known.
        failure: why the file could not be written any more, or None. No batch is sent after that.

    Raises:
        ConfigurationError: the file is in use, cannot be used, or belongs to another broadcast.
    """

    def __init__(self, path: Path | None, broadcast: Mapping[str, Any], *, read_only: bool = False) -> None:
        self.account = Account()
        self.failure: str | None = None
        self._in_flight: dict[str, str] = {}
        self._header = {"broadcast": broadcast}
        self._file: BinaryIO | None = None
        self._empty = False
        if path is not None and not (read_only and not path.exists()):
            self._file = self._open(path, read_only=read_only)
        if read_only:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def plan(self, destinations: Sequence[str]) -> None:
        """Write down everybody the broadcast is for, except those already in the file."""
        new = [each for each in destinations if number_key(each) not in self.account.entries]
        source = iter(new)
        while batch := list(islice(source, _PLANNED_IN_A_LINE)):
            self._write({"planned": batch})
            for destination in batch:
                self.account.note(BroadcastOutcome(destination, None, "unsent"))

    def batches(self, destinations: Iterable[str], size: int, stopped: Callable[[], bool]) -> Iterator[str]:
        """The destinations, for a client that takes ``size`` of them and sends them; each batch is an intent first.

        Ends early, between batches, when ``stopped`` says so.
        """
        source = iter(destinations)
        while not stopped() and (batch := list(islice(source, size))):
            self._in_flight.update((number_key(each), each) for each in batch)
            self._write({"intent": batch}, sync=True)
            if self.failure is not None:
                for each in batch:
                    del self._in_flight[number_key(each)]
                return
            yield from batch

    def record(self, outcome: BroadcastOutcome) -> BroadcastOutcome:
        """Note an outcome, and return it under the destination as it was given."""
        key = number_key(outcome.destination)
        given = self._in_flight.pop(key, outcome.destination)
        return self._note(attrs.evolve(outcome, destination=given))

    def end(self, unsent: Iterable[str], reason: str) -> list[BroadcastOutcome]:
        """The end: what is still in flight is unknown, except what certainly was not sent.

        Returns:
            The unknown ones.
        """
        certain = set(map(number_key, unsent))
        left, self._in_flight = self._in_flight, {}
        return [
            noted
            for key, given in left.items()
            if (noted := self._note(BroadcastOutcome(given, None, "unsent" if key in certain else "unknown", reason)))
            and noted.status == "unknown"
        ]

    @property
    def in_flight(self) -> Sequence[str]:
        """The destinations that were handed out and have no outcome yet."""
        return list(self._in_flight.values())

    def _note(self, outcome: BroadcastOutcome) -> BroadcastOutcome:
        self._write(attrs.asdict(outcome))
        self.account.note(outcome)
        return outcome

    def _write(self, entry: Mapping[str, Any], *, sync: bool = False) -> None:
        if self._file is None:
            return
        line = _line(entry)
        if self._empty:
            line = _line(self._header) + line
        try:
            if sync:
                _write_and_sync(self._file, line)
            else:
                self._file.write(line)
                self._file.flush()
            self._empty = False
        except OSError as error:
            # Half a line may stand there. Nothing is written behind it: the next run cuts it off, as after a crash.
            self.failure = f"the results file cannot be written: {error.strerror}"
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what was not written is in `failure` already
                self._file.close()
            self._file = None

    def _open(self, path: Path, *, read_only: bool) -> BinaryIO:
        file = _opened(path, _APPEND if read_only else _APPEND | os.O_CREAT)
        try:
            _lock_or_raise(file, path)
            whole = self._read(file, path)
            if not read_only:
                _end_with_newline(file, whole)
                self._empty = whole == 0
        except BaseException:
            file.close()
            raise
        return file

    def _read(self, file: BinaryIO, path: Path) -> int:
        first = file.readline()
        file.seek(0)
        expected = _line(self._header)
        if not first.endswith(b"\n") and expected.startswith(first):
            return 0  # new, or a crash while the first line was written
        if first.rstrip(b"\n") != expected.rstrip(b"\n"):
            raise ConfigurationError(
                f"{path} is not the results file of this broadcast (text, options, gateway, country): give another one"
            )
        return self.account.read(file, path)


def _opened(path: Path, flags: int) -> BinaryIO:
    try:
        # Looked at before it is opened: a device may act on that, or have no end.
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat().st_mode):
                raise ConfigurationError(f"{path} is not a regular file, so it cannot be a results file")
        # It holds numbers: for nobody else to read.
        descriptor = os.open(path, flags, 0o600)
        return os.fdopen(descriptor, "rb" if flags & 3 == os.O_RDONLY else "a+b")
    except OSError as error:
        raise ConfigurationError(f"the results file {path} cannot be used: {error.strerror}") from error


def _lock_or_raise(file: BinaryIO, path: Path) -> None:
    file.seek(0)
    try:
        _lock(file)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be locked ({error.strerror}): wait for the other command that uses it"
        ) from error


def _end_with_newline(file: BinaryIO, whole: int) -> None:
    """Cut off what a crash left, and end the last line, which a person may have added without a newline."""
    file.truncate(whole)
    if whole:
        file.seek(whole - 1)
        if file.read(1) != b"\n":
            file.write(b"\n")
            file.flush()
    file.seek(0, os.SEEK_END)


def _write_and_sync(file: BinaryIO, line: bytes) -> None:
    file.write(line)
    file.flush()
    os.fsync(file.fileno())


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"
