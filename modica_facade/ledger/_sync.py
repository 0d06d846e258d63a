"""`Ledger` and `Campaign`: every method checks its arguments and runs one operation in the caller's thread."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar
from uuid import UUID

from ..client import MessageClient, Modica
from ..errors import ConfigurationError, InvalidRequestError
from ..models import DeliveryReceipt
from . import _attempts, _campaigns, _rows
from ._database import Database, ddl
from ._decisions import CampaignState, Entry

T = TypeVar("T")


class Ledger:
    """A table of messages, each of which is in doubt from before its request until something proves its outcome.

    A message has a ``reference`` of your own, unique in the whole ledger: whatever was done under it before, `send`
    never sends a second time under it, unless the message certainly was not sent. That is the idempotency key that
    the gateway does not have, so whatever engine repeats your jobs may call `send` any number of times.

    Safe to share between threads. After ``fork`` it opens connections of its own. Text is never stored for what is
    sent at once, and is emptied for the rest once it was submitted, refused or cancelled; numbers stay until `purge`.

    Example:
        >>> ledger = Ledger("sms.db")
        >>> ledger.migrate()
        >>> ledger.send(modica, "+64211234567", "Kia ora", reference="order-42").state
        'submitted'

    Args:
        url_or_path: the path of an SQLite file, not on a network file system, or a ``postgresql://`` URL (extra
            ``postgres``). Its password is never shown.
        prefix: what the names of the tables begin with; ledgers with different prefixes know nothing of each other.

    Raises:
        ConfigurationError: another URL scheme, or psycopg is not installed.
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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._place})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ledger holds connections; make one where it is needed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calling again does nothing."""
        self._database.close()

    # Tables

    def migrate(self) -> None:
        """Create the tables, or bring those of an older version of this package up to date.

        Two processes may do it at once. Nothing is ever dropped.

        Raises:
            ConfigurationError: the tables are of a newer version than this package.
            TransportError: the database failed.
        """
        self._database.migrate()

    @staticmethod
    def ddl(dialect: str, *, prefix: str = "modica_", after: int = 0) -> list[str]:
        """The statements that `migrate` executes, for a migration tool: Alembic's ``op.execute``, Django's ``RunSQL``.

        Args:
            dialect: ``"sqlite"`` or ``"postgresql"``.
            prefix: as for the ledger.
            after: number of the schema version that is there already; 0: none.

        Raises:
            ConfigurationError: another dialect or an impossible prefix.
        """
        return ddl(dialect, prefix, after=after)

    # Sending

    def send(
        self,
        client: MessageClient,
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
        """Send one message under a reference, or say what became of it if that was done before.

        The row is committed in doubt before the request, and settled after it. Called again with the same reference
        it sends if and only if the message stands at ``not_sent``; otherwise it returns what is known, also
        ``in_doubt``. That another text is given then is not noticed: the text is not stored.

        Args:
            client: what to send with; which one does not matter to the reference.
            destination: see ``Modica.send``.
            content: the text; it is not stored.
            reference: your own, unique in the ledger, 1 to 255 characters; the gateway is given it, and receipts
                repeat it.
            scheduled: see ``Modica.send``.
            expires: see ``Modica.send``; REST v1 only.
            source: see ``Modica.send``.
            class_: see ``Modica.send``.
            mask: see ``Modica.send``.
            sms_class: see ``Modica.send``.
            integration_id: see ``ModicaV2.send``; REST v2 only.

        Raises:
            InvalidRequestError: an argument is wrong, or the reference belongs to another destination; nothing was
                sent.
            NotSentError: the gateway was not reached, or the database failed before the request: nothing was sent.
            OutcomeUnknownError: it may have been sent, and the row says so; also if the database failed after it.
            ModicaError: whatever ``client.send`` raises; the row is settled as it says.
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
        return run(client, steps)

    def broadcast(
        self,
        client: Modica,
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
        """Send one text to 1 to 1000 destinations in one request (REST v1), a row for each of them.

        Called again with the same reference it sends to those destinations only that have no row yet or stand at
        ``not_sent``.

        Args:
            client: what to send with.
            destinations: see ``Modica.broadcast``; none of them twice.
            content: the text; it is not stored.
            reference: of the whole broadcast, 1 to 255 characters; the gateway is given it.
            scheduled: see ``Modica.send``.
            expires: see ``Modica.send``.
            source: see ``Modica.send``.
            class_: see ``Modica.send``.
            mask: see ``Modica.send``.
            sms_class: see ``Modica.send``.

        Returns:
            The entry of each destination, in their order. A refused destination is an entry, not an exception.

        Raises:
            InvalidRequestError: an argument is wrong, or a destination is there twice; nothing was sent.
            ModicaError: as for `send`.
        """
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
        return run(client, steps)

    def broadcast_many(
        self,
        client: MessageClient,
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
    ) -> Iterator[Entry]:
        """Send one text to any number of destinations, in as many requests as it takes, one after the other.

        Whatever ends it, call it again with the same reference and the same destinations: it sends to those that
        have not been tried or certainly were not sent to, and to nobody twice.

        Args:
            client: what to send with; on REST v2 every destination takes a request of its own.
            destinations: any iterable, pulled lazily; a destination that is there twice gets one message.
            content: as for `broadcast`; so are all options and ``reference``.
            reference: see `broadcast`.
            scheduled: see `send`.
            expires: see `send`.
            source: see `send`.
            class_: see `send`.
            mask: see `send`.
            sms_class: see `send`.
            integration_id: see `send`.
            batch_size: destinations of one request, 1 to 1000: how many one crash puts in doubt.

        Yields:
            One entry for each destination, in their order.

        Raises:
            InvalidRequestError: an argument is wrong.
            ModicaError: a request failed, as for `send`; everything before it was yielded.
        """
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
        return chain.from_iterable(run(client, steps) for steps in requests)

    # The queue

    def enqueue(
        self,
        destination: str,
        content: str,
        *,
        reference: str,
        connection: object = None,
        scheduled: datetime | str | None = None,
        expires: datetime | str | None = None,
        source: str | None = None,
        class_: str | None = None,
        mask: str | None = None,
        sms_class: int | None = None,
        integration_id: str | UUID | None = None,
    ) -> Entry:
        """Queue one message for `work`, alone or within a transaction of your own.

        Args:
            destination: see ``Modica.send``.
            content: the text; it is stored until it was submitted, refused or cancelled.
            reference: as for `send`. One that is known already is left as it is, unless it stands at ``not_sent``.
            connection: a ``sqlite3.Connection`` (begun with BEGIN IMMEDIATE) or ``psycopg.Connection`` of yours to
                the database of this ledger: the row commits or rolls back with your transaction. None: at once.
            scheduled: see ``Modica.send``.
            expires: see ``Modica.send``; REST v1 only.
            source: see ``Modica.send``.
            class_: see ``Modica.send``.
            mask: see ``Modica.send``.
            sms_class: see ``Modica.send``.
            integration_id: see ``ModicaV2.send``; REST v2 only.

        Raises:
            InvalidRequestError: an argument is wrong, or the reference belongs to another destination.
            TransportError: the database failed; nothing was queued.
        """
        return _rows.enqueue(
            self._database,
            destination,
            content,
            reference=reference,
            connection=connection,
            scheduled=scheduled,
            expires=expires,
            source=source,
            class_=class_,
            mask=mask,
            sms_class=sms_class,
            integration_id=integration_id,
        )

    def work(
        self,
        client: MessageClient,
        *,
        campaign: str | None = None,
        limit: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> int:
        """Send what is queued and due, one request after another, in any number of processes at once.

        Each request's messages are claimed just before it, so a process that is killed leaves those of one request
        in doubt and nothing else behind. What certainly was not sent goes back to the queue, a minute or the time the
        gateway asked for later. After an unknown outcome, a 429 or an unreachable gateway it ends early.

        Args:
            client: what to send with.
            campaign: name of the campaign to work for; it waits for the campaign's pace and does nothing outside its
                hours. None: what `enqueue` queued.
            limit: how many messages at most; None: until nothing is due.
            stop: asked before each request, and every second while the pace is waited for; True ends it early. For
                instance ``threading.Event().is_set``, which a signal handler sets.

        Returns:
            How many messages were tried.

        Raises:
            AuthenticationError: nothing would go through, as after 403, 404 and a redirect. The rows stay queued.
            ConfigurationError: the client cannot work, or a queued option is not one of its REST version. The rows stay
                queued.
            RejectedError: the gateway refused a whole request of a campaign, so its text or its options; those of that
                request are refused, the rest stays queued.
            InvalidRequestError: there is no such campaign, or its options are refused here; all stays queued.
            TransportError: the database failed. If ``may_have_been_sent``, it did so after a request.
        """
        return run(client, _attempts.work(self._database, client, campaign=campaign, limit=limit, stop=stop))

    def cancel(self, *, reference: str | None = None, destination: str | None = None) -> int:
        """Cancel what is queued under a reference, or for a destination, and return the number of messages.

        It is no list of people who do not want messages: what is queued later is sent.
        """
        return _rows.cancel(self._database, reference=reference, destination=destination)

    def campaign(
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
    ) -> Campaign:
        """A campaign: one text to many destinations, sent by `work` at one pace. It is created if it does not exist.

        Args:
            name: unique in the ledger, 1 to 255 characters; the gateway is given it as the reference.
            content: the text; None: the campaign must be there.
            rate: messages a second over all workers; None: as fast as they can.
            hours: when to send, two local times; the second may be on the next day. None: at any time.
            zone: IANA name of the time zone of ``hours``, such as ``"Pacific/Auckland"``.
            latest: no destination is claimed from then on; an aware datetime. REST v1 is given it as ``expires``.
            scheduled: see ``Modica.send``.
            expires: see ``Modica.send``; REST v1 only.
            source: see ``Modica.send``.
            class_: see ``Modica.send``.
            mask: see ``Modica.send``.
            sms_class: see ``Modica.send``.
            integration_id: see ``ModicaV2.send``; REST v2 only.

        Raises:
            InvalidRequestError: a value cannot be used, or the campaign is there with other settings.
        """
        _campaigns.create(
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
        return Campaign(self._database, name)

    def campaigns(self) -> dict[str, CampaignState]:
        """Where each campaign stands, by name.

        ``"new"``: `Campaign.start` was not called yet; ``"running"``: `work` sends for it; ``"waiting"``: it is outside
        its hours; ``"paused"``; ``"finished"``: nothing is queued any more; ``"expired"``: something is, but ``latest``
        is over; ``"cancelled"``.
        """
        return _campaigns.states(self._database)

    # Receipts, and what stays in doubt

    def record(self, receipt: DeliveryReceipt) -> Entry | None:
        """Note a delivery receipt: ``CallbackReceiver(on_receipt=ledger.record, username=..., password=...)``.

        In any order, any number of times, also before the answer to the send. A receipt that no row can be found for
        is kept, until the answer with its id comes or `reconcile` is called.

        Returns:
            The entry if the receipt moved it, else None.

        Raises:
            TransportError: the database failed; the receiver answers 500.
        """
        return _rows.record(self._database, receipt)

    def entry(self, reference: str, *, destination: str | None = None) -> Entry | None:
        """What is known of a message; None if nothing is.

        Args:
            reference: its own, or that of its broadcast or the name of its campaign.
            destination: needed for a recipient of a broadcast or campaign.
        """
        return _rows.entry(self._database, reference, destination)

    def unresolved(self, *, older_than: timedelta = timedelta()) -> list[Entry]:
        """The messages in doubt since at least ``older_than``, oldest first.

        Those of this moment's requests are among them: a request takes 90 s at most (``RetryPolicy.deadline``).
        """
        return _rows.unresolved(self._database, older_than)

    def reconcile(self, client: MessageClient) -> list[Entry]:
        """Settle what kept receipts can settle, by asking the gateway (``get`` only) which message they name.

        It concerns the rows that were last sent with the account of this client. A message that no receipt was ever
        received for stays in doubt.

        Returns:
            The entries that are settled now.

        Raises:
            ModicaError: whatever ``client.get`` raises, except for unknown ids.
        """
        return run(client, _attempts.reconcile(self._database, client))

    def settle(
        self, reference: str, *, sent: bool, message_id: str | UUID | None = None, destination: str | None = None
    ) -> Entry:
        """Write down a person's word about a message in doubt.

        Args:
            reference: as for `entry`.
            sent: False: `send` under this reference sends again; what `enqueue` or a campaign queued is queued again.
                True is also taken for what is queued or not sent, for instance after a backup was restored.
            message_id: its id, if known; receipts then find it.
            destination: as for `entry`.

        Raises:
            InvalidRequestError: there is no such message, or it is not in doubt.
        """
        return _rows.settle_by_hand(
            self._database,
            reference,
            destination,
            sent=sent,
            message_id=message_id,
        )

    # Housekeeping

    def counts(self) -> dict[str, int]:
        """How many messages stand at each state, and how many receipts are kept (``"receipts"``)."""
        return _rows.counts(self._database)

    def purge(self, *, older_than: timedelta, receipts_older_than: timedelta = timedelta(days=7)) -> int:
        """Delete messages that were settled before, never one that is queued or in doubt, and return their number.

        Their references are forgotten: a `send` under one of them sends.

        Args:
            older_than: how long ago they were settled.
            receipts_older_than: how long ago a kept receipt came.
        """
        return _rows.purge(self._database, older_than=older_than, receipts_older_than=receipts_older_than)


class Campaign:
    """A campaign of a ledger; made by `Ledger.campaign`.

    Attributes:
        name: its name.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def add(self, destinations: Iterable[str]) -> int:
        """Queue destinations and return how many were new. One already there is left alone, whatever became of it.

        Args:
            destinations: any iterable, pulled lazily; loaded ten thousand at a time, each of them or none.

        Raises:
            InvalidRequestError: one of them is not a number, or the campaign was cancelled.
        """
        return _campaigns.add(self._database, self.name, destinations)

    def start(self) -> None:
        """Let `Ledger.work` send.

        Raises:
            InvalidRequestError: it is paused or cancelled.
        """
        _campaigns.start(self._database, self.name)

    def pause(self) -> None:
        """Claim nothing more until `resume`. Requests that have been claimed go out.

        Raises:
            InvalidRequestError: it is not running.
        """
        _campaigns.pause(self._database, self.name)

    def resume(self) -> None:
        """Go on after `pause`.

        Raises:
            InvalidRequestError: it is not paused.
        """
        _campaigns.resume(self._database, self.name)

    def cancel(self) -> int:
        """End it for good and return how many destinations were still queued."""
        return _campaigns.cancel(self._database, self.name)

    def progress(self) -> dict[str, int]:
        """How many destinations stand where; each is counted once.

        ``queued``, ``in_doubt``, ``submitted`` (accepted, nothing final heard), ``delivered``, ``failed`` (accepted,
        and finally not delivered), ``refused``, ``cancelled``.
        """
        return _campaigns.progress(self._database, self.name)


def run(client: Any, steps: _attempts.Steps[T]) -> T:
    """Perform what an operation yields, on a blocking client."""
    if inspect.iscoroutinefunction(getattr(client, "send", None)):
        raise InvalidRequestError("this client is asynchronous: use it with AsyncLedger", field="client")
    try:
        step = next(steps)
        while True:
            try:
                result: Any = None
                if isinstance(step, timedelta):
                    time.sleep(step.total_seconds())
                else:
                    result = step(client)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the operation decides
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value
