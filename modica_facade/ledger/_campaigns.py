"""Campaigns: one text to many destinations, at one pace that all workers share. The row of a campaign is the truth."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import field, frozen

from .._arguments import check_iterable
from ..errors import InvalidRequestError
from ..models import DeliveryReceipt
from . import _rows
from . import _statements as sql
from ._database import Database, Transaction
from ._decisions import CampaignState, Schedule, standing, time_left

_CHUNK: Final = 10_000
"""Destinations that one transaction loads."""

_MAX_EXPIRES: Final = timedelta(days=60)
"""A later ``latest`` is not given to the gateway as ``expires``."""


AHEAD: Final = timedelta(seconds=1)
"""How far ahead a worker takes its turn; until it is as near as that, it looks again every so often."""


@frozen
class Turn:
    """What the pace says to a worker.

    Attributes:
        size: how many destinations its next request may have; 0: it is not its turn yet.
        wait: until that request; or until it looks again.
    """

    size: int
    wait: timedelta


NOTHING: Final = Turn(0, timedelta())
"""There is nothing to send for now."""


@frozen(kw_only=True)
class Settings:
    """What a campaign was created with, and its state."""

    content: str = field(repr=False)
    options: Mapping[str, Any]
    rate: float | None
    schedule: Schedule
    state: CampaignState = field(default="new", eq=False)

    def request_options(self, *, has_broadcast: bool, now: datetime) -> dict[str, Any]:
        """The options of its requests: REST v1 is told as well when to give up."""
        latest = self.schedule.latest
        if latest is None or not has_broadcast or "expires" in self.options or latest - now > _MAX_EXPIRES:
            return dict(self.options)
        return {**self.options, "expires": latest}


def settings(
    content: str,
    *,
    rate: float | None,
    hours: tuple[str, str] | None,
    zone: str | None,
    latest: datetime | None,
    **options: Any,
) -> Settings:
    """The settings of a campaign, checked.

    Raises:
        InvalidRequestError: one of them cannot be used.
    """
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf):
        raise InvalidRequestError("rate must be messages a second, more than 0", field="rate")
    if latest is not None and (not isinstance(latest, datetime) or latest.utcoffset() is None):
        raise InvalidRequestError("latest must be an aware datetime", field="latest")
    opens = closes = None
    if hours is not None:
        try:
            opens, closes = map(time.fromisoformat, hours)
        except (TypeError, ValueError) as error:
            raise InvalidRequestError('hours must be two times like ("08:00", "20:00")', field="hours") from error
        if opens == closes or opens.tzinfo or closes.tzinfo:
            raise InvalidRequestError("hours must be two different local times", field="hours")
        if zone is None:
            raise InvalidRequestError('hours need a zone, such as "Pacific/Auckland"', field="zone")
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
            raise InvalidRequestError(
                "zone is not a time zone that this system knows; on Windows install tzdata", field="zone"
            ) from error
    elif zone is not None:
        raise InvalidRequestError("zone says what hours mean; give hours as well", field="zone")
    return Settings(
        content=_rows.text("content", content),
        options=json.loads(_rows.dump_options(_rows.send_options(options))),
        rate=None if rate is None else float(rate),
        schedule=Schedule(opens=opens, closes=closes, zone=zone, latest=latest),
    )


def create(database: Database, name: str, content: str | None, **given: Any) -> None:
    """Make sure that a campaign is there.

    Raises:
        InvalidRequestError: it is not and there is no text to create it with; or it is there with other settings.
    """
    _rows.text("name", name)
    if content is None and any(value is not None for value in given.values()):
        raise InvalidRequestError("give content as well to create a campaign, or the name alone", field="content")
    wanted = None if content is None else settings(content, **given)
    with database.transaction() as transaction:
        if wanted is not None:
            schedule = wanted.schedule
            transaction.run(
                sql.CREATE_CAMPAIGN,
                name=name,
                content=wanted.content,
                options=json.dumps(dict(wanted.options)),
                rate=wanted.rate,
                opens=None if schedule.opens is None else schedule.opens.isoformat(),
                closes=None if schedule.closes is None else schedule.closes.isoformat(),
                zone=schedule.zone,
                latest=schedule.latest,
            )
        found = find(transaction, name)
    if wanted is not None and found != wanted:
        raise InvalidRequestError(
            f"campaign {name!r} is there with other settings; give the new one another name", field="name"
        )


def find(transaction: Transaction, name: str) -> Settings:
    """A campaign as it stands.

    Raises:
        InvalidRequestError: there is none of that name.
    """
    records = transaction.run(sql.FIND_CAMPAIGN, name=name)
    if not records:
        raise InvalidRequestError(f"there is no campaign {name!r}; create it with content=", field="name")
    return _settings(records[0])


def _settings(record: Sequence[Any]) -> Settings:
    content, options, state, rate, opens, closes, zone, latest = record
    return Settings(
        content=content,
        options=json.loads(options),
        rate=rate,
        schedule=Schedule(
            opens=None if opens is None else time.fromisoformat(opens),
            closes=None if closes is None else time.fromisoformat(closes),
            zone=zone,
            latest=_rows.moment(latest),
        ),
        state=state,
    )


def may_send(campaign: Settings, now: datetime) -> timedelta | None:
    """How long it may still send; None: it may not send now."""
    return time_left(campaign.schedule, now) if campaign.state == "running" else None


def take_turn(database: Database, name: str, room: int) -> Turn:
    """Reserve the time of one request for at most so many destinations, if it is near."""
    now = database.now()
    with database.transaction("read") as transaction:
        campaign = find(transaction, name)
        if may_send(campaign, now) is None:
            return NOTHING
        ((wait,),) = transaction.run(sql.WAIT, name=name)
    if campaign.rate is not None:
        room = min(room, max(1, int(campaign.rate)))
        with database.transaction("fast") as transaction:
            # Time is reserved for what is there only: an idle worker would push the pace ahead.
            ((room,),) = transaction.run(sql.DUE_IN_CAMPAIGN, campaign=name, now=now, room=room)
            if not room:
                return NOTHING
            turn = transaction.run(sql.TAKE_TURN, name=name, step=room / campaign.rate, ahead=AHEAD.total_seconds())
        return Turn(room, _seconds(turn[0][0])) if turn else Turn(0, AHEAD)
    wait = _seconds(wait)
    return Turn(room, wait) if wait <= AHEAD else Turn(0, AHEAD)


def _seconds(wait: Any) -> timedelta:
    return timedelta(seconds=max(0.0, float(wait)))


def hold(database: Database, name: str, pause: timedelta) -> None:
    """Let every worker wait before the next request."""
    with database.transaction("fast") as transaction:
        transaction.run(sql.HOLD, name=name, seconds=pause.total_seconds())


def add(database: Database, name: str, destinations: Iterable[str]) -> int:
    """Queue destinations and return how many were new."""
    check_iterable(destinations)
    remaining = iter(destinations)
    added = 0
    with database.transaction("read") as transaction:
        if find(transaction, name).state == "cancelled":
            raise InvalidRequestError(f"campaign {name!r} was cancelled; create another one", field="name")
    while chunk := [_rows.text("destinations", each) for each in islice(remaining, _CHUNK)]:
        with database.transaction(consequence="call add again, what is there already is left alone") as transaction:
            added += transaction.change(sql.ADD, campaign=name, each=json.dumps(chunk), now=database.now())
    return added


def start(database: Database, name: str) -> None:
    """Let a new campaign send."""
    _move(database, name, "running", before=("new",))


def pause(database: Database, name: str) -> None:
    """Claim nothing more for now."""
    _move(database, name, "paused", before=("running",))


def resume(database: Database, name: str) -> None:
    """Go on after a pause."""
    _move(database, name, "running", before=("paused",))


def _move(database: Database, name: str, new_state: str, *, before: tuple[str, ...]) -> None:
    with database.transaction() as transaction:
        moved = transaction.run(sql.MOVE_CAMPAIGN, name=name, new_state=new_state, each=json.dumps(before))
        # Somebody else may have moved it at the same moment.
        if not moved and (state := find(transaction, name).state) != new_state:
            raise InvalidRequestError(f"campaign {name!r} stands at {state}", field="name")


def cancel(database: Database, name: str) -> int:
    """End a campaign and return how many destinations were still queued."""
    _move(database, name, "cancelled", before=("new", "running", "paused"))
    cancelled = 0
    while True:
        with database.transaction() as transaction:
            count = transaction.change(sql.CANCEL_CAMPAIGN, campaign=name, now=database.now(), room=_CHUNK)
        if not count:
            return cancelled
        cancelled += count


def states(database: Database) -> dict[str, CampaignState]:
    """Where each campaign stands, by name."""
    now = database.now()
    with database.transaction("read") as transaction:
        records = transaction.run(sql.CAMPAIGNS)
    found = [(name, _settings(record), bool(has_queued)) for name, *record, has_queued in records]
    return {
        name: standing(campaign.state, campaign.schedule, has_queued=has_queued, now=now)
        for name, campaign, has_queued in found
    }


def progress(database: Database, name: str) -> dict[str, int]:
    """How many destinations stand where; together they are all of them."""
    found: dict[str, int] = dict.fromkeys(
        ("queued", "in_doubt", "submitted", "delivered", "failed", "refused", "cancelled"), 0
    )
    with database.transaction("read") as transaction:
        find(transaction, name)
        for state, status, count in transaction.run(sql.PROGRESS, campaign=name):
            receipt = None if status is None else DeliveryReceipt("", status)
            if receipt is not None and receipt.is_final:
                found["delivered" if receipt.is_delivered else "failed"] += count
            else:
                found[state] += count
    return found
