"""What of a request was handed over: "not sent" is only said of what the gateway can never have whole."""

from __future__ import annotations

import contextlib
import errno
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from modica_facade import (
    AuthenticationError,
    GatewayError,
    ModicaError,
    NotSentError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    _v1,
    _v2,
)
from modica_facade._calls import NoResponse, Response
from modica_facade._transport import _async_connection, _sync_connection
from modica_facade._transport._endpoint import Endpoint
from modica_facade._transport._exchange import Exchange
from modica_facade._transport._sync_connection import SyncConnection

from ..conftest import Flavour
from ..misbehaving import ID, Misbehaving, Peer, full_backlogs, response, server_side

NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)
TWICE = RetryPolicy(attempts=2, backoff=0)


def wire_length(**options: Any) -> int:
    endpoint = Endpoint("http://127.0.0.1:65535/rest/gateway", "name", "password", _v1.ACCEPT, 2.0)
    return len(endpoint.encode(_v1.send(NUMBER, "Kia ora", **options)))


def read(peer: Peer, count: int) -> bytes:
    """So many bytes of what the client sends, or fewer if it ends."""
    data = b""
    while len(data) < count:
        piece = peer.sock.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def is_whole(data: bytes) -> bool:
    head, gap, body = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(gap) and len(body) == int(length)


# The request cut at every offset


def reset(peer: Peer) -> None:
    peer.reset()


def fin(peer: Peer) -> None:
    peer.sock.shutdown(socket.SHUT_WR)


def silence(peer: Peer) -> None:
    while peer.sock.recv(65536):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("end", [reset, fin, silence])
def test_a_peer_that_gives_up_at_any_offset_gets_a_send_at_most_once(
    sync_or_async: Flavour, end: Callable[[Peer], object]
) -> None:
    """Whatever the peer has read by then: what it has not read may be in its kernel all the same."""
    for offset in range(wire_length() + 1):
        got: list[bytes] = []

        def give_up(peer: Peer, offset: int = offset, got: list[bytes] = got) -> None:
            got.append(read(peer, offset))
            end(peer)

        options = {"timeout": 0.005 if end is silence else 30, "retry": RetryPolicy(attempts=4, backoff=0)}
        with (
            Misbehaving(give_up) as server,
            sync_or_async.client("name", "password", base_url=server.base_url, **options) as modica,
            pytest.raises(ModicaError) as error,
        ):
            modica.send(NUMBER, "Kia ora", reference="r")
        # The request is so small that the system takes it at once, before the peer can do anything.
        assert error.value.may_have_been_sent or (end is not silence and offset == 0)
        # What was seen to end before anything was written may be tried again; then it is in doubt at the latest. A busy
        # server may not get round to accepting within the time-out.
        assert server.connections <= 1 or offset == 0


# A peer that stops reading, in the middle of a request that does not fit into the buffers between


# More than a system keeps for a connection, whose peer here has next to nothing.
LARGE = 8_000_000
SMALL_BUFFER = 4096


class Stalled:
    """Reads so much of a large request, does something, waits until the client gave up, and reads what there is."""

    def __init__(self, offset: int, say: bytes = b"", *, then_reset: bool = False) -> None:
        self.offset = offset
        self.say = say
        self.then_reset = then_reset
        self.gave_up = threading.Event()
        self.received: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        data = read(peer, self.offset)
        if self.say:
            peer.send(self.say)
        self.gave_up.wait()
        if self.then_reset:
            peer.reset()
            return
        while piece := peer.sock.recv(1 << 20):
            data += piece
        self.received.append(data)


def send_large(sync_or_async: Flavour, server: Misbehaving, stalled: Stalled, **options: Any) -> Any:
    """What became of a large send: its result or its exception."""
    with sync_or_async.client("name", "password", base_url=server.base_url, **{"retry": ONCE} | options) as modica:
        try:
            return modica.send(NUMBER, "x" * LARGE, reference="r")
        except ModicaError as error:
            return error
        finally:
            stalled.gave_up.set()


@pytest.fixture(params=[False, True], ids=["http", "https"])
def tls(request: pytest.FixtureRequest, trusted: trustme.CA) -> Any:
    return server_side(trusted, "localhost") if request.param else None


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0, 1, 100, 300, 65536, 300_000])
def test_a_stalled_writer_is_not_sent_or_in_doubt_and_nothing_is_written_any_more(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, tls: Any, offset: int
) -> None:
    for module in _sync_connection, _async_connection:
        monkeypatch.setattr(module, "WRITE_TIMEOUT", 0.1)
    stalled = Stalled(offset)
    with Misbehaving(stalled, tls=tls, host="localhost", receive_buffer=SMALL_BUFFER) as server:
        outcome = send_large(sync_or_async, server, stalled)
    assert outcome.timed_out
    # A blocking call knows what was taken; asyncio does not say.
    assert outcome.may_have_been_sent is sync_or_async.is_async
    (data,) = stalled.received or [b""]
    assert len(data) < LARGE
    assert not is_whole(data)


