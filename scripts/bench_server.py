"""The gateway that `make bench` sends to: answers what is documented at a fraction of what a client costs, and counts.

Run with nothing it speaks http, with a certificate and its key TLS 1.2 or later; it prints its port. Every connection
of the TLS server is one handshake. GET /counts gives what it counted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys

NUMBER, TEXT = "+64211234567", "Kia ora"
_SUBMITTED = b"[12345]"
_STORED = b'{"id":12345,"source":"2060","destination":"+64211234567","content":"Kia ora","reference":"order-42"}'
_ACCEPTED = b'{"id":"26ac66cb-60c1-4f77-8bf6-00f3b4b3c4a0","status":"accepted","detail":"Accepted"}'
# What other SMS clients expect.
_INFOBIP = (
    b'{"messages":[{"messageId":"1","destination":"64211234567","status":{"groupId":1,"groupName":"PENDING","id":26}}]}'
)
_TWILIO = b'{"sid":"SM00000000000000000000000000000000","status":"queued","to":"+64211234567","body":"Kia ora"}'
_ROW = '{"status":"success","message":null,"destination":"%s","id":%d}'
# Each message has an id of its own: an answer in which several share one is not read.
_IDS = itertools.count(100_000)


class Gateway(asyncio.Protocol):
    """One connection."""

    connections = 0
    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        Gateway.connections += 1

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + 4 + length
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            self._transport.write(_answer(head, body))


def _answer(head: bytes, body: bytes) -> bytes:
    if head.startswith(b"GET /counts"):
        return _response(b"200 OK", json.dumps({"connections": Gateway.connections, "requests": Gateway.requests}))
    Gateway.requests += 1
    if head.startswith(b"POST /rest/gateway/messages/broadcast "):
        rows = ",".join([_ROW % (destination, next(_IDS)) for destination in json.loads(body)["destination"]])
        return _response(b"201 Created", f"[{rows}]")
    if head.startswith(b"POST /rest/gateway/"):
        return _response(b"201 Created", _SUBMITTED, b"Location: /rest/gateway/messages/12345\r\n")
    if head.startswith(b"POST /rest/sms/v2/"):
        return _response(b"202 Accepted", _ACCEPTED)
    if head.startswith(b"POST /sms/3/"):
        return _response(b"200 OK", _INFOBIP)
    if head.startswith(b"POST /2010-04-01/"):
        return _response(b"201 Created", _TWILIO)
    return _response(b"200 OK", _STORED)


def _response(status: bytes, body: bytes | str, more: bytes = b"") -> bytes:
    body = body.encode() if isinstance(body, str) else body
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        more,
        len(body),
        body,
    )


async def main(*certificate: str) -> None:
    """Serve until killed."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    server = await asyncio.get_running_loop().create_server(Gateway, "127.0.0.1", 0, ssl=context, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
