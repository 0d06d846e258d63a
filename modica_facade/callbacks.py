"""Bytes -> `DeliveryReceipt` or `InboundMessage`, and the state of each message out of its receipts.

A callback comes from the network, unsigned. Whatever it holds, parsing it ends in one of the two models or in
InvalidCallbackError, in time and memory proportional to its size, which is limited. Only what identifies a callback can
make it unreadable: an optional field with an unexpected value is None, an unknown one is ignored, and `raw` has both.
Error messages name keys and positions and never repeat what stands there: they end up in logs.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Final, cast
from uuid import UUID

from attrs import field, frozen

from ._ids import parse_v1_id, parse_v2_id
from .errors import ConfigurationError, InvalidCallbackError
from .models import DeliveryReceipt, InboundMessage

__all__ = ["DeliveryTracker", "parse_callback", "parse_delivery_receipt", "parse_inbound_message"]

MAX_CALLBACK_BYTES: Final = 1_048_576
"""Bytes, or characters of a str; the longest message (5,000 characters, published specification of v2) needs 60,000."""

_MAX_DEPTH = 32
"""Levels of nesting; documented callbacks have one. Deeper ones break the caller's pickle or json later."""

_MAX_INTEGER_DIGITS = 640
"""No setting of the interpreter refuses to convert an integer of so many; documented ones have 19 at most."""

_SURROGATE = re.compile("[\ud800-\udfff]")

_Body = bytes | bytearray | memoryview | str | Mapping[str, Any]


def parse_callback(body: _Body) -> DeliveryReceipt | InboundMessage:
    """Read a callback of either kind, REST v1 or v2, by the keys it has.

    Example:
        >>> parse_callback(b'{"message_id": "1234567890", "status": "received"}').is_delivered
        True

    A delivery receipt has ``status`` and ``message_id`` (or ``id`` on v2); an inbound message has ``id``, ``source``,
    ``destination`` and ``content``; in what has all of them ``direction`` decides (``"MO"`` or ``"MT"``). Null is
    absent. Nothing else makes a callback unreadable: an optional field that is not as documented is None, other keys
    and unknown statuses are kept.

    Text is UTF-8. In ``content`` half a character (a lone surrogate, invalid UTF-8) is replaced by U+FFFD, and ``raw``
    has it as it came. NUL is a character like others here; a PostgreSQL text column refuses it.

    Args:
        body: the request body as it came (UTF-8 JSON, at most 1 MiB), or what a framework made of it.

    Raises:
        InvalidCallbackError: it is neither, both, or not readable; ``key`` names the offending key, if there is one.
    """
    fields = _parse_fields(body)
    receipt = fields.has("status") and (fields.has("message_id") or fields.has("id"))
    inbound = all(map(fields.has, ("id", "source", "destination", "content")))
    if receipt and inbound:
        direction = fields.optional_text("direction")
        if direction not in ("MO", "MT"):
            raise InvalidCallbackError(
                "the callback has the status of a delivery receipt and the keys of an inbound message, and no "
                "direction; if you know which it is, call parse_delivery_receipt or parse_inbound_message",
                key="status",
            )
        receipt = direction == "MT"
        inbound = not receipt
    if receipt:
        return _receipt(fields)
    if inbound or fields.has("content") or fields.has("source"):
        return _inbound(fields)  # which says what is missing
    if fields.has("status") or fields.has("message_id"):
        return _receipt(fields)
    raise InvalidCallbackError(
        "the callback is neither a delivery receipt (message_id and status are missing) "
        "nor an inbound message (source, destination and content are missing)"
    )


def parse_delivery_receipt(body: _Body) -> DeliveryReceipt:
    """Read a callback that can only be a delivery receipt, e.g. at a URL of its own.

    Example:
        >>> parse_delivery_receipt({"message_id": "1234567890", "status": "sent", "reference": "order-42"}).reference
        'order-42'

    Args:
        body: as for `parse_callback`.

    Raises:
        InvalidCallbackError: it is not a readable delivery receipt; ``key`` names the offending key, if there is one.
    """
    return _receipt(_parse_fields(body))


def parse_inbound_message(body: _Body) -> InboundMessage:
    """Read a callback that can only be an inbound message, e.g. at a URL of its own.

    Example:
        >>> parse_inbound_message('{"id": 5, "source": "+64211234567", "destination": "202", "content": "Yes"}').content
        'Yes'

    Args:
        body: as for `parse_callback`.

    Raises:
        InvalidCallbackError: it is not a readable inbound message; ``key`` names the offending key, if there is one.
    """
    return _inbound(_parse_fields(body))


def _receipt(fields: _Fields) -> DeliveryReceipt:
    return DeliveryReceipt(
        fields.message_id("message_id" if fields.has("message_id") or not fields.has("id") else "id"),
        fields.text("status"),
        fields.optional_text("reference"),
        fields.optional_text("detail"),
        fields.raw,
    )


