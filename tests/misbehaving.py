"""A server of raw sockets that does on purpose what servers do by accident, and counts the requests it acted on.

::

    with Misbehaving(lambda peer: peer.reset_after_acting()) as server:
        Modica("name", "password", base_url=server.base_url).send(...)
    assert server.acted == 1

A behaviour is called in a thread of its own for every connection; several behaviours serve the first, second ...
connection, the last one all that follow. The connection is closed when the behaviour returns.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import httpx
import trustme

PATH = "/rest/gateway"
V2_PATH = "/rest/sms/v2"
ID = 9007199254740993  # more than a float holds
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
ELSEWHERE = "https://elsewhere.invalid/rest/gateway/messages"


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def right_answer(self) -> tuple[int, Any]:
        """What the documented gateway would say, and nothing is wrong with."""
        if self.path.startswith(V2_PATH):
            if self.method == "POST":
                return 202, {"id": UUID, "status": "accepted", "detail": ""}
            message = {"id": self.path.rpartition("=")[2], "source": "2000", "destination": "+64211234567"}
            return 200, message | {"direction": "MT", "reference": "order-42", "content": "Kia ora", "status": "sent"}
        if self.method == "GET":
            number = int(self.path.rpartition("/")[2])
            return 200, {"id": number, "source": "2000", "destination": "+64211234567", "content": "Kia ora"}
        if self.path.endswith("/broadcast"):
            rows = [
                {"status": "success", "message": None, "destination": destination, "id": ID + place}
                for place, destination in enumerate(self.json["destination"])
            ]
            return 201, rows
        return 201, [ID]


def response(
    status: int,
    body: bytes | str | list[Any] | dict[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
    *,
    length: int | None = None,
) -> bytes:
    """An HTTP response as bytes; ``length`` claims another length, -1 none."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever"]
    if length != -1:
        lines.append(f"Content-Length: {len(content) if length is None else length}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class Peer:
    """The server's end of one connection. Reading ends quietly when the client has gone."""

    server: Misbehaving
    sock: socket.socket
    number: int

    def head(self) -> bytes | None:
        """The head of a request, without reading its body on purpose; None when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(1)
            if not piece:
                return None
            data += piece
        return data

    def request(self) -> Received | None:
        """A whole request, or None when the client has gone."""
        head = self.head()
        if head is None:
            return None
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        body = b""
        while len(body) < length:
            piece = self.sock.recv(length - len(body))
            if not piece:
                return None
            body += piece
        received = Received(method, path, headers, body)
        with self.server.lock:
            self.server.requests.append(received)
        return received

    def act(self, request: Received) -> bytes:
        """Do what was asked, and count it; the right answer, with a Location for a send."""
        with self.server.lock:
            self.server.acted_on.append(request)
        status, body = request.right_answer
        headers = {"Content-Type": "application/vnd.modica.gateway.v1+json"}
        if request.path == f"{PATH}/messages":
            headers["Location"] = f"{self.server.base_url}/messages/{ID}"
        return response(status, body, headers)

    def serve(self) -> None:
        """Behave."""
        while (request := self.request()) is not None:
            self.send(self.act(request))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes) -> None:
        """One byte at a time, each well within a time-out for a read, all of them far beyond any deadline here."""
        for position in range(len(data)):
            self.send(data[position : position + 1])
            if self.server.stopping.wait(0.02):
                return

    def stall(self) -> None:
        """Say nothing until the client goes away."""
        while self.sock.recv(65536):
            pass

    def reset(self) -> None:
        """Close at once, the rude way (RST)."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Peer], object]


class Misbehaving:
    """Listens on loopback while the ``with`` block lasts; ``tls`` makes it https for the name ``host``."""

    def __init__(
        self,
        *behaviours: Behaviour,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        receive_buffer: int | None = None,
    ) -> None:
        self.receive_buffer = receive_buffer
        self.behaviours = behaviours or (Peer.serve,)
        self.tls = tls
        self.host = host
        self.requests: list[Received] = []
        self.acted_on: list[Received] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def acted(self) -> int:
        """How many requests were carried out, and so billed."""
        return len(self.acted_on)

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{PATH}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        if self.receive_buffer is not None:
            # Connections inherit it.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self.lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def v2_base_url(self) -> str:
        return self.base_url.replace(PATH, V2_PATH)

    @property
    def handlers(self) -> list[threading.Thread]:
        """The threads that serve connections; one ends when its client has closed the connection."""
        return self._threads[1:]

    def _start(self, target: Callable[..., object], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self._open.add(sock)
            self._start(self._handle, sock, number)

    def _handle(self, sock: socket.socket, number: int) -> None:
        behaviour = self.behaviours[min(number, len(self.behaviours) - 1)]
        raw = sock
        # Clients that leave, time-outs and refused handshakes are the daily bread of this server.
        with contextlib.suppress(OSError, ValueError):
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
                with self.lock:
                    self._open.add(sock)
            behaviour(Peer(self, sock, number))
        # Whatever was not read would turn the end of the connection into a reset, which can overtake the answer.
        with contextlib.suppress(OSError, ValueError):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        with self.lock:
            self._open -= {raw, sock}
        sock.close()


@contextlib.contextmanager
def counted(server: Misbehaving) -> Generator[None]:
    """Every connection that is opened within is closed at the end, and nothing warns that it was forgotten."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
    # The server's end of a connection returns when ours is closed, and not before.
    for thread in server.handlers:
        thread.join(timeout=10)
        assert not thread.is_alive()


@contextlib.contextmanager
def refusing() -> Generator[str]:
    """The base URL of a port where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}{PATH}"


def answering(data: bytes) -> Behaviour:
    """The behaviour that reads one request, acts on nothing, says this and closes the connection."""

    def behave(peer: Peer) -> None:
        if peer.request() is not None:
            peer.send(data)

    return behave


def server_side(issuer: trustme.CA, name: str, **kwargs: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(name, **kwargs).configure_cert(context)
    return context


def tunnel(to_port: int) -> Behaviour:
    """The behaviour of a proxy that connects every CONNECT to one port on loopback."""

    def behave(peer: Peer) -> None:
        if peer.head() is None:
            return
        with socket.create_connection(("127.0.0.1", to_port)) as upstream:
            peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_pump, args=(upstream, peer.sock), daemon=True)
            back.start()
            _pump(peer.sock, upstream)
            back.join()

    return behave


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def fail_to_connect(request: httpx.Request, error: httpx.ConnectError) -> NoReturn:
    """Raise it as httpx over httpcore does: without the events and the cause nothing proves that nothing was sent."""
    failure = OSError(str(error))
    for state, info in (("started", {}), ("failed", {"exception": failure})):
        told = request.extensions["trace"](f"connection.connect_tcp.{state}", info)
        if told is not None:
            with contextlib.suppress(StopIteration):
                told.send(None)
    raise error from failure


def full_backlogs(count: int) -> tuple[int, list[str], list[socket.socket]]:
    """Listeners on as many loopback addresses that never answer: their queues are full."""
    port, sockets, hosts = 0, [], []
    for last in range(2, 2 + count):
        listener = socket.socket()
        sockets.append(listener)
        hosts.append(f"127.0.0.{last}")
        listener.bind((hosts[-1], port))
        port = listener.getsockname()[1]
        listener.listen(0)
        for _ in range(3):
            filler = socket.socket()
            sockets.append(filler)
            filler.setblocking(False)
            filler.connect_ex((hosts[-1], port))
    return port, hosts, sockets
