"""The README says only what is true: every sample runs, every command and file it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from modica_facade.simulator import Simulator, serve

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {path.name: path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]}
BLOCKS = [
    pytest.param(code, id=f"{chapter.partition(chr(10))[0]} {number}")
    for chapter in re.split(r"^## ", README, flags=re.MULTILINE)[1:]
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL), 1)
]
DLR = {"message_id": "9007199254740993", "status": "received", "reference": "order-42"}


def run(code: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("MODICA_USERNAME", "application-name")
    monkeypatch.setenv("MODICA_PASSWORD", "password")
    monkeypatch.setenv("MODICA_BASE_URL", simulator.base_url)
    monkeypatch.setenv("MODICA_V2_BASE_URL", simulator.v2_base_url)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("code", [block for block in BLOCKS if "def test_" not in block.values[0]])
def test_every_sample_runs(
    code: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(code, simulator, monkeypatch)
    app = names.get("app")
    if app is None:
        assert simulator.messages
        assert "not sent" not in capsys.readouterr().out
        return
    credentials = ("gateway", "a-long-secret")
    if hasattr(app, "wsgi_app"):
        with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://127.0.0.1") as client:
            assert client.post("/modica/", json=DLR).status_code == 401
            assert client.post("/modica/", json=DLR, auth=credentials).status_code == 200
    else:
        with serve(app) as url, httpx.Client(base_url=url) as client:
            assert client.post("/modica/", json=DLR).status_code == 401
            assert client.post("/modica/", json=DLR, auth=credentials).status_code == 200
    assert "received" in capsys.readouterr().out


def test_the_sample_of_a_test_is_a_test_that_passes(pytester: pytest.Pytester) -> None:
    (code,) = [block.values[0] for block in BLOCKS if "def test_" in block.values[0]]
    pytester.makepyfile(code)
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=1)


def test_the_first_sample_is_ten_lines() -> None:
    first = BLOCKS[0].values[0]
    assert len([line for line in first.splitlines() if line]) <= 10


@pytest.mark.slow
def test_every_make_target_and_command_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for name, text in PAGES.items():
        for target in re.findall(r"^\$ make ([a-z0-9-]+)|`make ([a-z0-9-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target[0] or target[1]}:.*## ", makefile, re.MULTILINE), f"{name}: {target}"
    for command in {
        command for text in PAGES.values() for command in re.findall(r"^\$ modica (\w+)", text, re.MULTILINE)
    }:
        done = subprocess.run(
            [sys.executable, "-m", "modica_facade", command, "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0, command


def test_every_file_it_links_exists() -> None:
    for page in ROOT.glob("*.md"):  # those under docs/ are held by the site
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
            assert (ROOT / link).exists(), f"{page.name}: {link}"


def test_it_is_read_in_ten_minutes() -> None:
    assert len(README.splitlines()) <= 200


def test_ci_calls_the_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "\nmake test\n" in script
    assert "$ make test " in README
