"""The bytes of a document, from a file or from the web: bounded in size and time, and by https alone."""

from __future__ import annotations

import http.client
import threading
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

    Args:
        source: A path or an address.
        seconds: The deadline of a whole fetch: name look-up, redirects, headers and body.

    Raises:
        SpecError: it cannot be read, is larger than 4 MiB, is cut short or took longer than `seconds`, or it is a web
            page or compressed instead of a document.
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
    if data.startswith(b"\x1f\x8b"):
        raise SpecError(name, "is compressed with gzip, which was not asked for: unpack it, and give the file")
    if data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        raise SpecError(name, "is a web page (HTML) and not a document: perhaps a login or an error page")
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
    """Fetch in a thread that is left behind at the deadline: a time-out of urllib is for one wait on the socket."""
    _check(address)
    outcome: list[bytes | Exception] = []

    def fetch() -> None:
        try:
            outcome.append(_body(address, seconds))
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that asked
            outcome.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"took longer than {seconds:g} seconds")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _body(address: str, seconds: float) -> bytes:
    data = bytearray()
    with urllib.request.build_opener(_Redirects).open(address, timeout=seconds) as response:
        while chunk := response.read1(64 * 1024):
            data += chunk
            if len(data) > MAX_BYTES:
                break
        whole = response.headers.get("Content-Length")
        if whole is not None and int(whole) > len(data) <= MAX_BYTES:
            raise ValueError(f"cut short: {len(data)} of {whole} bytes came")
    return bytes(data)
