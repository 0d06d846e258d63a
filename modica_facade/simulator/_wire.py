"""Between ASGI and the simulator: read a request, write an answer, or cut the connection in the middle of one."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ._records import ReceivedRequest

if TYPE_CHECKING:
    from ._records import Answer, Cut

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_MAX_BODY = 1 << 20  # a thousand destinations and the longest legal content take a tenth of it


async def read_body(receive: Any, limit: int = _MAX_BODY) -> bytes | None:
    """The whole body, or None if it is larger than ``limit``, or the client left meanwhile."""
    body: bytes = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if event["type"] == "http.disconnect" or len(body) > limit:
            return None
        if not event.get("more_body", False):
            return body


def received(scope: Any, body: bytes) -> tuple[ReceivedRequest, tuple[bytes, bytes] | None]:
    """The request as it is remembered, and its Basic credentials, which are not."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    credentials = None
    if authorization := headers.get("authorization"):
        credentials = _basic(authorization)
        headers["authorization"] = authorization.partition(" ")[0] + " (withheld)"
    username = credentials[0].decode("utf-8", "replace") if credentials is not None else None
    query = scope["query_string"].decode("latin-1")
    return ReceivedRequest(scope["method"], scope["path"], query, headers, body, username), credentials


def accepts(request: ReceivedRequest, media_type: str) -> bool:
    """Does the request ask for exactly this media type, among others perhaps?"""
    wanted = request.headers.get("accept", "").lower().split(",")
    return any(each.partition(";")[0].strip() == media_type for each in wanted)


def _basic(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(token.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (username, password) if colon else None


async def write(send: Any, answer: Answer) -> None:
    """Write an answer."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    if not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def cut(scope: Any, receive: Any, answer: Answer, where: Cut) -> None:
    """Write as much of an answer as gets out, past the HTTP layer, and close the connection."""
    transport = scope["state"]["transport"]
    transport.write(_beginning(answer, where))
    transport.close()
    # uvicorn would answer for an application that returns without an answer: not before it saw the disconnect.
    await receive()


def _beginning(answer: Answer, where: Cut) -> bytes:
    if where in ("before", "after"):
        return b""
    status_line = f"HTTP/1.1 {answer.status_code} {_PHRASES.get(answer.status_code, '')}"
    head = "\r\n".join([status_line, *(f"{name}: {value}" for name, value in answer.headers.items())]).encode("latin-1")
    if where == "head":
        return head[: len(head) // 2]
    # At least one byte is promised that never comes.
    length = max(1, len(answer.body))
    return head + b"\r\ncontent-length: %d\r\n\r\n" % length + answer.body[: length // 2]
