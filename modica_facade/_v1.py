"""REST v1 as spoken: Accept header, requests out of the generated models, answers and error envelopes.

The one room that imports ``modica_gateway_v1``, at the first call: it brings httpx along, which a process that only
receives callbacks does not need. Bodies are made by the generated models; the paths below are checked against the
generated endpoints by a test, so the two cannot drift apart. Answers are read with stricter eyes than the generated
readers have (these take any JSON type for any field): by then an SMS may have gone out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from . import _time
from ._calls import (
    LARGEST_ID,
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
from .models import BroadcastResult, Message, OutcomeRow, SubmittedMessage

ACCEPT = "application/vnd.modica.gateway.v1+json"
BASE_URL = "https://api.modicagroup.com/rest/gateway"
BASE_URL_VARIABLE = "MODICA_BASE_URL"
MOST_DESTINATIONS = 1000

_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_LOCATION = re.compile(r".*/messages/([1-9][0-9]{0,18})/?", re.ASCII)


def send(destination: str, content: str, **options: Any) -> Call[SubmittedMessage]:
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
    read = partial(
        _read_submitted,
        destination=destination,
        reference=reference,
        scheduled=None if scheduled is None else _time.wire(scheduled),
    )
    return Call("POST", "/messages", 201, read, _envelope, encode("content", message.to_dict()), True, reference)


def broadcast(destinations: Iterable[str], content: str, **options: Any) -> Call[BroadcastResult]:
    """POST /messages/broadcast, exactly one.

    Raises:
        InvalidRequestError: an argument is certainly wrong, or there are not 1 to 1000 destinations.
    """
    return broadcasts(content, **options)(destinations)


def broadcasts(content: str, **options: Any) -> Callable[[Iterable[str]], Call[BroadcastResult]]:
    """What the batches of one broadcast share, checked once: gives the call for a batch of destinations.

    Raises:
        InvalidRequestError: content or an option is certainly wrong.
    """
    from modica_gateway_v1.models import NewBroadcast

    check_text("content", content)
    checked = check_options(**options)

    def call(destinations: Iterable[str]) -> Call[BroadcastResult]:
        wanted = _check_destinations(destinations)
        body = encode("content", NewBroadcast(destination=wanted, content=content, **checked).to_dict())
        reference = checked.get("reference")
        read = partial(_read_broadcast, wanted=wanted)
        return Call("POST", "/messages/broadcast", 201, read, _envelope, body, True, reference)

    return call


def get(message_id: str | int) -> Call[Message]:
    """GET /messages/<id>.

    Raises:
        InvalidRequestError: that cannot be an id.
    """
    canonical = _read_id(message_id)
    if canonical is None:
        raise InvalidRequestError(
            "message_id must be a v1 id, a whole number from 1 to 2**63-1 as int or str of digits", field="message_id"
        )
    return Call("GET", f"/messages/{canonical}", 200, partial(_read_message, wanted=canonical), _envelope)


def _check_destinations(destinations: Iterable[str]) -> list[str]:
    if isinstance(destinations, str | bytes) or not isinstance(destinations, Iterable):
        raise InvalidRequestError("destinations must be a list of str; for one number use send", field="destinations")
    wanted = list(destinations)
    if not 1 <= len(wanted) <= MOST_DESTINATIONS:
        raise InvalidRequestError(
            f"a broadcast takes 1 to {MOST_DESTINATIONS} destinations, not {len(wanted)}; use broadcast_many for more",
            field="destinations",
        )
    for destination in wanted:
        check_text("destinations", destination)
    return wanted


def _read_id(value: object) -> str | None:
    """An id as canonical text, or None: the JSON type varies with the endpoint."""
    if type(value) is int:
        return str(value) if 1 <= value <= LARGEST_ID else None
    if isinstance(value, str) and _ID.fullmatch(value) and int(value) <= LARGEST_ID:
        return value
    return None


def _read_submitted(answer: Answer, destination: str, reference: str | None, scheduled: str | None) -> SubmittedMessage:
    body: Any = read_whole(answer)
    found = None
    ids = cast("list[object]", body) if isinstance(body, list) else []
    if len(ids) == 1 and type(ids[0]) is int:
        found = _read_id(ids[0])
    if found is None and answer.location is not None and (at := _LOCATION.fullmatch(answer.location)):
        # A body that is cut or mangled does not lose the id of a message that was accepted: the head has it too.
        found = _read_id(at[1])
    if found is None:
        raise Unreadable("neither its body nor its Location has an id")
    return SubmittedMessage(found, destination, reference, scheduled, location=answer.location)


def _read_broadcast(answer: Answer, wanted: Sequence[str]) -> BroadcastResult:
    body: Any = read_whole(answer)
    if not isinstance(body, list):
        raise Unreadable("its body is not a list of results")
    rows = cast("list[object]", body)
    outcomes = [outcome for outcome in map(_read_outcome, rows) if outcome is not None]
    found = [outcome[0] for outcome in outcomes]
    if found != wanted and Counter(found) <= Counter(wanted):
        outcomes = _in_order(outcomes, wanted)
    result = BroadcastResult.of(outcomes)
    if not len(outcomes) == len(rows) == len(wanted):
        raise Unreadable(f"it has {len(outcomes)} readable results for {len(wanted)} destinations", result)
    return result


def _read_outcome(row: object) -> OutcomeRow | None:
    """One row of a broadcast answer; None if it makes no sense: neither a success with an id nor a failure without."""
    if not isinstance(row, dict):
        return None
    fields = cast("dict[str, object]", row)
    destination, status, found = fields.get("destination"), fields.get("status"), fields.get("id")
    reason = fields.get("message")
    if not isinstance(destination, str) or not (reason is None or isinstance(reason, str)):
        return None
    if status == "success" and type(found) is int and 1 <= found <= LARGEST_ID:
        return destination, str(found), "success", reason
    if status == "failure" and found is None:
        return destination, None, "failure", reason
    return None


def _in_order(outcomes: Sequence[OutcomeRow], wanted: Sequence[str]) -> list[OutcomeRow]:
    """The outcomes in the order of the destinations they name; the gateway does not promise one."""
    waiting: dict[str, list[OutcomeRow]] = {}
    for outcome in reversed(outcomes):
        waiting.setdefault(outcome[0], []).append(outcome)
    return [waiting[destination].pop() for destination in wanted if waiting.get(destination)]


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
        reply_to=_read_id(fields.get("reply_to")),
        operator=optional_text(fields, "operator"),
    )


def _envelope(body: Mapping[str, Any]) -> Envelope:
    """Both shapes: ``{"error", "error-desc"}`` of the prose, ``{"message", "code"}`` of the specification."""
    if "error" in body:
        code = _code(body["error"])
        return Envelope(code, texts(body.get("error-desc")), code)
    code, descriptions = _code(body.get("code")), texts(body.get("message"))
    # In the specification's shape 400 is any bad request; only the prose reserves it for the schedule.
    vague = code == "400" and not any("scheduled" in text.lower() for text in descriptions)
    return Envelope(code, descriptions, None if vague else code)


def _code(value: object) -> str | None:
    if type(value) is int and abs(value) < 10**6:
        return str(value)
    return value[:100] if isinstance(value, str) and value else None
