"""What every test may use: sync and async clients driven the same way, a simulator, an empty environment."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from modica_facade import AsyncModica, Modica, _arguments
from modica_facade.simulator import Simulator

pytest_plugins = ["pytester", "tests.support.databases"]

# What the fixture `fixed_now` makes the time, for the client and for its simulator: no test depends on today's date.
NOW = datetime(2030, 5, 5, 10, tzinfo=UTC)


class Driver:
    """A client whose methods are called without ``await``, sync or async; async iterators become iterators."""

    def __init__(self, client: Any, runner: asyncio.Runner | None) -> None:
        self.client = client
        self.runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        if not callable(value):
            return value
        return lambda *args, **kwargs: self._finish(value(*args, **kwargs))

    def _finish(self, result: Any) -> Any:
        if hasattr(result, "with_options"):
            return Driver(result, self.runner)
        if self.runner is not None and inspect.isawaitable(result):
            return self.runner.run(_wait(result))
        return self._drain(result) if hasattr(result, "__anext__") else result

    def _drain(self, outcomes: Any) -> Iterator[Any]:
        assert self.runner is not None
        while True:
            try:
                yield self.runner.run(_wait(anext(outcomes)))
            except StopAsyncIteration:
                return


async def _wait(awaitable: Any) -> Any:
    return await awaitable


class Flavour:
    """The sync or the async clients: ``with sync_or_async.client(...) as modica`` reads the same for both."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name != "sync"

    @contextlib.contextmanager
    def client(
        self, *args: Any, kind: tuple[Callable[..., Any], Callable[..., Any]] = (Modica, AsyncModica), **kwargs: Any
    ) -> Iterator[Any]:
        if not self.is_async:
            with kind[0](*args, **kwargs) as client:
                yield Driver(client, None)
            return
        loops = importlib.import_module("uvloop").new_event_loop if self.name == "uvloop" else None
        with asyncio.Runner(loop_factory=loops) as runner:
            client = kind[1](*args, **kwargs)
            try:
                yield Driver(client, runner)
            finally:
                runner.run(client.aclose())


@pytest.fixture(params=["sync", "async"])
def sync_or_async(request: pytest.FixtureRequest) -> Flavour:
    return Flavour(request.param)


@pytest.fixture(autouse=True, scope="session")
def _signals_are_deliverable() -> None:
    """A shell starts jobs in the background with SIGINT ignored, and nohup with SIGHUP; so all they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        "MODICA_USERNAME",
        "MODICA_PASSWORD",
        "MODICA_BASE_URL",
        "MODICA_V2_BASE_URL",
        "MODICA_LEDGER",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def fixed_now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time at which the client checks dates."""
    monkeypatch.setattr(_arguments, "utc_now", lambda: NOW)
    return NOW


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def simulator_at_now(fixed_now: datetime) -> Iterator[Simulator]:
    """A simulator whose clock shows what the client believes."""
    with Simulator(now=fixed_now) as running:
        yield running


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """The one authority that this machine trusts."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority
