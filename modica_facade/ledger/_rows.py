"""Operations that need no gateway, and what a request needs before and after it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from .._arguments import check_options, check_text
from .._matching import is_same_number
from .._rfc3339 import format_rfc3339
from ..errors import InvalidRequestError
from ..models import DeliveryReceipt, Message
from . import _statements as sql
from ._database import Database, Transaction
from ._decisions import NO_RANK, Claim, Entry, Row, Settlement, State, advances, furthest, match

_log = logging.getLogger("modica_facade.ledger")

_CHUNK: Final = 5000
"""Rows that one transaction deletes or cancels, so that others get their turn."""


MAX_LABEL: Final = 255
"""Characters of a reference, a name or a destination: what REST v2 takes (published specification), and what an index
of PostgreSQL holds."""


def send_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, checked as the client will check them.

    Raises:
        InvalidRequestError: one of them is certainly wrong.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if given:
        check_options(**given)
    return given


def text(name: str, value: object) -> str:
    """A text that both databases can keep.

    Raises:
        InvalidRequestError: it is not a str, empty, too long for an index, or has characters that no database or no SMS
            takes.
    """
    checked = check_text(name, value, max_length=None if name == "content" else MAX_LABEL)
    if "\0" in checked or (not checked.isascii() and _has_surrogate(checked)):
        raise InvalidRequestError(f"{name} holds a NUL or half a character, which cannot be stored", field=name)
    return checked


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def storable(value: str | None) -> str | None:
    """Somebody else's text with what cannot be stored replaced: it must not get in the way of what it came with."""
    if value is None or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def dump_options(options: Mapping[str, Any]) -> str:
    """Options as JSON: dates as RFC 3339 text, a UUID as text."""
    return json.dumps(
        {
            name: format_rfc3339(value)
            if isinstance(value, datetime)
            else value
            if isinstance(value, str | int)
            else str(value)
            for name, value in options.items()
        }
    )


# Rows out of the database


def moment(value: Any) -> datetime | None:
    if value is None:
        return None
    at: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)
    return at


def row(record: Sequence[Any]) -> Row:
    """A `Row` out of `_statements.COLUMNS`."""
    row_id, rank, content, options, destination, state, *texts = record[:13]
    return Row(
        id=row_id,
        rank=rank,
        content=content,
        options=options,
        entry=Entry(destination, state, *texts, *map(moment, record[13:])),
    )


def _entries(records: Iterable[Sequence[Any]]) -> list[Entry]:
    return [row(record).entry for record in records]


# Before a request


def put(
    transaction: Transaction,
    *,
    reference: str,
    destination: str,
    state: State,
    now: datetime,
    account: str | None = None,
    content: str | None = None,
    options: str | None = None,
) -> int | Entry:
    """The id of the row that this call may act on, since it is new or was not sent; otherwise what is known.

    Raises:
        InvalidRequestError: the reference belongs to another destination.
    """
    queued = now if state == "queued" else None
    while True:
        records = transaction.run(
            sql.PUT,
            account=account,
            reference=reference,
            destination=destination,
            content=content,
            options=options,
            state=state,
            due_at=queued,
            queued_at=queued,
            attempted_at=None if queued else now,
        )
        if records:
            return int(records[0][0])
        known = transaction.run(sql.FIND, reference=reference)
        if known:
            break
        # Purged in between: now it is new again.
    found = row(known[0]).entry
    if found.destination != destination:
        raise InvalidRequestError(
            f"reference {reference!r} belongs to a message for another destination; nothing was sent, "
            "give every message a reference of its own",
            field="reference",
        )
    return found