def _inbound(fields: _Fields) -> InboundMessage:
    content = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", fields.text("content", may_be_empty=True, surrogates=True))
    encoding = fields.optional_text("encoding")
    return InboundMessage(
        id=fields.message_id("id"),
        source=fields.text("source"),
        destination=fields.text("destination"),
        content=content,
        operator=fields.optional_text("operator"),
        reply_to=fields.optional_id("reply_to"),
        reference=fields.optional_text("reference"),
        encoding=encoding,
        data=_decoded(content) if encoding is not None and encoding.lower() == "base64" else None,
        raw=fields.raw,
    )


def _decoded(content: str) -> bytes:
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except ValueError as error:
        raise InvalidCallbackError('content is not base64, though encoding says "base64"', key="content") from error


@frozen
class _Fields:
    """The top level of a callback, whatever JSON or a caller's mapping made of it; null is absent.

    ``repeated`` has the keys that occurred more than once: nobody can say which value is meant.
    """

    raw: dict[str, Any]
    repeated: frozenset[str] = field(default=frozenset())

    def has(self, key: str) -> bool:
        return self.raw.get(key) is not None

    def message_id(self, key: str) -> str:
        found = self.optional_id(key)
        if found is None:
            raise self._error(key, "is not a message id: neither a number from 1 to 2^63-1 nor a UUID")
        return found

    def optional_id(self, key: str) -> str | None:
        value = None if key in self.repeated else self.raw.get(key)
        return parse_v1_id(value) or parse_v2_id(value)

    def text(self, key: str, *, may_be_empty: bool = False, surrogates: bool = False) -> str:
        """A text that must be there; with ``surrogates`` it may hold half a character."""
        value = self.raw.get(key)
        if key in self.repeated or not isinstance(value, str):
            raise self._error(key, "is not text")
        if not value and not may_be_empty:
            raise self._error(key, "is empty")
        if not surrogates and _SURROGATE.search(value):
            # It would fail later, in the caller's database or answer.
            raise self._error(key, "holds half a character (a lone surrogate, or invalid UTF-8)")
        return value

    def optional_text(self, key: str) -> str | None:
        value = self.raw.get(key)
        whole = isinstance(value, str) and key not in self.repeated and not _SURROGATE.search(value)
        return cast("str", value) if whole else None

    def _error(self, key: str, fault: str) -> InvalidCallbackError:
        if key in self.repeated:
            fault = "occurs twice"
        elif not self.has(key):
            fault = "has no value" if key in self.raw else "is missing"
        return InvalidCallbackError(f"{key} {fault}", key=key)


# The body as a whole: JSON, within limits.


def _parse_fields(body: _Body) -> _Fields:
    if isinstance(body, Mapping):
        return _Fields(dict(body))
    try:
        text = _to_text(body)
        payload: object = _DECODER.decode(text.removeprefix("\ufeff"))
    except InvalidCallbackError:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidCallbackError(f"the body is not UTF-8 JSON: {error}") from error
    if not isinstance(payload, dict):
        raise InvalidCallbackError("the body is JSON, but not an object")
    raw = cast("dict[str, Any]", payload)
    if text.count("{") + text.count("[") > _MAX_DEPTH and _too_deep(raw):
        raise InvalidCallbackError(f"the body is nested more than {_MAX_DEPTH} levels deep")
    return _Fields(dict(raw), raw.repeated) if isinstance(raw, _Ambiguous) else _Fields(raw)


def _to_text(body: bytes | bytearray | memoryview | str) -> str:
    if not isinstance(body, (bytes, bytearray, memoryview, str)):
        raise InvalidCallbackError(f"give the body as bytes, str or a mapping, not {type(body).__name__}")
    size = body.nbytes if isinstance(body, memoryview) else len(body)
    if size > MAX_CALLBACK_BYTES:
        raise InvalidCallbackError(f"the body is larger than any callback ({MAX_CALLBACK_BYTES} bytes)")
    # Invalid UTF-8 becomes lone surrogates, and so a matter of the field that has it.
    return body if isinstance(body, str) else bytes(body).decode(errors="surrogateescape")


def _too_deep(payload: dict[str, Any]) -> bool:
    level: list[Any] = [payload]
    for _ in range(_MAX_DEPTH):
        children: list[Any] = []
        for node in level:
            children += node.values() if isinstance(node, dict) else node
        level = [child for child in children if isinstance(child, (dict, list))]
    return bool(level)


class _Ambiguous(dict[str, Any]):
    """A JSON object in which a key occurs more than once; it has the last value of each."""

    repeated: frozenset[str]


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    payload = dict(members)
    if len(payload) == len(members):
        return payload
    ambiguous = _Ambiguous(payload)
    ambiguous.repeated = frozenset(key for key, count in Counter(key for key, _ in members).items() if count > 1)
    return ambiguous


