"""The clients: each method is one line over a call that sync and async share; they differ by ``await`` only."""

from __future__ import annotations

import logging
import os
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar
from uuid import UUID

from . import _v1, _v2
from ._bulk import Batch, Bulk, check_count
from ._calls import MOST_IN_FLIGHT, Answer, Call, Lost, RetryBudget, RetryPolicy, check_seconds, conclude, pause
from .errors import ConfigurationError, ModicaError
from .models import BroadcastOutcome, BroadcastResult, Message, SubmittedMessage

if TYPE_CHECKING:
    # httpx, and _transport with httpcore, are two thirds of what importing the package would cost. The first client
    # brings them; who only receives callbacks never pays. Likewise asyncio and threads, where nothing needs them.
    import asyncio
    from concurrent.futures import Future

    import httpx

    from ._transport import AsyncTransport, Site, Transport

__all__ = ["AsyncModica", "AsyncModicaV2", "Modica", "ModicaV2"]

T = TypeVar("T")

_log = logging.getLogger("modica_facade")
_DEFAULT_RETRY = RetryPolicy()


class _Client:
    """What every client is: whom it speaks as and to, and how patient it is. No I/O."""

    _accept: ClassVar[str]
    _base_url: ClassVar[str]
    _base_url_variable: ClassVar[str]
    _path_of_the_other_version: ClassVar[str]
    # For the repr of one that could not be made: it is in the traceback that says so.
    _username = _url = ""

    def _configure(
        self,
        username: str | None,
        password: str | None,
        base_url: str | None,
        keepalive: float,
        timeout: float,
        retry: RetryPolicy,
    ) -> Site:
        from ._transport import Site

        self._username = _credential("username", username, "MODICA_USERNAME")
        if ":" in self._username:
            raise ConfigurationError("username must not hold a colon: HTTP Basic cannot carry it")
        url = base_url or os.environ.get(self._base_url_variable) or self._base_url
        site = Site(url, self._username, _credential("password", password, "MODICA_PASSWORD"), self._accept, keepalive)
        self._url = site.base_url
        if self._url.endswith(self._path_of_the_other_version):
            # There a message would go out, and its answer could not be read.
            raise ConfigurationError(
                f"base_url is that of the other REST version; {type(self).__name__} cannot speak it"
            )
        self._budget = RetryBudget()
        self._be_patient(timeout, retry)
        return site

    def _be_patient(self, timeout: float, retry: RetryPolicy) -> None:
        if not isinstance(retry, RetryPolicy):
            raise ConfigurationError("retry must be a RetryPolicy")
        self._timeout = check_seconds("timeout", timeout)
        self._retry = retry

    def with_options(self, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> Self:
        """A sibling with other patience that shares the connections; closing either closes both.

        Args:
            timeout: seconds each read may take; None: as here.
            retry: limits for repeats and for the whole call; None: as here.

        Raises:
            ConfigurationError: a value cannot be used.
        """
        sibling = object.__new__(type(self))
        sibling.__dict__.update(self.__dict__)
        sibling._be_patient(self._timeout if timeout is None else timeout, self._retry if retry is None else retry)
        return sibling

    def _pause(self, call: Call[Any], outcome: Answer | Lost, attempt: int, started: float) -> float | None:
        """Seconds to wait before trying again; None: the outcome is the last word."""
        if isinstance(outcome, Answer) and outcome.status == call.success and attempt == 1:
            self._budget.earn()
        # Jitter spreads the repeats of many clients; it keeps no secret.
        jitter = random.random()  # noqa: S311
        wait = pause(call, self._retry, outcome, attempt, time.monotonic() - started, jitter)
        if wait is None or not self._budget.take():
            return None
        what = f"HTTP {outcome.status}" if isinstance(outcome, Answer) else outcome.reason
        _log.info("%s failed (%s), attempt %d; trying again in %.2f s", call.name, what, attempt, wait)
        return wait

    def __repr__(self) -> str:
        return f"{type(self).__name__}(username={self._username!r}, base_url={self._url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a password and connections; make one where it is needed")


