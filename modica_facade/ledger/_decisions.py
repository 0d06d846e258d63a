"""What a row is, and the decisions: what an answer proves, which row a receipt moves, when to send. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from attrs import field, frozen

from ..errors import (
    GatewayError,
    InvalidRequestError,
    ModicaError,
    NotSentError,
    RateLimitError,
    RejectedError,
    SendFailedError,
    UnexpectedResponseError,
)
from ..models import BroadcastOutcome, BroadcastResult, DeliveryReceipt, SubmittedMessage

CampaignState = Literal["new", "running", "waiting", "paused", "finished", "expired", "cancelled"]

State = Literal["queued", "in_doubt", "submitted", "refused", "not_sent", "cancelled"]

NO_RANK: Final = -1
"""The rank of a message of which no status is known; an undocumented status has 0."""


@frozen
class Entry:
    """A message in the ledger.

    Attributes:
        destination: the number, as given.
        state: ``"queued"``; ``"in_doubt"``: the request may have left and nothing has proved its outcome yet;
            ``"submitted"``: the gateway accepted it; ``"refused"``: it would refuse it again; ``"not_sent"``: it
            certainly was not sent, and the same call sends it; ``"cancelled"``.
        reference: the reference of a message that has one of its own, else None.
        batch: the reference of the broadcast it belongs to, else None.
        campaign: the name of the campaign it belongs to, else None.
        message_id: the gateway's id, or None.
        status: the furthest status that a receipt reported, as received, or None; compares with `DeliveryStatus`.
        reason: why it was refused, not sent or is in doubt, or None.
        account: API version, host and application name it was last sent with, or None.
        due_at: when a queued message may be sent.
        queued_at: when it was queued; None if it was sent at once.
        attempted_at: when the last attempt began.
        settled_at: when the outcome of that attempt became known.
        status_at: when ``status`` was recorded.
    """

    destination: str
    state: State
    reference: str | None = None
    batch: str | None = None
    campaign: str | None = None
    message_id: str | None = None
    status: str | None = None
    reason: str | None = None
    account: str | None = None
    due_at: datetime | None = None
    queued_at: datetime | None = None
    attempted_at: datetime | None = None
    settled_at: datetime | None = None
    status_at: datetime | None = None

    @property
    def may_have_been_sent(self) -> bool:
        """True in doubt and submitted."""
        return self.state in {"in_doubt", "submitted"}

    @property
    def is_delivered(self) -> bool:
        """True if a receipt says that the handset has it."""
        return self.status is not None and DeliveryReceipt("", self.status).is_delivered

    @property
    def label(self) -> str:
        """What the gateway was given as its reference, and repeats in receipts."""
        return self.reference or self.batch or self.campaign or ""


@frozen(kw_only=True)
class Row:
    """An `Entry` with what only the ledger needs."""

    id: int
    rank: int
    content: str | None
    options: str | None
    entry: Entry


@frozen(kw_only=True)
class Settlement:
    """What is known of one row after an attempt."""

    id: int
    state: State
    message_id: str | None = None
    status: str | None = None
    rank: int = NO_RANK
    reason: str | None = None


@frozen(kw_only=True)
class Claim:
    """Rows put in doubt by one attempt: the destinations of one request.

    Attributes:
        ids: destination -> row, in the order of the request.
        label: the reference that the gateway is given.
        attempted_at: identifies the attempt; only the attempt that holds a row says that it was not sent.
        content: the text.
        options: the options of the request.
        queued: what was certainly not sent goes back to the queue; otherwise it is the caller's to repeat.
        is_broadcast: the request is a broadcast.
        is_campaign: text and options are those of a campaign.
    """

    ids: Mapping[str, int]
    label: str
    attempted_at: datetime
    content: str = field(repr=False)
    options: Mapping[str, Any]
    queued: bool = False
    is_broadcast: bool = False
    is_campaign: bool = False


# What an attempt proves


def accepted(claim: Claim, result: SubmittedMessage | BroadcastResult) -> list[Settlement]:
    """The rows of a request that was answered as documented."""
    if isinstance(result, SubmittedMessage):
        (row_id,) = claim.ids.values()
        rank = NO_RANK if result.status is None else rank_of(result.status)
        return [Settlement(id=row_id, state="submitted", message_id=result.id, status=result.status, rank=rank)]
    return _attribute(claim, result, "in_doubt", "the answer does not name this destination")


def failed(claim: Claim, error: ModicaError) -> list[Settlement]:
    """The rows of a request that raised; an answer that can be read in part settles that part."""
    outcomes = error.outcomes if isinstance(error, UnexpectedResponseError) else ()
    return _attribute(claim, outcomes, state_after(error, claim), str(error))


def _attribute(claim: Claim, outcomes: Iterable[BroadcastOutcome], otherwise: State, reason: str) -> list[Settlement]:
    """The outcomes as the client has matched them to destinations, and what the rest comes to."""
    known = {outcome.destination: outcome for outcome in outcomes}
    return [
        _outcome(row_id, known[destination])
        if destination in known
        else Settlement(id=row_id, state=otherwise, reason=reason)
        for destination, row_id in claim.ids.items()
    ]


def _outcome(row_id: int, outcome: BroadcastOutcome) -> Settlement:
    if outcome.id is not None:
        return Settlement(id=row_id, state="submitted", message_id=outcome.id)
    return Settlement(id=row_id, state="refused", reason=outcome.reason or "the gateway gave no reason")


def state_after(error: ModicaError, claim: Claim) -> State:
    """Where a failed attempt leaves its rows. What may have been sent stays in doubt.

    Refused is only what would be refused again as it is. A wrong password, a missing permission or a gateway that
    cannot be reached burns neither a reference nor a queue; nor do settings of a campaign that are refused here.
    """
    if error.may_have_been_sent:
        return "in_doubt"
    if isinstance(error, RejectedError):
        return "refused"
    if isinstance(error, InvalidRequestError) and claim.queued and not claim.is_campaign:
        return "refused"
    return "queued" if claim.queued else "not_sent"


def next_step(error: ModicaError, claim: Claim) -> Literal["continue", "pause", "stop"]:
    """What a worker does after a failed attempt.

    Continue: it was about this one message. Pause: the gateway or the network is not well, and the next request would
    fare no better now, or put more people in doubt. Stop: a person has to put something right.
    """
    if error.may_have_been_sent or isinstance(error, NotSentError | RateLimitError):
        return "pause"
    if isinstance(error, SendFailedError):
        return "pause" if claim.is_campaign else "continue"
    if isinstance(error, RejectedError):
        # A broadcast answers for each destination; refused as a whole are its text or its options.
        return "stop" if claim.is_broadcast else "continue"
    if isinstance(error, InvalidRequestError):
        return "stop" if claim.is_campaign else "continue"
    return "pause" if isinstance(error, GatewayError) and error.status_code == 425 else "stop"


def retry_delay(error: ModicaError, least: timedelta) -> timedelta:
    """How long to wait before another try: what the gateway asked for, at most a day, and not less than ``least``."""
    asked = error.retry_after if isinstance(error, GatewayError) else None
    return max(least, timedelta(seconds=min(asked or 0.0, 86_400.0)))


# Receipts


def rank_of(status: str) -> int:
    """How far along a message with this status is; 0 for a status that nobody documents."""
    return DeliveryReceipt("", status).rank


def advances(row: Row, receipt: DeliveryReceipt) -> bool:
    """Does the receipt move the row? Duplicates and stragglers do not."""
    return (receipt.rank, receipt.status) > (row.rank, row.entry.status or "")


def match(receipt: DeliveryReceipt, rows: Sequence[Row]) -> Row | None:
    """The one row that a receipt is about, or None.

    Args:
        receipt: what came.
        rows: those with its message id, and the one that has its reference as its own and no message id yet. The
            reference of a broadcast or a campaign is shared, so it never says which row is meant.
    """
    same_id = [
        row
        for row in rows
        if row.entry.message_id is not None
        and (not receipt.reference or not row.entry.label or receipt.reference == row.entry.label)
    ]
    if same_id:
        # Two gateways may give out the same id.
        return same_id[0] if len(same_id) == 1 else None
    return next((row for row in rows if row.entry.message_id is None), None)


def furthest(receipts: Sequence[DeliveryReceipt]) -> DeliveryReceipt | None:
    """The receipt that says where a message is."""
    return max(receipts, key=lambda receipt: (receipt.rank, receipt.status), default=None)


# Campaigns


@frozen(kw_only=True)
class Schedule:
    """When a campaign may send.

    Attributes:
        opens: local time at which a day's sending begins, or None: at any time.
        closes: local time at which it ends; before ``opens``: on the next day.
        zone: IANA name of the time zone of both.
        latest: nothing is claimed from then on; None: no end.
    """

    opens: time | None = None
    closes: time | None = None
    zone: str | None = None
    latest: datetime | None = None


def time_left(schedule: Schedule, now: datetime) -> timedelta | None:
    """How long the campaign may still send: `timedelta.max` without a limit, None if it may not send now."""
    left = timedelta.max if schedule.latest is None else schedule.latest - now
    if schedule.opens is not None and schedule.closes is not None and schedule.zone is not None:
        zone = ZoneInfo(schedule.zone)
        # An hour that a change of clocks skips or repeats belongs to the window or not, as the wall clock reads.
        local = now.astimezone(zone)
        opens, closes, at = schedule.opens, schedule.closes, local.time()
        overnight = closes <= opens
        is_open = (at >= opens or at < closes) if overnight else (opens <= at < closes)
        if not is_open:
            return None
        day = local.date() + timedelta(days=1) if overnight and at >= opens else local.date()
        # Subtracted as UTC: with the same zone on both sides Python would subtract wall clocks.
        end = datetime.combine(day, closes, zone).replace(fold=local.fold).astimezone(UTC)
        left = min(left, end - now)
    return left if left > timedelta() else None


def standing(state: CampaignState, schedule: Schedule, *, has_queued: bool, now: datetime) -> CampaignState:
    """Where a campaign stands for a reader: its row says only that it is running."""
    if state != "running":
        return state
    if not has_queued:
        return "finished"
    if schedule.latest is not None and schedule.latest <= now:
        return "expired"
    return "waiting" if time_left(schedule, now) is None else "running"
