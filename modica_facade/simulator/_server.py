"""An ASGI application on a loopback port: uvicorn in a thread, quick to start, quick and clean to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Generator
from typing import Any

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as exc:  # pragma: no cover - needs an environment without the extra
    raise ImportError("the simulator needs uvicorn: pip install '.[simulator]' in a checkout of modica-facade") from exc


class _Protocol(H11Protocol):
    """uvicorn's own, silent, and with the connection in ``scope["state"]`` so that an application can cut it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """uvicorn waits for its end by polling, a fifth of a second per stop; here an event ends it at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            # uvicorn's way to say that the start-up failed; `started` says it too.
            with contextlib.suppress(SystemExit):
                super().run(sockets)
        finally:
            self.ready.set()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self.ready.set()
        await self._end.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        for server in self.servers:
            server.close()
        # Whoever still waits for an answer loses the connection; the application sees http.disconnect and returns.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        for server in self.servers:
            await server.wait_closed()
        await self.lifespan.shutdown()


@contextlib.contextmanager
def serve(app: Any, *, port: int = 0, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Generator[str]:
    """Serve an ASGI application in a thread, for as long as the ``with`` block lasts.

    Args:
        app: any ASGI application, such as a mounted callback receiver.
        port: 0 for a free one.
        host: the address to listen on.
        tls: serve https, with the certificate of this context.

    Yields:
        The base URL, such as ``http://127.0.0.1:51234``; on loopback as well if every address is listened on.

    Raises:
        OSError: the address or port cannot be used.
    """
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http=_Protocol,
        loop="asyncio",
        ws="none",
        lifespan="auto",
        log_config=None,
        proxy_headers=False,
        # Neither a date nor a version in the answers: what is recorded today can be recorded again tomorrow.
        date_header=False,
        server_header=False,
    )
    config.load()
    config.ssl = tls  # uvicorn itself makes contexts from files only
    server = _Server(config)
    # The protocol is named because asyncio turns Nagle's algorithm off only then: 40 ms a request otherwise.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        listener.bind((host, port))
        thread = threading.Thread(target=server.run, args=([listener],), name="modica-simulator", daemon=True)
        thread.start()
        server.ready.wait()
        if not server.started:
            raise RuntimeError("the server did not start: the application's start-up failed, see the log")
        try:
            name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
            yield f"{'http' if tls is None else 'https'}://{name}:{listener.getsockname()[1]}"
        finally:
            server.stop()
            thread.join()
