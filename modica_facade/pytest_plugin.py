"""pytest fixtures for programs that use this package; loaded by pytest itself, so nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from modica_facade.simulator import AsyncSimulator, Simulator


@pytest.fixture
def modica_simulator() -> Generator[Simulator]:
    """Modica's gateway as documented, on loopback: give ``modica_simulator.base_url`` to the client under test."""
    from modica_facade.simulator import Simulator  # only who asks for it pays for a server

    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def modica_simulator_async() -> Generator[AsyncSimulator]:
    """`modica_simulator` for asyncio tests, whatever plugin runs them: `advance` and `deliver` are awaited."""
    from modica_facade.simulator import AsyncSimulator  # only who asks for it pays for a server

    with AsyncSimulator() as simulator:
        yield simulator
