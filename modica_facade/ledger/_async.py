"""`AsyncLedger`: the operations of `Ledger`, the database's part in threads and the requests on the event loop."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, NoReturn, ParamSpec, Self, TypeVar
from uuid import UUID

from ..client import AsyncMessageClient, AsyncModica, Modica, ModicaV2
from ..errors import ConfigurationError, InvalidRequestError, NotSentError
from ..models import DeliveryReceipt
from . import _attempts, _campaigns, _rows
from ._database import Database, ddl
from ._decisions import CampaignState, Entry

P = ParamSpec("P")
T = TypeVar("T")

_THREADS: Final = 4
"""The most connections: SQLite has one writer anyway, and a transaction is short."""


class AsyncLedger:
    """`Ledger` for asyncio: the same methods and arguments, the same tables; see there.

    Example:
        >>> async with AsyncLedger("sms.db") as ledger:
        ...     await ledger.migrate()
        ...     await ledger.send(modica, "+64211234567", "Kia ora", reference="order-42")

    Args:
        url_or_path: as for `Ledger`.
        prefix: as for `Ledger`.

    Raises:
        ConfigurationError: as for `Ledger`.
    """

    # For the repr of a ledger whose __init__ failed, which tracebacks show.
    _place = ""

    def __init__(self, url_or_path: str | os.PathLike[str], *, prefix: str = "modica_") -> None:
        try:
            self._database = Database(url_or_path, prefix)
        except ConfigurationError as error:
            # Services that collect errors show every frame with its locals.
            del url_or_path
            raise error.with_traceback(None) from None
        self._place = f"{self._database.dialect.name}, prefix={prefix!r}"
        self._threads = Threads()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._place})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ledger holds connections; make one where it is needed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Calling again does nothing."""
        self._database.close()
        self._threads.close()

    # Tables

    async def migrate(self) -> None:
        """See `Ledger.migrate`."""
        await self._threads.run(self._database.migrate)

    @staticmethod
    def ddl(dialect: str, *, prefix: str = "modica_", after: int = 0) -> list[str]:
        """See `Ledger.ddl`."""
        return ddl(dialect, prefix, after=after)

    # Sending

    async def send(
        self,
        client: AsyncMessageClient,
        destination: str,
        content: str,
        *,
        reference: str,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        integration_id: str | UUID | None = None,
    ) -> Entry:
        """See `Ledger.send`.

        A task that is cancelled while its request is under way leaves the message in doubt.
        """
        steps = _attempts.send(
            self._database,
            client,
            destination,
            content,
            reference=reference,
            scheduled=scheduled,
            expires=expires,
            source=source,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            integration_id=integration_id,
        )
        return await self._threads.perform(client, steps)

    async def broadcast(
        self,
        client: AsyncModica,
        destinations: Sequence[str],
        content: str,
        *,
        reference: str,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
    ) -> list[Entry]:
        """See `Ledger.broadcast`."""
        steps = _attempts.broadcast(
            self._database,
            client,
            destinations,
            content,
            reference=reference,
            scheduled=scheduled,
            expires=expires,
            source=source,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
        )
        return await self._threads.perform(client, steps)

    def broadcast_many(
        self,
        client: AsyncMessageClient,
        destinations: Iterable[str],
        content: str,
        *,
        reference: str,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        integration_id: str | UUID | None = None,
        batch_size: int = _attempts.BATCH,
    ) -> AsyncIterator[Entry]:
        """See `Ledger.broadcast_many`."""
        requests = _attempts.broadcasts(
            self._database,
            client,
            destinations,
            content,
            reference=reference,
            batch_size=batch_size,
            scheduled=scheduled,
            expires=expires,
            source=source,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            integration_id=integration_id,
        )

        async def entries() -> AsyncIterator[Entry]:
            for steps in requests:
                for entry in await self._threads.perform(client, steps):
                    yield entry

        return entries()

    # The queue

    async def enqueue(
        self,
        destination: str,
        content: str,
        *,
        reference: str,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        integration_id: str | UUID | None = None,
    ) -> Entry:
        """See `Ledger.enqueue`, without ``connection``: a transaction of an asynchronous driver cannot be shared."""
        return await self._threads.run(
            _rows.enqueue,
            self._database,
            destination,
            content,
            reference=reference,
            connection=None,
            scheduled=scheduled,
            expires=expires,
            source=source,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            integration_id=integration_id,
        )

    async def work(
        self,
        client: AsyncMessageClient,
        *,
        campaign: str | None = None,
        limit: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> int:
        """See `Ledger.work`; ``stop`` is called in a thread."""
        steps = _attempts.work(self._database, client, campaign=campaign, limit=limit, stop=stop)
        return await self._threads.perform(client, steps)

    async def cancel(self, *, reference: str | None = None, destination: str | None = None) -> int:
        """See `Ledger.cancel`."""
        return await self._threads.run(_rows.cancel, self._database, reference=reference, destination=destination)

    async def campaign(
        self,
        name: str,
        content: str | None = None,
        *,
        rate: float | None = None,
        hours: tuple[str, str] | None = None,
        zone: str | None = None,
        latest: datetime | None = None,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        integration_id: str | UUID | None = None,
    ) -> AsyncCampaign:
        """See `Ledger.campaign`."""
        await self._threads.run(
            _campaigns.create,
            self._database,
            name,
            content,
            rate=rate,
            hours=hours,
            zone=zone,
            latest=latest,
            scheduled=scheduled,
            expires=expires,
            source=source,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            integration_id=integration_id,
        )
        return AsyncCampaign(self._database, self._threads, name)

    async def campaigns(self) -> dict[str, CampaignState]:
        """See `Ledger.campaigns`."""
        return await self._threads.run(_campaigns.states, self._database)

    # Receipts, and what stays in doubt

    async def record(self, receipt: DeliveryReceipt) -> Entry | None:
        """See `Ledger.record`."""
        return await self._threads.run(_rows.record, self._database, receipt)

    async def entry(self, reference: str, *, destination: str | None = None) -> Entry | None:
        """See `Ledger.entry`."""
        return await self._threads.run(_rows.entry, self._database, reference, destination)

    async def unresolved(self, *, older_than: timedelta = timedelta()) -> list[Entry]:
        """See `Ledger.unresolved`."""
        return await self._threads.run(_rows.unresolved, self._database, older_than)

    async def reconcile(self, client: AsyncMessageClient) -> list[Entry]:
        """See `Ledger.reconcile`."""
        return await self._threads.perform(client, _attempts.reconcile(self._database, client))

    async def settle(
        self, reference: str, *, sent: bool, message_id: str | UUID | None = None, destination: str | None = None
    ) -> Entry:
        """See `Ledger.settle`."""
        return await self._threads.run(
            _rows.settle_by_hand, self._database, reference, destination, sent=sent, message_id=message_id
        )

    # Housekeeping

    async def counts(self) -> dict[str, int]:
        """See `Ledger.counts`."""
        return await self._threads.run(_rows.counts, self._database)

    async def purge(self, *, older_than: timedelta, receipts_older_than: timedelta = timedelta(days=7)) -> int:
        """See `Ledger.purge`."""
        return await self._threads.run(
            _rows.purge, self._database, older_than=older_than, receipts_older_than=receipts_older_than
        )


class AsyncCampaign:
    """`Campaign` for asyncio; made by `AsyncLedger.campaign`.

    Attributes:
        name: its name.
    """

    def __init__(self, database: Database, threads: Threads, name: str) -> None:
        self._database = database
        self._threads = threads
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    async def add(self, destinations: Iterable[str]) -> int:
        """See `Campaign.add`; the iterable is pulled in a thread."""
        return await self._threads.run(_campaigns.add, self._database, self.name, destinations)

    async def start(self) -> None:
        """See `Campaign.start`."""
        await self._threads.run(_campaigns.start, self._database, self.name)

    async def pause(self) -> None:
        """See `Campaign.pause`."""
        await self._threads.run(_campaigns.pause, self._database, self.name)

    async def resume(self) -> None:
        """See `Campaign.resume`."""
        await self._threads.run(_campaigns.resume, self._database, self.name)

    async def cancel(self) -> int:
        """See `Campaign.cancel`."""
        return await self._threads.run(_campaigns.cancel, self._database, self.name)

    async def progress(self) -> dict[str, int]:
        """See `Campaign.progress`."""
        return await self._threads.run(_campaigns.progress, self._database, self.name)


class Threads:
    """Where the database's part of an asynchronous ledger runs."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._process = 0

    def close(self) -> None:
        """End the threads once they have finished what they are doing."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """One blocking operation, in a thread."""
        return await self._submit(functools.partial(function, *args, **kwargs))

    async def perform(self, client: Any, steps: _attempts.Steps[T]) -> T:
        """Perform what an operation yields, on an asynchronous client."""
        if isinstance(client, Modica | ModicaV2):
            # It would send first, and only then find that the answer cannot be awaited.
            raise InvalidRequestError("this client blocks: use it with Ledger", field="client")
        advance: Callable[[], Any] = functools.partial(next, steps)
        while True:
            future = self._submit(functools.partial(_advance, advance))
            try:
                is_end, step = await asyncio.shield(future)
            except asyncio.CancelledError:
                # The thread goes on. If a request was to follow, it certainly was not made: its rows say so.
                is_end, step = await future
                if not is_end:
                    error = NotSentError("the task was cancelled before the request; nothing was sent")
                    await self._submit(functools.partial(_advance, functools.partial(_give_up, steps, error)))
                raise
            if is_end:
                value: T = step
                return value
            try:
                result: Any = None
                if isinstance(step, timedelta):
                    await asyncio.sleep(step.total_seconds())
                else:
                    result = await step(client)
            except Exception as error:  # noqa: BLE001 - whatever it is, the operation decides
                advance = functools.partial(steps.throw, error)
            else:
                advance = functools.partial(steps.send, result)

    def _submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        if self._executor is None or self._process != os.getpid():
            # Threads do not survive a fork.
            self._executor = ThreadPoolExecutor(_THREADS, "modica_facade ledger")
            self._process = os.getpid()
        return asyncio.get_running_loop().run_in_executor(self._executor, function)


def _advance(step: Callable[[], Any]) -> tuple[bool, Any]:
    """Run an operation to its next request, or to its end: a future cannot hold StopIteration."""
    try:
        return False, step()
    except StopIteration as end:
        return True, end.value


def _give_up(steps: _attempts.Steps[Any], error: NotSentError) -> Any:
    """Let an operation settle its claim, and ask for nothing more."""
    try:
        steps.throw(error)
    except NotSentError:
        return None
    finally:
        steps.close()
