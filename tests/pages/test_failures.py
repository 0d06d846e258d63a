"""docs/failures.md: the table is complete and true, and every sample runs and prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from modica_facade import errors

TEXT = (Path(__file__).parents[2] / "docs" / "failures.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", TEXT, re.MULTILINE))
SAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)


def test_every_exception_of_a_call_has_its_row() -> None:
    assert set(ROWS) == set(errors.__all__) - {"ModicaError", "InvalidCallbackError"}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_no_only_where_it_is_always_no(name: str) -> None:
    """What "see attribute" means for each status is the table of `test_faults`."""
    kind: type[errors.ModicaError] = getattr(errors, name)
    assert kind.may_have_been_sent is (name == "OutcomeUnknownError")
    assert ROWS[name] in {"no", "**yes**", "see attribute"}
    if name == "OutcomeUnknownError":
        assert ROWS[name] == "**yes**"


@pytest.mark.parametrize(("code", "output"), SAMPLES, ids=["ledger", "bulk"])
def test_a_sample_prints_what_the_page_says(tmp_path: Path, code: str, output: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == output


def test_every_sample_is_run() -> None:
    assert TEXT.count("```python") == len(SAMPLES) == 2
