"""The blocking clients: each method is one line over a call that sync and async share."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from .. import _v1, _v2
from .._bulk import Batch, Bulk, OutcomeGenerator, check_count
from .._calls import MAX_IN_FLIGHT, Call, NoResponse, Response, note_interruption, to_result
from .._retry import RetryPolicy
from ..errors import ConfigurationError, ModicaError
from ..models import BroadcastOutcome, BroadcastResult, Message, SubmittedMessage
from ._base import DEFAULT_RETRY, BaseClient, LazyModule, RestV1, RestV2

if TYPE_CHECKING:
    # Imported when it is needed, which a process that only receives callbacks never does.
    import httpx
else:
    httpx = LazyModule("httpx")

T = TypeVar("T")


class _SyncClient(BaseClient):
    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        keepalive: float = 2.0,
        retry: RetryPolicy = DEFAULT_RETRY,
        http_client: httpx.Client | None = None,
    ) -> None:
        from .._transport._sync import Transport

        try:
            endpoint = self._configure(username, password, base_url, keepalive, timeout, retry)
            self._transport = Transport(endpoint, http_client)
        except ConfigurationError as error:
            # Services that collect errors show every frame with its locals, and what came before.
            del password, base_url
            error.__context__ = None
            raise error.with_traceback(None) from None

    def _perform(self, call: Call[T]) -> T:
        started = time.monotonic()
        attempt = 0
        outcome: Response | NoResponse | None = None
        try:
            while True:
                attempt += 1
                outcome = None
                outcome = self._transport.send_request(call, self._timeout, started + self._retry.deadline)
                wait = self._retry_delay(call, outcome, attempt, started)
                if wait is None:
                    return to_result(call, outcome)
                time.sleep(wait)
        except ModicaError:
            raise
        except BaseException as error:
            # After the attempt, which would have said it itself.
            if outcome is not None:
                note_interruption(call, outcome, error)
            raise

    def _try(self, bulk: Bulk, batch: Batch) -> None:
        if (call := bulk.start(batch)) is None:
            return
        try:
            result: Any = self._perform(call)
        except ModicaError as error:
            result = error
        bulk.record(batch, result)

    def _one_by_one(self, bulk: Bulk) -> Generator[BroadcastOutcome, None, None]:
        with bulk:
            while (batch := bulk.next_batch()) is not None:
                self._try(bulk, batch)
                yield from batch.outcomes

    def _many(self, bulk: Bulk, concurrency: int) -> Generator[BroadcastOutcome, None, None]:
        from ._threads import Threads

        with Threads(partial(self._try, bulk), concurrency) as threads, bulk:
            while True:
                while len(threads.in_flight) < concurrency and (batch := bulk.next_batch()) is not None:
                    threads.start(batch)
                if not threads.in_flight:
                    break
                yield from threads.next().outcomes

    def close(self) -> None:
        """Close the connections. An ``http_client`` that was given stays open. Calling again does nothing."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Modica(RestV1, _SyncClient):
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
        keepalive: seconds an idle connection may be used again; 0: a new connection for every request. An
            ``http_client`` has limits of its own; of this it obeys the 0.
        retry: `RetryPolicy`; which failures may be repeated is not an option.
        http_client: your own ``httpx.Client`` (proxies, certificates, transports, instrumentation); it is
            neither closed nor changed, and redirects are not followed whatever it says. What is not promised, as
            its connections are its own: the deadline is looked at when a read ends (a server that drips its headers
            can exceed it), a surplus answer can be taken for the next one's (not with ``keepalive=0``), and a failure
            without httpcore's trace events (another transport, a mock) leaves the outcome of a send unknown.

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

        Example:
            >>> result = modica.broadcast(["+64211234567", "X"], "Kia ora koutou")
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
    ) -> Generator[BroadcastOutcome, None, None]:
        """Send one text to any number of destinations, in broadcasts of ``batch_size``.

        Example:
            >>> for outcome in modica.broadcast_many(["+64211234567", "X"], "Kia ora koutou"):
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

        Yields:
            One outcome a destination, in the order given. Nothing is sent until you iterate; leaving the loop early
            stops the send.

        Raises:
            InvalidRequestError: at once, for content and options.
            BroadcastInterruptedError: a batch or ``destinations`` failed, after every known outcome was yielded.
                Nothing is repeated that may have been sent, nothing is dropped: ``batch`` and ``unsent`` have the
                rest. An exception from elsewhere (KeyboardInterrupt, a worker's time limit, cancellation) passes as
                itself, with a note; keep the iterator, the next ``next()`` goes on with what is known and then raises
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
        bulk = Bulk(destinations, call, size)
        return OutcomeGenerator(bulk, self._one_by_one(bulk))

    def get(self, message_id: str | int) -> Message:
        """Fetch a stored message.

        Example:
            >>> sent = modica.send("+64211234567", "Kia ora")
            >>> message = modica.get(sent.id)
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
        return self._perform(_v1.get(message_id))


class ModicaV2(RestV2, _SyncClient):
    """Client for REST v2, blocking. One may be shared by all threads.

    The constructor's arguments, and what is raised, are those of `Modica`; the base URL's default is the variable
    MODICA_V2_BASE_URL, then Modica's own, https://api.modicagroup.com/rest/sms/v2. Instead of broadcasts: `send_many`.

    Example:
        >>> with ModicaV2("application-name", "password") as modica:
        ...     sent = modica.send("+64211234567", "Kia ora", reference="order-42")
        ...     message = modica.get(sent.id)
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
    ) -> Generator[BroadcastOutcome, None, None]:
        """Send one text to any number of destinations, one request each: what a broadcast was on REST v1.

        Example:
            >>> for outcome in modica.send_many(["+64211234567", "X"], "Kia ora koutou"):
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
                ``next()`` goes on with what is known and then raises this. So does every later one.
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
        return OutcomeGenerator(bulk, self._many(bulk, limit))

    def get(self, message_id: str | UUID) -> Message:
        """Fetch a stored message, its delivery status included.

        Example:
            >>> sent = modica.send("+64211234567", "Kia ora")
            >>> message = modica.get(sent.id)
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
        return self._perform(_v2.get(message_id))
