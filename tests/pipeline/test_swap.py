"""Files are put in place all together or not at all, by one process at a time, whatever was killed before."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.pipeline.swap import BusyError, exclusive, settle, swap

ROOT = Path(__file__).parents[2]
NAMES = ("openapi/product", "openapi/new", "generated")
BEFORE = {"openapi/product": "old", "openapi/kept": "kept", "generated/a/b": "old", "generated/gone": "old"}
AFTER = {"openapi/product": "new", "openapi/kept": "kept", "openapi/new": "new", "generated/a/b": "new"}
# Puts the tree named on the command line in its new state, and kills itself at a given rename.
KILLED = """
import os, signal, sys
from pathlib import Path
from scripts.pipeline.swap import exclusive, swap
from tests.pipeline.test_swap import AFTER, NAMES, fill

rename, left = Path.rename, int(sys.argv[2])

def stumble(path, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(path, target)

Path.rename = stumble
with exclusive(Path(sys.argv[1])) as scratch:
    fill(scratch / "built", AFTER)
    swap(scratch, Path(sys.argv[1]), NAMES)
print("done", left)
"""
RENAMES = 7  # the journal begins, three names with two backups, the journal ends


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def files(folder: Path) -> dict[str, str]:
    """Every file of a folder, those of a run that was killed included."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    fill(tmp_path, BEFORE)
    return tmp_path


def replace(tree: Path) -> None:
    with exclusive(tree) as scratch:
        fill(scratch / "built", AFTER)
        swap(scratch, tree, NAMES)


def test_a_swap_replaces_everything_named_and_leaves_nothing_behind(tree: Path) -> None:
    replace(tree)
    assert files(tree) == AFTER
    assert sorted(path.name for path in tree.iterdir()) == ["generated", "openapi"]


@pytest.mark.parametrize("failing", range(RENAMES))
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_swap_that_fails_at_any_step_puts_everything_back(
    failing: int, error: type[BaseException], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, steps = Path.rename, iter(range(99))

    def stumble(path: Path, target: Path) -> Path:
        if next(steps) == failing:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stumble)
    with pytest.raises(error):
        replace(tree)
    assert files(tree) == BEFORE


@pytest.mark.slow
@pytest.mark.parametrize("survived", range(RENAMES))
def test_a_swap_that_is_killed_at_any_step_is_undone_by_the_next_run(survived: int, tree: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tree), str(survived)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode < 0
    settle(tree)
    if survived:
        assert files(tree) == BEFORE
    with exclusive(tree):
        pass
    assert files(tree) == BEFORE


def test_that_is_every_step(tree: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tree), str(RENAMES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "done 0\n"
    assert files(tree) == AFTER


@pytest.mark.parametrize("allowed", range(6))
def test_what_was_killed_while_it_undid_is_undone_all_the_same(
    allowed: int, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", KILLED, str(tree), str(RENAMES - 1)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode < 0
    rename, steps = Path.rename, iter(range(99))

    def stumble(path: Path, target: Path) -> Path:
        if next(steps) == allowed:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stumble)
        # Five renames undo it.
        with pytest.raises(KeyboardInterrupt) if allowed < 5 else contextlib.nullcontext():
            settle(tree)
    settle(tree)
    assert files(tree) == BEFORE


def test_one_process_at_a_time(tree: Path) -> None:
    with exclusive(tree), pytest.raises(BusyError, match="another run is at work"), exclusive(tree):
        pass
    with exclusive(tree):
        pass


def test_what_earlier_runs_left_is_removed(tree: Path) -> None:
    fill(tree, {".regenerate-abc/built/openapi/product": "half"})
    with exclusive(tree) as scratch:
        assert [path.name for path in tree.glob(".regenerate-*")] == [scratch.name]
    assert files(tree) == BEFORE
