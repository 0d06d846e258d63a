"""One attempt of a call, without I/O: what of the request was handed over, what came back, and what that proves.

An `Attempt` gathers what any way to the gateway learns; an `Exchange` is one on a connection of our own, over h11.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any, Final

import h11

from .._calls import MAX_IN_FLIGHT, Call, NoResponse, Response, note_interruption, parse_json
from ._endpoint import Endpoint

CONNECT_TIMEOUT: Final = 5.0
WRITE_TIMEOUT: Final = 10.0
POOL_TIMEOUT: Final = 5.0
# A broadcast of 1000 is answered with about 150 KB; ten times that is not an answer of the gateway.
MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024
_MAX_INFORMATIONAL: Final = 10
# A server that answers with one of these may well hang up, and the next request on the connection would be lost.
_NOT_REUSED_AFTER: Final = frozenset({408, 425, 429})
# X509_V_ERR_... of OpenSSL: a self-signed certificate, or one whose issuer is not among the trusted.
_UNKNOWN_ISSUER: Final = frozenset({18, 19, 20, 21})

CLOSED: Final = "this client, or the http_client it was given, was closed; make a new one"
DEADLINE_PASSED: Final = "the deadline of the call passed"
POOL_EXHAUSTED: Final = f"{MAX_IN_FLIGHT} calls are in flight, and this one got no slot in {POOL_TIMEOUT:g} s"
# What was there before the request is not its response: it was meant for somebody else.
NOT_QUIET: Final = "the peer spoke, or closed the connection, before the request was written"

Head = tuple[int, Iterable[tuple[bytes, bytes]]]


class Attempt:
    """One attempt of one call.

    Attributes:
        head: status and headers of the response, once they came.
        complete: whether the response is whole.
        problem: the reason why no (more) response comes.
    """

    def __init__(self, endpoint: Endpoint, call: Call[Any], timeout: float, deadline: float) -> None:
        self.endpoint = endpoint
        self.call = call
        self.timeout = timeout
        self.deadline = deadline
        self.head: Head | None = None
        self.complete = False
        self.problem: str | None = None
        self._cause: BaseException | None = None
        self._chunks: list[bytes] = []
        self._retryable = True
        self._size = 0
        self._timed_out = False

    @property
    def may_have_been_sent(self) -> bool:
        """Could the gateway have received the whole request?"""
        raise NotImplementedError

    @property
    def over(self) -> bool:
        """Nothing more is to be done."""
        return self.complete or self.problem is not None

    def remaining(self, limit: float) -> float:
        """Seconds to wait for something that may take ``limit``: never beyond the deadline of the call."""
        return max(0.0, min(limit, self.deadline - time.monotonic()))

    def fail(
        self, problem: str, *, cause: BaseException | None = None, timed_out: bool = False, retryable: bool = True
    ) -> None:
        """Record why no (more) response comes; the first reason counts."""
        if not self.over:
            late = self.remaining(1.0) == 0.0
            self.problem = DEADLINE_PASSED if late else problem
            self._cause = cause
            self._timed_out = timed_out or late
            self._retryable = retryable and not late

    def redact(self, text: str) -> str:
        """A text that may repeat what a peer wrote, without our credentials."""
        return self.endpoint.redact(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def add_body(self, chunk: bytes) -> None:
        """Take a part of the body."""
        self._size += len(chunk)
        if self._size > MAX_RESPONSE_BYTES:
            self.fail(f"longer than {MAX_RESPONSE_BYTES} bytes")
        else:
            self._chunks.append(chunk)

    def outcome(self) -> Response | NoResponse:
        """What the attempt came to."""
        if self.head is None:
            return NoResponse(
                may_have_been_sent=self.may_have_been_sent,
                reason=f"{self.problem} ({self.endpoint.host})",
                timed_out=self._timed_out,
                retryable=self._retryable,
                cause=self._cause,
            )
        status, headers = self.head
        body = b"".join(self._chunks)
        truncated = None if self.complete else self.problem
        is_answer = False
        if 200 <= status < 300:
            is_answer = "json" in (_header(headers, b"content-type") or "")
            if not (is_answer and self.complete) and isinstance(parse_json(body), list | dict):
                # No proper prefix of an array or object parses: nothing is missing, whatever the framing says.
                truncated, is_answer = None, True
        return Response(
            status,
            self.endpoint.redact(body, keep_passwords=is_answer),
            _header(headers, b"location"),
            _header(headers, b"retry-after"),
            truncated,
            truncated is not None and self._timed_out,
        )

    def interrupt(self, error: BaseException) -> None:
        """Say on an exception that is not ours, and in the log, what is known of the send."""
        self.fail(type(error).__name__)
        note_interruption(self.call, self.outcome(), error)


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    values = [value for key, value in headers if key.lower() == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def is_io_error(error: OSError) -> bool:
    """Did the system or TLS raise it? A signal handler's TimeoutError, which may come up anywhere, has no errno."""
    return isinstance(error, ssl.SSLError) or isinstance(error.errno, int)


