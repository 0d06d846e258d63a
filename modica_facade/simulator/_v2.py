"""REST v2 as the vendor documents it: request in, answer out; callback in, payload out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

from ._records import Answer, without_none
from ._submission import ERRORS, UUID, Refused, error_body, read

if TYPE_CHECKING:
    from ._gateway import Gateway
    from ._records import Callback, ReceivedRequest

PATH = "/rest/sms/v2"

# The prose documentation and the published specification give v2 two shapes of receipts ({message_id, status,
# reference} or {id, status, detail}) and two of errors ({error, error-desc} as on v1, or {message, statusCode, error}).
Shape = Literal["prose", "specification"]

_DOCUMENT = Path(__file__).with_name("sms-v2.openapi.yaml")  # a link to openapi/ in a checkout, a copy in a wheel

# No expires: v2 does not have it.
_ATTRIBUTES = frozenset(
    {"destination", "content", "source", "reference", "class", "mask", "sms_class", "scheduled", "integration_id"}
)
_LENGTHS = {"content": 5000, "reference": 255, "source": 255}  # published specification


def answer(gateway: Gateway, request: ReceivedRequest, errors: Shape) -> Answer:
    """Answer a request below `PATH` that has good credentials."""
    if request.path != PATH + "/messages":
        return _error(404, "Not Found", "The requested URL was not found on this server", errors)
    if request.method == "POST":
        return _send(gateway, request, errors)
    if request.method == "GET":
        return _get(gateway, request, errors)
    return _error(405, "Method Not Allowed", "Only GET and POST are allowed", errors, Allow="GET, POST")


def unauthorized(errors: Shape) -> Answer:
    """Answer a request without good credentials."""
    challenge = {"WWW-Authenticate": 'Basic realm="gateway"'}
    return _error(401, "Unauthorized", "Wrong credentials or no permission", errors, **challenge)


def error(code: str, status_code: int, errors: Shape) -> Answer:
    """Answer with one of the documented error codes."""
    return _refusal(status_code, Refused(code, [ERRORS[code]]), errors)


def document() -> Answer:
    """The description of v2, which the gateway serves to everybody (published specification)."""
    return Answer(200, _DOCUMENT.read_bytes(), {"Content-Type": "application/yaml"})


def callback(event: Callback, shape: Shape) -> tuple[dict[str, Any], dict[str, str]]:
    """Payload and headers of a delivery receipt or an inbound message."""
    message = event.message
    if event.kind == "receipt" and shape == "specification":
        return {"id": message.id, "status": event.status, "detail": event.detail or message.destination}, {}
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


def _send(gateway: Gateway, request: ReceivedRequest, errors: Shape) -> Answer:
    try:
        submission = read(request.body, _ATTRIBUTES, gateway.clock.now(), lengths=_LENGTHS)
        destination = submission.only_destination()
    except Refused as refusal:
        return _refusal(400, refusal, errors)
    message = gateway.accept(2, destination, submission, request.username)
    request.accepted = (message.id,)
    return Answer.json(202, {"id": message.id, "status": message.status, "detail": message.destination})


def _get(gateway: Gateway, request: ReceivedRequest, errors: Shape) -> Answer:
    # Our choice: something that is not an id is not found; the specification has no other refusal here.
    match parse_qs(request.query).get("id"):
        case [message_id] if UUID.fullmatch(message_id):
            message = gateway.visible(2, message_id, request.username)
        case _:
            return _error(404, "Not Found", "The parameter id must be one lower-case UUID", errors)
    if message is None:
        return _error(404, "Not Found", "There is no message with this id", errors)
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


def _refusal(status_code: int, refusal: Refused, errors: Shape) -> Answer:
    texts = refusal.descriptions
    if errors == "prose":
        return Answer.json(status_code, error_body(refusal.code, texts))
    # Our choice: v1's checks and words in v2's envelope.
    return _error(status_code, ERRORS[refusal.code], texts if isinstance(texts, str) else ", ".join(texts), errors)


def _error(status_code: int, message: str, reason: str, errors: Shape, **headers: str) -> Answer:
    if errors == "prose":
        payload: dict[str, Any] = error_body(str(status_code), f"{status_code} {message}")
    else:
        payload = {"message": _plain(message)[:200], "statusCode": status_code, "error": _plain(reason)[:500]}
    return Answer.json(status_code, payload, **headers)


def _plain(text: str) -> str:
    """Only what the specification's pattern lets through."""
    return re.sub("[^-_ a-zA-Z0-9]+", "", text)