# Numbers that JSON cannot say, or Python cannot keep, are None: documented fields have no such value.


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else None


def _real(digits: str) -> float | None:
    value = float(digits)
    return None if math.isinf(value) else value


def _not_a_number(_name: str) -> None:
    return None


_DECODER = json.JSONDecoder(
    strict=False,  # a control character in some text is no reason to lose the callback
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=_not_a_number,
)


class DeliveryTracker:
    """Receipts in any order, any number of times -> the state of each message.

    Example:
        >>> tracker = DeliveryTracker()
        >>> [tracker.record(DeliveryReceipt("1234567890", status)) for status in ("received", "sent")]
        [True, False]
        >>> tracker.state("1234567890").status
        'received'

    Receipts may arrive late, twice and out of order, so the state of a message is the furthest status that was
    reported, in the order of `DeliveryStatus.rank`, not the last one: a message known to be delivered stays delivered,
    and a final status is never taken back by one that is not final.

    Memory is bounded: beyond ``max_messages``, or a kilobyte for each of them together (the usual receipt takes half of
    that), the message that has had no receipt for the longest time is forgotten. Safe to share between threads. The
    state lives in this process only: several workers keep ``receipt.rank`` beside the status in their database, and
    update a row where its rank is lower.

    Args:
        max_messages: how many messages to remember, at least 1.

    Raises:
        ConfigurationError: ``max_messages`` is not a positive int.
    """

    def __init__(self, *, max_messages: int = 100_000) -> None:
        if isinstance(max_messages, bool) or not isinstance(max_messages, int) or max_messages < 1:
            raise ConfigurationError("max_messages is how many messages to remember: give an int of at least 1")
        self._max_messages = max_messages
        self._max_bytes = max_messages * _BYTES_EACH
        self._bytes = 0
        self._known = OrderedDict[str, _Known]()  # longest without a receipt first
        self._lock = threading.Lock()

    def record(self, receipt: DeliveryReceipt) -> bool:
        """Take note of a receipt.

        Returns:
            True if there is something to act on: the status of its message moved up the order, or is one that nobody
            documents, seen for the first time and before a final one. False for a duplicate, whatever else in it
            differs (its shape, detail or reference), and for one that was overtaken.
        """
        key = _tracker_key(receipt.message_id)
        with self._lock:
            known = self._known.pop(key, None)
            if known is not None:
                self._bytes -= known.size
            known, is_news = _updated(known, key, receipt)
            if known.size > self._max_bytes:
                return is_news  # alone it would push out all the others
            self._known[key] = known
            self._bytes += known.size
            while len(self._known) > self._max_messages or self._bytes > self._max_bytes:
                self._bytes -= self._known.popitem(last=False)[1].size
        return is_news

    def state(self, message_id: str | int | UUID) -> DeliveryReceipt | None:
        """The receipt with the furthest status of the message (its ``raw`` empty), or None if none is remembered."""
        with self._lock:
            known = self._known.get(_tracker_key(message_id))
        return None if known is None else known.furthest


_BYTES_EACH = 1024
_MAX_UNDOCUMENTED = 16
"""Different undocumented statuses of one message that are told apart; more of them would be no news, but a fault."""


@frozen
class _Known:
    """What the tracker remembers of a message."""

    furthest: DeliveryReceipt
    undocumented: frozenset[str]
    size: int


def _updated(known: _Known | None, key: str, receipt: DeliveryReceipt) -> tuple[_Known, bool]:
    """What is known after a receipt, and whether that is news."""
    undocumented = frozenset[str]() if known is None else known.undocumented
    if receipt.rank:
        is_news = known is None or receipt.rank > known.furthest.rank
    else:
        status = receipt.status.lower()
        is_news = (
            (known is None or not known.furthest.is_final)
            and status not in undocumented
            and len(undocumented) < _MAX_UNDOCUMENTED
        )
        if is_news:
            undocumented |= {status}
    if known is None or _order(receipt) > _order(known.furthest):
        # Without raw: it may hold anything, and differs with the order of arrival.
        furthest = DeliveryReceipt(key, receipt.status, receipt.reference, receipt.detail)
    elif is_news:
        furthest = known.furthest
    else:
        return known, False
    texts = (key, furthest.status, furthest.reference, furthest.detail, *undocumented)
    return _Known(furthest, undocumented, sum(map(sys.getsizeof, texts))), is_news


def _tracker_key(message_id: str | int | UUID) -> str:
    return str(message_id).lower()


def _order(receipt: DeliveryReceipt) -> tuple[Any, ...]:
    """A total order: no two different receipts of a message tie, so the order of arrival cannot show."""
    details = (receipt.reference is not None, receipt.reference or "", receipt.detail is not None, receipt.detail or "")
    return receipt.rank, receipt.status.lower(), receipt.status, *details