@pytest.mark.slow
def test_a_stalled_writer_ends_at_the_deadline_of_the_call_too(sync_or_async: Flavour) -> None:
    stalled = Stalled(100)
    with Misbehaving(stalled, receive_buffer=SMALL_BUFFER) as server:
        outcome = send_large(sync_or_async, server, stalled, retry=RetryPolicy(attempts=1, deadline=0.5))
    assert "deadline" in str(outcome)
    assert outcome.timed_out


@pytest.mark.slow
@pytest.mark.parametrize("then_reset", [False, True], ids=["stalls", "resets"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(201, None), (401, AuthenticationError), (413, GatewayError), (429, RateLimitError), (502, ServerError)],
)
def test_an_answer_in_the_middle_of_the_request_is_the_outcome(
    sync_or_async: Flavour, tls: Any, status: int, kind: type[ModicaError] | None, then_reset: bool
) -> None:
    say = response(status, [ID] if status == 201 else {"error": "no"}, {"Content-Type": "application/json"})
    stalled = Stalled(1000, say, then_reset=then_reset)
    with Misbehaving(stalled, tls=tls, host="localhost", receive_buffer=SMALL_BUFFER) as server:
        outcome = send_large(sync_or_async, server, stalled)
    if kind is None:
        assert outcome.id == str(ID)
    else:
        assert isinstance(outcome, kind)
        assert outcome.may_have_been_sent is (status == 502)
    # The rest of the request would be taken for another one.
    assert server.connections == 1


def test_a_connection_is_not_used_again_after_an_answer_that_came_too_early(sync_or_async: Flavour) -> None:
    stalled = Stalled(1000, response(429, b"", {"Retry-After": "0"}))
    with Misbehaving(stalled, Peer.serve, receive_buffer=SMALL_BUFFER) as server:
        outcome = send_large(sync_or_async, server, stalled, retry=TWICE)
    assert outcome.id == str(ID)
    assert (server.connections, server.acted) == (2, 1)


def test_a_reset_while_the_request_is_written_is_judged_by_what_was_taken(sync_or_async: Flavour) -> None:
    class Resetting(Stalled):
        def __call__(self, peer: Peer) -> None:
            read(peer, self.offset)
            peer.reset()

    resetting = Resetting(1000)
    with Misbehaving(resetting, receive_buffer=SMALL_BUFFER) as server:
        outcome = send_large(sync_or_async, server, resetting)
    assert outcome.may_have_been_sent is sync_or_async.is_async
    assert type(outcome) is NotSentError or sync_or_async.is_async


# A reset that comes between looking and writing


class Refused(socket.socket):
    """A socket that fails with an exception of somebody's own as soon as it took the request."""

    error: BaseException

    def send(self, data: Any, flags: int = 0) -> int:
        super().send(data, flags)
        raise self.error


@contextlib.contextmanager
def reset_connection(said: bytes = b"", kind: type[socket.socket] = socket.socket) -> Iterator[SyncConnection]:
    """One that the peer has reset, after it said something."""
    with socket.create_server(("127.0.0.1", 0)) as listening, kind() as sock:
        sock.connect(listening.getsockname())
        sock.settimeout(0)
        peer, _ = listening.accept()
        peer.sendall(said)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        poll = select.poll()
        poll.register(sock, select.POLLERR)
        assert poll.poll(10_000)
        yield SyncConnection(sock)


def an_exchange(connection: SyncConnection) -> Exchange:
    endpoint = Endpoint("http://127.0.0.1:1", "name", "password", _v1.ACCEPT, 2.0)
    exchange = Exchange(endpoint, _v1.send(NUMBER, "Kia ora"), 5.0, time.monotonic() + 9)
    exchange.start(connection.parser)
    return exchange


def test_a_write_that_the_system_refuses_took_nothing() -> None:
    with reset_connection() as connection:
        exchange = an_exchange(connection)
        connection._write(exchange)
        outcome = exchange.outcome()
    assert isinstance(outcome, NoResponse)
    assert outcome.may_have_been_sent is False


