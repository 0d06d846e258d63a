r"""Who got a broadcast, written down before and after: the results file, by which an interrupted one goes on.

JSON lines, only ever appended::

    {"broadcast": ...}                            what is sent, where: no other broadcast may use the file
    {"intent": ["+64211234567", ...]}             on disk before the request leaves
    {"destination": "+64211234567", "id": ..., "status": ..., "reason": ...}

``status`` is the gateway's ``success`` or ``failure``, or ``unsent`` (certainly not sent, the intent is taken back), or
``unknown``. An intent without a later word, as a crash leaves it, is unknown too: nothing here sends it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import attrs

from ..errors import ConfigurationError
from ..models import BroadcastOutcome

if sys.platform == "win32":  # pragma: no cover - the other branch is the one tested
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
_STATUSES = ("success", "failure", "unknown", "unsent")


class ResultsFile:
    """The account of one broadcast, in memory and, with a path, in a file that is locked while this is open.

    Args:
        path: the results file; None to keep the account in memory only.
        broadcast: what identifies the broadcast; JSON can carry it.

    Attributes:
        statuses: of every destination that has one, the last.
        failure: why the file could not be written any more, or None. No batch is sent after that.

    Raises:
        ConfigurationError: the file is in use, cannot be used, or belongs to another broadcast.
    """

    def __init__(self, path: Path | None, broadcast: Mapping[str, Any]) -> None:
        self.statuses: dict[str, str] = {}
        self.failure: OSError | None = None
        self._waiting: dict[str, None] = {}
        self._header = _line({"broadcast": broadcast})
        self._file: BinaryIO | None = None
        if path is not None:
            self._file = self._open(path)
            self.give_up(None, "interrupted in an earlier run")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def batches(self, destinations: Iterable[str], size: int, stopped: Callable[[], bool]) -> Iterator[str]:
        """The destinations, for a client that pulls ``size`` of them and sends them; each batch is an intent first.

        Ends early, between batches, when ``stopped`` says so.
        """
        source = iter(destinations)
        while not stopped() and (batch := list(islice(source, size))):
            self._waiting.update(dict.fromkeys(batch))
            self._write(_line({"intent": batch}), sync=True)
            if self.failure is not None:
                self._waiting = {each: None for each in self._waiting if each not in set(batch)}
                return
            yield from batch

    def settle(self, outcome: BroadcastOutcome) -> BroadcastOutcome:
        """Note an outcome, and return it under the destination as it was given.

        The gateway may spell a destination in its own way; outcomes come in the order of the destinations.
        """
        asked = outcome.destination
        if asked not in self._waiting:
            asked = next(iter(self._waiting), asked)
        return self._note(attrs.evolve(outcome, destination=asked))

    def give_up(self, unknown: Sequence[str] | None, reason: str) -> list[BroadcastOutcome]:
        """End the wait: what may have been sent (None: all of it) is unknown, the rest was not.

        Returns:
            The unknown ones.
        """
        waiting = list(self._waiting)
        lost = set(waiting if unknown is None else unknown)
        notes = [
            self._note(BroadcastOutcome(each, None, "unknown" if each in lost else "unsent", reason))
            for each in waiting
        ]
        return [note for note in notes if note.status == "unknown"]

    def _note(self, outcome: BroadcastOutcome) -> BroadcastOutcome:
        self._write(_line(attrs.asdict(outcome)))
        self._waiting.pop(outcome.destination, None)
        self.statuses[outcome.destination] = outcome.status
        return outcome

    def _write(self, line: bytes, *, sync: bool = False) -> None:
        if self._file is None:
            return
        try:
            if self._file.tell() == 0:
                line = self._header + line
            self._file.write(line)
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            # Half a line may stand there. Nothing is written behind it: the next run cuts it off, as after a crash.
            self.failure = error
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what was not written is in `failure` already
                self._file.close()
            self._file = None

    def _open(self, path: Path) -> BinaryIO:
        try:
            # It holds numbers: for nobody else to read.
            file = os.fdopen(os.open(path, _APPEND, 0o600), "a+b")
        except OSError as error:
            raise ConfigurationError(f"the results file {path} cannot be used: {error.strerror}") from error
        try:
            try:
                _lock(file)
            except OSError as error:
                raise ConfigurationError(
                    f"{path} cannot be locked ({error.strerror}): wait for the other broadcast that uses it"
                ) from error
            self._read(file, path)
            file.seek(0, os.SEEK_END)
        except BaseException:
            file.close()
            raise
        return file

    def _read(self, file: BinaryIO, path: Path) -> None:
        file.seek(0)
        header = file.readline()
        if not header.endswith(b"\n") and self._header.startswith(header):
            file.truncate(0)  # new, or a crash while the first line was written
            return
        if header != self._header:
            raise ConfigurationError(
                f"{path} is not the results file of this broadcast (text, options, gateway): give another one"
            )
        whole = file.tell()
        for number, line in enumerate(file, 2):
            if not line.endswith(b"\n"):
                file.truncate(whole)  # a crash while it was written; an intent is whole before it is acted on
                break
            whole += len(line)
            if not self._take(line):
                raise ConfigurationError(f"line {number} of {path} makes no sense: nothing was sent, repair it first")

    def _take(self, line: bytes) -> bool:
        """Read a line back; False if it is none of ours."""
        try:
            entry = json.loads(line)
        except ValueError:
            return False
        if not isinstance(entry, dict):
            return False
        fields = cast("dict[str, Any]", entry)
        destination, status, intent = fields.get("destination"), fields.get("status"), fields.get("intent")
        if isinstance(intent, list):
            self._waiting.update(dict.fromkeys(map(str, cast("list[object]", intent))))
            return True
        if not isinstance(destination, str) or status not in _STATUSES:
            return False
        self._waiting.pop(destination, None)
        self.statuses[destination] = status
        return True


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"
