"""Where a document is read from: bounded in time and size, whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from scripts.pipeline import (
    download,
    update_spec,
)
from scripts.pipeline.apis import APIS
from scripts.pipeline.document import SpecError

from .comparing import (
    LIVE,
)


def test_a_document_is_read_from_the_web(site: Any) -> None:
    address, pages = site
    pages["/v1.yaml"] = (200, {}, b"swagger: '2.0'")
    pages["/moved"] = (302, {"Location": "/v1.yaml"}, b"")
    assert download.read(f"{address}/v1.yaml") == b"swagger: '2.0'"
    assert download.read(f"{address}/moved") == b"swagger: '2.0'"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((404, {}, b""), "answered HTTP 404"),
        ((503, {}, b""), "answered HTTP 503"),
        ((200, {"Content-Length": "100"}, b"swagger: '2.0'"), "cannot be read: cut short: 14 of 100 bytes came"),
        ((200, {"Content-Length": "x"}, b""), "cannot be read: "),
        ((200, {}, b"x" * (download.MAX_BYTES + 1)), "is larger than 4 MiB"),
        ((302, {"Location": "http://example.com/v1.yaml"}, b""), "must be an https address"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "answered HTTP 302"),
        ((302, {"Location": "/page"}, b""), "answered HTTP 302"),
        ((302, {"Location": "https://user:canary@127.0.0.1:1/"}, b""), "must not hold credentials"),
    ],
)
def test_what_does_not_come_whole_from_where_it_may_come_is_refused(page: Any, message: str, site: Any) -> None:
    address, pages = site
    pages["/page"] = page
    with pytest.raises(SpecError, match=message) as caught:
        download.read(f"{address}/page")
    assert "\n" not in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://user:canary@example.com/x",
        "http://",
    ],
)
def test_an_address_that_is_not_https_or_holds_credentials_is_refused_unread(address: str) -> None:
    with pytest.raises(SpecError, match="must ") as caught:
        download.read(address)
    assert "canary" not in str(caught.value)


def test_a_file_is_called_by_its_bare_name_and_bounded_like_a_page(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"x" * (download.MAX_BYTES + 1))
    with pytest.raises(SpecError, match=r"^big\.yaml: is larger"):
        download.read(str(tmp_path / "big.yaml"))
    with pytest.raises(SpecError, match=r"^none\.yaml: cannot be read: .*No such file"):
        download.read(str(tmp_path / "none.yaml"))


def test_the_default_addresses_are_those_of_the_sources() -> None:
    text = (LIVE / update_spec.SOURCES).read_text(encoding="utf-8")
    for api in APIS:
        assert f"`{Path(api.published).name}` | <{api.source}>" in text


def test_a_login_page_and_what_is_compressed_are_named(tmp_path: Path) -> None:
    for data, message in (
        (b"\n<!DOCTYPE html><title>Sign in</title>", "is a web page"),
        (b"\xef\xbb\xbf<HTML>", "is a web page"),
        (gzip.compress(b"swagger: '2.0'"), "is compressed with gzip"),
    ):
        (tmp_path / "new.yaml").write_bytes(data)
        with pytest.raises(SpecError, match=f"^new\\.yaml: {message}"):
            download.read(str(tmp_path / "new.yaml"))


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\nswagger:"])
def test_the_deadline_holds_for_the_head_as_for_the_body(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(sent)
                # A byte now and then resets every time-out of the socket.
                while not over.wait(0.01):
                    with contextlib.suppress(OSError):
                        connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(SpecError, match=r"cannot be read: (took longer than 0\.2 seconds|timed out)"):
                download.read(f"http://127.0.0.1:{server.getsockname()[1]}/", seconds=0.2)
        finally:
            over.set()
            thread.join()
