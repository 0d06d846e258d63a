"""The page of campaigns, docs/campaigns.md: its transcript is what happens, the worker that is killed included."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import click
import pytest

from modica_facade.cli import main
from modica_facade.simulator import Simulator, serve

from ..cli.support import process
from .test_command import same, shell, steps

PAGE = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text("utf-8")
TRANSCRIPT = "".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
(RECEIVER,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def kill_a_worker_during_its_second_request(simulator: Simulator) -> str:
    news = threading.Event()
    simulator.fail(delay=60, match=lambda _: len(simulator.requests) == 2)
    with process("campaign", "work") as worker, simulator.events.listening(news.set):
        while len(simulator.messages) < 4:
            assert news.wait(60)
            news.clear()
        worker.kill()
        shown, complaint = worker.communicate()
    return f"{shown}{complaint}Killed\n"


def receive(simulator: Simulator) -> None:
    """Hand over all receipts to the application of the page."""
    application: dict[str, Any] = {}
    exec(RECEIVER, application)
    with serve(application["app"]) as address:
        simulator.dlr_url = address.replace("://", "://gateway:secret@")
        simulator.deliver()
    application["ledger"].close()


@pytest.mark.slow
def test_the_transcript_is_what_happens(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODICA_USERNAME", "application-name")
    monkeypatch.setenv("MODICA_PASSWORD", "password")
    monkeypatch.setenv("MODICA_BASE_URL", simulator.base_url)
    monkeypatch.setenv("CALLBACK_PASSWORD", "secret")
    for command, documented in steps(TRANSCRIPT):
        if command.startswith("cat "):
            Path(command.split()[1]).write_text(documented, "utf-8")
            continue
        if command.startswith("export "):
            monkeypatch.setenv(*command.removeprefix("export ").split("="))
            continue
        if "--reconcile" in command:
            receive(simulator)
        killed = command == "modica campaign work"
        printed = kill_a_worker_during_its_second_request(simulator) if killed else shell(command)
        assert same(documented, printed), f"$ {command}\n{printed}"
    assert sorted(each.destination for each in simulator.messages) == [f"+64211234{n}" for n in range(567, 572)]


def test_the_commands_and_options_it_names_are_there() -> None:
    group = main.commands["campaign"]
    assert isinstance(group, click.Group)
    for name, options in re.findall(r"^(?:\$ |    )?modica campaign (\w+)([^\n|#]*)", PAGE, re.MULTILINE):
        there = {each for param in group.commands[name].params for each in (*param.opts, *param.secondary_opts)}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", options)) <= there
