"""pytest fixtures for programs that use this package; loaded by pytest itself, so nothing heavy is imported here.

The fixtures give out the simulator of `modica_facade.simulator` and share their code, except for the scope:

- ``modica_simulator`` and ``modica_simulator_async``: a new one for each test,
- ``modica_simulator_env``: the same as ``modica_simulator``, with ``MODICA_USERNAME`` and so on set to it,
- ``modica_simulator_module`` and ``modica_simulator_session``: one for many tests, reset after each of them,
- ``modica_simulator_settings``: override it to change how they are made.

While one of them lives, the clients of this package and the simulator have one clock, the simulator's. A test fails if
it made a rule with `Simulator.fail` that no request matched, unless it is marked ``modica_allow_unused_faults``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .simulator import AsyncSimulator, Simulator

_SHARED = ("modica_simulator_module", "modica_simulator_session")
# The simulators of one test, however it asked for them: request.getfixturevalue leaves no trace in its arguments.
_OWN = pytest.StashKey["list[Simulator | AsyncSimulator]"]()


@pytest.fixture(scope="session")
def modica_simulator_settings() -> dict[str, Any]:
    """Keyword arguments of `Simulator` for the fixtures here: override this one in a conftest.py, module or class.

    Its scope has to be that of the simulator, or wider.
    """
    return {}


@pytest.fixture
def modica_simulator(request: pytest.FixtureRequest, modica_simulator_settings: dict[str, Any]) -> Generator[Simulator]:
    """Modica's gateway as documented, on loopback: give ``modica_simulator.base_url`` to the client under test."""
    from .simulator import Simulator  # only tests that ask for it pay for a server

    with Simulator(**modica_simulator_settings) as simulator, _one_clock(simulator):
        own = request.node.stash.setdefault(_OWN, [])
        own.append(simulator)
        yield simulator
        own.remove(simulator)  # a plugin may run the test again


@pytest.fixture
def modica_simulator_async(
    request: pytest.FixtureRequest, modica_simulator_settings: dict[str, Any]
) -> Generator[AsyncSimulator]:
    """`modica_simulator` for asyncio tests, whatever plugin runs them: what posts callbacks is awaited."""
    from .simulator import AsyncSimulator  # only tests that ask for it pay for a server

    with AsyncSimulator(**modica_simulator_settings) as simulator, _one_clock(simulator):
        own = request.node.stash.setdefault(_OWN, [])
        own.append(simulator)
        yield simulator
        own.remove(simulator)  # a plugin may run the test again


@pytest.fixture
def modica_simulator_env(
    modica_simulator: Simulator, modica_simulator_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Simulator:
    """`modica_simulator`, with MODICA_USERNAME, MODICA_PASSWORD, MODICA_BASE_URL and MODICA_V2_BASE_URL set to it."""
    username, password = _credentials(modica_simulator_settings)
    monkeypatch.setenv("MODICA_USERNAME", username)
    monkeypatch.setenv("MODICA_PASSWORD", password)
    monkeypatch.setenv("MODICA_BASE_URL", modica_simulator.base_url)
    monkeypatch.setenv("MODICA_V2_BASE_URL", modica_simulator.v2_base_url)
    return modica_simulator


@pytest.fixture(scope="module")
def modica_simulator_module(modica_simulator_settings: dict[str, Any]) -> Generator[Simulator]:
    """`modica_simulator`, one for all tests of a module; each test finds it as new, at the same address."""
    from .simulator import Simulator  # only tests that ask for it pay for a server

    with Simulator(**modica_simulator_settings) as simulator, _one_clock(simulator):
        yield simulator


@pytest.fixture(scope="session")
def modica_simulator_session(modica_simulator_settings: dict[str, Any]) -> Generator[Simulator]:
    """`modica_simulator`, one for the whole run; each test finds it as new, at the same address."""
    from .simulator import Simulator  # only tests that ask for it pay for a server

    with Simulator(**modica_simulator_settings) as simulator, _one_clock(simulator):
        yield simulator


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "modica_allow_unused_faults: do not fail if a rule of modica_simulator.fail() matched no request"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test whose rule matched no request: it did not test what it says."""
    result = yield
    if item.get_closest_marker("modica_allow_unused_faults") is None:
        for simulator in (*item.stash.get(_OWN, ()), *_shared(item)):
            try:
                simulator.assert_faults_used()
            except AssertionError as error:
                unused = str(error)
            else:
                continue
            # Not in the except clause, where it would be reported as a failure while handling another.
            pytest.fail(unused, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Leave nothing of a test in a simulator that others use."""
    result = yield
    for simulator in _shared(item):
        simulator.reset()
    return result


def _shared(item: pytest.Item) -> Iterator[Simulator]:
    fixtures: dict[str, Any] = getattr(item, "funcargs", None) or {}
    return (fixtures[name] for name in _SHARED if name in fixtures)


@contextlib.contextmanager
def _one_clock(simulator: Simulator | AsyncSimulator) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modica_facade._arguments.utc_now", lambda: simulator.now)
        yield


def _credentials(settings: dict[str, Any]) -> tuple[str, str]:
    applications: dict[str, Any] = settings.get("applications") or {}
    for username, application in applications.items():
        return username, application.password
    return settings.get("username") or "application-name", settings.get("password") or "password"
