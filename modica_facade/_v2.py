"""REST v2 as spoken: Accept header, requests out of the generated models, answers and error envelopes.

The one room that imports ``modica_sms_v2``. As in `_v1`, that happens at the first call, bodies are made by the
generated models, paths are checked against the generated endpoints by a test, and answers are read with stricter eyes
than the generated readers have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast
from uuid import UUID

from . import _time
from ._calls import (
    Answer,
    Call,
    Envelope,
    Unreadable,
    check_options,
    check_text,
    encode,
    optional_text,
    read_whole,
    required_text,
    texts,
)
from .errors import InvalidRequestError
from .models import Message, SubmittedMessage

ACCEPT = "application/json"
BASE_URL = "https://api.modicagroup.com/rest/sms/v2"
BASE_URL_VARIABLE = "MODICA_V2_BASE_URL"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID = re.compile(_UUID, re.ASCII)
_LOCATION = re.compile(rf".*/messages(?:/|\?id=)({_UUID})/?", re.ASCII | re.IGNORECASE)


def send(destination: str, content: str, **options: Any) -> Call[SubmittedMessage]:
    """POST /messages.

    Raises:
        InvalidRequestError: an argument is certainly wrong.
    """
    return sends(content, **options)(destination)


def sends(
    content: str, *, integration_id: str | UUID | None, **options: Any
) -> Callable[[str], Call[SubmittedMessage]]:
    """What many messages with one text share, checked once: gives the call for a destination.

    Raises:
        InvalidRequestError: content or an option is certainly wrong.
    """
    from modica_sms_v2.models import NewMessage

    check_text("content", content)
    checked = check_options(**options)
    reference = checked.get("reference")
    scheduled = checked.get("scheduled")
    if integration_id is not None:
        canonical = _read_id(integration_id)
        if canonical is None:
            raise InvalidRequestError("integration_id must be a UUID or its text", field="integration_id")
        checked["integration_id"] = UUID(canonical)

    def call(destination: str) -> Call[SubmittedMessage]:
        message = NewMessage(destination=check_text("destination", destination), content=content, **checked)
        read = partial(
            _read_submitted,
            destination=destination,
            reference=reference,
            scheduled=None if scheduled is None else _time.wire(scheduled),
        )
        body = encode("content", message.to_dict())
        return Call("POST", "/messages", 202, read, _envelope, body, True, reference)

    return call


def get(message_id: str | UUID) -> Call[Message]:
    """GET /messages?id=<uuid>.

    Raises:
        InvalidRequestError: that cannot be an id.
    """
    canonical = _read_id(message_id)
    if canonical is None:
        raise InvalidRequestError(
            "message_id must be a v2 id, a UUID or its text; v1 ids cannot be looked up on v2", field="message_id"
        )
    return Call("GET", f"/messages?id={canonical}", 200, partial(_read_message, wanted=canonical), _envelope)


def _read_id(value: object) -> str | None:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _ID.fullmatch(lowered := value.lower()):
        return lowered
    return None


def _read_submitted(answer: Answer, destination: str, reference: str | None, scheduled: str | None) -> SubmittedMessage:
    body: Any = read_whole(answer)
    fields = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    found = _read_id(fields.get("id"))
    if found is None and answer.location is not None and (at := _LOCATION.fullmatch(answer.location)):
        # Not documented for v2, as it is for v1; if there is one, the id of an accepted message is not lost.
        found = _read_id(at[1])
    if found is None:
        raise Unreadable("neither its body nor its Location has an id")
    # The message is accepted and its id known: an odd status must not lose that.
    status = fields.get("status")
    return SubmittedMessage(
        found, destination, reference, scheduled, status if isinstance(status, str) else None, answer.location
    )


def _read_message(answer: Answer, wanted: str) -> Message:
    body: Any = read_whole(answer)
    if not isinstance(body, dict):
        raise Unreadable("its body is not a message")
    fields = cast("dict[str, object]", body)
    if _read_id(fields.get("id")) != wanted:
        raise Unreadable(f"its body is not message {wanted}")
    return Message(
        id=wanted,
        source=optional_text(fields, "source"),
        destination=required_text(fields, "destination"),
        content=required_text(fields, "content"),
        reference=optional_text(fields, "reference"),
        direction=optional_text(fields, "direction"),
        status=optional_text(fields, "status"),
    )


def _envelope(body: Mapping[str, Any]) -> Envelope:
    """``{"message", "statusCode", "error"}``; the HTTP status decides, the code repeats it."""
    code: object = body.get("statusCode")
    return Envelope(
        str(code) if type(code) is int and 1 <= code <= 999 else None,
        texts([body.get("message"), body.get("error")]),
    )
