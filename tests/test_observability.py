"""What operators see: spans of OpenTelemetry and lines of logging, without a number, a text or a credential in them."""

from __future__ import annotations

import base64
import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    CallbackReceiver,
    Modica,
    ModicaError,
    ModicaV2,
    RetryPolicy,
)
from modica_facade.simulator import Simulator, serve

from .conftest import Flavour

PASSWORD = "canary-Pa55word"
NUMBER, CONTENT = "+64211234567", "Kia ora, a private message"
PRIVATE = (
    PASSWORD,
    base64.b64encode(f"name:{PASSWORD}".encode()).decode(),
    NUMBER,
    NUMBER.removeprefix("+"),
    CONTENT,
    "private",
)
TWICE = RetryPolicy(attempts=2, backoff=0)
V1, V2 = (Modica, AsyncModica), (ModicaV2, AsyncModicaV2)


@pytest.fixture
def tracing() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


@pytest.fixture
def instrumented(tracing: tuple[TracerProvider, InMemorySpanExporter]) -> Iterator[InMemorySpanExporter]:
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=tracing[0])
    yield tracing[1]
    instrumentor.uninstrument()


def assert_nothing_private(shown: str) -> None:
    assert [private for private in PRIVATE if private in shown] == []


def summary(spans: tuple[ReadableSpan, ...]) -> list[tuple[Any, Any, str]]:
    """Method, status and path of each span."""
    return [
        (
            span.attributes["http.method"],
            span.attributes.get("http.status_code"),
            httpx.URL(str(span.attributes["http.url"])).path,
        )
        for span in spans
        if span.attributes is not None
    ]


def test_each_attempt_is_a_span_and_carries_its_trace(
    sync_or_async: Flavour, simulator: Simulator, instrumented: InMemorySpanExporter
) -> None:
    with sync_or_async.client("name", PASSWORD, base_url=simulator.base_url, kind=V1) as modica:
        sent = modica.send(NUMBER, CONTENT)
        modica.broadcast([NUMBER], CONTENT)
        modica.get(sent.id)
    path = "/rest/gateway/messages"
    spans = instrumented.get_finished_spans()
    assert summary(spans) == [
        ("POST", 201, path),
        ("POST", 201, f"{path}/broadcast"),
        ("GET", 200, f"{path}/{sent.id}"),
    ]
    trace_ids = [format(span.context.trace_id, "032x") for span in spans if span.context is not None]
    assert [request.headers["traceparent"].split("-")[1] for request in simulator.requests] == trace_ids
    assert_nothing_private("\n".join(span.to_json() for span in spans))


def test_rest_v2_too(sync_or_async: Flavour, simulator: Simulator, instrumented: InMemorySpanExporter) -> None:
    with sync_or_async.client("name", PASSWORD, base_url=simulator.v2_base_url, kind=V2) as modica:
        modica.get(modica.send(NUMBER, CONTENT).id)
    spans = instrumented.get_finished_spans()
    path = "/rest/sms/v2/messages"
    assert summary(spans) == [("POST", 202, path), ("GET", 200, path)]
    assert_nothing_private("\n".join(span.to_json() for span in spans))


@pytest.mark.parametrize("fault", [{"status": 500, "body": f"no {NUMBER}: {CONTENT}"}, {"cut": "after"}])
def test_a_failure_is_a_span_that_repeats_nothing_private(
    sync_or_async: Flavour, simulator: Simulator, instrumented: InMemorySpanExporter, fault: dict[str, Any]
) -> None:
    simulator.fail(**fault)
    with (
        sync_or_async.client("name", PASSWORD, base_url=simulator.base_url, kind=V1, retry=TWICE) as modica,
        pytest.raises(ModicaError) as error,
    ):
        modica.send(NUMBER, CONTENT)
    assert error.value.may_have_been_sent
    (span,) = instrumented.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert_nothing_private(span.to_json())


def test_a_repeated_call_is_two_spans(
    sync_or_async: Flavour, simulator: Simulator, instrumented: InMemorySpanExporter
) -> None:
    simulator.fail(status=429)
    with sync_or_async.client("name", PASSWORD, base_url=simulator.base_url, kind=V1, retry=TWICE) as modica:
        modica.send(NUMBER, CONTENT)
    assert [status for _, status, _ in summary(instrumented.get_finished_spans())] == [429, 201]


def test_an_instrumented_client_of_ones_own_makes_spans(
    simulator: Simulator, tracing: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = tracing
    with httpx.Client() as http_client:
        HTTPXClientInstrumentor.instrument_client(http_client, tracer_provider=provider)
        with Modica("name", PASSWORD, base_url=simulator.base_url, http_client=http_client) as modica:
            modica.send(NUMBER, CONTENT)
    (span,) = exporter.get_finished_spans()
    assert_nothing_private(span.to_json())


def test_lines_say_what_happened_and_nothing_private(
    sync_or_async: Flavour, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ValueError(f"{NUMBER}: {CONTENT}")

    receiver = CallbackReceiver(on_receipt=fail, username="name", password=PASSWORD)
    with caplog.at_level(logging.DEBUG, "modica_facade"), serve(receiver.asgi) as url:
        simulator.fail(status=429)
        simulator.fail(cut="after", match=lambda _: simulator.messages != [])
        with sync_or_async.client("name", PASSWORD, base_url=simulator.base_url, kind=V1, retry=TWICE) as modica:
            modica.send(NUMBER, CONTENT, reference="order-42")
            with contextlib.suppress(ModicaError):
                modica.send(NUMBER, CONTENT, reference="order-43")
        with httpx.Client(base_url=url, auth=("name", PASSWORD)) as client:
            for body in (
                {"message_id": "1", "status": "received"},
                {"message_id": "1", "text": f"{NUMBER} {CONTENT}"},
                {"id": 1, "source": NUMBER, "destination": "202", "content": CONTENT, "operator": "One"},
            ):
                client.post("/", json=body)
    ours = [record for record in caplog.records if record.name.startswith("modica_facade")]
    assert [(record.name, record.levelname) for record in ours] == [
        ("modica_facade", "INFO"),  # the 429 is repeated; an exception is not logged as well
        ("modica_facade.receiver", "ERROR"),
        ("modica_facade.receiver", "WARNING"),
        ("modica_facade.receiver", "INFO"),
    ]
    assert_nothing_private("\n".join(logging.Formatter().format(record) for record in ours))


def test_the_documentation_lists_every_logger() -> None:
    root = Path(__file__).parent.parent
    page = (root / "docs" / "configuration.md").read_text("utf-8")
    named = {
        name
        for path in (root / "modica_facade").rglob("*.py")
        for name in re.findall(r'getLogger\("([\w.]+)"\)', path.read_text("utf-8"))
    }
    assert {"modica_facade", "modica_facade.receiver"} <= named
    assert set(re.findall(r"^\| `(modica_facade[\w.]*)` \| [A-Z]+ \|", page, re.MULTILINE)) == named
