"""Where requests go: base URLs, proxies and TLS settings, redaction."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
import yaml
from hypothesis import given
from hypothesis import strategies as st
from record_cassettes import CASSETTES, SCENARIOS, SIMULATED_NOW

from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    BroadcastInterruptedError,
    ConfigurationError,
    Modica,
    ModicaError,
    ModicaV2,
    RetryPolicy,
    TransportError,
    UnexpectedResponseError,
    _arguments,
)
from modica_facade._transport._endpoint import Endpoint, check_base_url
from modica_facade._v1 import ACCEPT

from ..conftest import Flavour
from ..misbehaving import ID, Misbehaving, Peer, answering, response, server_side

NUMBER = "+64211234567"


def endpoint(base_url: str) -> Endpoint:
    made = Endpoint(base_url, "name", "password", ACCEPT, 2.0)
    made.prepare()
    return made


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.modicagroup.com/rest/gateway", "api.modicagroup.com"),
        ("https://api.sms.optus.com.au/rest/gateway/", "api.sms.optus.com.au"),
        ("https://gateway.invalid", "gateway.invalid"),
        ("https://gateway.invalid:8443/x", "gateway.invalid"),
        ("https://[2001:db8::1]:8443/x", "[2001:db8::1]"),
        ("http://localhost:8080", "localhost"),
        ("http://127.0.0.1:8080/rest", "127.0.0.1"),
        ("http://[::1]/rest", "[::1]"),
    ],
)
def test_a_base_url_is_https_or_on_this_machine(base_url: str, host: str) -> None:
    with Modica("name", "password", base_url=base_url) as modica:
        assert repr(modica) == f"Modica(username='name', base_url={base_url.rstrip('/')!r})"
    assert check_base_url(base_url)[2] == host.strip("[]")


@pytest.mark.parametrize(
    "base_url",
    [
        None, b"https://gateway.invalid", "", "gateway.invalid", "//gateway.invalid", "ftp://gateway.invalid",
        "https://", "https:///rest", "http://gateway.invalid", "http://10.0.0.1", "http://127.0.0.1.gateway.invalid",
        "http://localhost.gateway.invalid", "http://2130706433", "https://sesame@gateway.invalid",
        "https://name:sesame@gateway.invalid/rest", "https://gateway.invalid?sesame=1",
        "https://gateway.invalid/#sesame", "https://gateway.invalid:", "https://gateway.invalid:0",
        "https://gateway.invalid:65536", "https://gateway.invalid:65536443", "https://gateway.invalid:-1",
        "https://gateway.invalid:\u0664\u0664\u0663", "https://gateway.invalid:4\u06643",
        "https://gat\u0435way.invalid", "https://gateway.invalid/m\u0101ori", "https://gateway .invalid",
        " https://gateway.invalid", "https://gateway.invalid\n", "https://gateway.invalid/a\r\nX: y",
        "https://gateway.invalid/../admin", "https://gateway.invalid/a/./b", "https://gateway.invalid\\@sesame",
        "https://999.999.999.999", "https://[1234]", "https://[::1", "https://-gateway.invalid",
        "https://gateway.invalid/%zz\x00",
    ],
)  # fmt: skip
def test_any_other_base_url_is_refused_without_being_repeated(base_url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as error:
        check_base_url(base_url)
    assert "sesame" not in str(error.value)


@given(
    st.one_of(
        st.text(),
        st.builds(
            "{}://{}{}{}".format,
            st.sampled_from(["https", "http"]),
            st.one_of(st.text("ab1.-_[]:@%é", max_size=9), st.ip_addresses().map(str), st.just("localhost")),
            st.one_of(st.just(""), st.integers(-1, 70000).map(":{}".format), st.text(":0٤", max_size=4)),
            st.text("/ab.%?#@\\ ", max_size=6),
        ),
    )
)
def test_every_base_url_that_is_taken_means_the_same_host_to_the_http_library(base_url: str) -> None:
    try:
        scheme, authority, host, port, path = check_base_url(base_url)
    except ConfigurationError:
        return
    parsed = httpx.URL(f"{scheme}://{authority}{path}/messages")
    assert scheme == "https" or host in {"localhost", "::1"} or host.startswith("127.")
    assert (parsed.scheme, parsed.host, parsed.path) == (scheme, host, f"{path}/messages")
    assert port == (parsed.port or {"https": 443, "http": 80}[scheme])
    assert parsed.userinfo == parsed.query == b""


@pytest.mark.parametrize("value", [None, True, "1", -1, -0.001, float("nan"), float("inf"), 86400, [1]])
def test_seconds_are_a_finite_number_below_a_day(value: Any) -> None:
    for option in "timeout", "keepalive":
        with pytest.raises(ConfigurationError, match=f"{option} must be seconds"):
            Modica("name", "password", **{option: value})


def test_only_keepalive_may_be_0() -> None:
    Modica("name", "password", keepalive=0).close()
    with pytest.raises(ConfigurationError, match="more than 0"):
        Modica("name", "password", timeout=0)


# Proxies and TLS settings come from the environment


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid:3128"}, "http://proxy.invalid:3128"),
        ({"https_proxy": "proxy.invalid:3128"}, "http://proxy.invalid:3128"),
        ({"ALL_PROXY": "http://proxy.invalid"}, "http://proxy.invalid"),
        ({"HTTP_PROXY": "http://proxy.invalid"}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid", "NO_PROXY": "example.org, gateway.invalid"}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid", "NO_PROXY": "example.org"}, "http://proxy.invalid"),
    ],
)
def test_the_proxy_of_the_environment_is_used(
    no_proxies: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
) -> None:
    for name, value in variables.items():
        no_proxies.setenv(name, value)
    found = endpoint("https://gateway.invalid").proxy
    assert (None if found is None else str(found.url)) == proxy
    assert endpoint("http://127.0.0.1:9").proxy is None
    assert endpoint("https://localhost").proxy is None


@pytest.mark.parametrize("proxy", ["ftp://name:sesame@proxy.invalid", "http://name:sesame@proxy.invalid:port"])
def test_an_unusable_proxy_is_refused_without_being_repeated(no_proxies: pytest.MonkeyPatch, proxy: str) -> None:
    no_proxies.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as error:
        endpoint("https://gateway.invalid")
    assert "sesame" not in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE"),
        ("ALL_PROXY", "socks5://name:sesame@proxy.invalid", "SOCKS proxy"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(
    no_proxies: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    no_proxies.setenv(variable, value)
    for kind in Modica, AsyncModica:
        with pytest.raises(ConfigurationError, match=message) as error:
            kind("name", "password")
        assert "sesame" not in str(error.value)


def test_an_http_client_of_the_callers_own_needs_none_of_these_settings(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("ALL_PROXY", "socks5://proxy.invalid")
    no_proxies.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with httpx.Client(trust_env=False, transport=httpx.MockTransport(lambda _: httpx.Response(201, json=[7]))) as mine:
        assert Modica("name", "password", http_client=mine).send(NUMBER, "Kia ora").id == "7"


def test_one_tls_context_serves_every_client_and_wants_tls_1_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = endpoint("https://gateway.invalid").tls
    assert context is not None
    assert context is endpoint("https://elsewhere.invalid").tls
    assert context.minimum_version.name == "TLSv1_2"
    assert context.check_hostname
    assert endpoint("http://localhost").tls is None


@pytest.mark.parametrize(
    ("no_proxy", "base_url", "direct"),
    [
        ("gw.corp.example:8443", "https://gw.corp.example:8443/x", True),
        ("gw.corp.example:8443", "https://gw.corp.example/x", False),
        ("gw.corp.example", "https://gw.corp.example:8443/x", True),
        (".corp.example:8443", "https://gw.corp.example:8443/x", True),
        ("10.1.2.3:8443", "https://10.1.2.3:8443/x", True),
        ("10.1.2.3", "https://10.1.2.3:8443/x", True),
        ("2001:db8::1", "https://[2001:db8::1]:8443/x", True),
        ("[2001:db8::1]", "https://[2001:db8::1]/x", True),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/x", True),
        ("[2001:db8::2]", "https://[2001:db8::1]/x", False),
        # Documented: urllib reads no ranges where it reads the environment.
        ("10.0.0.0/8", "https://10.1.2.3/x", False),
    ],
)
def test_no_proxy_names_hosts_with_or_without_a_port(
    no_proxies: pytest.MonkeyPatch, no_proxy: str, base_url: str, direct: bool
) -> None:
    no_proxies.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    no_proxies.setenv("NO_PROXY", no_proxy)
    assert (endpoint(base_url).proxy is None) is direct


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_spoken_to_with_our_tls_settings_if_in_tls_at_all(
    no_proxies: pytest.MonkeyPatch, scheme: str
) -> None:
    no_proxies.setenv("HTTPS_PROXY", f"{scheme}://proxy.invalid:3128")
    made = endpoint("https://gateway.invalid")
    assert made.proxy is not None
    assert made.proxy.ssl_context is (made.tls if scheme == "https" else None)


def test_certificates_that_were_renewed_in_place_are_read_by_new_clients(
    sync_or_async: Flavour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    for authority in trustme.CA(), trustme.CA():
        bundle.write_bytes(authority.cert_pem.bytes())
        tls = server_side(authority, "localhost")
        with (
            Misbehaving(tls=tls, host="localhost") as server,
            sync_or_async.client("name", "password", base_url=server.base_url) as modica,
        ):
            assert modica.send(NUMBER, "Kia ora").id == str(ID)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_1_2_or_later_offers_http_1_1_and_does_not_renegotiate(
    sync_or_async: Flavour, trusted: trustme.CA, version: ssl.TLSVersion
) -> None:
    tls = server_side(trusted, "localhost")
    tls.minimum_version = tls.maximum_version = version
    tls.set_alpn_protocols(["h2", "http/1.1"])
    spoken: list[str | None] = []

    def look(peer: Peer) -> None:
        assert isinstance(peer.sock, ssl.SSLSocket)
        spoken.append(peer.sock.selected_alpn_protocol())
        peer.serve()

    with (
        Misbehaving(look, tls=tls, host="localhost") as server,
        sync_or_async.client("name", "password", base_url=server.base_url) as modica,
    ):
        for _ in range(3):
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
    assert spoken == ["http/1.1"]
    context = endpoint("https://gateway.invalid").tls
    assert context is not None
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize(("ending", "kind"), [("close_notify", UnexpectedResponseError), ("nothing", TransportError)])
@pytest.mark.parametrize("flavour", ["sync", "async", "uvloop"])
def test_only_close_notify_ends_a_body_that_is_framed_by_the_end(
    flavour: str, trusted: trustme.CA, ending: str, kind: type[ModicaError]
) -> None:
    """Whoever can cut a connection could otherwise shorten an answer: without it what came is a part."""

    def answer(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\nno JSON")
        assert isinstance(peer.sock, ssl.SSLSocket)
        if ending == "close_notify":
            peer.sock.setblocking(False)
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.sock.unwrap()

    with (
        Misbehaving(answer, tls=server_side(trusted, "localhost"), host="localhost") as server,
        Flavour(flavour).client("name", "password", base_url=server.base_url, retry=RetryPolicy(attempts=1)) as modica,
        pytest.raises(ModicaError) as error,
    ):
        modica.get(7)
    assert type(error.value) is kind
    assert server.connections == 1


def test_the_request_of_each_cassette_is_what_leaves_a_real_socket(sync_or_async: Flavour) -> None:
    """Cassettes are played through httpx; our own connections write method, target, body and headers themselves."""
    for name, scenario in SCENARIOS.items():
        recording = yaml.safe_load((CASSETTES / f"{name}.yaml").read_text("utf-8"))
        pinned = [each["request"] for each in recording["interactions"]]
        with (
            Misbehaving(answering(response(500))) as server,
            mock.patch.object(_arguments, "utc_now", return_value=SIMULATED_NOW),
        ):
            kind = (ModicaV2, AsyncModicaV2) if scenario.v2 else (Modica, AsyncModica)
            url = server.v2_base_url if scenario.v2 else server.base_url
            with (
                sync_or_async.client(
                    "application-name", scenario.password, kind=kind, base_url=url, retry=RetryPolicy(attempts=1)
                ) as modica,
                contextlib.suppress(ModicaError, BroadcastInterruptedError),
            ):
                scenario.call(modica, SIMULATED_NOW)
        # Of a bulk send the first request: its failure stops the others.
        first, sent = pinned[0], server.requests[0]
        body = first["body"] or ""
        assert sent.method == first["method"]
        assert sent.path == urlsplit(first["uri"])._replace(scheme="", netloc="").geturl()
        assert sent.body == (body.encode() if isinstance(body, str) else body)
        expected = {key.lower(): values for key, values in first["headers"].items()}
        assert expected.pop("authorization") == ["Basic REDACTED"]
        assert sent.headers["authorization"].startswith("Basic ")
        assert re.fullmatch(r"modica-facade/[0-9.]+", sent.headers["user-agent"])
        assert sent.headers["host"] == f"127.0.0.1:{server.port}"
        rest = {
            key: [value] for key, value in sent.headers.items() if key not in {"authorization", "user-agent", "host"}
        }
        framing = {"content-length": [str(len(sent.body))]} if sent.body else {}
        assert rest == expected | framing | {"accept-encoding": ["identity"]}
