"""REST v2: its Accept header, its requests as the generated models write them, the parsing of its responses and errors.

The one module that imports ``modica_sms_v2``. As in `_v1`, that happens at the first call, bodies are made by the
generated models, a test compares the paths with the generated endpoints, and responses are parsed more strictly than by
the generated readers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack, cast
from uuid import UUID

from . import _rfc3339
from ._arguments import SendOptionsV2, check_options, check_text, encode
from ._calls import (
    Call,
    InvalidResponse,
    Response,
    optional_text,
    parse_complete_json,
    required_text,
)
from ._ids import parse_v2_id, v2_id_from_location
from .errors import InvalidRequestError
from .models import Message, SubmittedMessage

ACCEPT = "application/json"
BASE_URL = "https://api.modicagroup.com/rest/sms/v2"
BASE_URL_VARIABLE = "MODICA_V2_BASE_URL"


def send(destination: str, content: str, **options: Unpack[SendOptionsV2]) -> Call[SubmittedMessage]:
    """POST /messages.

    Raises:
        InvalidRequestError: an argument is certainly wrong.
    """
    return sends(content, **options)(destination)


def sends(content: str, **options: Unpack[SendOptionsV2]) -> Callable[[str], Call[SubmittedMessage]]:
    """What many messages with one text share, checked once: gives the call for a destination.

    Raises:
        InvalidRequestError: content or an option is certainly wrong.
    """
    from modica_sms_v2.models import NewMessage

    check_text("content", content)
    checked = check_options(**options)
    reference = checked.get("reference")
    scheduled = checked.get("scheduled")

    def call(destination: str) -> Call[SubmittedMessage]:
        message = NewMessage(destination=check_text("destination", destination), content=content, **checked)
        parse = partial(
            _parse_submitted,
            destination=destination,
            reference=reference,
            scheduled=None if scheduled is None else _rfc3339.format_rfc3339(scheduled),
        )
        return Call(
            method="POST",
            path="/messages",
            success=202,
            parse=parse,
            body=encode(message.to_dict()),
            is_send=True,
            reference=reference,
        )

    return call


def get(message_id: str | UUID) -> Call[Message]:
    """GET /messages?id=<uuid>.

    Raises:
        InvalidRequestError: that cannot be an id.
    """
    canonical = parse_v2_id(message_id)
    if canonical is None:
        raise InvalidRequestError(
            "message_id must be a v2 id, a UUID or its text; v1 ids cannot be looked up on v2", field="message_id"
        )
    return Call(
        method="GET",
        path=f"/messages?id={canonical}",
        success=200,
        parse=partial(_parse_message, wanted=canonical),
    )


def _parse_submitted(
    response: Response, destination: str, reference: str | None, scheduled: str | None
) -> SubmittedMessage:
    body: Any = parse_complete_json(response)
    fields = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    found = parse_v2_id(fields.get("id"))
    if found is None:
        # Documented for v1 only; if there is one, the id of an accepted message is not lost.
        found = v2_id_from_location(response.location)
    if found is None:
        raise InvalidResponse("neither its body nor its Location has an id")
    # The message is accepted and its id known: an odd status must not lose that.
    status = fields.get("status")
    return SubmittedMessage(
        found, destination, reference, scheduled, status if isinstance(status, str) else None, response.location
    )


def _parse_message(response: Response, wanted: str) -> Message:
    body: Any = parse_complete_json(response)
    if not isinstance(body, dict):
        raise InvalidResponse("its body is not a message")
    fields = cast("dict[str, object]", body)
    if parse_v2_id(fields.get("id")) != wanted:
        raise InvalidResponse(f"its body is not message {wanted}")
    return Message(
        id=wanted,
        source=optional_text(fields, "source"),
        destination=required_text(fields, "destination"),
        content=required_text(fields, "content"),
        reference=optional_text(fields, "reference"),
        direction=optional_text(fields, "direction"),
        status=optional_text(fields, "status"),
    )