def _credential(name: str, value: str | None, variable: str) -> str:
    value = value if value is not None else os.environ.get(variable)
    if not value:
        raise ConfigurationError(
            f"the {name} is missing: pass username and password, or set MODICA_USERNAME and MODICA_PASSWORD"
        )
    if not isinstance(value, str) or not value.isprintable():
        raise ConfigurationError(f"{name} must be printable text")
    return value


def _left_early(flights: Collection[Any]) -> None:
    if flights:
        _log.warning("a bulk send was left early with %d requests in flight: their outcomes are not read", len(flights))


class _BlockingClient(_Client):
    _transport: Transport

    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        keepalive: float = 2.0,
        retry: RetryPolicy = _DEFAULT_RETRY,
        http_client: httpx.Client | None = None,
    ) -> None:
        from ._transport import Transport

        try:
            site = self._configure(username, password, base_url, keepalive, timeout, retry)
            self._transport = Transport(site, http_client)
        except ConfigurationError as error:
            # Services that collect errors show every frame with its locals, and what came before.
            del password, base_url
            error.__context__ = None
            raise error.with_traceback(None) from None

    def _perform(self, call: Call[T]) -> T:
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            outcome = self._transport.attempt(call, self._timeout, started + self._retry.deadline)
            wait = self._pause(call, outcome, attempt, started)
            if wait is None:
                return conclude(call, outcome)
            time.sleep(wait)

    def _try(self, call: Call[T]) -> T | ModicaError:
        try:
            return self._perform(call)
        except ModicaError as error:
            return error

    def _one_by_one(self, bulk: Bulk) -> Iterator[BroadcastOutcome]:
        while (batch := bulk.pull()) is not None:
            yield from bulk.settle(batch, self._try(batch.call))
        bulk.finish()

    def _many(self, bulk: Bulk, concurrency: int) -> Iterator[BroadcastOutcome]:
        from concurrent.futures import ThreadPoolExecutor

        flights: deque[tuple[Batch, Future[Any]]] = deque()
        with ThreadPoolExecutor(concurrency, "modica_facade sends") as threads:
            try:
                while True:
                    while len(flights) < concurrency and (batch := bulk.pull()) is not None:
                        flights.append((batch, threads.submit(self._try, batch.call)))
                    if not flights:
                        break
                    batch, flight = flights.popleft()
                    yield from bulk.settle(batch, flight.result())
            finally:
                # A thread cannot be stopped in the middle of a send: leaving the block waits for it.
                _left_early(flights)
        bulk.finish()

    def close(self) -> None:
        """Close the connections. An ``http_client`` that was given stays open. Calling again does nothing."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _AsyncClient(_Client):
    _transport: AsyncTransport

    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        keepalive: float = 2.0,
        retry: RetryPolicy = _DEFAULT_RETRY,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        from ._transport import AsyncTransport

        try:
            site = self._configure(username, password, base_url, keepalive, timeout, retry)
            self._transport = AsyncTransport(site, http_client)
        except ConfigurationError as error:
            # Services that collect errors show every frame with its locals, and what came before.
            del password, base_url
            error.__context__ = None
            raise error.with_traceback(None) from None

    async def _perform(self, call: Call[T]) -> T:
        import asyncio

        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._transport.attempt(call, self._timeout, started + self._retry.deadline)
            wait = self._pause(call, outcome, attempt, started)
            if wait is None:
                return conclude(call, outcome)
            await asyncio.sleep(wait)

    async def _try(self, call: Call[T]) -> T | ModicaError:
        try:
            return await self._perform(call)
        except ModicaError as error:
            return error

    async def _many(self, bulk: Bulk, concurrency: int) -> AsyncIterator[BroadcastOutcome]:
        import asyncio

        flights: deque[tuple[Batch, asyncio.Task[Any]]] = deque()
        try:
            while True:
                while len(flights) < concurrency and (batch := bulk.pull()) is not None:
                    flights.append((batch, asyncio.create_task(self._try(batch.call))))
                if not flights:
                    break
                batch, task = flights[0]
                result = await task
                flights.popleft()
                for outcome in bulk.settle(batch, result):
                    yield outcome
        finally:
            _left_early(flights)
            for _, task in flights:
                task.cancel()
            await asyncio.gather(*(task for _, task in flights), return_exceptions=True)
        bulk.finish()

    async def aclose(self) -> None:
        """Close the connections. An ``http_client`` that was given stays open. Calling again does nothing."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class _RestV1:
    _accept = _v1.ACCEPT
    _base_url = _v1.BASE_URL
    _base_url_variable = _v1.BASE_URL_VARIABLE
    _path_of_the_other_version = "/rest/sms/v2"


