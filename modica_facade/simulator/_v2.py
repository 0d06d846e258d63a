"""REST v2 as the vendor documents it: request in, answer out; callback in, payload out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

from modica_facade.simulator._records import Answer, without_none
from modica_facade.simulator._submission import ERRORS, UUID, Refused, read

if TYPE_CHECKING:
    from modica_facade.simulator._gateway import Gateway
    from modica_facade.simulator._records import Callback, ReceivedRequest

PATH: str = "/rest/sms/v2"

# Receipts are {message_id, status, reference} in the prose documentation, {id, status, detail} in the specification.
ReceiptShape = Literal["prose", "specification"]

# No expires: v2 does not have it.
_ATTRIBUTES = frozenset(
    {"destination", "content", "source", "reference", "class", "mask", "sms_class", "scheduled", "integration_id"}
)


def answer(gateway: Gateway, request: ReceivedRequest, _base_url: str) -> Answer:
    """Answer a request below `PATH` that has good credentials."""
    if request.path != PATH + "/messages":
        return _error(404, "Not Found", "The requested URL was not found on this server")
    if request.method == "POST":
        return _send(gateway, request)
    if request.method == "GET":
        return _get(gateway, request)
    return _error(405, "Method Not Allowed", "Only GET and POST are allowed", Allow="GET, POST")


def unauthorized() -> Answer:
    """Answer a request without good credentials."""
    challenge = {"WWW-Authenticate": 'Basic realm="gateway"'}
    return _error(401, "Unauthorized", "Wrong credentials or no permission", **challenge)


def callback(event: Callback, shape: ReceiptShape) -> tuple[dict[str, Any], dict[str, str]]:
    """Payload and headers of a delivery receipt or an inbound message."""
    message = event.message
    if event.kind == "receipt" and shape == "specification":
        return {"id": message.id, "status": event.status, "detail": message.destination}, {}
    if event.kind == "receipt":
        receipt = {"message_id": message.id, "status": event.status, "reference": message.reference}
        return without_none(receipt), {}
    inbound = {
        "id": message.id,
        "source": message.source,
        "destination": message.destination,
        "content": message.content,
        "operator": message.operator,
        # Our choice: not in the specification of v2, but without it nobody could read a binary message.
        "encoding": message.encoding,
    }
    return without_none(inbound), {}


def _send(gateway: Gateway, request: ReceivedRequest) -> Answer:
    try:
        submission = read(request.body, _ATTRIBUTES, gateway.clock.now(), many=False)
        destination = submission.only_destination()
    except Refused as refusal:
        texts = refusal.descriptions
        # Our choice: v1's checks and words in v2's envelope.
        return _error(400, ERRORS[refusal.code], texts if isinstance(texts, str) else ", ".join(texts))
    message = gateway.accept(2, destination, submission)
    request.accepted = (message.id,)
    return Answer.json(202, {"id": message.id, "status": message.status, "detail": message.destination})


def _get(gateway: Gateway, request: ReceivedRequest) -> Answer:
    match parse_qs(request.query).get("id"):
        case [message_id] if UUID.fullmatch(message_id):
            message = gateway.get(2, message_id)
        case _:
            return _error(400, "Bad Request", "The parameter id must be one lower-case UUID")
    if message is None:
        return _error(404, "Not Found", "There is no message with this id")
    details = {
        "id": message.id,
        "source": message.source,
        "destination": message.destination,
        "direction": message.direction,
        "reference": message.reference,
        "content": message.content,
        "status": message.status,
    }
    return Answer.json(200, without_none(details))


def _error(status_code: int, message: str, error: str, **headers: str) -> Answer:
    payload = {"message": _plain(message)[:200], "statusCode": status_code, "error": _plain(error)[:500]}
    return Answer.json(status_code, payload, **headers)


def _plain(text: str) -> str:
    """Only what the specification's pattern lets through."""
    return re.sub("[^-_ a-zA-Z0-9]+", "", text)
