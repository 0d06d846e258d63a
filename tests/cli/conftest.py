"""The gateway that the command talks to, and the file that keeps its account."""

from __future__ import annotations

from pathlib import Path

import pytest

from modica_facade.simulator import Simulator

from .support import PASSWORD


@pytest.fixture
def gateway(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The gateway that the environment names, and no time lost between attempts."""
    monkeypatch.setenv("MODICA_USERNAME", "application")
    monkeypatch.setenv("MODICA_PASSWORD", PASSWORD)
    monkeypatch.setenv("MODICA_BASE_URL", simulator.base_url)
    monkeypatch.setenv("MODICA_V2_BASE_URL", simulator.v2_base_url)
    monkeypatch.setattr("modica_facade.client._base.random.random", lambda: 0.0)
    return simulator


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"