# h11 needs to know that a request went out, not which: the locals of its frames would hold our credentials.
_REQUEST: Final = h11.Request(method="POST", target="/", headers=[("Host", "gateway")])
_END: Final = h11.EndOfMessage()


class Exchange(Attempt):
    """An attempt on a connection of our own.

    Attributes:
        unsent: what of the request was not taken yet.
        pending: whether a write was begun that did not say what it took.
    """

    _early: bool
    _parser: h11.Connection

    def __init__(self, endpoint: Endpoint, call: Call[Any], timeout: float, deadline: float) -> None:
        super().__init__(endpoint, call, timeout, deadline)
        self.unsent = endpoint.encode(call)
        self.pending = False
        self._informational = 0

    @property
    def may_have_been_sent(self) -> bool:
        """Unless part of the request certainly stayed here: no proper prefix of a request of ours can be acted on."""
        return self.pending or not self.unsent

    def start(self, parser: h11.Connection) -> None:
        """Begin on a connection."""
        self._parser = parser
        if parser.our_state is h11.DONE:
            parser.start_next_cycle()
        parser.send(_REQUEST)
        parser.send(_END)

    def fail_with(self, error: OSError | h11.RemoteProtocolError) -> None:
        """Record that the system, TLS or the peer failed."""
        text = self.redact(str(error))
        if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _UNKNOWN_ISSUER:
            text += "; if the issuer is your company's proxy, name a file with its root certificate in SSL_CERT_FILE"
        # h11's text may repeat what the peer echoed, and so do the locals of its frames.
        cause = h11.RemoteProtocolError(text) if isinstance(error, h11.RemoteProtocolError) else error
        cause.__cause__ = cause.__context__ = None
        self.fail(
            f"{type(error).__name__}: {text}" if text else type(error).__name__,
            cause=cause.with_traceback(None),
            timed_out=isinstance(error, TimeoutError),
            # The same certificate would fail again.
            retryable=not isinstance(error, ssl.SSLCertVerificationError),
        )

    def receive(self, data: bytes) -> None:
        """Take what was read; ``b""`` is the end that the peer announced (for TLS by close_notify)."""
        self._size += len(data)
        if self._size > MAX_RESPONSE_BYTES:
            self.fail(f"longer than {MAX_RESPONSE_BYTES} bytes")
            return
        try:
            self._parser.receive_data(data)
            while not self.over and (event := self._parser.next_event()) is not h11.NEED_DATA:
                self._take(event)
        except h11.RemoteProtocolError as error:
            if not data and self.head is None:
                self.fail("the connection was closed before a response came")
            self.fail_with(error)

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Data):
            self._chunks.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            self.complete = True
        elif isinstance(event, h11.Response):
            self._early = len(self.unsent) > 0
            self.head = event.status_code, event.headers
        else:
            self._informational += 1
            if self._informational > _MAX_INFORMATIONAL:
                self.fail(f"more than {_MAX_INFORMATIONAL} informational responses")

    @property
    def connection_is_reusable(self) -> bool:
        """May another request follow on the connection? Not after anything odd: what comes next could be misread."""
        if not self.complete or self.head is None or self._early or not self.endpoint.keepalive:
            return False
        status, parser = self.head[0], self._parser
        return (
            200 <= status < 500
            and status not in _NOT_REUSED_AFTER
            and parser.our_state is parser.their_state is h11.DONE
            and parser.trailing_data == (b"", False)
        )
