"""docs/testing.md: its tests pass, its programs run, and the walk with curl prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
CHAPTER = PAGE.partition("## From another language")[2].partition("\n## ")[0]
WALK = re.findall(r"^\$ (.*)\n((?:(?!\$|```).*\n)*)", CHAPTER, re.MULTILINE)


def test_every_sample_is_a_file() -> None:
    assert len(FILES) == PAGE.count("```python")


@pytest.mark.slow
def test_the_tests_pass(pytester: pytest.Pytester) -> None:
    for name, code in FILES.items():
        pytester.path.joinpath(name).write_text(code, "utf-8")
    tests = "".join(code for name, code in FILES.items() if name.startswith("test_"))
    result = pytester.runpytest_subprocess("-W", "error", "-p", "no:randomly")
    result.assert_outcomes(passed=len(re.findall(r"^def test_", tests, re.MULTILINE)))


def test_the_program_without_pytest_runs(tmp_path: Path) -> None:
    program = tmp_path / "without_pytest.py"
    program.write_text(FILES[program.name], "utf-8")
    subprocess.run([sys.executable, "-W", "error", program], check=True)


@pytest.fixture
def address() -> Iterator[str]:
    """Where a simulator of the command listens."""
    command = [sys.executable, "-m", "modica_facade", "simulate", "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield next(line.split("/")[2] for line in running.stdout if line.startswith("  page"))
        running.terminate()
        running.communicate()


def test_the_walk_with_curl_goes_as_the_page_says(address: str) -> None:
    assert len(WALK) == CHAPTER.count("$ curl") > 8
    for command, expected in WALK:
        shown = subprocess.run(
            command.replace("127.0.0.1:8024", address),
            shell=True,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"no_proxy": "127.0.0.1"},
        )
        pattern = re.escape(expected.strip()).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, shown.stdout.replace(address, "127.0.0.1:8024").strip()), (command, shown.stdout)
