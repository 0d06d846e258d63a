"""Operations that ask the gateway, as generators: the work between two requests is done here, what is yielded is not.

`Ledger` performs what they yield on a blocking client; `AsyncLedger` runs each step in a thread and awaits what is
yielded. A row is in doubt, and that is committed, before its request is yielded.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final, TypeVar

from attrs import evolve

from .._arguments import check_iterable
from .._bulk import check_count
from .._retry import RetryPolicy
from ..errors import (
    ConfigurationError,
    InvalidRequestError,
    ModicaError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    UnexpectedResponseError,
)
from . import _campaigns, _rows
from . import _statements as sql
from ._database import Database
from ._decisions import Claim, Entry, accepted, failed, next_step, retry_delay

_log = logging.getLogger("modica_facade.ledger")

T = TypeVar("T")

BATCH: Final = 100
"""Destinations of one request of a campaign: how many people one crash puts in doubt."""

MAX_BROADCAST: Final = 1000
"""Destinations of one broadcast (published specification)."""

HOLD: Final = timedelta(seconds=10)
"""How long a campaign waits, at every worker, after a response that says that the gateway is not well."""

RETRY_DELAY: Final = timedelta(seconds=60)
"""How long a queued message waits after it could not be sent; by then the client has tried several times."""

_NOTHING_SENT: Final = "nothing was sent, call again later"

Request = Callable[[Any], Any]
"""Given the client, the call to make; what it returns is awaited where the client is asynchronous."""

Steps = Generator[Request | timedelta, Any, T]
"""Yields requests, and how long to wait."""


# What the ledger has to know of a client


def _check_client(client: Any) -> None:
    if not callable(getattr(client, "send", None)) or not callable(getattr(client, "get", None)):
        raise InvalidRequestError("client must be a Modica, a ModicaV2 or their async twin", field="client")


def _account(client: Any) -> str:
    account: str = getattr(client, "_account", type(client).__qualname__)
    return account


def _has_broadcast(client: Any) -> bool:
    return hasattr(client, "broadcast")


def _unsupported(client: Any, options: Mapping[str, Any]) -> str | None:
    """The name of an option that the client's REST version does not have."""
    if not options:
        return None
    parameters = inspect.signature(client.send).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return next((name for name in options if name not in parameters), None)


