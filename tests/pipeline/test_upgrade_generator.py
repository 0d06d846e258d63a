"""The newest generator is tried elsewhere, and only shown."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from scripts.pipeline import (
    conformance,
    regenerate,
    upgrade_generator,
)

from .comparing import (
    LIVE,
    ROOT,
)


@pytest.fixture
def same_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_generator, "environment", lambda folder: Path(sys.executable))


@pytest.mark.slow
def test_the_newest_generator_is_tried_elsewhere_and_its_difference_is_shown(
    same_tools: None, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upgrade_generator, "ROOT", workspace)
    types = workspace / "generated" / "modica_sms_v2" / "types.py"
    types.write_text(types.read_text(encoding="utf-8") + "\nOLD = 1\n", encoding="utf-8")
    before = regenerate.read_tree(workspace)
    assert upgrade_generator.main() == 0
    out = capsys.readouterr().out
    assert out.startswith("--- a/generated/modica_sms_v2/types.py\n+++ b/generated/modica_sms_v2/types.py\n")
    assert "\n-OLD = 1\n" in out
    versions = json.loads((LIVE / "lock.json").read_bytes())["tools"]
    said = [f"{tool}: {versions[tool]} here, {versions[tool]} is the newest" for tool in upgrade_generator.UPGRADED]
    assert out.splitlines()[-3:] == [*said, "2 lines of generated/ would change"]
    assert regenerate.read_tree(workspace) == before


def test_a_generator_the_facade_cannot_live_with_is_told_apart(
    same_tools: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need = conformance.Unmet("sms-v2", "ModicaV2.send", "#", "", "something else")
    monkeypatch.setattr(conformance, "unmet", lambda generated: [need])

    def run(*command: str | Path) -> None:
        for name in ("openapi", "generated"):
            shutil.copytree(ROOT / name, Path(command[-1]) / name)

    monkeypatch.setattr(upgrade_generator, "_run", run)
    assert upgrade_generator.main() == 1
    out = capsys.readouterr().out
    assert out.endswith("nothing would change\nnot met any more: ModicaV2.send needs something else\n")


def test_an_upgrade_that_cannot_be_had_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def environment(folder: Path) -> Path:
        raise RuntimeError("no such version")

    monkeypatch.setattr(upgrade_generator, "environment", environment)
    assert upgrade_generator.main() == 1
    assert capsys.readouterr().err == "upgrade-generator: no such version\n"
