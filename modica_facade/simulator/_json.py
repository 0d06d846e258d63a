"""Records as JSON: what the control API, its events and the command's JSON lines show of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from ..text import count_parts
from ._events import Event
from ._records import Delivery, Fault, ReceivedRequest, RequestMatch, StatusChange, StoredMessage

if TYPE_CHECKING:
    from datetime import datetime


def moment(value: datetime | None) -> str | None:
    """A moment in RFC 3339."""
    return None if value is None else value.isoformat()


def message_json(message: StoredMessage) -> dict[str, Any]:
    """A message, with the number of SMS it makes; binary content is not counted."""
    parts = None if message.encoding else count_parts(message.content)
    return {
        "id": message.id,
        "version": message.version,
        "direction": message.direction,
        "application": message.application,
        "source": message.source,
        "destination": message.destination,
        "content": message.content,
        "status": message.status,
        "reference": message.reference,
        "parts": 1 if parts is None else parts.count,
        "encoding": message.encoding or (parts and parts.encoding),
        "accepted_at": moment(message.accepted_at),
        "scheduled": moment(message.scheduled),
        "expires": moment(message.expires),
        "reply_to": message.reply_to,
        "history": [{"status": each.status, "at": moment(each.at)} for each in message.history],
    }


def request_json(request: ReceivedRequest) -> dict[str, Any]:
    """A request with its answer; bytes that are no UTF-8 are replaced."""
    answer = request.answer
    return {
        "n": request.number,
        "at": moment(request.at),
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "body": request.body.decode("utf-8", "replace"),
        "application": request.username,
        "authenticated": request.authenticated,
        "accepted": list(request.accepted),
        "status_code": request.status_code,
        "answer": None
        if answer is None or request.status_code is None
        else {"headers": dict(answer.headers), "body": answer.body.decode("utf-8", "replace")},
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """A callback attempt with the receiver's answer or the problem."""
    return {
        "n": delivery.number,
        "at": moment(delivery.at),
        "kind": delivery.kind,
        "message_id": delivery.message_id,
        "url": delivery.url,
        "headers": dict(delivery.headers),
        "payload": dict(delivery.payload),
        "attempt": delivery.attempt,
        "status_code": delivery.status_code,
        "problem": delivery.problem,
        "ok": delivery.ok,
    }


def fault_json(fault: Fault) -> dict[str, Any]:
    """A rule, with how often it was applied and may still be."""
    match fault.match:
        case None:
            match: Any = {}
        case RequestMatch():
            match = attrs.asdict(fault.match, filter=lambda _, value: value is not None)
        case _:
            match = "a function"
    return {
        "id": fault.id,
        "error": fault.error,
        "status": None if fault.answer is None else fault.answer.status_code,
        "acted": fault.acted,
        "cut": fault.cut,
        "delay": fault.delay,
        "times": fault.times,
        "times_left": fault.times_left,
        "hits": fault.hits,
        "match": match,
    }


def event_json(event: Event) -> dict[str, Any] | None:
    """What an event is about, as it is now; None for the clock and a reset, which are about the simulator itself."""
    match event.subject:
        case StoredMessage():
            return message_json(event.subject)
        case ReceivedRequest():
            return request_json(event.subject)
        case Delivery():
            return delivery_json(event.subject)
        case Fault():
            return fault_json(event.subject)
        case StatusChange(message_id, status, at):
            return {"id": message_id, "status": status, "at": moment(at)}
        case None:
            return None
