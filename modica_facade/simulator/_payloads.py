"""Payloads of callbacks in hand: what the gateway would post, for tests that need no server."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from . import _v1, _v2
from ._checks import check_choice, check_optional_text, check_text
from ._gateway import FIRST_ID, OPERATOR, SHORT_CODE, encoded
from ._records import Callback, StoredMessage
from ._submission import UUID

_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # no payload shows it


def receipt(
    message_id: str | int | uuid.UUID,
    status: str = "received",
    *,
    reference: str | None = None,
    detail: str | None = None,
    shape: _v2.Shape = "prose",
) -> dict[str, Any]:
    """The payload of a delivery receipt, as `json.dumps` and `parse_callback` take it.

    Args:
        message_id: of the message it is about.
        status: any word, documented or not.
        reference: the label of the message; only in the shape of the prose.
        detail: only in the shape of the specification.
        shape: ``prose`` has message_id, status and reference, on v1 and v2; ``specification`` (v2) id, status, detail.

    Raises:
        ValueError: an argument is not what is described here.
    """
    check_text("status", status)
    check_optional_text("reference", reference)
    check_optional_text("detail", detail)
    check_choice("shape", shape, ("prose", "specification"))
    if (detail if shape == "prose" else reference) is not None:
        raise ValueError(f"a receipt in the shape {shape!r} has no {'detail' if shape == 'prose' else 'reference'}")
    message_id, version = _id(message_id)
    if version == 1 and shape != "prose":
        raise ValueError("receipts of v1 have the shape 'prose' only")
    message = StoredMessage(
        id=message_id,
        version=version,
        direction="MT",
        source=SHORT_CODE,
        destination=detail or "",
        content="",
        status=status,
        accepted_at=_SOME_TIME,
        reference=reference,
    )
    callback = Callback("receipt", message, status)
    payload, _headers = _v1.callback(callback, "") if version == 1 else _v2.callback(callback, shape)
    return payload


def inbound(
    source: str,
    content: str | bytes,
    *,
    id: str | int | uuid.UUID = FIRST_ID,  # noqa: A002 - as the payload calls it
    destination: str = SHORT_CODE,
    reply_to: str | int | None = None,
    reference: str | None = None,
    operator: str = OPERATOR,
) -> dict[str, Any]:
    """The payload of an inbound message, as `json.dumps` and `parse_callback` take it.

    Args:
        source: the number of the handset.
        content: text, or bytes for a binary message.
        id: of this message: digits for v1, a UUID for v2.
        destination: the short code it was sent to.
        reply_to: id of the message it answers, v1 only.
        reference: the label of that message; only with ``reply_to``.
        operator: network of the handset.

    Raises:
        ValueError: an argument is not what is described here.
    """
    message_id, version = _id(id)
    for name, text in (("source", source), ("destination", destination), ("operator", operator)):
        check_text(name, text)
    check_optional_text("reference", reference)
    if reply_to is not None:
        reply_to = _id(reply_to)[0]
        if version == 2:
            raise ValueError("inbound messages of v2 have no reply_to")
    elif reference is not None:
        raise ValueError("reference is that of the message it answers: give reply_to as well")
    text, encoding = encoded(content)
    message = StoredMessage(
        id=message_id,
        version=version,
        direction="MO",
        source=source,
        destination=destination,
        content=text,
        status="received",
        accepted_at=_SOME_TIME,
        operator=operator,
        reply_to=reply_to,
        reference=reference,
        encoding=encoding,
    )
    callback = Callback("inbound", message)
    payload, _headers = _v1.callback(callback, "") if version == 1 else _v2.callback(callback, "prose")
    return payload


def _id(value: object) -> tuple[str, int]:
    """An id as text, and the version it belongs to."""
    text = str(value)
    if not isinstance(value, bool):
        if text.isascii() and text.isdigit():
            return text, 1
        if UUID.fullmatch(text):
            return text, 2
    raise ValueError(f"an id is decimal digits (v1) or a lower-case UUID (v2), not {value!r}")
