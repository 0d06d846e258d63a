"""Put files in place, all of them or none, one process at a time: what a killed run left is undone by the next."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_SCRATCH = ".regenerate-"  # in .gitignore
_JOURNAL = ".regenerate-journal"
_PLAN = "plan.json"


class BusyError(Exception):
    """Another run is at work in this tree."""


@contextmanager
def exclusive(root: Path) -> Iterator[Path]:
    """Hold the tree alone, with an empty folder on its file system to build in, which is removed at the end.

    Raises:
        BusyError: another process holds it.
    """
    handle = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError("another run is at work in this tree: let it finish, then run this again") from error
        recover(root)
        for left in root.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=root))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(handle)


def settle(root: Path) -> None:
    """Undo what a killed run left, before the tree is read."""
    if (root / _JOURNAL).exists():
        with exclusive(root):
            pass


def swap(scratch: Path, root: Path, names: Sequence[str]) -> None:
    """Put `names` from `scratch`/built in the place of what is in `root`; when anything fails, none of them.

    The folder becomes a journal by one rename, and stops being one by another: what finds it there undoes it.
    """
    (scratch / _PLAN).write_text(json.dumps({name: (root / name).exists() for name in names}), encoding="utf-8")
    journal = root / _JOURNAL
    scratch.rename(journal)
    try:
        for name in names:
            backup = journal / "backup" / name
            backup.parent.mkdir(parents=True, exist_ok=True)
            if (root / name).exists():
                (root / name).rename(backup)
            (journal / "built" / name).rename(root / name)
        journal.rename(scratch)
    except BaseException:
        recover(root)
        raise


def recover(root: Path) -> None:
    """Undo a swap that did not come to its end, if there is one."""
    journal = root / _JOURNAL
    if not journal.exists():
        return
    for name, existed in json.loads((journal / _PLAN).read_bytes()).items():
        backup, place = journal / "backup" / name, root / name
        if backup.exists() or not existed:
            if place.exists():
                discarded = Path(tempfile.mkdtemp(dir=journal))
                place.rename(discarded / place.name)
            if existed:
                backup.rename(place)
    shutil.rmtree(journal)