def claim_batch(
    transaction: Transaction,
    destinations: Sequence[str],
    *,
    batch: str,
    account: str,
    content: str,
    options: Mapping[str, Any],
) -> Claim:
    """Rows in doubt for the destinations that have none yet, or were not sent; perhaps for none of them."""
    now = transaction.now()
    records = transaction.run(sql.PUT_BATCH, account=account, batch=batch, now=now, each=json.dumps(destinations))
    claimed = {destination: row_id for row_id, destination in records}
    ids = {destination: claimed[destination] for destination in destinations if destination in claimed}
    return Claim(ids=ids, label=batch, attempted_at=now, content=content, options=options)


def batch_entries(database: Database, destinations: Sequence[str], *, batch: str) -> list[Entry]:
    """What is known of the destinations of a broadcast, in their order."""
    with database.transaction("read") as transaction:
        found = _entries(transaction.run(sql.FIND_BATCH, batch=batch, each=json.dumps(destinations)))
    by_destination = {entry.destination: entry for entry in found}
    return [by_destination[destination] for destination in destinations]


# After a request


def settle(
    transaction: Transaction,
    settlements: Sequence[Settlement],
    *,
    label: str,
    attempted_at: datetime | None = None,
    due_at: datetime | None = None,
) -> list[Entry]:
    """Write down what an attempt brought, with the receipts that overtook it, and return the rows that changed."""
    now = transaction.now()
    submitted = [each for each in settlements if each.state == "submitted"]
    unsent = [each for each in settlements if each.state != "submitted"]
    entries: list[Entry] = []
    # In this order: deleting keeps `record` from keeping one more receipt until this is committed.
    if len(submitted) == 1:
        kept = transaction.run(sql.TAKE_RECEIPTS_OF_ONE, message_id=submitted[0].message_id, label=label)
        changes = _submitted(submitted[0], [DeliveryReceipt(*receipt) for receipt in kept])
        entries += _entries(transaction.run(sql.SUBMITTED_ONE, **changes, now=now))
    elif submitted:
        ids = [each.message_id for each in submitted]
        early: dict[str, list[DeliveryReceipt]] = {}
        for message_id, status, reference in transaction.run(sql.TAKE_RECEIPTS, each=json.dumps(ids), label=label):
            early.setdefault(message_id, []).append(DeliveryReceipt(message_id, status, reference))
        rows = [_submitted(each, early.get(each.message_id or "", [])) for each in submitted]
        entries += _entries(transaction.run(sql.SUBMITTED, each=json.dumps(rows), now=now))
    if unsent:
        rows = [{"id": each.id, "state": each.state, "reason": storable(each.reason)} for each in unsent]
        entries += _entries(
            transaction.run(sql.UNSENT, each=json.dumps(rows), now=now, due_at=due_at, attempted_at=attempted_at)
        )
    return entries


def _submitted(settlement: Settlement, early: Sequence[DeliveryReceipt]) -> dict[str, Any]:
    status, rank = settlement.status, settlement.rank
    receipt = furthest(early)
    if receipt is not None and receipt.rank >= rank:
        status, rank = receipt.status, receipt.rank
    return {
        "row_id": settlement.id,
        "new_id": settlement.message_id,
        "new_status": storable(status),
        "new_rank": rank,
    }


# Receipts


def record(database: Database, receipt: DeliveryReceipt) -> Entry | None:
    """Move the row that a receipt is about, or keep the receipt until there is one."""
    if not isinstance(receipt, DeliveryReceipt):
        raise InvalidRequestError("record takes a DeliveryReceipt, as parse_callback makes it", field="receipt")
    receipt = DeliveryReceipt(
        receipt.message_id.lower(),
        storable(receipt.status) or "",
        storable(receipt.reference),
        storable(receipt.detail),
    )
    now = database.now()
    with database.transaction(consequence="the receipt is not recorded, have it delivered again") as transaction:
        found, entry = _move(transaction, receipt, now)
        if found:
            return entry
        # The answer with this id may be on its way into the table: once nobody is writing one, look again.
        transaction.lock_receipts()
        found, entry = _move(transaction, receipt, now)
        length = len(receipt.message_id) + len(receipt.status) + len(receipt.reference or "")
        if not found and length > 2 * MAX_LABEL:
            # An index cannot hold them; and no message of the ledger has such a reference, or an id that long.
            _log.warning("a receipt was not kept: its id, status and reference have %d characters", length)
        elif not found:
            transaction.run(
                sql.KEEP_RECEIPT,
                message_id=receipt.message_id,
                status=receipt.status,
                reference=receipt.reference or "",
                detail=receipt.detail,
                now=now,
            )
        return entry


