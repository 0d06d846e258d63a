"""Bytes -> `DeliveryReceipt` or `InboundMessage`, and where each message stands: what the gateway calls back with.

A callback comes from the network, unsigned. Whatever it holds, reading it ends in one of the two nouns or in
InvalidCallbackError, in time and memory proportional to its size, which is limited. Error messages name keys and
positions and never repeat what stands there: they end up in logs.
"""

from __future__ import annotations

import base64
import json
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import attrs

from .errors import ConfigurationError, InvalidCallbackError
from .models import DeliveryReceipt, DeliveryStatus, InboundMessage

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["DeliveryTracker", "parse_callback", "parse_delivery_receipt", "parse_inbound_message"]

LARGEST_BODY: Final = 1_048_576
"""Bytes, or characters of a str; the longest message (5,000 characters, published specification of v2) needs 60,000."""

_DEEPEST = 32
"""Levels of nesting; documented callbacks have one. Deeper ones break the caller's pickle or json later."""

_LARGEST_ID = str(2**63 - 1)
_NUMBER = re.compile("[1-9][0-9]{0,18}")
_UUID = re.compile("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_KEYS = tuple(field.name for model in (DeliveryReceipt, InboundMessage) for field in attrs.fields(model))

_Body = bytes | bytearray | memoryview | str | Mapping[str, Any]


def parse_callback(body: _Body) -> DeliveryReceipt | InboundMessage:
    """Read a callback of either kind, REST v1 or v2, by the keys it has.

    A delivery receipt has ``status`` and ``message_id`` (v2 also spells it ``id``); an inbound message has ``id``,
    ``source``, ``destination`` and ``content``. Other keys and unknown statuses are kept.

    Args:
        body: the request body as it came (UTF-8 JSON, at most 1 MiB), or what a framework made of it.

    Raises:
        InvalidCallbackError: it is neither, both, or not readable; ``key`` names the offending key, if there is one.
    """
    payload = _payload(body)
    receipt = "status" in payload and ("message_id" in payload or "id" in payload)
    inbound = "content" in payload and "source" in payload and "destination" in payload and "id" in payload
    if receipt is not inbound:
        return _receipt(payload) if receipt else _inbound(payload)
    if receipt:
        raise InvalidCallbackError(
            "the callback has the status of a delivery receipt and the keys of an inbound message; "
            "if you know which it is, call parse_delivery_receipt or parse_inbound_message",
            key="status",
        )
    if "content" in payload or "source" in payload:
        return _inbound(payload)  # which says what is missing
    if "status" in payload or "message_id" in payload:
        return _receipt(payload)
    raise InvalidCallbackError(
        "the callback is neither a delivery receipt (message_id and status are missing) "
        "nor an inbound message (source, destination and content are missing)"
    )


def parse_delivery_receipt(body: _Body) -> DeliveryReceipt:
    """Read a callback that can only be a delivery receipt, e.g. at a URL of its own.

    Args:
        body: as for `parse_callback`.

    Raises:
        InvalidCallbackError: it is not a readable delivery receipt; ``key`` names the offending key, if there is one.
    """
    return _receipt(_payload(body))


def parse_inbound_message(body: _Body) -> InboundMessage:
    """Read a callback that can only be an inbound message, e.g. at a URL of its own.

    Args:
        body: as for `parse_callback`.

    Raises:
        InvalidCallbackError: it is not a readable inbound message; ``key`` names the offending key, if there is one.
    """
    return _inbound(_payload(body))


def _receipt(payload: dict[str, Any]) -> DeliveryReceipt:
    return DeliveryReceipt(
        _id(payload, "message_id" if "message_id" in payload or "id" not in payload else "id"),
        _text(payload, "status"),
        _optional_text(payload, "reference"),
        _optional_text(payload, "detail"),
        payload,
    )


def _inbound(payload: dict[str, Any]) -> InboundMessage:
    content = _text(payload, "content", may_be_empty=True)
    encoding = _optional_text(payload, "encoding")
    return InboundMessage(
        id=_id(payload, "id"),
        source=_text(payload, "source"),
        destination=_text(payload, "destination"),
        content=content,
        operator=_optional_text(payload, "operator"),
        reply_to=None if payload.get("reply_to") is None else _id(payload, "reply_to"),
        reference=_optional_text(payload, "reference"),
        encoding=encoding,
        data=_decoded(content) if encoding == "base64" else None,
        raw=payload,
    )


def _decoded(content: str) -> bytes:
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except ValueError as error:
        raise InvalidCallbackError('content is not base64, though encoding says "base64"', key="content") from error


# One value: what it must be, whatever JSON (or a caller's mapping) made of it.


def _id(payload: dict[str, Any], key: str) -> str:
    value = payload.get(key)
    if isinstance(value, str):
        if _NUMBER.fullmatch(value) and (len(value) < len(_LARGEST_ID) or value <= _LARGEST_ID):
            return value
        if _UUID.fullmatch(value):
            return value.lower()
    elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
        return str(value)
    raise _wrong(payload, key, "is not a message id: neither a number from 1 to 2^63-1 nor a UUID")


def _text(payload: dict[str, Any], key: str, *, may_be_empty: bool = False) -> str:
    value = payload.get(key)
    if not isinstance(value, str):
        raise _wrong(payload, key, "is not text")
    if not value and not may_be_empty:
        raise _wrong(payload, key, "is empty")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            # It would fail later, in the caller's database or answer.
            raise _wrong(payload, key, "holds half a character (a lone surrogate)") from error
    return value


def _optional_text(payload: dict[str, Any], key: str) -> str | None:
    return None if payload.get(key) is None else _text(payload, key, may_be_empty=True)


def _wrong(payload: dict[str, Any], key: str, fault: str) -> InvalidCallbackError:
    if payload.get(key) is None:
        fault = "is null" if key in payload else "is missing"
    return InvalidCallbackError(f"{key} {fault}", key=key)


# The body as a whole: strict where Python's json is generous.


def _payload(body: _Body) -> dict[str, Any]:
    if isinstance(body, Mapping):
        return dict(body)
    try:
        text = _characters(body)
        payload: object = _DECODER.decode(text.removeprefix("\ufeff"))
    except InvalidCallbackError:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidCallbackError(f"the body is not UTF-8 JSON: {error}") from error
    if not isinstance(payload, dict):
        raise InvalidCallbackError("the body is JSON, but not an object")
    callback = cast("dict[str, Any]", payload)
    if text.count("{") + text.count("[") > _DEEPEST and _too_deep(callback):
        raise InvalidCallbackError(f"the body is nested more than {_DEEPEST} levels deep")
    return callback


def _characters(body: bytes | bytearray | memoryview | str) -> str:
    if not isinstance(body, (bytes, bytearray, memoryview, str)):
        raise InvalidCallbackError(f"give the body as bytes, str or a mapping, not {type(body).__name__}")
    size = body.nbytes if isinstance(body, memoryview) else len(body)
    if size > LARGEST_BODY:
        raise InvalidCallbackError(f"the body is larger than any callback ({LARGEST_BODY} bytes)")
    return body if isinstance(body, str) else bytes(body).decode()


def _too_deep(payload: dict[str, Any]) -> bool:
    level: list[Any] = [payload]
    for _ in range(_DEEPEST):
        children: list[Any] = []
        for node in level:
            children += node.values() if isinstance(node, dict) else node
        level = [child for child in children if isinstance(child, (dict, list))]
    return bool(level)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    payload = dict(pairs)
    if len(payload) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next((key for key in _KEYS if keys.count(key) > 1), None)  # any other key might be personal data
        raise InvalidCallbackError(f"{twice or 'a key'} occurs twice", key=twice)
    return payload


def _integer(digits: str) -> int:
    if len(digits) > 19 and len(digits.lstrip("-")) > 19:
        raise InvalidCallbackError("the body holds an integer of more than 19 digits")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise InvalidCallbackError("the body holds a number too large to be read")
    return value


def _no_number(name: str) -> NoReturn:
    raise InvalidCallbackError(f"the body holds {name}, which JSON does not know")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_real, parse_constant=_no_number)


