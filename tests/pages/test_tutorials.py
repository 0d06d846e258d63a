"""The tutorials that are whole programs: their files are written as the page has them, type-checked, and tested."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["appointment-reminders.md", "django-and-flask.md"]


def write_files(page: str, folder: Path) -> list[str]:
    """The code blocks of a page that begin with the name of their file, in a folder; their names."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    files = re.findall(r"^```python\n(# ([\w/]+\.py)\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(files) == text.count("```python") >= 2
    for code, name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code, "utf-8")
    return [name for _, name in files]


def run(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"MYPYPATH": f"{ROOT / 'generated'}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_its_tests_pass(page: str, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    shown = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    (promised,) = re.findall(r"\$ pytest -q\n.*\n(\d+ passed)", (ROOT / "docs" / page).read_text("utf-8"))
    assert promised in shown


CONFIG = """
[mypy]
strict = true
# Flask documents `app.wsgi_app = ...`, which its own annotations forbid; Django brings no types.
disable_error_code = method-assign
disallow_subclassing_any = false
disallow_untyped_decorators = false
[mypy-django.*]
ignore_missing_imports = true
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_it_is_typed(page: str, tmp_path: Path) -> None:
    for name in write_files(page, tmp_path):
        if "/" in name:
            (tmp_path / name).parent.joinpath("__init__.py").touch()
    (tmp_path / "mypy.ini").write_text(CONFIG)
    assert "Success" in run(tmp_path, "-m", "mypy", "--config-file", "mypy.ini", ".")
