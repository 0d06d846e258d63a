"""What only the asynchronous ledger can do wrong: cancelled tasks, its threads, and drifting away from `Ledger`."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from modica_facade import AsyncModica, ConfigurationError, InvalidRequestError, Modica
from modica_facade.ledger import AsyncLedger, Campaign, Ledger
from modica_facade.ledger._async import AsyncCampaign, Threads
from modica_facade.simulator import Simulator

NUMBER = "+64211234567"


def public(kind: type[Any]) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(value)
        for name, value in vars(kind).items()
        if not name.startswith("_") and name not in {"close", "aclose"} and callable(getattr(kind, name))
    }


@pytest.mark.parametrize(("blocking", "asynchronous"), [(Ledger, AsyncLedger), (Campaign, AsyncCampaign)])
def test_both_have_the_same_methods_and_arguments(blocking: type[Any], asynchronous: type[Any]) -> None:
    ours, theirs = public(blocking), public(asynchronous)
    assert set(ours) == set(theirs)
    for name, signature in ours.items():
        names = [parameter for parameter in signature.parameters if (name, parameter) != ("enqueue", "connection")]
        assert list(theirs[name].parameters) == names
        for parameter in names:
            assert signature.parameters[parameter].default == theirs[name].parameters[parameter].default


def test_everything_public_says_what_it_is() -> None:
    for kind in Ledger, AsyncLedger, Campaign, AsyncCampaign:
        for name in public(kind):
            assert inspect.getdoc(getattr(kind, name)), name


def run(url: str, scenario: Any) -> None:
    async def main() -> None:
        async with AsyncLedger(url) as ledger:
            await ledger.migrate()
            await scenario(ledger)

    asyncio.run(main())


def test_a_client_of_the_other_kind_is_refused_before_there_is_a_row(url: str, simulator: Simulator) -> None:
    async def scenario(ledger: AsyncLedger) -> None:
        with Modica("application", "password", base_url=simulator.base_url) as blocking:
            wrong: Any = blocking
            with pytest.raises(InvalidRequestError, match="use it with Ledger"):
                await ledger.send(wrong, NUMBER, "Kia ora", reference="order-42")
        async with AsyncModica("application", "password", base_url=simulator.base_url) as asynchronous:
            wrong = asynchronous
            with Ledger(url) as other, pytest.raises(InvalidRequestError, match="use it with AsyncLedger"):
                other.send(wrong, NUMBER, "Kia ora", reference="order-42")
        assert await ledger.entry("order-42") is None

    run(url, scenario)
    assert simulator.requests == []


def test_a_task_cancelled_during_its_request_leaves_the_message_in_doubt(url: str, simulator: Simulator) -> None:
    async def scenario(ledger: AsyncLedger) -> None:
        asked = asyncio.Event()

        class Waiting(AsyncModica):
            async def send(self, *args: Any, **kwargs: Any) -> Any:
                asked.set()
                await asyncio.Event().wait()

        async with Waiting("application", "password", base_url=simulator.base_url) as waiting:
            task = asyncio.create_task(ledger.send(waiting, NUMBER, "Kia ora", reference="order-42"))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        entry = await ledger.entry("order-42")
        assert entry is not None
        assert entry.state == "in_doubt"

    run(url, scenario)


def test_a_task_cancelled_before_its_request_burns_no_reference(
    url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that puts the message in doubt cannot be stopped; what it did is taken back."""

    async def scenario(ledger: AsyncLedger) -> None:
        claiming, go_on = threading.Event(), threading.Event()
        transaction = ledger._database.transaction

        def slow(*args: Any, **kwargs: Any) -> Any:
            claiming.set()
            go_on.wait()
            return transaction(*args, **kwargs)

        async with AsyncModica("application", "password", base_url=simulator.base_url) as modica:
            with monkeypatch.context() as patch:
                patch.setattr(ledger._database, "transaction", slow)
                task = asyncio.create_task(ledger.send(modica, NUMBER, "Kia ora", reference="order-42"))
                await asyncio.to_thread(claiming.wait)
                task.cancel()
                await asyncio.sleep(0)
                go_on.set()
                with pytest.raises(asyncio.CancelledError):
                    await task
            entry = await ledger.entry("order-42")
            assert entry is not None
            assert entry.state == "not_sent"
            assert simulator.requests == []
            assert (await ledger.send(modica, NUMBER, "Kia ora", reference="order-42")).state == "submitted"

    run(url, scenario)


def test_a_task_cancelled_while_it_settles_still_settles(url: str, simulator: Simulator) -> None:
    async def scenario(ledger: AsyncLedger) -> None:
        class Cancelling(AsyncModica):
            async def send(self, *args: Any, **kwargs: Any) -> Any:
                sent = await super().send(*args, **kwargs)
                task = asyncio.current_task()
                assert task is not None
                asyncio.get_running_loop().call_soon(task.cancel)
                return sent

        async with Cancelling("application", "password", base_url=simulator.base_url) as cancelling:
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(ledger.send(cancelling, NUMBER, "Kia ora", reference="order-42"))
        entry = await ledger.entry("order-42")
        assert entry is not None
        assert entry.state == "submitted"

    run(url, scenario)


def test_many_tasks_send_each_reference_once(url: str, simulator: Simulator) -> None:
    async def scenario(ledger: AsyncLedger) -> None:
        async with AsyncModica("application", "password", base_url=simulator.base_url) as modica:
            await asyncio.gather(
                *(ledger.send(modica, NUMBER, "Kia ora", reference=f"order-{number % 10}") for number in range(30))
            )
        counts = await ledger.counts()
        assert counts["submitted"] == len(simulator.messages) == 10

    run(url, scenario)


def test_a_campaign_shows_its_name(blocking: Ledger) -> None:
    blocking.campaign("news-9", "Kia ora")
    assert repr(blocking.campaign("news-9")) == "Campaign('news-9')"
    assert repr(AsyncCampaign(blocking._database, Threads(), "news-9")) == "AsyncCampaign('news-9')"


def test_a_closed_ledger_says_so(url: str) -> None:
    async def main() -> None:
        ledger = AsyncLedger(url)
        await ledger.migrate()
        await ledger.aclose()
        await ledger.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await ledger.counts()

    asyncio.run(main())
