"""A simulator whose clock stands at noon, and plain HTTP clients to look at it from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from modica_facade.simulator import Simulator, serve

from ..support.callback_receiver import Receiver
from .support import CREDENTIALS, NOON

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(now=NOON) as sim:
        yield sim


@pytest.fixture(scope="module")
def plain() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def v1(sim: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.base_url, auth=CREDENTIALS, trust_env=False) as client:
        yield client


@pytest.fixture
def v2(sim: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.v2_base_url, auth=CREDENTIALS, trust_env=False) as client:
        yield client


@pytest.fixture
def receiver(sim: Simulator) -> Iterator[Receiver]:
    receiver = Receiver()
    with serve(receiver) as url:
        sim.dlr_url = url + "/dlr"
        sim.mo_url = url + "/mo"
        yield receiver
