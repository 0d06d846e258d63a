"""The control API: the methods of the simulator over HTTP, for tests in any language, and the page.

Described by ``openapi/simulator-control.openapi.yaml``. It is guarded against web pages in a browser on the same
machine: they can neither reach it by a name of their own (DNS rebinding) nor post to it from another origin.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import inspect
import ipaddress
import json
import re
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import parse_qsl, urlsplit

import attrs

from .._version import __version__
from . import _v1, _v2
from ._checks import check_number, check_text
from ._json import delivery_json, event_json, fault_json, message_json, moment, request_json
from ._records import Answer
from ._wire import read_body, write

if TYPE_CHECKING:
    from ._records import Delivery
    from ._simulator import BaseSimulator

PATH = "/_modica/v1"

_MAX_BODY = 1 << 16
_MAX_WAIT = 300.0
_PING_SECONDS = 15.0  # proxies and browsers drop a stream that is silent for much longer
_PAGE = Path(__file__).with_name("_page.html")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SAFE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Names of parameters, and those of `find_messages`.
_FILTERS = {
    "to": "to",
    "from": "source",
    "containing": "containing",
    "reference": "reference",
    "application": "application",
    "status": "status",
    "direction": "direction",
}


class _RefusedError(Exception):
    """A request that gets no more than an error; carries the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


@attrs.frozen
class _Call:
    """A request to the control API that has passed its guards."""

    origin: str
    parameters: dict[str, str]  # of the path and the query
    body: dict[str, Any]
    last_event_id: str | None


_Handler = Callable[[_Call], Answer] | Callable[[_Call, Any, Any], Coroutine[Any, Any, Answer | None]]


