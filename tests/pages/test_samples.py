"""Every Python sample of the documentation runs, page by page, and prints what the page says it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modica_facade.simulator import Simulator

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
# Pages whose samples need more than a simulator; the file named here runs each of them.
ELSEWHERE = {
    "appointment-reminders": "tests/pages/test_tutorials.py",
    "campaigns": "tests/pages/test_campaigns.py",
    "django-and-flask": "tests/pages/test_tutorials.py",
    "engines": "tests/ledger/test_engines.py",
    "failures": "tests/pages/test_failures.py",
    "migrating-v1-to-v2": "tests/pages/test_migration.py",
    "receiving": "tests/test_receiver.py",
    "testing": "tests/pages/test_testing.py",
}
SAMPLE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
SAMPLES = {page: SAMPLE.findall(text) for page, text in PAGES.items() if page not in ELSEWHERE and "```python" in text}
END = "\N{END OF MEDIUM}"


@pytest.mark.slow
@pytest.mark.parametrize("page", SAMPLES)
def test_the_samples_of_a_page_run_one_after_the_other(page: str, simulator: Simulator, tmp_path: Path) -> None:
    samples = SAMPLES[page]
    # In one program: a page reads from top to bottom, and what it has imported it does not import again.
    program = "".join(f"{code}\nprint({END!r}, flush=True)\n" for code, _ in samples)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=os.environ
        | {
            "MODICA_USERNAME": "application-name",
            "MODICA_PASSWORD": "password",
            "MODICA_BASE_URL": simulator.base_url,
            "MODICA_V2_BASE_URL": simulator.v2_base_url,
            "CALLBACK_USERNAME": "gateway",
            "CALLBACK_PASSWORD": "secret",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    for (code, expected), printed in zip(samples, ended.stdout.split(f"{END}\n"), strict=False):
        if expected:
            assert printed == expected, code


def test_every_sample_is_run_here_or_in_the_file_named() -> None:
    for page, text in PAGES.items():
        if page in ELSEWHERE:
            assert f"{page}.md" in (ROOT / ELSEWHERE[page]).read_text("utf-8")
        else:
            assert text.count("```python") == len(SAMPLES.get(page, []))
