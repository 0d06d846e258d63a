"""REST v1: its Accept header, its requests as the generated models write them, the parsing of its responses and errors.

The one module that imports ``modica_gateway_v1``, at the first call: that brings httpx along, which a process that only
receives callbacks does not need. Bodies are made by the generated models; a test compares the paths below with the
generated endpoints. Responses are parsed more strictly than by the generated readers, which take any JSON type for any
field: by then an SMS may have gone out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, Unpack, cast

from . import _rfc3339
from ._arguments import SendOptionsV1, check_options, check_text, check_texts, encode
from ._calls import (
    Call,
    InvalidResponse,
    Response,
    optional_text,
    parse_complete_json,
    required_text,
)
from ._ids import MAX_V1_ID, parse_v1_id, v1_id_from_location
from ._matching import match
from .errors import InvalidRequestError
from .models import BroadcastOutcome, BroadcastResult, Message, SubmittedMessage

ACCEPT = "application/vnd.modica.gateway.v1+json"
BASE_URL = "https://api.modicagroup.com/rest/gateway"
BASE_URL_VARIABLE = "MODICA_BASE_URL"
MAX_DESTINATIONS: Final = 1000
"""In one broadcast (published specification)."""


def send(destination: str, content: str, **options: Unpack[SendOptionsV1]) -> Call[SubmittedMessage]:
    """POST /messages.

    Raises:
        InvalidRequestError: an argument is certainly wrong.
    """
    from modica_gateway_v1.models import NewMessage

    checked = check_options(**options)
    message = NewMessage(
        destination=check_text("destination", destination),
        content=check_text("content", content),
        **checked,
    )
    reference = checked.get("reference")
    scheduled = checked.get("scheduled")
    parse = partial(
        _parse_submitted,
        destination=destination,
        reference=reference,
        scheduled=None if scheduled is None else _rfc3339.format_rfc3339(scheduled),
    )
    return Call(
        method="POST",
        path="/messages",
        success=201,
        parse=parse,
        body=encode(message.to_dict()),
        is_send=True,
        reference=reference,
    )


def broadcast(destinations: Iterable[str], content: str, **options: Unpack[SendOptionsV1]) -> Call[BroadcastResult]:
    """POST /messages/broadcast, exactly one.

    Raises:
        InvalidRequestError: an argument is certainly wrong, or there are not 1 to 1000 destinations.
    """
    return broadcasts(content, **options)(destinations, 0)


def broadcasts(content: str, **options: Unpack[SendOptionsV1]) -> Callable[[Iterable[str], int], Call[BroadcastResult]]:
    """What the batches of one broadcast share, checked once: gives the call for a batch and the index of its first.

    Raises:
        InvalidRequestError: content or an option is certainly wrong.
    """
    from modica_gateway_v1.models import NewBroadcast

    check_text("content", content)
    checked = check_options(**options)

    def call(destinations: Iterable[str], first: int) -> Call[BroadcastResult]:
        wanted = _check_destinations(destinations, first)
        body = encode(NewBroadcast(destination=wanted, content=content, **checked).to_dict())
        return Call(
            method="POST",
            path="/messages/broadcast",
            success=201,
            parse=partial(_parse_broadcast, wanted=wanted),
            body=body,
            is_send=True,
            reference=checked.get("reference"),
        )

    return call


def get(message_id: str | int) -> Call[Message]:
    """GET /messages/<id>.

    Raises:
        InvalidRequestError: that cannot be an id.
    """
    canonical = parse_v1_id(message_id)
    if canonical is None:
        raise InvalidRequestError(
            "message_id must be a v1 id, a whole number from 1 to 2**63-1 as int or str of digits", field="message_id"
        )
    return Call(
        method="GET",
        path=f"/messages/{canonical}",
        success=200,
        parse=partial(_parse_message, wanted=canonical),
    )


def _check_destinations(destinations: Iterable[str], first: int) -> list[str]:
    if isinstance(destinations, str | bytes) or not isinstance(destinations, Iterable):
        raise InvalidRequestError("destinations must be a list of str; for one number use send", field="destinations")
    wanted = list(islice(destinations, MAX_DESTINATIONS + 1))  # no more: it may have no end
    if not wanted:
        raise InvalidRequestError(f"destinations is empty: give 1 to {MAX_DESTINATIONS} numbers", field="destinations")
    if len(wanted) > MAX_DESTINATIONS:
        raise InvalidRequestError(
            f"a broadcast takes 1 to {MAX_DESTINATIONS} destinations, these are more; use broadcast_many",
            field="destinations",
        )
    check_texts("destinations", wanted, first)
    return wanted


def _parse_submitted(
    response: Response, destination: str, reference: str | None, scheduled: str | None
) -> SubmittedMessage:
    body: Any = parse_complete_json(response)
    found = None
    ids = cast("list[object]", body) if isinstance(body, list) else []
    if len(ids) == 1 and type(ids[0]) is int:
        found = parse_v1_id(ids[0])
    if found is None:
        # A truncated or mangled body does not lose the id of a message that was accepted: the head has it too.
        found = v1_id_from_location(response.location)
    if found is None:
        raise InvalidResponse("neither its body nor its Location has an id")
    return SubmittedMessage(found, destination, reference, scheduled, location=response.location)


def _parse_broadcast(response: Response, wanted: Sequence[str]) -> BroadcastResult:
    body: Any = parse_complete_json(response)
    if not isinstance(body, list):
        raise InvalidResponse("its body is not a list of results")
    rows = cast("list[object]", body)
    objects = cast("list[dict[str, object]]", [row for row in rows if isinstance(row, dict)])
    outcomes = [outcome for outcome in map(_parse_outcome, objects) if outcome is not None]
    result = BroadcastResult(outcomes)
    distinct = len({outcome.id for outcome in result.submitted}) == len(result.submitted)
    if distinct and len(outcomes) == len(rows) and [outcome.destination for outcome in outcomes] == wanted:
        return result
    if not distinct:
        # An id that several share is the id of one of them at most, and nothing says of which.
        count = Counter(outcome.id for outcome in result.submitted)
        outcomes = [outcome for outcome in outcomes if count[outcome.id or ""] < 2]
    outcomes = match(outcomes, wanted)
    if not len(outcomes) == len(rows) == len(wanted):
        raise InvalidResponse(
            f"its {len(rows)} results are certain for {len(outcomes)} of {len(wanted)} destinations", outcomes
        )
    return BroadcastResult(outcomes)


def _parse_outcome(row: Mapping[str, object]) -> BroadcastOutcome | None:
    """One row of a broadcast answer; None if it is neither a success with an id nor a failure without."""
    destination, status, found, reason = row.get("destination"), row.get("status"), row.get("id"), row.get("message")
    if not isinstance(destination, str) or not (reason is None or isinstance(reason, str)):
        return None
    if status == "success" and type(found) is int and 1 <= found <= MAX_V1_ID:
        return BroadcastOutcome(destination, str(found), "success", reason)
    if status == "failure" and found is None:
        return BroadcastOutcome(destination, None, "failure", reason)
    return None


def _parse_message(response: Response, wanted: str) -> Message:
    body: Any = parse_complete_json(response)
    if not isinstance(body, dict):
        raise InvalidResponse("its body is not a message")
    fields = cast("dict[str, object]", body)
    if parse_v1_id(fields.get("id")) != wanted:
        raise InvalidResponse(f"its body is not message {wanted}")
    return Message(
        id=wanted,
        source=optional_text(fields, "source"),
        destination=required_text(fields, "destination"),
        content=required_text(fields, "content"),
        reference=optional_text(fields, "reference"),
        reply_to=parse_v1_id(fields.get("reply_to")),
        operator=optional_text(fields, "operator"),
    )