# How far along a message is: unknown statuses, then these. Among the ways to fail the one decided nearest to the
# handset wins: by the platform (blocked, deficient, dead), on the way to the carrier (failed), by the carrier.
_STANDING: dict[str, int] = {
    status: standing
    for standing, status in enumerate(
        (
            DeliveryStatus.ACCEPTED,
            DeliveryStatus.QUEUED,
            DeliveryStatus.FROZEN,  # a transient error; submitted and sent say that it moved on
            DeliveryStatus.SUBMITTED,
            DeliveryStatus.SENT,
            DeliveryStatus.BLOCKED,
            DeliveryStatus.DEFICIENT,
            DeliveryStatus.DEAD,
            DeliveryStatus.FAILED,
            DeliveryStatus.REJECTED,
            DeliveryStatus.EXPIRED,
            DeliveryStatus.RECEIVED,
        ),
        start=1,
    )
}


class DeliveryTracker:
    """Receipts in any order, any number of times -> where each message stands.

    Receipts may arrive late, twice and out of order, so a message stands where its furthest receipt puts it, not its
    last one: unknown statuses, accepted, queued, frozen, submitted, sent, then the final ones: blocked, deficient,
    dead, failed, rejected, expired, received. A message known to be delivered stays delivered; a final status is
    never taken back by one that is not final.

    Memory is bounded: beyond ``max_messages`` the message that has had no receipt for the longest time is forgotten
    (about 0.5 kB each at the usual lengths). Safe to share between threads. State lives in this process only.

    Args:
        max_messages: how many messages to remember, at least 1.

    Raises:
        ConfigurationError: ``max_messages`` is not a positive int.
    """

    def __init__(self, *, max_messages: int = 100_000) -> None:
        if not isinstance(max_messages, int) or max_messages < 1:
            raise ConfigurationError("max_messages is how many messages to remember: give an int of at least 1")
        self._max_messages = max_messages
        self._receipts = OrderedDict[str, DeliveryReceipt]()  # longest without a receipt first
        self._lock = threading.Lock()

    def record(self, receipt: DeliveryReceipt) -> bool:
        """Take note of a receipt.

        Returns:
            True if it changed where its message stands: act on it. False for a duplicate or a straggler.
        """
        key = _tracker_key(receipt.message_id)
        with self._lock:
            known = self._receipts.get(key)
            changed = known is None or _standing(receipt) > _standing(known)
            if changed:
                # Without raw: it may hold anything, and differs with the order of arrival.
                self._receipts[key] = DeliveryReceipt(key, receipt.status, receipt.reference, receipt.detail)
            self._receipts.move_to_end(key)
            if len(self._receipts) > self._max_messages:
                self._receipts.popitem(last=False)
        return changed

    def state(self, message_id: str | int | UUID) -> DeliveryReceipt | None:
        """The receipt that says where the message stands (its ``raw`` empty), or None if none is remembered."""
        with self._lock:
            return self._receipts.get(_tracker_key(message_id))


def _tracker_key(message_id: str | int | UUID) -> str:
    return str(message_id).lower()


def _standing(receipt: DeliveryReceipt) -> tuple[Any, ...]:
    """A total order: no two different receipts of a message tie, so the order of arrival cannot show."""
    details = (receipt.reference is not None, receipt.reference or "", receipt.detail is not None, receipt.detail or "")
    return _STANDING.get(receipt.status, 0), receipt.status, *details
