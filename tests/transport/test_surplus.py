"""Bytes that nobody asked for never become the answer to a request, wherever they wait: nobody gets a foreign id."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import threading
from typing import Any

import pytest
import trustme

from modica_facade import ModicaError, NotSentError, RetryPolicy
from modica_facade._transport._async_connection import AsyncConnection
from modica_facade._transport._exchange import Exchange
from modica_facade._transport._sync_connection import SyncConnection

from ..conftest import Flavour
from ..misbehaving import Misbehaving, Peer, response, server_side
from .test_pool import run

NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)
FOREIGN = response(201, [666], {"Content-Type": "application/json", "Location": "/rest/gateway/messages/666"})
CUTS = [1, 2, len(FOREIGN) // 2, len(FOREIGN) - 1, len(FOREIGN)]


@pytest.fixture(params=["sync", "async", "uvloop"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    return Flavour(request.param)


@pytest.fixture(params=[False, True], ids=["http", "https"])
def tls(request: pytest.FixtureRequest, trusted: trustme.CA) -> Any:
    return server_side(trusted, "localhost") if request.param else None


def right(peer: Peer) -> bytes:
    """The answer to the next request: its reference as an id."""
    request = peer.request()
    if request is None:
        return b""
    peer.act(request)
    return response(201, [int(request.json["reference"])], {"Content-Type": "application/json"})


def serve(peer: Peer) -> None:
    while answer := right(peer):
        peer.send(answer)


def outcomes(flavour: Flavour, server: Misbehaving, sends: int = 3) -> list[str]:
    """The ids of some sends, or the classes of their exceptions."""
    found = []
    with flavour.client("name", "password", base_url=server.base_url, retry=ONCE) as modica:
        for number in range(1, sends + 1):
            try:
                found.append(modica.send(NUMBER, "Kia ora", reference=str(number)).id)
            except ModicaError as error:
                found.append(type(error).__name__)
    return found


@pytest.mark.parametrize("cut", CUTS)
def test_what_follows_a_response_in_one_piece(flavour: Flavour, tls: Any, cut: int) -> None:
    """All of a surplus answer, or its beginning, whose end comes after the next request was written."""

    def doubled(peer: Peer) -> None:
        peer.send(right(peer) + FOREIGN[:cut])
        answer = right(peer)
        peer.send(FOREIGN[cut:] + answer)
        serve(peer)

    with Misbehaving(doubled, serve, tls=tls, host="localhost") as server:
        assert outcomes(flavour, server) == ["1", "2", "3"]
    assert server.connections == 2


def test_a_surplus_answer_in_a_segment_or_record_of_its_own(flavour: Flavour, tls: Any) -> None:
    """Two writes, sent as one: with TLS the second record is decrypted already, or waits in a buffer of the loop's."""

    def doubled(peer: Peer) -> None:
        answer = right(peer)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        peer.send(answer)
        peer.send(FOREIGN)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        serve(peer)

    with Misbehaving(doubled, serve, tls=tls, host="localhost") as server:
        assert outcomes(flavour, server) == ["1", "2", "3"]
    assert server.connections == 2


@pytest.mark.parametrize("surplus", [FOREIGN, b"x", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b""], ids=repr)
def test_what_comes_while_a_connection_is_idle(flavour: Flavour, tls: Any, surplus: bytes) -> None:
    """It is in the kernel, and an event loop that did not run has not heard of it. Nothing: the peer closed."""
    answered, said = threading.Event(), threading.Event()

    def talkative(peer: Peer) -> None:
        peer.send(right(peer))
        answered.wait()
        if surplus:
            peer.send(surplus)
        else:
            peer.sock.setblocking(False)
            with contextlib.suppress(ssl.SSLWantReadError):
                # Says close_notify, and does not wait for that of the client.
                if isinstance(peer.sock, ssl.SSLSocket):
                    peer.sock.unwrap()
            peer.sock.shutdown(socket.SHUT_WR)
        said.set()

    with (
        Misbehaving(talkative, serve, tls=tls, host="localhost") as server,
        flavour.client("name", "password", base_url=server.base_url, retry=ONCE) as modica,
    ):
        assert modica.send(NUMBER, "Kia ora", reference="1").id == "1"
        answered.set()
        said.wait()
        assert modica.send(NUMBER, "Kia ora", reference="2").id == "2"
    assert (server.acted, server.connections) == (2, 2)


def test_what_a_new_connection_says_first(flavour: Flavour, tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = threading.Event()
    send, send_async = SyncConnection.send_request, AsyncConnection.send_request

    def send_late(self: SyncConnection, exchange: Exchange) -> bool:
        said.wait()
        return send(self, exchange)

    async def send_late_async(self: AsyncConnection, exchange: Exchange) -> bool:
        # The event loop has to run: uvloop completes a handshake after it was reported.
        await asyncio.to_thread(said.wait)
        return await send_async(self, exchange)

    def eager(peer: Peer) -> None:
        peer.send(FOREIGN)
        said.set()
        serve(peer)

    monkeypatch.setattr(SyncConnection, "send_request", send_late)
    monkeypatch.setattr(AsyncConnection, "send_request", send_late_async)
    with Misbehaving(eager, serve, tls=tls, host="localhost") as server:
        first, *others = outcomes(flavour, server)
    assert (first, others) == (NotSentError.__name__, ["2", "3"])


@pytest.mark.parametrize("name", ["sync", "async"])
def test_session_tickets_are_not_answers(name: str, trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come after the handshake, before any request; waited for here, so that they are certainly there."""
    for kind in SyncConnection, AsyncConnection:

        def send_late(self: Any, exchange: Exchange, send: Any = kind.send_request) -> Any:
            # An event loop may have read them with the end of the handshake.
            tls = self.sock if name == "sync" else self._transport.get_extra_info("ssl_object")
            if not waited:
                waited.append(tls.session.has_ticket or select.select([self.sock], [], [], 10)[0])
            return send(self, exchange)

        monkeypatch.setattr(kind, "send_request", send_late)
    waited: list[Any] = []
    with Misbehaving(serve, tls=server_side(trusted, "localhost"), host="localhost") as server:
        assert outcomes(Flavour(name), server) == ["1", "2", "3"]
    assert waited[0], "no ticket came"
    assert server.connections == 1


# Not with uvloop: a fork shares the ring of io_uring by which libuv registers descriptors, and libuv aborts either.
@pytest.mark.slow
def test_a_forked_child_that_only_runs_the_loop_takes_nothing_from_its_parent() -> None:
    with Misbehaving(serve) as server:
        script = f"""
import asyncio, logging, os
from modica_facade import AsyncModica
logging.disable()
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
modica = AsyncModica("name", "password", base_url={server.base_url!r}, keepalive=60)
def send(reference):
    return loop.run_until_complete(modica.send("+64211234567", "Kia ora", reference=str(reference))).id
assert send(1) == "1"
begin, go = os.pipe()
if (child := os.fork()) == 0:
    loop.run_until_complete(asyncio.sleep(0.05))
    os.write(go, b"x")
    loop.run_until_complete(asyncio.sleep(0.1))
    os._exit(send(100) != "100")
os.close(go)
os.read(begin, 1)
for reference in range(2, 20):
    assert send(reference) == str(reference)
assert os.waitpid(child, 0)[1] == 0
assert send(20) == "20"
loop.run_until_complete(modica.aclose())
loop.close()
"""
        assert run(script) == ""
    assert server.connections == 2