def _move(transaction: Transaction, receipt: DeliveryReceipt, now: datetime) -> tuple[bool, Entry | None]:
    """Is the row there, and the entry if it moved."""
    while True:
        rows = map(row, transaction.run(sql.CANDIDATES, message_id=receipt.message_id, reference=receipt.reference))
        found = match(receipt, list(rows))
        if found is None:
            return False, None
        if not advances(found, receipt):
            return True, None
        moved = transaction.run(
            sql.MOVE,
            id=found.id,
            seen_rank=found.rank,
            message_id=receipt.message_id,
            status=receipt.status,
            rank=receipt.rank,
            now=now,
        )
        if moved:
            return True, row(moved[0]).entry
        # It changed between the two statements: decide by what it is now.


def reconcilable(database: Database, account: str) -> list[tuple[str, str]]:
    """Message ids of kept receipts, with their references, that rows of this account may be waiting for."""
    with database.transaction("read") as transaction:
        labels = {label for (label,) in transaction.run(sql.RECONCILABLE, account=account)}
        kept = transaction.run(sql.KEPT_RECEIPTS)
    return [(message_id, reference) for message_id, reference in kept if not reference or reference in labels]


def reconcile(database: Database, message: Message, *, reference: str, account: str) -> Entry | None:
    """Settle the row of a message that the gateway returned, if only one can be meant."""
    label = message.reference or reference
    with database.transaction() as transaction:
        records = transaction.run(sql.RECONCILE, destination=message.destination, label=label, account=account)
        found = [row(record) for record in records]
        if not found:
            in_doubt = map(row, transaction.run(sql.RECONCILE_IN_DOUBT, label=label, account=account))
            found = [each for each in in_doubt if is_same_number(each.entry.destination, message.destination)]
        if len(found) != 1:
            return None
        rank = NO_RANK if message.status is None else DeliveryReceipt("", message.status).rank
        settlement = Settlement(
            id=found[0].id, state="submitted", message_id=message.id, status=message.status, rank=rank
        )
        return next(iter(settle(transaction, [settlement], label=label)), None)


# The queue


def enqueue(
    database: Database, destination: str, content: str, *, reference: str, connection: object, **options: Any
) -> Entry:
    """Queue one message. A reference that is known is left as it is, unless it was not sent."""
    for name, value in (("destination", destination), ("content", content), ("reference", reference)):
        text(name, value)
    given = dump_options(send_options(options))
    transaction = (
        database.transaction(consequence="nothing was queued, call again later")
        if connection is None
        else database.caller_transaction(connection)
    )
    with transaction as queue:
        put(
            queue,
            reference=reference,
            destination=destination,
            state="queued",
            now=database.now(),
            content=content,
            options=given,
        )
        return row(queue.run(sql.FIND, reference=reference)[0]).entry


def cancel(database: Database, *, reference: str | None, destination: str | None) -> int:
    """Cancel what is queued and return the number of rows."""
    if (reference is None) is (destination is None):
        raise InvalidRequestError("give either reference or destination to cancel", field="reference")
    if reference is not None:
        text("reference", reference)
    if destination is not None:
        text("destination", destination)
    now = database.now()
    with database.transaction() as transaction:
        if reference is not None:
            return transaction.change(sql.CANCEL_REFERENCE, reference=reference, now=now)
        return sum(
            transaction.change(statement, destination=destination, now=now)
            for statement in (sql.CANCEL_SINGLE, sql.CANCEL_IN_CAMPAIGNS)
        )


