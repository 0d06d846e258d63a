"""What the gateway answers and calls back with, as frozen records that are the same for REST v1 and v2.

Ids are ``str`` everywhere (decimal digits on v1, lower-case UUID on v2), whatever JSON type the gateway used, so that
one text column holds both. Fields that a version of the API does not have are None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast, overload

from attrs import Factory, field, frozen

__all__ = [
    "BroadcastOutcome",
    "BroadcastResult",
    "DeliveryReceipt",
    "DeliveryStatus",
    "InboundMessage",
    "Message",
    "SubmittedMessage",
]


class DeliveryStatus(StrEnum):
    """The statuses the vendor documents; a str, so it compares with the text of a receipt.

    REST v1 receipts document sent, received, rejected and expired (prose documentation); the platform's reports add
    submitted, frozen, failed and dead (prose documentation); v2 adds accepted, queued, blocked and deficient (published
    specification). A status outside this list is normal: it is passed through as text and is not final. Made from text
    the case does not matter: ``DeliveryStatus("Received")`` is ``RECEIVED``.
    """

    ACCEPTED = "accepted"
    QUEUED = "queued"
    SUBMITTED = "submitted"
    SENT = "sent"
    RECEIVED = "received"
    """Delivered to the handset."""
    FROZEN = "frozen"
    """A transient error; not final."""
    REJECTED = "rejected"
    FAILED = "failed"
    DEAD = "dead"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    DEFICIENT = "deficient"

    @classmethod
    def _missing_(cls, value: object) -> DeliveryStatus | None:
        return _BY_TEXT.get(value.lower()) if isinstance(value, str) else None

    @property
    def rank(self) -> int:
        """How far along a message with this status is: of two receipts of a message the higher rank is its state.

        10, 20 ... 120: accepted, queued, frozen, submitted, sent, and then the final ones: blocked, deficient, dead,
        failed, rejected, expired, received. Statuses that nobody documents rank below, as 0 (`DeliveryReceipt.rank`).
        Databases keep these numbers, so they never change; the gaps are for statuses that the vendor may add.
        """
        return _RANKS[self]

    @property
    def is_final(self) -> bool:
        """True if no other status is expected to follow."""
        return self in _FINAL

    @property
    def is_delivered(self) -> bool:
        """True for ``received``: the handset has the message."""
        return self is DeliveryStatus.RECEIVED


# Among the ways to fail the one decided nearest to the handset ranks highest: by the platform (blocked, deficient,
# dead), on the way to the carrier (failed), by the carrier.
_RANKS: dict[str, int] = {
    DeliveryStatus.ACCEPTED: 10,
    DeliveryStatus.QUEUED: 20,
    DeliveryStatus.FROZEN: 30,  # a transient error; submitted and sent say that it moved on
    DeliveryStatus.SUBMITTED: 40,
    DeliveryStatus.SENT: 50,
    DeliveryStatus.BLOCKED: 60,
    DeliveryStatus.DEFICIENT: 70,
    DeliveryStatus.DEAD: 80,
    DeliveryStatus.FAILED: 90,
    DeliveryStatus.REJECTED: 100,
    DeliveryStatus.EXPIRED: 110,
    DeliveryStatus.RECEIVED: 120,
}
_FINAL = frozenset(status for status, rank in _RANKS.items() if rank > _RANKS[DeliveryStatus.SENT])
_BY_TEXT = {status.value: status for status in DeliveryStatus}


@frozen
class SubmittedMessage:
    """A message that the gateway accepted.

    Attributes:
        id: the message id; store it, receipts name it.
        destination: as given.
        reference: as given, or None.
        scheduled: the moment as it was sent to the gateway (RFC 3339 text), or None.
        status: v2: the status in the answer, e.g. ``"accepted"``; v1: None.
        location: the ``Location`` header of the answer as received, or None. Text only: nothing here requests it.
    """

    id: str
    destination: str
    reference: str | None = None
    scheduled: str | None = None
    status: str | None = None
    location: str | None = None


@frozen
class Message:
    """A stored message, as ``get`` finds it.

    Attributes:
        id: the message id.
        source: mobile number or short code it came from, or None.
        destination: mobile number or short code it went to.
        content: the text.
        reference: the reference given when it was sent, or None.
        reply_to: v1: id of the message that this one answers, or None.
        operator: v1: name of the mobile operator, or None.
        direction: v2: ``"MO"`` or ``"MT"``; v1: None.
        status: v2: the delivery status as text; v1: None.
    """

    id: str
    source: str | None
    destination: str
    content: str
    reference: str | None = None
    reply_to: str | None = None
    operator: str | None = None
    direction: str | None = None
    status: str | None = None


@frozen
class BroadcastOutcome:
    """What became of one destination of a broadcast.

    Attributes:
        destination: the destination as given; the gateway may answer with another way to write the same number.
        id: the message id if it was accepted, else None.
        status: ``"success"`` or ``"failure"``.
        reason: why it failed, in the gateway's words, or None.
    """

    destination: str
    id: str | None
    status: str
    reason: str | None = None

    @property
    def ok(self) -> bool:
        """True if the gateway accepted the message for this destination."""
        return self.id is not None


if TYPE_CHECKING:

    class SubmittedOutcome(BroadcastOutcome):
        """To type checkers, an outcome that has an id; when it runs, a BroadcastOutcome like any other."""

        id: str
else:
    SubmittedOutcome = BroadcastOutcome


def _submitted(result: BroadcastResult) -> tuple[SubmittedOutcome, ...]:
    return cast("tuple[SubmittedOutcome, ...]", tuple([outcome for outcome in result if outcome.id is not None]))


def _failed(result: BroadcastResult) -> tuple[BroadcastOutcome, ...]:
    return tuple([outcome for outcome in result if outcome.id is None])


@frozen(repr=False)
class BroadcastResult(Sequence[BroadcastOutcome]):
    """The outcomes of one broadcast, in the order of its destinations. Partial failure is data, not an exception.

    Attributes:
        submitted: the outcomes that have an id.
        failed: the outcomes that the gateway refused.
    """

    _outcomes: tuple[BroadcastOutcome, ...] = field(converter=tuple[BroadcastOutcome, ...])
    submitted: tuple[SubmittedOutcome, ...] = field(default=Factory(_submitted, takes_self=True), init=False, eq=False)
    failed: tuple[BroadcastOutcome, ...] = field(default=Factory(_failed, takes_self=True), init=False, eq=False)

    @property
    def ok(self) -> bool:
        """True if every destination was accepted."""
        return not self.failed

    @overload
    def __getitem__(self, index: int) -> BroadcastOutcome: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[BroadcastOutcome, ...]: ...
    def __getitem__(self, index: int | slice) -> BroadcastOutcome | tuple[BroadcastOutcome, ...]:
        return self._outcomes[index]

    def __len__(self) -> int:
        return len(self._outcomes)

    def __iter__(self) -> Iterator[BroadcastOutcome]:
        return iter(self._outcomes)

    def __repr__(self) -> str:
        return f"BroadcastResult(submitted={len(self.submitted)}, failed={len(self.failed)})"


@frozen
class DeliveryReceipt:
    """A delivery receipt (DLR): one step in the life of a message that was sent.

    Attributes:
        message_id: id of the message.
        status: the status as received; compares with `DeliveryStatus`.
        reference: the reference given when the message was sent, or None.
        detail: v2: further words on the status, or None.
        raw: the whole callback as parsed, unknown keys included; not part of equality. A number that Python cannot keep
            (NaN, infinite, of more than 640 digits) is None; text that is not valid Unicode has lone surrogates.
    """

    message_id: str
    status: str
    reference: str | None = None
    detail: str | None = None
    raw: Mapping[str, Any] = field(factory=dict[str, Any], eq=False, repr=False)

    @property
    def rank(self) -> int:
        """The `DeliveryStatus.rank` of its status, whose case does not matter; 0 for one that nobody documents."""
        return _RANKS.get(self.status.lower(), 0)

    @property
    def is_final(self) -> bool:
        """True if no other status is expected to follow; an unknown status is not final."""
        return self.status.lower() in _FINAL

    @property
    def is_delivered(self) -> bool:
        """True for ``received``: the handset has the message."""
        return self.status.lower() == DeliveryStatus.RECEIVED


@frozen
class InboundMessage:
    """A message from a handset (MO), perhaps a reply to one that was sent.

    Attributes:
        id: the message id.
        source: mobile number it came from.
        destination: short code or number it was sent to.
        content: the text; for binary content the base64 text as received. May be empty, and may hold NUL.
        operator: name of the mobile operator, or None.
        reply_to: id of the message that this one answers, or None.
        reference: the reference of that message, or None.
        encoding: as received: ``"base64"`` for binary content; None if there is none.
        data: the decoded bytes of binary content, else None.
        raw: the whole callback as parsed, unknown keys included; not part of equality. See `DeliveryReceipt`.
    """

    id: str
    source: str
    destination: str
    content: str
    operator: str | None = None
    reply_to: str | None = None
    reference: str | None = None
    encoding: str | None = None
    data: bytes | None = None
    raw: Mapping[str, Any] = field(factory=dict[str, Any], eq=False, repr=False)
