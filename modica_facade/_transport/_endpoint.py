"""Where requests go and as whom: base URL, headers with the credentials, proxy, TLS settings, redaction."""

from __future__ import annotations

import base64
import functools
import html
import ipaddress
import os
import re
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from .._arguments import check_seconds
from .._calls import Call
from .._version import USER_AGENT
from ..errors import ConfigurationError
from ._patched import is_patched

if TYPE_CHECKING:
    # Imported where an environment proxy needs it: our own connections do without.
    import httpx


@frozen(kw_only=True, repr=False)
class _Secrets:
    """What nobody may see: without a repr, and in no local variable for longer than it takes to make it.

    Attributes:
        headers: those of every request.
        head: the same as they go over the wire.
        proxy: that of the environment.
        tokens: matches credentials as HTTP Basic encodes them.
        passwords: matches these, and passwords that are long enough to be told from other text.
    """

    headers: tuple[tuple[bytes, bytes], ...]
    head: bytes
    proxy: httpx.Proxy | None
    tokens: re.Pattern[bytes]
    passwords: re.Pattern[bytes]


def _patterns(*credentials: tuple[bytes, bytes]) -> dict[str, Any]:
    tokens = [base64.b64encode(username + b":" + password) for username, password in credentials]
    passwords = [password for _, password in credentials if len(password) >= 6]
    return {
        "tokens": re.compile(b"|".join(map(_echo, tokens))),
        "passwords": re.compile(b"|".join(map(_echo, tokens + passwords))),
    }


def _echo(secret: bytes) -> bytes:
    """A pattern for a secret in a peer's page: as it is, or with what JSON, HTML and URLs escape.

    Many JSON libraries escape / or +, which are in most tokens: reading the page as JSON would restore the token.
    """
    forms: list[bytes] = []
    for character in secret.decode("utf-8", "surrogateescape"):
        plain = character.encode("utf-8", "surrogateescape")
        if plain.isalnum():
            forms.append(plain)
            continue
        code, utf16 = ord(character), character.encode("utf-16-be", "surrogatepass")
        json_escape = b"".join(rb"\\u%02x%02x" % pair for pair in zip(utf16[::2], utf16[1::2], strict=True))
        percent = b"".join(b"%%%02x" % byte for byte in plain)
        named = re.escape(html.escape(character).encode("utf-8", "surrogateescape"))
        literal = re.escape(plain)
        forms.append(
            rb"(?i:%b|\\%b|%b|%b|%b|&#x0*%x;|&#0*%d;)" % (literal, literal, json_escape, percent, named, code, code)
        )
    return b"".join(forms)


class Endpoint:
    """One gateway as one application.

    Attributes:
        base_url: without a slash at its end.
        host: as name resolution and TLS want it.
        port: 1 to 65535.
        keepalive: seconds an idle connection may be used again.
        tls: settings of connections of ours; None for plain http, which is allowed for loopback only.

    Raises:
        ConfigurationError: the base URL or a number cannot be used. The message does not repeat the URL, which may hold
            a password.
    """

    __slots__ = ("_credentials", "_prefix", "_secrets", "base_url", "host", "keepalive", "port", "tls")

    def __init__(self, base_url: str, username: str, password: str, accept: str, keepalive: float) -> None:
        scheme, authority, self.host, self.port, self._prefix = check_base_url(base_url)
        self.base_url = f"{scheme}://{authority}{self._prefix}"
        self.keepalive = check_seconds("keepalive", keepalive, zero=True)
        self.tls: ssl.SSLContext | None = None
        credentials = username.encode(), password.encode()
        headers = (
            (b"Host", authority.encode()),
            (b"Accept", accept.encode()),
            (b"Accept-Encoding", b"identity"),
            (b"Authorization", b"Basic " + base64.b64encode(b":".join(credentials))),
            (b"User-Agent", USER_AGENT.encode()),
        )
        head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        # Closures, not attributes: what dumps objects by their attributes does not find them.
        self._credentials: Callable[[], tuple[bytes, bytes]] = lambda: credentials
        secrets = _Secrets(headers=headers, head=head, proxy=None, **_patterns(credentials))
        self._secrets: Callable[[], _Secrets] = lambda: secrets

    def prepare(self, client: object = None, *, is_async: bool = False) -> None:
        """Check a caller's HTTP client, or read from the environment what our own connections need.

        Raises:
            ConfigurationError: the client is of the wrong kind; proxy or certificates cannot be used.
        """
        if client is not None:
            import httpx

            kind = httpx.AsyncClient if is_async else httpx.Client
            if not isinstance(client, kind):
                raise ConfigurationError(f"http_client must be an httpx.{kind.__name__}")
            return
        self.tls = _tls(*_ca_settings()) if self.base_url.startswith("https") else None
        proxy = None if _is_loopback(self.host) else _environment_proxy(self.host, self.port, self.tls)
        if proxy is not None:
            patterns = _patterns(self._credentials(), *([proxy.raw_auth] if proxy.raw_auth else []))
            secrets = evolve(self._secrets(), proxy=proxy, **patterns)
            self._secrets = lambda: secrets

    @property
    def proxy(self) -> httpx.Proxy | None:
        """The proxy that the environment names for this host."""
        return self._secrets().proxy

    def goes_through_httpx(self, *, is_async: bool) -> bool:
        """Is there a proxy, or has something patched httpx and expects to see every request?"""
        return self.proxy is not None or is_patched(is_async=is_async)

    def headers(self, call: Call[Any]) -> list[tuple[bytes, bytes]]:
        """The headers of a request, except Content-Length."""
        content_type = [] if call.body is None else [(b"Content-Type", b"application/json")]
        return [*self._secrets().headers, *content_type]

    def encode(self, call: Call[Any]) -> memoryview:
        """A request as it goes over the wire; as a memoryview, which shows nothing in the locals of a traceback."""
        body = call.body
        return memoryview(
            b"%b %b%b HTTP/1.1\r\n%b%b\r\n%b"
            % (
                call.method.encode("ascii"),
                self._prefix.encode("ascii"),
                call.path.encode("ascii"),
                self._secrets().head,
                b"" if body is None else b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body),
                body or b"",
            )
        )

    def redact(self, text: bytes, *, keep_passwords: bool = False) -> bytes:
        """What a peer wrote, without our credentials: debugging proxies echo request headers into their pages.

        ``keep_passwords``: it is an answer of the gateway, whose ids and texts stay whatever our password is.
        """
        if keep_passwords:
            return self._secrets().tokens.sub(b"[redacted]", text)
        return self._secrets().passwords.sub(b"[redacted]", text)