class _RestV2:
    _accept = _v2.ACCEPT
    _base_url = _v2.BASE_URL
    _base_url_variable = _v2.BASE_URL_VARIABLE
    _path_of_the_other_version = "/rest/gateway"


class Modica(_RestV1, _BlockingClient):
    """Client for REST v1, blocking. One may be shared by all threads.

    Example:
        >>> with Modica("application-name", "password") as modica:
        ...     sent = modica.send("+64211234567", "Kia ora", reference="order-42")
        ...     modica.get(sent.id)

    Args:
        username: the application name; default: the variable MODICA_USERNAME.
        password: default: the variable MODICA_PASSWORD.
        base_url: https only (http for a loopback host); default: the variable MODICA_BASE_URL, then Modica's own,
            https://api.modicagroup.com/rest/gateway. White labels differ in this only.
        timeout: seconds that each read may take. Connecting may take 5, writing 10. A read that times out leaves the
            outcome of a send unknown, so do not make it short without need. ``RetryPolicy.deadline`` bounds the call.
        keepalive: seconds an idle connection may be used again; 0: a new connection for every request.
        retry: `RetryPolicy`; which failures may be repeated is not an option.
        http_client: your own ``httpx.Client`` (proxies, certificates, transports, instrumentation); it is
            neither closed nor changed, and redirects are not followed whatever it says. On a connection of its
            own the deadline is looked at when a read ends: a server that drips its headers can exceed it.

    Raises:
        ConfigurationError: credentials are missing, or a value cannot be used.
    """

    def send(
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
            scheduled: when to send: an aware datetime or RFC 3339 text, not in the past, at most 60 days ahead (prose
                documentation).
            expires: when to give up delivering: likewise, later than ``scheduled``.
            source: short code to send from; not together with ``class_`` (published specification).
            reference: your own label; comes back on ``get``, receipts and replies. It is what an unknown outcome is
                reconciled by, so choose and store one first. The gateway does not use it to find duplicates.
            class_: application class; the gateway's default is ``mt_message``.
            mask: source mask, at most 20 characters (published specification).
            sms_class: 0 to 3 (prose documentation).

        Raises:
            InvalidRequestError: refused here, nothing left this machine.
            NotSentError: the gateway was not reached; calling again is safe.
            OutcomeUnknownError: it may have been accepted; do not send it again.
            GatewayError: the gateway answered with an error; ``may_have_been_sent`` says what that means.
            UnexpectedResponseError: the answer makes no sense; ``may_have_been_sent`` is True if it may have gone out.
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
        return self._perform(call)

    def broadcast(
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
            ModicaError: as `send`. An UnexpectedResponseError has the readable part of the answer in ``outcomes``.
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
        return self._perform(call)

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
    ) -> Iterator[BroadcastOutcome]:
        """Send one text to any number of destinations, in broadcasts of ``batch_size``.

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

        Yields:
            One outcome a destination, in the order given.

        Raises:
            InvalidRequestError: at once, for content and options.
            BroadcastInterruptedError: a batch failed, after every known outcome was yielded. Nothing is repeated that
                may have been sent, nothing is dropped: ``batch`` and ``unsent`` have the rest.
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
        size = check_count("batch_size", batch_size, _v1.MOST_DESTINATIONS)
        return self._one_by_one(Bulk(destinations, call, size))

    def get(self, message_id: str | int) -> Message:
        """Fetch a stored message.

        Args:
            message_id: as `send` returned it; an int is taken too.

        Raises:
            InvalidRequestError: that cannot be an id of REST v1, 1 to 2**63-1 (prose documentation: int64).
            NotFoundError: the gateway does not know it.
            TransportError: no answer.
            GatewayError: the gateway answered with an error.
            UnexpectedResponseError: the answer makes no sense.
        """
        return self._perform(_v1.get(message_id))


class AsyncModica(_RestV1, _AsyncClient):
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
        keepalive: seconds an idle connection may be used again; 0: a new connection for every request.
        retry: `RetryPolicy`; which failures may be repeated is not an option.
        http_client: your own ``httpx.AsyncClient`` (proxies, certificates, transports, instrumentation); it is
            neither closed nor changed, and redirects are not followed whatever it says.

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
            scheduled: when to send: an aware datetime or RFC 3339 text, not in the past, at most 60 days ahead (prose
                documentation).
            expires: when to give up delivering: likewise, later than ``scheduled``.
            source: short code to send from; not together with ``class_`` (published specification).
            reference: your own label; comes back on ``get``, receipts and replies. It is what an unknown outcome is
                reconciled by, so choose and store one first. The gateway does not use it to find duplicates.
            class_: application class; the gateway's default is ``mt_message``.
            mask: source mask, at most 20 characters (published specification).
            sms_class: 0 to 3 (prose documentation).

        Raises:
            InvalidRequestError: refused here, nothing left this machine.
            NotSentError: the gateway was not reached; calling again is safe.
            OutcomeUnknownError: it may have been accepted; do not send it again.
            GatewayError: the gateway answered with an error; ``may_have_been_sent`` says what that means.
            UnexpectedResponseError: the answer makes no sense; ``may_have_been_sent`` is True if it may have gone out.
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
            ModicaError: as `send`. An UnexpectedResponseError has the readable part of the answer in ``outcomes``.
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
    ) -> AsyncIterator[BroadcastOutcome]:
        """Send one text to any number of destinations, in broadcasts of ``batch_size``, several in flight.

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
            One outcome a destination, in the order given.

        Raises:
            InvalidRequestError: at once, for content and options.
            BroadcastInterruptedError: a batch failed, after every known outcome was yielded. Nothing is repeated that
                may have been sent, nothing is dropped: ``batch`` and ``unsent`` have the rest.
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
        size = check_count("batch_size", batch_size, _v1.MOST_DESTINATIONS)
        in_flight = check_count("concurrency", concurrency, MOST_IN_FLIGHT)
        return self._many(Bulk(destinations, call, size), in_flight)

    async def get(self, message_id: str | int) -> Message:
        """Fetch a stored message.

        Args:
            message_id: as `send` returned it; an int is taken too.

        Raises:
            InvalidRequestError: that cannot be an id of REST v1, 1 to 2**63-1 (prose documentation: int64).
            NotFoundError: the gateway does not know it.
            TransportError: no answer.
            GatewayError: the gateway answered with an error.
            UnexpectedResponseError: the answer makes no sense.
        """
        return await self._perform(_v1.get(message_id))


class ModicaV2(_RestV2, _BlockingClient):
    """Client for REST v2, blocking. One may be shared by all threads.

    The constructor's arguments, and what is raised, are those of `Modica`; the base URL's default is the variable
    MODICA_V2_BASE_URL, then Modica's own, https://api.modicagroup.com/rest/sms/v2. Instead of broadcasts: `send_many`.

    Example:
        >>> with ModicaV2("application-name", "password") as modica:
        ...     sent = modica.send("+64211234567", "Kia ora", reference="order-42")
        ...     modica.get(sent.id).status
    """

    def send(
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
            source: short code to send from; not together with ``class_``.
            reference: your own label; comes back on ``get`` and receipts. It is what an unknown outcome is reconciled
                by, so choose and store one first. The gateway does not use it to find duplicates.
            class_: application class; the gateway's default is ``mt_message``.
            mask: source mask, at most 20 characters (published specification).
            sms_class: 0 to 3 (prose documentation of REST v1).
            integration_id: a UUID or its text (published specification).

        Raises:
            InvalidRequestError: refused here, nothing left this machine.
            NotSentError: the gateway was not reached; calling again is safe.
            OutcomeUnknownError: it may have been accepted; do not send it again.
            GatewayError: the gateway answered with an error; ``may_have_been_sent`` says what that means.
            UnexpectedResponseError: the answer makes no sense; ``may_have_been_sent`` is True if it may have gone out.
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
        return self._perform(call)

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
    ) -> Iterator[BroadcastOutcome]:
        """Send one text to any number of destinations, one request each: what a broadcast was on REST v1.

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
            One outcome a destination, in the order given. A refused destination is an outcome, not an exception; an
            accepted one has status ``"success"`` whatever becomes of it, which its receipts say.

        Raises:
            InvalidRequestError: at once, for content and options.
            BroadcastInterruptedError: a send failed for another reason than its destination, after every known outcome
                was yielded. Nothing is repeated that may have been sent, nothing is dropped: ``batch`` and ``unsent``
                have the rest.
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
        in_flight = check_count("concurrency", concurrency, MOST_IN_FLIGHT)
        bulk = Bulk(destinations, lambda batch: call(*batch), 1, refusals_are_outcomes=True)
        return self._many(bulk, in_flight)

    def get(self, message_id: str | UUID) -> Message:
        """Fetch a stored message, its delivery status included.

        Args:
            message_id: as `send` returned it; a UUID is taken too.

        Raises:
            InvalidRequestError: that cannot be an id of REST v2. Those of v1 cannot be looked up here.
            NotFoundError: the gateway does not know it.
            TransportError: no answer.
            GatewayError: the gateway answered with an error.
            UnexpectedResponseError: the answer makes no sense.
        """
        return self._perform(_v2.get(message_id))


class AsyncModicaV2(_RestV2, _AsyncClient):
    """Client for REST v2 on asyncio. One may be shared by all tasks of an event loop.

    The constructor's arguments, and what is raised, are those of `AsyncModica`; the base URL's default is the variable
    MODICA_V2_BASE_URL, then Modica's own, https://api.modicagroup.com/rest/sms/v2. Instead of broadcasts: `send_many`.

    Example:
        >>> async with AsyncModicaV2("application-name", "password") as modica:
        ...     sent = await modica.send("+64211234567", "Kia ora", reference="order-42")
        ...     (await modica.get(sent.id)).status
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
            source: short code to send from; not together with ``class_``.
            reference: your own label; comes back on ``get`` and receipts. It is what an unknown outcome is reconciled
                by, so choose and store one first. The gateway does not use it to find duplicates.
            class_: application class; the gateway's default is ``mt_message``.
            mask: source mask, at most 20 characters (published specification).
            sms_class: 0 to 3 (prose documentation of REST v1).
            integration_id: a UUID or its text (published specification).

        Raises:
            InvalidRequestError: refused here, nothing left this machine.
            NotSentError: the gateway was not reached; calling again is safe.
            OutcomeUnknownError: it may have been accepted; do not send it again.
            GatewayError: the gateway answered with an error; ``may_have_been_sent`` says what that means.
            UnexpectedResponseError: the answer makes no sense; ``may_have_been_sent`` is True if it may have gone out.
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
    ) -> AsyncIterator[BroadcastOutcome]:
        """Send one text to any number of destinations, one request each: what a broadcast was on REST v1.

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
            One outcome a destination, in the order given. A refused destination is an outcome, not an exception; an
            accepted one has status ``"success"`` whatever becomes of it, which its receipts say.

        Raises:
            InvalidRequestError: at once, for content and options.
            BroadcastInterruptedError: a send failed for another reason than its destination, after every known outcome
                was yielded. Nothing is repeated that may have been sent, nothing is dropped: ``batch`` and ``unsent``
                have the rest.
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
        in_flight = check_count("concurrency", concurrency, MOST_IN_FLIGHT)
        bulk = Bulk(destinations, lambda batch: call(*batch), 1, refusals_are_outcomes=True)
        return self._many(bulk, in_flight)

    async def get(self, message_id: str | UUID) -> Message:
        """Fetch a stored message, its delivery status included.

        Args:
            message_id: as `send` returned it; a UUID is taken too.

        Raises:
            InvalidRequestError: that cannot be an id of REST v2. Those of v1 cannot be looked up here.
            NotFoundError: the gateway does not know it.
            TransportError: no answer.
            GatewayError: the gateway answered with an error.
            UnexpectedResponseError: the answer makes no sense.
        """
        return await self._perform(_v2.get(message_id))
