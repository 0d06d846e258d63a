"""A blocking connection, on a socket or an SSLSocket: connect, look, write, read.

Sockets never block: `wait` waits, and a time-out is its value. So an exception out of a socket is the system's word on
that socket, and any other exception comes from elsewhere (a signal handler, a worker's time limit) and passes.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from typing import Any, Final

from ._exchange import CONNECT_TIMEOUT, WRITE_TIMEOUT, Exchange, is_io_error
from ._pool import Connection

READ: Final = 1
WRITE: Final = 4
# A send that fails with one of these took nothing.
_NOTHING_TAKEN: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN})


def wait(sock: socket.socket, events: int, timeout: float) -> int:
    """Which of the events came within so many seconds: 0 for none. An error or a hang-up comes unasked."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock.fileno(), events)
        found = poll.poll(timeout * 1000)
        return found[0][1] if found else 0
    # Where a library such as eventlet has replaced the module.
    readable, writable, _ = select.select([sock], [sock] if events & WRITE else [], [], timeout)
    return (READ if readable else 0) | (WRITE if writable else 0)


def timed_out() -> OSError:
    """A time-out in the form that the system takes."""
    return OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


class SyncConnection(Connection):
    """A connected socket."""

    def close(self) -> None:
        self.dead = True
        self.sock.close()

    forget = close

    def connect(self, address: Any, deadline: float) -> None:
        """Connect before the deadline; raises OSError."""
        sock = self.sock
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address)
        except BlockingIOError:
            if not wait(sock, WRITE, max(0.0, deadline - time.monotonic())):
                raise timed_out() from None
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None

    def start_tls(self, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Complete a handshake before the deadline; raises OSError."""
        self.sock = sock = context.wrap_socket(
            self.sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                events = READ
            except ssl.SSLWantWriteError:
                events = WRITE
            if not wait(sock, events, max(0.0, deadline - time.monotonic())):
                raise timed_out()

    def send_request(self, exchange: Exchange) -> bool:
        """Write the request and read the response; False: nothing was written, the connection is of no use."""
        exchange.start(self.parser)
        ready = wait(self.sock, READ | WRITE, 0.0)
        if ready & ~WRITE and not self._is_quiet():
            return False
        while exchange.unsent and not (exchange.over or exchange.head):
            if ready & WRITE:
                self._write(exchange)
                ready = 0
                continue
            ready = wait(self.sock, READ | WRITE, exchange.remaining(WRITE_TIMEOUT))
            if not ready:
                exchange.fail(f"the request could not be written within {WRITE_TIMEOUT:g} s", timed_out=True)
            elif ready & ~WRITE:
                self._read(exchange)
        while not exchange.over:
            ready = wait(self.sock, READ, exchange.remaining(exchange.timeout))
            # Whatever has arrived is read, however late it is.
            self._read(exchange)
            if not ready:
                exchange.fail(f"no response within {exchange.timeout:g} s", timed_out=True)
        return True

    def _is_quiet(self) -> bool:
        """Is what can be read a matter of TLS (session tickets), and not something that nobody asked for?"""
        if isinstance(self.sock, ssl.SSLSocket):
            try:
                self.sock.recv(1)
            except ssl.SSLWantReadError:
                return True
            except OSError as error:
                if not is_io_error(error):
                    raise
        return False

    def _write(self, exchange: Exchange) -> None:
        exchange.pending = True
        try:
            taken = self.sock.send(exchange.unsent)
        except ssl.SSLWantWriteError:
            # What TLS keeps back is less than a record, and cannot be read without the rest.
            exchange.pending = False
        except OSError as error:
            if not is_io_error(error):
                raise
            # Raised by the system itself, not by a signal handler that ran after something was taken?
            raised_here = error.__traceback__ is not None and error.__traceback__.tb_next is None
            exchange.pending = not (raised_here and error.errno in _NOTHING_TAKEN)
            # A response may have come all the same, and says more.
            self._read(exchange)
            if exchange.head is None:
                exchange.fail_with(error)
        else:
            exchange.unsent = exchange.unsent[taken:]
            exchange.pending = False

    def _read(self, exchange: Exchange) -> None:
        """Read until nothing is there or the exchange is over."""
        while not exchange.over:
            try:
                # More than a record of TLS holds: nothing that was decrypted stays behind unseen.
                data = self.sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError as error:
                if not is_io_error(error):
                    raise
                exchange.fail_with(error)
            else:
                exchange.receive(data)


def connect(exchange: Exchange) -> SyncConnection | None:
    """A new connection, or None: the exchange has failed."""
    endpoint = exchange.endpoint
    try:
        # How long a name server takes is not limited.
        addresses = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        deadline = time.monotonic() + exchange.remaining(CONNECT_TIMEOUT)
        while True:
            now, share = time.monotonic(), 1 / len(addresses)
            family, kind, protocol, _, address = addresses.pop(0)
            connection = SyncConnection(socket.socket(family, kind, protocol))
            try:
                connection.connect(address, now + (deadline - now) * share)
                break
            except BaseException as error:
                connection.close()
                if not addresses or not isinstance(error, OSError) or not is_io_error(error):
                    raise
        try:
            if endpoint.tls is not None:
                connection.start_tls(endpoint.tls, endpoint.host, deadline)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        if not is_io_error(error):
            raise
        exchange.fail_with(error)
        return None
    return connection
