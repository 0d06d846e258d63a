"""The samples of the README and the pages pass `mypy --strict`, as whoever copies them may demand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Whole applications of several files, whose tests are run by tests/pages/test_tutorials.py.
TUTORIALS = {"appointment-reminders", "django-and-flask"}
CONFIG = """
[mypy]
strict = true
python_version = 3.11
# Flask documents `app.wsgi_app = ...`, which its own annotations forbid.
disable_error_code = method-assign
[mypy-django.*,cutover]
ignore_missing_imports = true
[mypy-celery.*]
ignore_missing_imports = true
[mypy-engines_0__alone,engines_0__after]
# Celery has no types.
disallow_untyped_decorators = false
"""


def samples() -> dict[str, list[str]]:
    """The names of the files to check, to the two forms of each, of which one must pass."""
    programs: dict[str, list[str]] = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if page.stem not in TUTORIALS:
            found = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
            for number, code in enumerate(found):
                # A sample stands alone, or goes on where the one before it ended.
                forms = [code, "\n".join(found[: number + 1])]
                programs[re.sub(r"\W", "_", f"{page.stem}_{number}")] = forms
    return programs


@pytest.mark.slow
def test_every_sample_is_typed(tmp_path: Path) -> None:
    programs = samples()
    assert len(programs) > 50
    for name, variants in programs.items():
        for variant, code in zip(("alone", "after"), variants, strict=True):
            (tmp_path / f"{name}__{variant}.py").write_text(code)
        # Where a sample is a file that another imports, its first line says how it is called.
        if file := re.match(r"# (\w+\.py)\n", variants[0]):
            (tmp_path / file[1]).write_text(variants[0])
    (tmp_path / "mypy.ini").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "--config-file", "mypy.ini", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    wrong: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if ": error: " in line:
            wrong.setdefault(line.partition(".py:")[0], []).append(line)
    bad = [name for name in programs if f"{name}__alone" in wrong and f"{name}__after" in wrong]
    assert not bad, "\n".join(
        line for name in bad for variant in ("alone", "after") for line in wrong[f"{name}__{variant}"]
    )
