"""The page of the command: its transcripts are what the command prints, and it names every option there is."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from modica_facade.cli import main
from modica_facade.simulator import Simulator, serve

from ..cli.support import listening, on_terminal, screen_lines

PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text("utf-8")
DOCUMENTED_URL = "http://127.0.0.1:8024/rest/gateway"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def steps(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a transcript, and what it prints."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = step.partition("\n")
        yield command, output


def same(documented: str, printed: str) -> bool:
    """``...`` stands for whatever differs from run to run."""
    return doctest.OutputChecker().check_output(documented, printed, doctest.ELLIPSIS)


def shell(command: str) -> str:
    """What a command line prints, errors included, ``modica`` being the command of these tests."""
    return subprocess.run(
        ["sh", "-c", f'modica() {{ {sys.executable} -m modica_facade "$@"; }}; {command}'],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
    ).stdout


@pytest.fixture(autouse=True)
def _environment(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODICA_USERNAME", "application-name")
    monkeypatch.setenv("MODICA_PASSWORD", "password")
    monkeypatch.setenv("MODICA_BASE_URL", simulator.base_url)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_every_transcript_is_what_the_command_prints(simulator: Simulator) -> None:
    seen = 0
    for block in blocks("console"):
        for command, documented in steps(block):
            if "listen" in command or "localhost:8026" in command:
                continue  # see below
            if command.startswith("cat "):
                Path(command.split()[1]).write_text(documented, "utf-8")
                continue
            printed = shell(command).replace(simulator.base_url, DOCUMENTED_URL)
            assert same(documented, printed), f"$ {command}\n{printed}"
            seen += 1
    assert seen >= 12


def test_the_question_and_the_bar_are_what_a_terminal_shows(simulator: Simulator, tmp_path: Path) -> None:
    (documented,) = blocks("text")
    (tmp_path / "n").write_text("\n".join(f"+6421{number}" for number in range(1_000_000, 1_005_000)))
    command = ["broadcast", "--file", "n", "--content", "We open at 9", "--reference", "opening", "--results", "r"]
    code, shown = on_terminal(*command, columns=84, answers={"[y/N]: ": "y"})
    assert code == 0
    lines = [line for line in screen_lines(shown.replace(simulator.base_url, DOCUMENTED_URL)) if line]
    bars = [line for line in lines if "5,000 of 5,000" in line]
    printed = "\n".join([line for line in lines if "of 5,000:" not in line] + bars[-1:])
    for line in documented.splitlines():
        words = re.escape(line.strip("━ ")).replace(r"\.\.\./s", ".*/s")
        assert re.search(words, printed), line


@pytest.mark.slow
def test_what_listen_and_trigger_show_is_what_they_show() -> None:
    listen, trigger = (block for block in blocks("console") if "localhost:8" in block)

    async def application(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    with serve(application) as target, listening("--forward-to", target) as (running, url):
        for command, documented in steps(trigger):
            assert shell(command.replace("http://localhost:8026", url)) == documented
        running.terminate()
        shown, _ = running.communicate()
    ((_, documented),) = steps(listen)
    assert shown.splitlines() == documented.splitlines()[1:]


def every_option() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, command in main.commands.items():
        inner = command.commands.values() if isinstance(command, click.Group) else [command]
        found[name] = {
            option
            for each in inner
            for param in each.params
            for option in (*param.opts, *param.secondary_opts)
            if option[:2] == "--"
        }
    return found


def test_every_command_and_option_is_on_the_page() -> None:
    for name, options in every_option().items():
        assert f"modica {name}" in PAGE
        for option in options:
            assert re.search(rf"{option}\b(?!-)", PAGE), f"{name} {option}"


def test_the_page_names_no_option_that_is_not_there() -> None:
    there = set().union(*every_option().values()) | {"--help"}
    for command in re.findall(r"^(?:\$ |    )modica ([^\n]*)", PAGE, re.MULTILINE):
        assert set(re.findall(r"(?<=\s)--[a-z0-9-]+", command)) <= there, command
    assert set(re.findall(r"`(--[a-z0-9-]+)", PAGE)) <= there


def test_it_documents_the_exit_codes_of_the_help() -> None:
    help_text = click.Context(main).get_help()
    for code, meaning in re.findall(r"^\s+(\d)  (.*)$", help_text, re.MULTILINE):
        assert f"| {code} | {meaning.replace('--results', '`--results`')} |" in PAGE
