"""REST v1 as the vendor documents it: request in, answer out; callback in, payload out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ._records import Answer, without_none
from ._submission import Refused, error_body, is_accepted, read

if TYPE_CHECKING:
    from ._gateway import Gateway
    from ._records import Callback, ReceivedRequest, StoredMessage
    from ._submission import Submission

PATH = "/rest/gateway"
MEDIA_TYPE = "application/vnd.modica.gateway.v1+json"

_ATTRIBUTES = frozenset(
    {"destination", "content", "source", "reference", "class", "mask", "sms_class", "scheduled", "expires"}
)


def answer(gateway: Gateway, request: ReceivedRequest, base_url: str) -> Answer:
    """Answer a request below `PATH` that has good credentials."""
    route = request.path.removeprefix(PATH)
    single = route == "/messages"
    if single or route == "/messages/broadcast":
        if request.method != "POST":
            return _no_such_method("POST")
        try:
            submission = read(request.body, _ATTRIBUTES, gateway.clock.now(), many=not single)
            submit = _send if single else _broadcast
            return submit(gateway, request, submission, base_url)
        except Refused as refusal:
            return Answer.json(400, error_body(refusal.code, refusal.descriptions))
    if found := re.fullmatch("/messages/([^/]+)", route):
        if request.method != "GET":
            return _no_such_method("GET")
        message = gateway.visible(1, found[1], request.username)
        if message is None:
            return _plain_error("404", "Not Found")
        return Answer.json(200, _details(message), Location=_location(base_url, message))
    return not_found_page()


def unauthorized() -> Answer:
    """Answer a request without good credentials."""
    return _plain_error("401", "Unauthorized", **{"WWW-Authenticate": 'Basic realm="gateway"'})


def callback(event: Callback, base_url: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Payload and headers of a delivery receipt or an inbound message."""
    message = event.message
    if event.kind == "receipt":
        receipt = {"message_id": message.id, "status": event.status, "reference": message.reference}
        return without_none(receipt), {}
    inbound = {
        "id": int(message.id),
        "source": message.source,
        "destination": message.destination,
        "content": message.content,
        "operator": message.operator,
        "reply_to": message.reply_to,
        "reference": message.reference,
        "encoding": message.encoding,
    }
    return without_none(inbound), {"Location": _location(base_url, message)}


def error(code: str, status_code: int) -> Answer:
    """Answer with one of the documented error codes."""
    return Answer.json(status_code, error_body(code))


def not_found_page() -> Answer:
    """A wrong or truncated URL is answered in HTML (prose documentation, error codes)."""
    page = (
        "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n"
        "<body><h1>Not Found</h1><p>The requested URL was not found on this server.</p></body></html>\n"
    )
    return Answer(404, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


def _send(gateway: Gateway, request: ReceivedRequest, submission: Submission, base_url: str) -> Answer:
    message = gateway.accept(1, submission.only_destination(), submission, request.username)
    request.accepted = (message.id,)
    return Answer.json(201, [int(message.id)], Location=_location(base_url, message))


def _broadcast(gateway: Gateway, request: ReceivedRequest, submission: Submission, _: str) -> Answer:
    rows: list[dict[str, Any]] = []
    for destination in submission.destinations:
        if is_accepted(destination):
            message = gateway.accept(1, destination, submission, request.username)
            request.accepted += (message.id,)
            rows.append({"status": "success", "message": None, "destination": destination, "id": int(message.id)})
        else:
            reason = f"Invalid destination ({destination})"
            rows.append({"status": "failure", "message": reason, "destination": destination, "id": None})
    return Answer.json(201, rows)


def _details(message: StoredMessage) -> dict[str, Any]:
    return without_none(
        {
            "id": message.id,
            "source": message.source,
            "destination": message.destination,
            "content": message.content,
            "reference": message.reference,
            "reply_to": message.reply_to,
            "operator": message.operator,
        }
    )


def _location(base_url: str, message: StoredMessage) -> str:
    return f"{base_url}/messages/{message.id}"


def _no_such_method(allowed: str) -> Answer:
    return _plain_error("405", "Method Not Allowed", Allow=allowed)


def _plain_error(status: str, text: str, **headers: str) -> Answer:
    # Our choice: the documents give no body for these, so they come in the envelope of all the others.
    return Answer.json(int(status), error_body(status, f"{status} {text}"), **headers)
