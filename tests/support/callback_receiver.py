"""An application that takes callbacks."""

from __future__ import annotations

import json
from typing import Any


class Receiver:
    """Takes callbacks, remembers them, and answers with the statuses it was given, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.payloads: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.paths.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
        self.payloads.append(json.loads(body))
        status = self.statuses.pop(0) if self.statuses else 200
        location = [(b"location", b"http://127.0.0.1:9/elsewhere")] if status == 307 else []
        await send({"type": "http.response.start", "status": status, "headers": location})
        await send({"type": "http.response.body"})
