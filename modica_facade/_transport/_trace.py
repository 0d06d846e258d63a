"""What the trace events of httpcore tell of a request: whether its body was begun, and what was answered."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final

import httpx

from .._calls import AMBIGUOUS_STATUSES
from ._exchange import Head

# The steps of httpcore after which the body of a request may still be wholly on this machine. Any other event, one of a
# future httpcore too, counts as "the body was begun".
_PROTOCOL_STEPS: Final = (
    "send_connection_init receive_remote_settings send_request_headers send_request_body "
    "receive_response_headers receive_response_body response_closed"
)
_STEPS_BEFORE_BODY: Final = frozenset(
    f"{part}.{step}"
    for part, steps in {
        "connection": "connect_tcp connect_unix_socket start_tls retry close",
        "proxy": "start_tls",
        "socks": "connect_tcp setup_socks5_connection start_tls",
        "http11": _PROTOCOL_STEPS,
        "http2": _PROTOCOL_STEPS,
    }.items()
    for step in steps.split()
)
_BODY_STARTED: Final = frozenset({"http11.send_request_body.started", "http2.send_request_body.started"})
_SOCKET_EVENTS: Final = frozenset(
    {"connection.connect_tcp.complete", "connection.start_tls.complete", "proxy.start_tls.complete"}
)


class RepeatedRequestError(httpx.TransportError):
    """A transport was about to write a send a second time."""


class RequestTrace:
    """Listens to one attempt through the ``trace`` extension of httpcore.

    Attributes:
        events_seen: whether httpcore is underneath at all.
        body_started: whether the body of the request was begun, in a try that was not refused since.
        failure: what the latest step that failed raised.
        head: of the response to the latest try.
        sockets: those of the connections made.
    """

    def __init__(self, *, is_send: bool, deadline: float) -> None:
        self.events_seen = False
        self.body_started = False
        self.failure: BaseException | None = None
        self.head: Head | None = None
        self.sockets: list[socket.socket] = []
        self._is_send = is_send
        self._deadline = deadline

    def __call__(self, event: str, info: MutableMapping[str, Any]) -> None:
        """Take an event of the blocking half of httpcore."""
        if info.get("timeout"):
            # httpcore goes on with the value that stands here afterwards. Left alone, a late handshake would get the
            # whole time-out, and so would each address of a host that has several.
            info["timeout"] = max(0.001, min(info["timeout"], self._deadline - time.monotonic()))
            if event == "connection.connect_tcp.started":
                with suppress(OSError):
                    info["timeout"] /= len(socket.getaddrinfo(info["host"], info["port"], type=socket.SOCK_STREAM))
        self._take(event, info)

    async def listen(self, event: str, info: Mapping[str, Any]) -> None:
        """Take an event of its asynchronous half, which wants a coroutine function."""
        self._take(event, info)

    def _take(self, event: str, info: Mapping[str, Any]) -> None:
        self.events_seen = True
        if event in _SOCKET_EVENTS:
            self.sockets.append(info["return_value"].get_extra_info("socket"))
            return
        step, _, state = event.rpartition(".")
        if state == "failed":
            self.failure = info.get("exception")
        request = info.get("request")
        if request is not None and request.method == b"CONNECT":
            return
        if event in _BODY_STARTED or step not in _STEPS_BEFORE_BODY or state not in ("started", "complete", "failed"):
            self.body_started = True
        elif event == "http11.receive_response_headers.complete":
            # Events of a response have no request. Before the body was begun this is a proxy's answer to CONNECT.
            self.head = (info["return_value"][1], info["return_value"][3]) if self.body_started else None
        elif event == "http2.receive_response_headers.complete":
            self.head = info["return_value"]
        elif step.endswith(".send_request_headers") and state == "started":
            self._next_try()

    def _next_try(self) -> None:
        if self.body_started:
            status = self.head[0] if self.head is not None else 0
            refused = 400 <= status < 500 and status not in AMBIGUOUS_STATUSES
            if self._is_send and not refused:
                raise RepeatedRequestError("a send was about to be repeated below the client")
            self.body_started = False
        self.head = None
