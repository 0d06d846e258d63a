"""The bytes of a document, from a file or from the web: bounded in size and time, and by https alone."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .document import SpecError

MAX_BYTES = 4 * 1024 * 1024
SECONDS = 30.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def name_of(source: str) -> str:
    """What a source may be called in a file that is shared: the address of a page, or the bare name of a file."""
    return source if "://" in source else Path(source).name


def read(source: str, seconds: float = SECONDS) -> bytes:
    """Read a file, or an https address (http on this machine only).

    Raises:
        SpecError: it cannot be read, is larger than 4 MiB, is cut short or took longer than `seconds`.
    """
    name = name_of(source)
    try:
        data = _fetch(source, seconds) if "://" in source else _open(source)
    except urllib.error.HTTPError as error:
        error.close()
        raise SpecError(name, f"answered HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SpecError(name, f"cannot be read: {getattr(error, 'reason', None) or error}") from error
    if len(data) > MAX_BYTES:
        raise SpecError(name, f"is larger than {MAX_BYTES // 1024**2} MiB: that is no such document")
    return data


def _open(source: str) -> bytes:
    with Path(source).open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _check(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SpecError(name_of(address), "must be an https address (http only on this machine)")
    if "@" in parts.netloc:
        raise SpecError(f"{parts.scheme}://{parts.hostname}", "must not hold credentials: the address is written down")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where `read` would have gone itself."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _check(newurl)
        except SpecError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(address: str, seconds: float) -> bytes:
    _check(address)
    deadline = time.monotonic() + seconds
    data: bytes = b""
    with urllib.request.build_opener(_Redirects).open(address, timeout=seconds) as answer:
        while chunk := answer.read1(64 * 1024):
            data += chunk
            if len(data) > MAX_BYTES:
                return data
            if time.monotonic() > deadline:
                raise TimeoutError(f"took longer than {seconds:g} seconds")
        whole = answer.headers.get("Content-Length")
        if whole is not None and int(whole) != len(data):
            raise ValueError(f"cut short: {len(data)} of {whole} bytes came")
    return data