def _given(client: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, checked before there is a row."""
    given = _rows.send_options(options)
    if name := _unsupported(client, given):
        raise InvalidRequestError(f"{name} is not an option of this client's REST version", field=name)
    return given


# One request


def _attempt(database: Database, claim: Claim, left: timedelta = timedelta.max) -> Steps[list[Entry] | ModicaError]:
    """One request for the rows of a claim, and what it settles: the rows, or the error."""
    try:
        result = yield functools.partial(make_request, claim=claim, left=left)
    except ModicaError as error:
        _settle_failure(database, claim, error)
        return error
    settlements = accepted(claim, result)
    try:
        with database.transaction(
            "fast",
            failure=OutcomeUnknownError,
            consequence="the gateway has answered, but the message stays in doubt in the ledger: do not send it again, "
            "a delivery receipt settles it, or settle()",
        ) as transaction:
            return _rows.settle(transaction, settlements, label=claim.label, attempted_at=claim.attempted_at)
    except OutcomeUnknownError as error:
        error.reference = claim.label
        raise


def make_request(client: Any, *, claim: Claim, left: timedelta) -> Any:
    """The one request of a claim; it may take what is left of the campaign's time."""
    if left is not timedelta.max:
        retry = getattr(client, "_retry", None) or RetryPolicy()
        # A policy takes no deadline below a millisecond.
        deadline = max(0.001, min(retry.deadline, left.total_seconds()))
        client = client.with_options(retry=evolve(retry, deadline=deadline))
    if claim.is_broadcast:
        return client.broadcast(list(claim.ids), claim.content, reference=claim.label, **claim.options)
    (destination,) = claim.ids
    return client.send(destination, claim.content, reference=claim.label, **claim.options)


def _settle_failure(database: Database, claim: Claim, error: ModicaError) -> None:
    due_at = None
    if claim.queued:
        # What a person has to put right need not wait: `work` has stopped until then.
        waits = next_step(error, claim) != "stop"
        due_at = database.now() + (retry_delay(error, RETRY_DELAY) if waits else timedelta())
    try:
        with database.transaction("fast") as transaction:
            _rows.settle(
                transaction, failed(claim, error), label=claim.label, attempted_at=claim.attempted_at, due_at=due_at
            )
    except ModicaError as failure:
        error.add_note(f"The ledger could not note this, the message stays in doubt there: {failure}")


# What Ledger and AsyncLedger offer


def send(
    database: Database, client: Any, destination: str, content: str, *, reference: str, **options: Any
) -> Steps[Entry]:
    """Send one message, unless its reference shows that this was done."""
    _check_client(client)
    given = _given(client, options)
    for name, value in (("destination", destination), ("content", content), ("reference", reference)):
        _rows.text(name, value)
    now = database.now()
    with database.transaction("single", failure=NotSentError, consequence=_NOTHING_SENT) as transaction:
        found = _rows.put(
            transaction,
            reference=reference,
            destination=destination,
            state="in_doubt",
            now=now,
            account=_account(client),
        )
    if isinstance(found, Entry):
        return found
    claim = Claim(ids={destination: found}, label=reference, attempted_at=now, content=content, options=given)
    result = yield from _attempt(database, claim)
    if isinstance(result, ModicaError):
        raise result
    if not result:
        # It was given another id meanwhile, which stays.
        result = [entry for entry in [_rows.entry(database, reference, None)] if entry is not None]
    return result[0]


def broadcast(
    database: Database, client: Any, destinations: Sequence[str], content: str, *, reference: str, **options: Any
) -> Steps[list[Entry]]:
    """Send to those of 1 to 1000 destinations that have not been tried, in one request."""
    _check_client(client)
    if not _has_broadcast(client):
        raise InvalidRequestError("REST v2 has no broadcast; use broadcast_many", field="client")
    check_iterable(destinations)
    given = [_rows.text("destinations", each) for each in destinations]
    if not 1 <= len(given) <= MAX_BROADCAST:
        raise InvalidRequestError(
            f"a broadcast takes 1 to {MAX_BROADCAST} destinations, not {len(given)}; use broadcast_many for more",
            field="destinations",
        )
    if len(set(given)) != len(given):
        raise InvalidRequestError(
            "a destination is there twice, and each gets one message of a broadcast; nothing was sent",
            field="destinations",
        )
    _rows.text("content", content)
    _rows.text("reference", reference)
    return (yield from _send_batch(database, client, given, content, reference, _given(client, options)))


def broadcasts(
    database: Database,
    client: Any,
    destinations: Iterable[str],
    content: str,
    *,
    reference: str,
    batch_size: int,
    **options: Any,
) -> Iterator[Steps[list[Entry]]]:
    """The requests of a broadcast of any size, one after the other; arguments are checked at once."""
    _check_client(client)
    given = _given(client, options)
    check_iterable(destinations)
    _rows.text("content", content)
    _rows.text("reference", reference)
    size = check_count("batch_size", batch_size, MAX_BROADCAST) if _has_broadcast(client) else 1
    remaining = iter(destinations)

    def batches() -> Iterator[Steps[list[Entry]]]:
        while batch := [_rows.text("destinations", each) for each in islice(remaining, size)]:
            yield _send_batch(database, client, list(dict.fromkeys(batch)), content, reference, given)

    return batches()


def _send_batch(
    database: Database, client: Any, destinations: list[str], content: str, reference: str, options: dict[str, Any]
) -> Steps[list[Entry]]:
    with database.transaction(failure=NotSentError, consequence=_NOTHING_SENT) as transaction:
        claim = _rows.claim_batch(
            transaction, destinations, batch=reference, account=_account(client), content=content, options=options
        )
    if claim.ids:
        result = yield from _attempt(database, evolve(claim, is_broadcast=_has_broadcast(client)))
        if isinstance(result, ModicaError):
            raise result
    return _rows.batch_entries(database, destinations, batch=reference)


def work(
    database: Database, client: Any, *, campaign: str | None, limit: int | None, stop: Callable[[], bool] | None = None
) -> Steps[int]:
    """Claim and send what is due, one request after another, and return how many messages were tried."""
    _check_client(client)
    if limit is not None:
        check_count("limit", limit, sys.maxsize)
    done = 0
    while (limit is None or done < limit) and not (stop is not None and stop()):
        left = timedelta.max
        claim: Claim | None
        if campaign is None:
            claim = _claim_single(database, client)
        else:
            most = BATCH if _has_broadcast(client) else 1
            turn = _campaigns.take_turn(database, campaign, most if limit is None else min(most, limit - done))
            if turn == _campaigns.NOTHING:
                break
            if turn.wait > timedelta():
                yield turn.wait
            if not turn.size or (stop is not None and stop()):
                continue
            claim, left = _claim_in_campaign(database, client, campaign, turn.size)
        if claim is None:
            break
        done += len(claim.ids)
        result = yield from _attempt(database, claim, left)
        if not isinstance(result, ModicaError) or (step := next_step(result, claim)) == "continue":
            continue
        if campaign is not None:
            _campaigns.hold(database, campaign, retry_delay(result, HOLD))
        if step == "stop":
            raise result
        _log.warning("work ends early after %s; what was not tried stays queued", type(result).__name__)
        break
    return done


def _claim_single(database: Database, client: Any) -> Claim | None:
    """The next message of the queue, which its request takes alone."""
    now = database.now()
    with database.transaction(failure=NotSentError, consequence=_NOTHING_SENT) as transaction:
        records = transaction.run(sql.CLAIM_SINGLE, now=now, account=_account(client), room=1)
        if not records:
            return None
        row = _rows.row(records[0])
        options: dict[str, Any] = json.loads(row.options or "{}")
        if name := _unsupported(client, options):
            # Raised inside the block: the claim is rolled back.
            raise ConfigurationError(
                f"message {row.entry.label!r} was queued with {name}, which this client's REST version does not have; "
                "work with the other client, or cancel it"
            )
    return Claim(
        ids={row.entry.destination: row.id},
        label=row.entry.label,
        attempted_at=now,
        queued=True,
        content=row.content or "",
        options=options,
    )


def _claim_in_campaign(database: Database, client: Any, name: str, room: int) -> tuple[Claim | None, timedelta]:
    """The next destinations of a campaign, and how long it may still send."""
    with database.transaction(failure=NotSentError, consequence=_NOTHING_SENT) as transaction:
        # Only now: the transaction may have waited for another writer.
        now = transaction.now()
        campaign = _campaigns.find(transaction, name)
        left = _campaigns.may_send(campaign, now)
        if left is None:
            return None, timedelta()
        options = campaign.request_options(has_broadcast=_has_broadcast(client), now=now)
        if unsupported := _unsupported(client, options):
            raise ConfigurationError(
                f"campaign {name!r} has {unsupported}, which this client's REST version does not have; "
                "work with the other client"
            )
        records = transaction.run(sql.CLAIM_IN_CAMPAIGN, campaign=name, now=now, account=_account(client), room=room)
    if not records:
        return None, left
    claim = Claim(
        ids={row.entry.destination: row.id for row in map(_rows.row, records)},
        label=name,
        attempted_at=now,
        queued=True,
        is_broadcast=_has_broadcast(client),
        is_campaign=True,
        content=campaign.content,
        options=options,
    )
    return claim, left


def reconcile(database: Database, client: Any) -> Steps[list[Entry]]:
    """Ask the gateway which messages the kept receipts name, and settle what they show."""
    _check_client(client)
    moved: list[Entry] = []
    unreadable = 0
    for message_id, reference in _rows.reconcilable(database, _account(client)):
        try:
            message = yield functools.partial(_get, message_id=message_id)
        except (NotFoundError, InvalidRequestError):
            continue  # an id of another gateway, or of the other REST version
        except UnexpectedResponseError:
            unreadable += 1
            continue
        entry = _rows.reconcile(database, message, reference=reference, account=_account(client))
        if entry is not None:
            moved.append(entry)
    if unreadable:
        _log.warning("reconcile could not read %d answers; what they are about stays in doubt", unreadable)
    return moved


def _get(client: Any, *, message_id: str) -> Any:
    return client.get(message_id)
