"""Post a callback to its receiver: one request, one answer, no redirects, no proxies."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 10.0


@attrs.frozen
class Target:
    """A callback URL taken apart."""

    url: str  # without the credentials
    secure: bool
    host: str
    port: int | None
    path: str
    authorization: str | None = attrs.field(repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Take ``url`` apart.

        Raises:
            ValueError: it is no http or https URL with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a callback URL looks like https://name:password@host/path")
        userinfo, at, address = parts.netloc.rpartition("@")
        return cls(
            url=urlunsplit(parts._replace(netloc=address)),
            secure=parts.scheme == "https",
            host=parts.hostname,
            port=parts.port,
            path=urlunsplit(("", "", parts.path or "/", parts.query, "")),
            authorization=f"Basic {base64.b64encode(unquote_to_bytes(userinfo)).decode()}" if at else None,
        )

    def post(self, payload: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int | None, str | None]:
        """Post ``payload`` as JSON; the status code of the answer, or None and why there was none."""
        headers = {"Content-Type": "application/json", **headers}
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.request("POST", self.path, json.dumps(payload).encode(), headers)
                with connection.getresponse() as response:
                    return response.status, None
        except (OSError, http.client.HTTPException) as exc:
            return None, f"{type(exc).__name__}: {exc}"

    def _connection(self) -> http.client.HTTPConnection:
        if self.secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self.host, self.port, timeout=_TIMEOUT, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT)