class Control:
    """The control API and the page as one ASGI application.

    Args:
        simulator: the one it controls.
        advance: the simulator's method that moves the clock, in the form that blocks until callbacks are answered.
        resend: the simulator's method of that name, in the same form.
        send_receipt: the simulator's method of that name, in the same form.
        loopback_only: answer only requests that use a loopback name.
    """

    def __init__(
        self,
        simulator: BaseSimulator,
        *,
        advance: Callable[[float | datetime], list[Delivery]],
        resend: Callable[[int], Delivery],
        send_receipt: Callable[[str, str, str | None], Delivery | None],
        loopback_only: bool,
    ) -> None:
        self._simulator, self._loopback_only = simulator, loopback_only
        self._advance, self._resend, self._send_receipt = advance, resend, send_receipt
        routes: dict[str, dict[str, _Handler]] = {
            "/": {"GET": self._get_page},
            PATH + "/health": {"GET": self._get_health},
            PATH + "/messages": {"GET": self._get_messages},
            PATH + "/requests": {"GET": self._get_requests},
            PATH + "/deliveries": {"GET": self._get_deliveries},
            PATH + "/deliveries/(?P<n>[0-9]{1,18})/resend": {"POST": self._post_resend},
            PATH + "/replies": {"POST": self._post_reply},
            PATH + "/receipts": {"POST": self._post_receipt},
            PATH + "/plans": {"PUT": self._put_plan},
            PATH + "/clock": {"GET": self._get_clock, "PATCH": self._patch_clock},
            PATH + "/faults": {"GET": self._get_faults, "POST": self._post_fault},
            PATH + "/faults/(?P<id>[^/]+)": {"DELETE": self._delete_fault},
            PATH + "/callback-faults": {"PUT": self._put_callback_faults},
            PATH + "/settings": {"PATCH": self._patch_settings},
            PATH + "/reset": {"POST": self._post_reset},
            PATH + "/events": {"GET": self._get_events},
        }
        self._routes = [(re.compile(path), methods) for path, methods in routes.items()]

    def serves(self, path: str) -> bool:
        """Does a path belong to the control API or the page?"""
        return path == "/" or path.startswith("/_modica/")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            origin = f"{scope['scheme']}://{headers.get('host', '')}"
            self._guard(origin, headers)
            handler, parameters = self._route(scope["method"], scope["path"])
            query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            body = await _body(scope["method"], headers, receive)
            call = _Call(origin, {**dict(query), **parameters}, body, headers.get("last-event-id"))
            if inspect.iscoroutinefunction(handler):
                answer = await handler(call, receive, send)
            else:  # callbacks may be posted, to receivers that take their time
                answer = await asyncio.to_thread(cast("Callable[[_Call], Answer]", handler), call)
        except _RefusedError as refusal:
            answer = refusal.answer
        except LookupError as error:
            answer = _error(404, str(error.args[0]))
        except ValueError as error:
            answer = _error(400, str(error))
        if answer is not None:
            await write(send, attrs.evolve(answer, headers={**_SAFE, **answer.headers}))

    def _guard(self, origin: str, headers: Mapping[str, str]) -> None:
        if self._loopback_only and not is_loopback(headers.get("host", "")):
            raise _RefusedError(
                _error(421, "the control API answers to loopback names only; to change that, use --host")
            )
        if headers.get("origin", origin).lower() != origin.lower():
            raise _RefusedError(_error(403, "the control API does not answer to pages of another origin"))

    def _route(self, method: str, path: str) -> tuple[_Handler, dict[str, str]]:
        for pattern, methods in self._routes:
            if found := pattern.fullmatch(path):
                if method in methods:
                    return methods[method], found.groupdict()
                raise _RefusedError(_error(405, f"use {' or '.join(methods)} here", Allow=", ".join(methods)))
        raise _RefusedError(_error(404, f"there is no {path}; see openapi/simulator-control.openapi.yaml"))

    # What is there

    def _get_page(self, _: _Call) -> Answer:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        page = _PAGE.read_text("utf-8").replace("{{nonce}}", nonce)
        return Answer(
            200, page.encode(), {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
        )

    def _get_health(self, call: _Call) -> Answer:
        return _ok(
            ready=True,
            version=__version__,
            now=moment(self._simulator.now),
            v1=call.origin + _v1.PATH,
            v2=call.origin + _v2.PATH,
        )

    async def _get_messages(self, call: _Call, receive: Any, _send: Any) -> Answer:
        parameters = _only(call.parameters, optional=(*_FILTERS, "after", "limit", "wait"))
        filters = {_FILTERS[name]: value for name, value in parameters.items() if name in _FILTERS}
        after, limit = parameters.get("after"), _count(parameters.get("limit", "1000"))
        if "wait" not in parameters:
            return _ok(**self._page_of_messages(filters, after, limit))
        seconds = _seconds(parameters["wait"])
        deadline = time.monotonic() + seconds
        async with self._news(receive) as news:
            while not (page := self._page_of_messages(filters, after, limit))["messages"]:
                if news.client_left or (remaining := deadline - time.monotonic()) <= 0:
                    came = self._page_of_messages({}, after, limit)
                    error = f"no such message within {seconds:g} s; messages are those that came instead"
                    return Answer.json(408, {"error": error, **came})
                await news.wait(remaining)
        return _ok(**page)

    def _page_of_messages(self, filters: dict[str, Any], after: str | None, limit: int) -> dict[str, Any]:
        found = self._simulator.find_messages(**filters)
        if after is not None:
            order = {message.id: number for number, message in enumerate(self._simulator.find_messages())}
            if after not in order:
                raise LookupError(f"after: there is no message {after}")
            found = [message for message in found if order.get(message.id, -1) > order[after]]
        more = len(found) > limit
        return {
            "messages": [message_json(message) for message in found[:limit]],
            "next": found[limit - 1].id if more else None,
        }

    def _get_requests(self, _: _Call) -> Answer:
        return _ok(requests=[request_json(request) for request in self._simulator.requests])

    def _get_deliveries(self, _: _Call) -> Answer:
        return _ok(deliveries=[delivery_json(delivery) for delivery in self._simulator.deliveries])

    def _get_faults(self, _: _Call) -> Answer:
        return _ok(
            faults=[fault_json(fault) for fault in self._simulator.faults],
            callback_faults=self._simulator.callback_faults,
        )

    def _get_clock(self, _: _Call) -> Answer:
        return _ok(**self._clock())

    def _clock(self) -> dict[str, Any]:
        simulator = self._simulator
        return {"now": moment(simulator.now), "running": simulator.running, "next": moment(simulator.next_due)}

    async def _get_events(self, call: _Call, receive: Any, send: Any) -> None:
        parameters = _only(call.parameters, optional=("since",))
        events = self._simulator.events
        since = call.last_event_id or parameters.get("since")
        number = events.last if since is None else events.number_of(since)
        headers = {"content-type": "text/event-stream; charset=utf-8", **_SAFE}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        async with self._news(receive) as news:
            text = f"id: {events.event_id(number)}\n\n" if number is not None else ""  # a place to resume from
            while not news.client_left:
                new = None if number is None else events.since(number)
                if new is None:  # of another process, or no longer kept: the reader has to load everything afresh
                    number = events.last
                    text = self._event(number, "reset", {**self._clock(), "missed": True})
                elif new:
                    number = new[-1].number
                    clock = self._clock()
                    text += "".join(self._event(each.number, each.kind, event_json(each) or clock) for each in new)
                if text:
                    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                    text = ""
                    # Sending need not wait for anything: where events never end, nobody else would have a turn.
                    await asyncio.sleep(0)
                elif not await news.wait(_PING_SECONDS):
                    text = ": ping\n\n"

    def _event(self, number: int, kind: str, data: Mapping[str, Any]) -> str:
        return f"id: {self._simulator.events.event_id(number)}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"

    @contextlib.asynccontextmanager
    async def _news(self, receive: Any) -> AsyncGenerator[_News]:
        news, loop = _News(), asyncio.get_running_loop()

        async def watch() -> None:
            await receive()  # nothing comes any more but the disconnect
            news.client_left = True
            news.wake()

        watcher = asyncio.create_task(watch())
        try:
            with self._simulator.events.listening(lambda: loop.call_soon_threadsafe(news.wake)):
                yield news
        finally:
            watcher.cancel()

    # What can be done

    def _post_reply(self, call: _Call) -> Answer:
        body = _only(call.body, required=("from",), optional=("content", "base64", "reply_to"))
        if ("content" in body) == ("base64" in body):
            raise ValueError("give content or base64, one of them")
        content = body["content"] if "content" in body else _decoded(body["base64"])
        optional = {"reply_to": body["reply_to"]} if "reply_to" in body else {}
        return Answer.json(201, message_json(self._simulator.reply(body["from"], content, **optional)))

    def _post_receipt(self, call: _Call) -> Answer:
        body = _only(call.body, required=("message_id", "status"), optional=("detail",))
        delivery = self._send_receipt(body["message_id"], body["status"], body.get("detail"))
        return Answer.json(201, {"posted": [] if delivery is None else [delivery_json(delivery)]})

    def _post_resend(self, call: _Call) -> Answer:
        return Answer.json(201, {"posted": [delivery_json(self._resend(int(call.parameters["n"])))]})

    def _put_plan(self, call: _Call) -> Answer:
        body = _only(call.body, required=("statuses",), optional=("destination", "interval"))
        plan: dict[str, Any] = {"destination": None, "interval": 1.0, **body}
        statuses: Any = plan.pop("statuses")
        if not isinstance(statuses, list):
            raise ValueError(f"statuses must be a list, not {statuses!r}")
        self._simulator.plan_receipts(*statuses, **plan)  # pyright: ignore[reportUnknownArgumentType] - it checks each
        return _ok(statuses=statuses, **plan)

    def _put_callback_faults(self, call: _Call) -> Answer:
        body = _only(call.body, optional=("duplicate", "drop", "reorder", "overtake"))
        self._simulator.disturb_callbacks(**body)
        return _ok(**self._simulator.callback_faults)

    def _patch_clock(self, call: _Call) -> Answer:
        body = _only(call.body, optional=("advance", "to", "running"))
        if not body or ("advance" in body and "to" in body):
            raise ValueError("give advance or to, or running, or running with one of them")
        how_far = _timestamp(body["to"]) if "to" in body else body.get("advance", 0)
        if "running" in body:
            self._simulator.running = body["running"]
        posted = self._advance(how_far) if "advance" in body or "to" in body else []
        return _ok(**self._clock(), posted=[delivery_json(delivery) for delivery in posted])

    def _post_fault(self, call: _Call) -> Answer:
        body = _only(
            call.body,
            optional=("error", "status", "body", "headers", "acted", "cut", "delay", "times", "match"),
        )
        return Answer.json(201, fault_json(self._simulator.fail(**body)))

    def _delete_fault(self, call: _Call) -> Answer:
        self._simulator.remove_fault(call.parameters["id"])
        return Answer(204)

    def _patch_settings(self, call: _Call) -> Answer:
        self._simulator.configure(**call.body)
        return _ok(**self._simulator.settings)

    def _post_reset(self, _: _Call) -> Answer:
        self._simulator.reset()
        return _ok(**self._clock())


class _News:
    """Wakes a coroutine when there are new events, or its client has left."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self.client_left = False

    def wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until there is something new; False if there was nothing for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


def is_loopback(host: str) -> bool:
    """Does a Host header name this machine, in a way that no DNS server has a say in?"""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _body(method: str, headers: Mapping[str, str], receive: Any) -> dict[str, Any]:
    raw = await read_body(receive, _MAX_BODY)
    if raw is None:
        raise _RefusedError(_error(413, f"a body has at most {_MAX_BODY} bytes here", Connection="close"))
    if method in ("GET", "DELETE"):
        return {}
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    # A browser lets any page post the types of forms. Without type and body it still sends an Origin, which is checked.
    if media_type != "application/json" and (media_type or raw):
        raise _RefusedError(_error(415, "send this as application/json"))
    try:
        body: Any = json.loads(raw or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ValueError("send a JSON object")
    return cast("dict[str, Any]", body)


def _only(given: dict[str, Any], *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """What was given, which is all that is required and nothing unknown."""
    if missing := [name for name in required if name not in given]:
        raise ValueError(f"{missing[0]} is missing")
    if unknown := sorted(given.keys() - {*required, *optional}):
        raise ValueError(f"{unknown[0]} is unknown here; there are {', '.join((*required, *optional)) or 'none'}")
    return given


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(check_text("base64", text), validate=True)
    except binascii.Error as error:
        raise ValueError(f"base64 cannot be decoded: {error}") from None


def _timestamp(text: object) -> datetime:
    if not isinstance(text, str) or not _TIMESTAMP.fullmatch(text):
        raise ValueError(
            f"to must be RFC 3339 with seconds and an offset, e.g. 2030-05-05T10:00:00+12:00, not {text!r}"
        )
    return datetime.fromisoformat(text.upper())


def _seconds(text: str) -> float:
    try:
        return check_number("wait", float(text), 0, _MAX_WAIT)
    except ValueError:
        raise ValueError(f"wait must be seconds, from 0 to {_MAX_WAIT:g}, not {text!r}") from None


def _count(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,4}", text):
        raise ValueError(f"limit must be from 1 to 99999, not {text!r}")
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _ok(**fields: Any) -> Answer:
    return Answer.json(200, fields)


def _error(status_code: int, text: str, **headers: str) -> Answer:
    return Answer.json(status_code, {"error": text}, **headers)
