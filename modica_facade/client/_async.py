"""The asynchronous clients: `_sync` with ``await``, except for what a test lists."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from .. import _v1, _v2
from .._bulk import AsyncOutcomeGenerator, Batch, Bulk, check_count
from .._calls import MAX_IN_FLIGHT, Call, NoResponse, Response, note_interruption, to_result
from .._retry import RetryPolicy
from ..errors import ConfigurationError, ModicaError
from ..models import BroadcastOutcome, BroadcastResult, Message, SubmittedMessage
from ._base import DEFAULT_RETRY, BaseClient, LazyModule, RestV1, RestV2

if TYPE_CHECKING:
    # Imported when they are needed, which a process that only receives callbacks never does.
    import asyncio

    import httpx
else:
    httpx = LazyModule("httpx")

T = TypeVar("T")


class _AsyncClient(BaseClient):
    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        keepalive: float = 2.0,
        retry: RetryPolicy = DEFAULT_RETRY,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        from .._transport._async import AsyncTransport

        try:
            endpoint = self._configure(username, password, base_url, keepalive, timeout, retry)
            self._transport = AsyncTransport(endpoint, http_client)
        except ConfigurationError as error:
            # Services that collect errors show every frame with its locals, and what came before.
            del password, base_url
            error.__context__ = None
            raise error.with_traceback(None) from None

    async def _perform(self, call: Call[T]) -> T:
        import asyncio

        started = time.monotonic()
        attempt = 0
        outcome: Response | NoResponse | None = None
        try:
            while True:
                attempt += 1
                outcome = None
                outcome = await self._transport.send_request(call, self._timeout, started + self._retry.deadline)
                wait = self._retry_delay(call, outcome, attempt, started)
                if wait is None:
                    return to_result(call, outcome)
                await asyncio.sleep(wait)
        except ModicaError:
            raise
        except BaseException as error:
            # After the attempt, which would have said it itself.
            if outcome is not None:
                note_interruption(call, outcome, error)
            raise

    async def _try(self, bulk: Bulk, batch: Batch) -> None:
        if (call := bulk.start(batch)) is None:
            return
        try:
            result: Any = await self._perform(call)
        except ModicaError as error:
            result = error
        bulk.record(batch, result)

    async def _many(self, bulk: Bulk, concurrency: int) -> AsyncGenerator[BroadcastOutcome, None]:
        import asyncio

        in_flight: deque[tuple[Batch, asyncio.Task[None]]] = deque()
        try:
            with bulk:
                while True:
                    while len(in_flight) < concurrency and (batch := bulk.next_batch()) is not None:
                        in_flight.append((batch, asyncio.create_task(self._try(bulk, batch))))
                    if not in_flight:
                        break
                    batch, task = in_flight[0]
                    await task
                    in_flight.popleft()
                    for outcome in batch.outcomes:
                        yield outcome
        except BaseException as error:
            if not isinstance(error, Exception):
                # Cancelled or left early: whoever did that does not want to wait for the answers.
                for _, task in in_flight:
                    task.cancel()
            await asyncio.gather(*(task for _, task in in_flight), return_exceptions=True)
            raise
        for outcome in bulk:
            yield outcome

    async def aclose(self) -> None:
        """Close the connections. An ``http_client`` that was given stays open. Calling again does nothing."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncModica(RestV1, _AsyncClient):
    """Client for REST v1 on asyncio. One may be shared by all tasks of an event loop.

    Example:
        >>> async with AsyncModica("application-name", "password") as modica:
        ...     sent = await modica.send("+64211234567", "Kia ora", reference="order-42")
        ...     await modica.get(sent.id)

    Args:
        username: the application name; default: the variable MODICA_USERNAME.
        password: default: the variable MODICA_PASSWORD.
        base_url: https only (http for a loopback host); default: the variable MODICA_BASE_URL, then Modica's own,
            https://api.modicagroup.com/rest/gateway. White labels differ in this only.
        timeout: seconds that each read may take. Connecting may take 5, writing 10. A read that times out leaves the
            outcome of a send unknown, so do not make it short without need. ``RetryPolicy.deadline`` bounds the call.
        keepalive: seconds an idle connection may be used again; 0: a new connection for every request. An
            ``http_client`` has limits of its own; of this it obeys the 0.
        retry: `RetryPolicy`; which failures may be repeated is not an option.
        http_client: your own ``httpx.AsyncClient`` (proxies, certificates, transports, instrumentation); it is
            neither closed nor changed, and redirects are not followed whatever it says. What is not promised, as
            its connections are its own: a surplus answer can be taken for the next one's (not with ``keepalive=0``),
            and a failure without httpcore's trace events (another transport, a mock) leaves the outcome of a send
            unknown.

    Raises:
        ConfigurationError: credentials are missing, or a value cannot be used.
    """

    async def send(
        self,
        destination: str,
        content: str,
        *,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        reference: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
    ) -> SubmittedMessage:
        """Send one message to one destination: one SMS, never two.

        Args:
            destination: number in international format, e.g. ``"+64211234567"``. Whether it is a good number is the
                gateway's to say.
            content: the text, not empty.
            scheduled: when to send: an aware datetime or RFC 3339 text such as ``"2030-05-05T10:00:00+12:00"``, not in
                the past, at most 60 days ahead (prose documentation). Default: now. It cannot be cancelled.
            expires: when to give up delivering, in the same form; later than ``scheduled`` (prose documentation).
                Default: the platform decides.
            source: short code to send from, and to reply to, e.g. ``"202"``; not together with ``class_`` (published
                specification). Default: the platform chooses.
            reference: your own label; comes back on ``get``, receipts and replies. It is what an unknown outcome is
                reconciled by, so choose and store one first. The gateway does not use it to find duplicates.
            class_: application class, the name of a set-up in the platform. Default: none is sent, which means
                ``mt_message`` (published specification).
            mask: source mask, a name that is shown as the sender instead of a number, e.g. ``"ACME Clinic"``; at most
                20 characters (published specification). Nobody can reply to a name. Default: none.
            sms_class: message class of the SMS standard, 0 to 3 (prose documentation); 0 is a flash message, shown at
                once and usually not stored. Default: none, an ordinary message.

        Raises:
            InvalidRequestError: refused here, nothing left this machine.
            NotSentError: the gateway was not reached; calling again is safe.
            OutcomeUnknownError: it may have been accepted; do not send it again.
            GatewayError: the gateway answered with an error; ``may_have_been_sent`` says what that means.
            UnexpectedResponseError: the response is malformed; ``may_have_been_sent`` is True if it may have gone out.
            ConfigurationError: the client is closed.
        """
        call = _v1.send(
            destination,
            content,
            scheduled=scheduled,
            expires=expires,
            source=source,
            reference=reference,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
        )
        return await self._perform(call)

    async def broadcast(
        self,
        destinations: Iterable[str],
        content: str,
        *,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        reference: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
    ) -> BroadcastResult:
        """Send one text to 1 to 1000 destinations with exactly one request.

        Example:
            >>> result = await modica.broadcast(["+64211234567", "X"], "Kia ora koutou")
            >>> [outcome.destination for outcome in result.failed]
            ['X']

        Args:
            destinations: 1 to 1000 numbers (published specification); see `send`.
            content: as for `send`; so are all options.
            scheduled: see `send`.
            expires: see `send`.
            source: see `send`.
            reference: see `send`; all messages of the broadcast share it.
            class_: see `send`.
            mask: see `send`.
            sms_class: see `send`.

        Returns:
            One outcome a destination, in the order given. A refused destination is an outcome, not an exception.

        Raises:
            ModicaError: as `send`. An UnexpectedResponseError has in ``outcomes`` those results of the answer that are
                certainly about one of the destinations; nothing is known of the others.
        """
        call = _v1.broadcast(
            destinations,
            content,
            scheduled=scheduled,
            expires=expires,
            source=source,
            reference=reference,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
        )
        return await self._perform(call)

    def broadcast_many(
        self,
        destinations: Iterable[str],
        content: str,
        *,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        reference: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        batch_size: int = 1000,
        concurrency: int = 4,
    ) -> AsyncGenerator[BroadcastOutcome, None]:
        """Send one text to any number of destinations, in broadcasts of ``batch_size``, several in flight.

        Example:
            >>> async for outcome in modica.broadcast_many(["+64211234567", "X"], "Kia ora koutou"):
            ...     print(outcome.destination, outcome.reason)
            +64211234567 None
            X Invalid destination (X)

        Args:
            destinations: any iterable, pulled lazily; memory stays constant.
            content: as for `send`; so are all options.
            scheduled: see `send`.
            expires: see `send`.
            source: see `send`.
            reference: see `send`; all messages share it.
            class_: see `send`.
            mask: see `send`.
            sms_class: see `send`.
            batch_size: destinations in one request, 1 to 1000 (published specification).
            concurrency: how many batches may be in flight, 1 to 100.

        Yields:
            One outcome a destination, in the order given. Nothing is sent until you iterate; leaving the loop early
            stops the send.

        Raises:
            InvalidRequestError: at once, for content and options.
            BroadcastInterruptedError: a batch or ``destinations`` failed, after every known outcome was yielded.
                Nothing is repeated that may have been sent, nothing is dropped: ``batch`` and ``unsent`` have the
                rest. An exception from elsewhere (KeyboardInterrupt, a worker's time limit, cancellation) passes as
                itself, with a note; keep the iterator, the next ``anext()`` goes on with what is known and then raises
                this. So does every later one.
        """
        call = _v1.broadcasts(
            content,
            scheduled=scheduled,
            expires=expires,
            source=source,
            reference=reference,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
        )
        size = check_count("batch_size", batch_size, _v1.MAX_DESTINATIONS)
        limit = check_count("concurrency", concurrency, MAX_IN_FLIGHT)
        bulk = Bulk(destinations, call, size)
        return AsyncOutcomeGenerator(bulk, self._many(bulk, limit))

    async def get(self, message_id: str | int) -> Message:
        """Fetch a stored message.

        Example:
            >>> sent = await modica.send("+64211234567", "Kia ora")
            >>> message = await modica.get(sent.id)
            >>> message.content
            'Kia ora'

        Args:
            message_id: as `send` returned it; an int is taken too.

        Raises:
            InvalidRequestError: that cannot be an id of REST v1, 1 to 2**63-1 (prose documentation: int64).
            NotFoundError: the gateway does not know it.
            TransportError: no answer.
            GatewayError: the gateway answered with an error.
            UnexpectedResponseError: the response is malformed.
        """
        return await self._perform(_v1.get(message_id))


