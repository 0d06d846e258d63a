"""The ledger on SQLite and on a real PostgreSQL, blocking and asynchronous: a test that can run on all four does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modica_facade import AsyncModica, AsyncModicaV2, Modica, ModicaV2
from modica_facade.ledger import AsyncLedger, Ledger
from modica_facade.ledger._async import AsyncCampaign
from modica_facade.simulator import Simulator

from ..conftest import Flavour


@pytest.fixture
def blocking(url: str) -> Iterator[Ledger]:
    """A migrated `Ledger`, for what can only be tried in the caller's thread."""
    with Ledger(url) as ledger:
        ledger.migrate()
        yield ledger


class Driven:
    """An `AsyncLedger` or one of its campaigns, called without ``await``."""

    def __init__(self, wrapped: Any, runner: asyncio.Runner) -> None:
        self.wrapped = wrapped
        self.runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.wrapped, name)
        if not callable(value) or name.startswith("_"):
            return value
        return lambda *args, **kwargs: self._finish(value(*args, **kwargs))

    def _finish(self, result: Any) -> Any:
        if hasattr(result, "__anext__"):
            return self._drain(result)
        if inspect.isawaitable(result):
            result = self.runner.run(_wait(result))
        return Driven(result, self.runner) if isinstance(result, AsyncCampaign) else result

    def _drain(self, entries: Any) -> Iterator[Any]:
        while True:
            try:
                yield self.runner.run(_wait(anext(entries)))
            except StopAsyncIteration:
                return


async def _wait(awaitable: Any) -> Any:
    return await awaitable


@pytest.fixture
def runner(sync_or_async: Flavour) -> Iterator[asyncio.Runner | None]:
    if not sync_or_async.is_async:
        yield None
        return
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def make_ledger(url: str, runner: asyncio.Runner | None) -> Iterator[Callable[[], Any]]:
    """Ledgers on the same tables, as several processes have them."""
    made: list[Any] = []

    def make() -> Any:
        made.append(Ledger(url) if runner is None else Driven(AsyncLedger(url), runner))
        return made[-1]

    yield make
    for each in made:
        each.close() if runner is None else each.aclose()


@pytest.fixture
def ledger(make_ledger: Callable[[], Any]) -> Any:
    ledger = make_ledger()
    ledger.migrate()
    return ledger


@pytest.fixture
def make_modica(simulator: Simulator, runner: asyncio.Runner | None) -> Iterator[Callable[..., Any]]:
    """Clients for the ledger, blocking or asynchronous as it is; ``version=2`` for REST v2."""
    made: list[Any] = []

    def make(*, version: int = 1, username: str = "application", **options: Any) -> Any:
        kinds = (Modica, AsyncModica) if version == 1 else (ModicaV2, AsyncModicaV2)
        options.setdefault("base_url", simulator.base_url if version == 1 else simulator.v2_base_url)
        made.append(kinds[runner is not None](username, "password", **options))
        return made[-1]

    yield make
    for each in made:
        each.close() if runner is None else runner.run(each.aclose())


@pytest.fixture
def modica(make_modica: Callable[..., Any]) -> Any:
    return make_modica()