_HOST_AND_PORT = re.compile(r"([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
_URL = re.compile(r"(https?)://([^/]*)(/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?", re.ASCII)
_IPV4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", re.ASCII)


def check_base_url(base_url: object) -> tuple[str, str, str, int, str]:
    """Scheme, authority as the Host header has it, host, port, and path without a slash at its end.

    Raises:
        ConfigurationError: not https (http for a loopback host), or more in it than host, port and path.
    """
    match = _URL.fullmatch(base_url) if isinstance(base_url, str) else None
    if match is None:
        raise ConfigurationError("base_url must be like https://host/path: no user, query, fragment or odd characters")
    scheme, authority, path = match[1], match[2].lower(), (match[3] or "").rstrip("/")
    if "@" in authority:
        raise ConfigurationError("base_url must not hold credentials; pass username and password instead")
    parts = _HOST_AND_PORT.fullmatch(authority)
    if parts is None:
        raise ConfigurationError("base_url has no usable host and port; write it like https://host/path")
    host, standard = parts[1], 443 if scheme == "https" else 80
    port = int(parts[2] or standard)
    if not 1 <= port <= 65535:
        raise ConfigurationError("base_url has a port outside 1 to 65535")
    if any(part in {".", ".."} for part in path.split("/")):
        raise ConfigurationError("base_url has . or .. in its path; write the path in full")
    bare = host.strip("[]")
    is_address = host != bare or _IPV4.fullmatch(host)
    # Name resolution takes labels of 1 to 63 characters.
    if not (_is_address(bare) if is_address else all(0 < len(label) < 64 for label in bare.split("."))):
        raise ConfigurationError("base_url has no usable host; write it like https://host/path")
    if scheme == "http" and not _is_loopback(bare):
        raise ConfigurationError("base_url must begin with https://: http would show password and text to everyone")
    return scheme, host if port == standard else f"{host}:{port}", bare, port, path


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _environment_proxy(host: str, port: int, tls: ssl.SSLContext | None) -> httpx.Proxy | None:
    proxies = urllib.request.getproxies()
    url = proxies.get("https") or proxies.get("all")
    names = (host, f"[{host}]") if ":" in host else (host,)
    # NO_PROXY may name a host with or without its port. It takes no ranges of addresses: urllib reads none on Linux.
    if not url or any(urllib.request.proxy_bypass(name + end) for name in names for end in ("", f":{port}")):
        return None
    import httpx

    try:
        proxy = httpx.Proxy(url if "://" in url else f"http://{url}")
    except (ValueError, httpx.InvalidURL):
        # Without its cause: that repeats the URL, which may hold the proxy's password.
        raise ConfigurationError("the proxy in HTTPS_PROXY or ALL_PROXY is not a usable URL; correct it") from None
    if proxy.url.scheme not in ("http", "https"):
        raise ConfigurationError(
            "a SOCKS proxy is in the environment; pass http_client=httpx.Client(proxy=...) to use it"
        )
    # A proxy may itself be spoken to in TLS.
    proxy.ssl_context = tls if proxy.url.scheme == "https" else None
    return proxy


_Source = tuple[str | None, tuple[int, ...]]


def _ca_settings() -> tuple[_Source, _Source]:
    """The certificates that the environment names, and by what a renewal of them can be told."""
    return _source(os.environ.get("SSL_CERT_FILE")), _source(os.environ.get("SSL_CERT_DIR"))


def _source(path: str | None) -> _Source:
    try:
        found = Path(path).stat() if path else None
    except OSError:
        found = None
    return path or None, () if found is None else (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=4)
def _tls(cert_file: _Source, cert_dir: _Source) -> ssl.SSLContext:
    # One for all clients: building it takes 30 ms. The precedence of the variables is httpx's.
    file, folder = cert_file[0], None if cert_file[0] else cert_dir[0]
    if file is None and folder is None:
        import certifi

        file = certifi.where()
    try:
        context = ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE or SSL_CERT_DIR names no usable certificates ({type(error).__name__}); correct it"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    # SSLKEYLOGFILE would write the keys to every credential and message of this process.
    context.keylog_filename = None  # type: ignore[assignment]  # documented as None by default, typeshed has str
    return context