class AsyncModicaV2(RestV2, _AsyncClient):
    """Client for REST v2 on asyncio. One may be shared by all tasks of an event loop.

    The constructor's arguments, and what is raised, are those of `AsyncModica`; the base URL's default is the variable
    MODICA_V2_BASE_URL, then Modica's own, https://api.modicagroup.com/rest/sms/v2. Instead of broadcasts: `send_many`.

    Example:
        >>> async with AsyncModicaV2("application-name", "password") as modica:
        ...     sent = await modica.send("+64211234567", "Kia ora", reference="order-42")
        ...     message = await modica.get(sent.id)
    """

    async def send(
        self,
        destination: str,
        content: str,
        *,
        scheduled: datetime | str | None = None,
        source: str | None = None,
        reference: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        integration_id: str | UUID | None = None,
    ) -> SubmittedMessage:
        """Send one message to one destination: one SMS, never two.

        The gateway answers before it knows whether the message can be delivered: register a delivery receipt callback,
        without one those errors are invisible.

        Args:
            destination: number in international format, e.g. ``"+64211234567"``. Whether it is a good number is the
                gateway's to say.
            content: the text, not empty. Links in it are shortened by the gateway (published specification).
            scheduled: when to send: an aware datetime or RFC 3339 text, not in the past, at most 60 days ahead
                (published specification).
            source: short code to send from, and to reply to, e.g. ``"202"``; not together with ``class_``. Default:
                the platform chooses.
            reference: your own label; comes back on ``get`` and receipts. It is what an unknown outcome is reconciled
                by, so choose and store one first. The gateway does not use it to find duplicates.
            class_: application class, the name of a set-up in the platform. Default: none is sent, which means
                ``mt_message`` (published specification).
            mask: source mask, a name that is shown as the sender instead of a number, e.g. ``"ACME Clinic"``; at most
                20 characters (published specification). Nobody can reply to a name. Default: none.
            sms_class: message class of the SMS standard, 0 to 3 (prose documentation of REST v1); 0 is a flash
                message, shown at once and usually not stored. Default: none, an ordinary message.
            integration_id: UUID of your integration, or its text (published specification). Leave it out unless the
                vendor gave you one.

        Raises:
            InvalidRequestError: refused here, nothing left this machine.
            NotSentError: the gateway was not reached; calling again is safe.
            OutcomeUnknownError: it may have been accepted; do not send it again.
            GatewayError: the gateway answered with an error; ``may_have_been_sent`` says what that means.
            UnexpectedResponseError: the response is malformed; ``may_have_been_sent`` is True if it may have gone out.
            ConfigurationError: the client is closed.
        """
        call = _v2.send(
            destination,
            content,
            scheduled=scheduled,
            source=source,
            reference=reference,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            integration_id=integration_id,
        )
        return await self._perform(call)

    def send_many(
        self,
        destinations: Iterable[str],
        content: str,
        *,
        scheduled: datetime | str | None = None,
        source: str | None = None,
        reference: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        integration_id: str | UUID | None = None,
        concurrency: int = 16,
    ) -> AsyncGenerator[BroadcastOutcome, None]:
        """Send one text to any number of destinations, one request each: what a broadcast was on REST v1.

        Example:
            >>> async for outcome in modica.send_many(["+64211234567", "X"], "Kia ora koutou"):
            ...     print(outcome.destination, outcome.ok)
            +64211234567 True
            X False

        Args:
            destinations: any iterable, pulled lazily; memory stays constant.
            content: as for `send`; so are all options.
            scheduled: see `send`.
            source: see `send`.
            reference: see `send`; all messages share it.
            class_: see `send`.
            mask: see `send`.
            sms_class: see `send`.
            integration_id: see `send`.
            concurrency: how many sends may be in flight, 1 to 100.

        Yields:
            One outcome a destination, in the order given. A refused destination is an outcome, not an exception, and
            so is one that cannot be sent to (empty, not a str); an accepted one has status ``"success"``; whether it
            was delivered is reported by its receipts. Nothing is sent until you iterate; leaving the loop early stops
            the send.

        Raises:
            InvalidRequestError: at once, for content and options.
            BroadcastInterruptedError: a send failed for another reason than its destination, or ``destinations``
                failed, after every known outcome was yielded. Nothing is repeated that may have been sent, nothing is
                dropped: ``batch`` and ``unsent`` have the rest. An exception from elsewhere (KeyboardInterrupt, a
                worker's time limit, cancellation) passes as itself, with a note; keep the iterator, the next
                ``anext()`` goes on with what is known and then raises this. So does every later one.
        """
        call = _v2.sends(
            content,
            scheduled=scheduled,
            source=source,
            reference=reference,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            integration_id=integration_id,
        )
        limit = check_count("concurrency", concurrency, MAX_IN_FLIGHT)
        bulk = Bulk(destinations, lambda batch, _: call(*batch), 1, refusals_are_outcomes=True)
        return AsyncOutcomeGenerator(bulk, self._many(bulk, limit))

    async def get(self, message_id: str | UUID) -> Message:
        """Fetch a stored message, its delivery status included.

        Example:
            >>> sent = await modica.send("+64211234567", "Kia ora")
            >>> message = await modica.get(sent.id)
            >>> message.status
            'accepted'

        Args:
            message_id: as `send` returned it; a UUID is taken too.

        Raises:
            InvalidRequestError: that cannot be an id of REST v2. Those of v1 cannot be looked up here.
            NotFoundError: the gateway does not know it.
            TransportError: no answer.
            GatewayError: the gateway answered with an error.
            UnexpectedResponseError: the response is malformed.
        """
        return await self._perform(_v2.get(message_id))