# For people


def _find(transaction: Transaction, reference: str, destination: str | None) -> Row | None:
    text("reference", reference)
    if destination is None:
        records = transaction.run(sql.FIND, reference=reference)
    else:
        text("destination", destination)
        records = transaction.run(sql.FIND_RECIPIENT, label=reference, destination=destination)
        records = records or [
            each
            for each in transaction.run(sql.FIND, reference=reference)
            if row(each).entry.destination == destination
        ]
    return row(records[0]) if records else None


def entry(database: Database, reference: str, destination: str | None) -> Entry | None:
    """The entry of a reference, or of one recipient of a broadcast or campaign."""
    with database.transaction("read") as transaction:
        found = _find(transaction, reference, destination)
    return None if found is None else found.entry


def unresolved(database: Database, older_than: timedelta) -> list[Entry]:
    """What is in doubt, oldest first."""
    with database.transaction("read") as transaction:
        return _entries(transaction.run(sql.UNRESOLVED, until=database.now() - older_than))


def settle_by_hand(
    database: Database, reference: str, destination: str | None, *, sent: bool, message_id: str | UUID | None
) -> Entry:
    """Write down a person's word."""
    if not isinstance(sent, bool):
        raise InvalidRequestError("sent must be True or False", field="sent")
    if message_id is not None and not sent:
        raise InvalidRequestError("a message that was not sent has no message_id", field="message_id")
    now = database.now()
    with database.transaction() as transaction:
        found = _find(transaction, reference, destination)
        if found is None:
            raise InvalidRequestError(
                "the ledger has no such message; for a recipient of a broadcast or campaign give destination as well",
                field="reference",
            )
        state = found.entry.state
        if state not in ({"in_doubt", "queued", "not_sent"} if sent else {"in_doubt"}):
            raise InvalidRequestError(f"this message stands at {state}: there is nothing to settle", field="reference")
        entries: list[Entry]
        if sent and message_id is not None:
            settlement = Settlement(id=found.id, state="submitted", message_id=str(message_id).lower())
            entries = settle(transaction, [settlement], label=found.entry.label)
        elif sent:
            entries = _entries(transaction.run(sql.PERSON_SENT, id=found.id, state=state, now=now))
        else:
            # A campaign keeps the text of its rows.
            queued = found.content is not None or found.entry.campaign is not None
            entries = _entries(
                transaction.run(
                    sql.PERSON_NOT_SENT,
                    id=found.id,
                    new_state="queued" if queued else "not_sent",
                    due_at=now if queued else None,
                    attempted_at=found.entry.attempted_at,
                    now=now,
                )
            )
        if not entries:
            raise InvalidRequestError("this message was settled at the same moment; look again", field="reference")
        return entries[0]


def counts(database: Database) -> dict[str, int]:
    """How many rows stand where, and how many receipts are kept."""
    states: tuple[State, ...] = ("queued", "in_doubt", "submitted", "refused", "not_sent", "cancelled")
    with database.transaction("read") as transaction:
        found = dict(transaction.run(sql.COUNTS))
        ((receipts,),) = transaction.run(sql.COUNT_RECEIPTS)
    return {**{state: int(found.get(state, 0)) for state in states}, "receipts": int(receipts)}


def purge(database: Database, *, older_than: timedelta, receipts_older_than: timedelta) -> int:
    """Delete what was settled before and return the number of rows."""
    now = database.now()
    with database.transaction("fast") as transaction:
        transaction.run(sql.PURGE_RECEIPTS, until=now - receipts_older_than)
    deleted, after = 0, 0
    while True:
        with database.transaction("fast") as transaction:
            ids = [row_id for (row_id,) in transaction.run(sql.PURGE, after=after, until=now - older_than, room=_CHUNK)]
        if not ids:
            return deleted
        deleted, after = deleted + len(ids), max(ids)