def test_a_refusal_that_was_there_before_the_reset_is_the_outcome() -> None:
    with reset_connection(response(401, {"error": "no"})) as connection:
        exchange = an_exchange(connection)
        connection._write(exchange)
        outcome = exchange.outcome()
    assert isinstance(outcome, Response)
    assert outcome.status == 401


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ECONNRESET, "from a handler"),
        OSError(errno.ENOBUFS, "from a handler"),
        OSError(errno.EIO, "from a handler"),
    ],
    ids=lambda error: errno.errorcode[error.errno],
)
def test_a_write_that_fails_after_it_took_something_proves_nothing(error: OSError) -> None:
    here, there = socket.socketpair()
    refused = Refused(fileno=here.detach())
    refused.settimeout(0)
    refused.error = error
    with refused, there:
        connection = SyncConnection(refused)
        exchange = an_exchange(connection)
        connection._write(exchange)
        outcome = exchange.outcome()
    assert isinstance(outcome, NoResponse)
    assert outcome.cause is error
    assert outcome.may_have_been_sent is True


@pytest.mark.parametrize("error", [TimeoutError("a limit of the application's"), KeyboardInterrupt()], ids=repr)
def test_what_is_not_the_systems_passes(error: BaseException) -> None:
    here, there = socket.socketpair()
    refused = Refused(fileno=here.detach())
    refused.settimeout(0)
    refused.error = error
    with refused, there:
        connection = SyncConnection(refused)
        exchange = an_exchange(connection)
        with pytest.raises(type(error)) as passed:
            connection._write(exchange)
    assert passed.value is error
    assert exchange.may_have_been_sent


# No part of a request can be acted on


@pytest.mark.parametrize(
    "call",
    [
        _v1.send(NUMBER, "Kia ora", reference="1"),
        _v1.send(NUMBER, "{}\u0101\U0001f600 "),
        _v1.broadcast([NUMBER, NUMBER], "[1]"),
        _v2.send(NUMBER, "Kia ora", integration_id="26ac66cb-60c1-4f77-8bf6-00f3b4b3c4a0"),
    ],
    ids=["send", "odd text", "broadcast", "v2"],
)
def test_no_proper_prefix_of_a_body_parses(call: Any) -> None:
    body = call.body
    assert json.loads(body)
    for end in range(len(body)):
        with pytest.raises(ValueError):  # noqa: PT011 - JSONDecodeError or UnicodeDecodeError, whichever comes first
            json.loads(body[:end].decode())
    wire = bytes(Endpoint("http://127.0.0.1:1", "name", "password", _v1.ACCEPT, 2.0).encode(call))
    head, _, rest = wire.partition(b"\r\n\r\n")
    assert rest == body
    assert b"Content-Length: %d" % len(body) in head.split(b"\r\n")
    assert b"chunked" not in head


# Deadlines


@pytest.mark.slow
def test_silent_addresses_share_the_time_to_connect_and_the_last_one_may_answer(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in _sync_connection, _async_connection:
        monkeypatch.setattr(module, "CONNECT_TIMEOUT", 1.0)
    port, hosts, sockets = full_backlogs(3)
    real = socket.getaddrinfo
    with Misbehaving() as server:
        addresses = [*((host, port) for host in hosts), ("127.0.0.1", server.port)]

        def look_up(host: str, *args: Any, **kwargs: Any) -> Any:
            if host != "localhost":
                return real(host, *args, **kwargs)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        url = server.base_url.replace("127.0.0.1", "localhost")
        with sync_or_async.client("name", "password", base_url=url, retry=ONCE) as modica:
            started = time.monotonic()
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
            # A quarter of the time for each that is silent, not all of it.
            assert time.monotonic() - started >= 0.75
            del addresses[-1]
        with sync_or_async.client("name", "password", base_url=url, retry=ONCE, keepalive=0) as modica:
            started = time.monotonic()
            with pytest.raises(NotSentError) as error:
                modica.send(NUMBER, "Kia ora")
            assert error.value.timed_out
            assert time.monotonic() - started >= 1.0
    for each in sockets:
        each.close()


def test_without_poll_there_is_select(monkeypatch: pytest.MonkeyPatch) -> None:
    """eventlet takes it away."""
    monkeypatch.delattr(select, "poll")
    both = _sync_connection.READ | _sync_connection.WRITE
    ours, peers = socket.socketpair()
    with ours, peers:
        assert _sync_connection.wait(ours, both, 0.0) == _sync_connection.WRITE
        assert _sync_connection.wait(ours, _sync_connection.READ, 0.0) == 0
        peers.send(b"x")
        assert _sync_connection.wait(ours, both, 0.0) == both
        assert _sync_connection.wait(ours, _sync_connection.READ, 0.0) == _sync_connection.READ
