"""docs/migrating-v1-to-v2.md: every row of its tables is true, every sample runs and prints what the page says.

A row ends with the name of its test, which gets the row: what stands in backticks in its cells is what is compared, so
a test fails when the package changes and when the page does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import httpx
import pytest
import yaml

import modica_facade
from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    CallbackReceiver,
    DeliveryReceipt,
    DeliveryStatus,
    InboundMessage,
    Message,
    Modica,
    ModicaError,
    ModicaV2,
    RetryPolicy,
    SubmittedMessage,
    _v1,
    _v2,
    errors,
    migration,
    parse_callback,
)
from modica_facade._calls import NoResponse, Response, to_result
from modica_facade._retry import retry_delay
from modica_facade.simulator import Simulator, serve

from ..conftest import NOW, Flavour

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "migrating-v1-to-v2.md"
TEXT = PAGE.read_text("utf-8")
V1_DOCUMENT = yaml.safe_load((ROOT / "openapi" / "gateway-v1.openapi.yaml").read_text("utf-8"))
V2_DOCUMENT = yaml.safe_load((ROOT / "openapi" / "sms-v2.openapi.yaml").read_text("utf-8"))
V1_SCHEMAS, V2_SCHEMAS = V1_DOCUMENT["components"]["schemas"], V2_DOCUMENT["components"]["schemas"]
V2_PUBLISHED = yaml.safe_load((ROOT / "openapi" / "published" / "sms-v2.openapi.yaml").read_text("utf-8"))
V2 = (ModicaV2, AsyncModicaV2)
NUMBER = "+64211234567"
UUID_TEXT = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


class Row(NamedTuple):
    """What stands in backticks in the two cells that compare the versions, and the name of the test in the last."""

    v1: tuple[str, ...]
    v2: tuple[str, ...]
    test: str


def read_rows() -> list[Row]:
    rows: list[Row] = []
    for line in TEXT.split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and not {cells[-1]} & {"test", "---"}:
            v1, v2 = (tuple(re.findall("`([^`]+)`", cell)) for cell in cells[1:3])
            rows.append(Row(v1, v2, cells[-1].strip("`")))
    return rows


ROWS = read_rows()


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    (mine,) = [row for row in ROWS if row.test == request.node.originalname]
    return mine


@pytest.fixture
def sent(simulator: Simulator) -> tuple[SubmittedMessage, SubmittedMessage]:
    """One message sent on each version, with a reference."""
    with Modica("app", "password", base_url=simulator.base_url) as v1:
        first = v1.send(NUMBER, "Kia ora", reference="order-42")
    with ModicaV2("app", "password", base_url=simulator.v2_base_url) as v2:
        return first, v2.send(NUMBER, "Kia ora", reference="order-42")


def shape(keys: Iterable[str]) -> tuple[str, ...]:
    """A cell that shows an object by its keys."""
    return (f"{{{', '.join(json.dumps(key) for key in keys)}}}",)


def methods(client: type) -> set[str]:
    return {name for name in dir(client) if not name.startswith("_")}


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    tests = [name for name in globals() if name.startswith("test_row_")]
    assert sorted(row.test for row in ROWS) == sorted(tests)
    assert len(ROWS) == TEXT.count("| `test_row_")


# Addresses and status codes


def test_row_clients(row: Row) -> None:
    assert row.v1 == tuple(migration._V1) == (Modica.__name__, AsyncModica.__name__)
    assert row.v2 == tuple(migration._V1.values()) == (ModicaV2.__name__, AsyncModicaV2.__name__)


def test_row_base_url(row: Row) -> None:
    assert [*row.v1, *row.v2] == [document["servers"][0]["url"] for document in (V1_DOCUMENT, V2_DOCUMENT)]
    for url, client in zip([*row.v1, *row.v2], (Modica, ModicaV2), strict=True):
        assert f"base_url={url!r}" in repr(client("app", "password"))


def test_row_base_url_variable(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, mine, other in ((*row.v1, Modica, ModicaV2), (*row.v2, ModicaV2, Modica)):
        with monkeypatch.context() as environment:
            environment.setenv(variable, "https://sms.example/base")
            assert "https://sms.example/base" in repr(mine("app", "password"))
            assert "https://api.modicagroup.com/" in repr(other("app", "password"))


@pytest.mark.usefixtures("sent")
def test_row_accept(row: Row, simulator: Simulator) -> None:
    first, second = (request.headers["accept"] for request in simulator.requests)
    assert row.v1 == (first, "Accept")
    assert row.v2 == ("Accept", second)


@pytest.mark.usefixtures("sent")
def test_row_send(row: Row, simulator: Simulator) -> None:
    bases = (("/rest/gateway", row.v1, V1_DOCUMENT), ("/rest/sms/v2", row.v2, V2_DOCUMENT))
    for request, (base, cell, document) in zip(simulator.requests, bases, strict=True):
        assert cell == (f"{request.method} {request.path.removeprefix(base)}", str(request.status_code))
        assert cell[1] in document["paths"]["/messages"]["post"]["responses"]


def test_row_answer_to_a_send(row: Row, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    answer, location = row.v1
    assert location == "Location"
    assert to_result(v1_send(), Response(201, answer.encode())) == SubmittedMessage("123", NUMBER)
    answer, location = row.v2
    assert set(json.loads(re.sub('("[a-z]+")', r"\1: 1", answer))) == set(V2_SCHEMAS["AcceptedMessage"]["properties"])
    assert location == "Location"
    assert "Location" in V1_DOCUMENT["paths"]["/messages"]["post"]["responses"]["201"]["headers"]
    assert "headers" not in V2_DOCUMENT["components"]["responses"]["SingleMessageResponse"]
    first, second = sent
    assert (first.location or "").endswith(f"/messages/{first.id}")
    assert first.status is None
    assert (second.location, second.status) == (None, "accepted")


def test_row_get(row: Row, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    for cell, call, message in ((row.v1, _v1.get, sent[0]), (row.v2, _v2.get, sent[1])):
        made: Any = call(message.id)
        assert cell == (f"{made.method} {made.path.replace(message.id, '<id>')}",)


def test_row_generated_package(row: Row) -> None:
    for (package,), room in ((row.v1, _v1), (row.v2, _v2)):
        assert f"from {package}.models import" in inspect.getsource(room)
        assert importlib.util.find_spec(package) is not None


# Ids


def test_row_id(row: Row, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    first, second = sent
    assert first.id.isdecimal()
    assert row.v1 == (str(len(str(2**63 - 1))),)
    assert second.id == str(UUID(second.id))
    assert row.v2 == (str(len(second.id)),)


def test_row_id_type(row: Row, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    assert ((type(sent[0].id).__name__,), (type(sent[1].id).__name__,)) == (row.v1, row.v2)
    assert str(int(sent[0].id)) == sent[0].id
    with pytest.raises(ValueError, match="invalid literal"):
        int(sent[1].id)


def test_row_id_arguments(row: Row) -> None:
    assert (row.v1, row.v2) == ((int.__name__,), (UUID.__name__,))
    assert _v1.get(123).path == _v1.get("123").path
    assert _v2.get(UUID(UUID_TEXT)).path == _v2.get(UUID_TEXT).path


def test_row_ids_do_not_cross(row: Row, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    for call, theirs in ((_v1.get, sent[1].id), (_v2.get, sent[0].id)):
        with pytest.raises(errors.InvalidRequestError) as error:
            call(theirs)
        assert error.value.field == "message_id"
        assert row.v1 == row.v2 == (type(error.value).__name__,)


# Limits


def test_row_destinations(row: Row) -> None:
    (most,) = row.v1
    assert V1_SCHEMAS["MessageBroadcast"]["allOf"][1]["properties"]["destination"]["maxItems"] == int(most)
    assert _v1.broadcast([NUMBER] * int(most), "Kia ora", **none(_v1)).path == "/messages/broadcast"
    with pytest.raises(errors.InvalidRequestError, match=f"1 to {most} destinations"):
        _v1.broadcast([NUMBER] * (int(most) + 1), "Kia ora", **none(_v1))
    assert row.v2 == ("1",)
    assert V2_SCHEMAS["SingleMessage"]["properties"]["destination"]["type"] == "string"  # one, not a list


@pytest.mark.usefixtures("fixed_now")
def test_row_schedule_limit(row: Row) -> None:
    assert row.v1 == row.v2
    days = timedelta(days=int(row.v1[0]))
    now = NOW
    for schemas, room, schema in ((V1_SCHEMAS, _v1, "MessageCommon"), (V2_SCHEMAS, _v2, "SingleMessage")):
        assert f"{row.v1[0]} days" in schemas[schema]["properties"]["scheduled"]["description"]
        assert room.send(NUMBER, "Kia ora", **none(room) | {"scheduled": now + days - timedelta(hours=1)}).is_send
        with pytest.raises(errors.InvalidRequestError, match=f"more than {row.v1[0]} days ahead"):
            room.send(NUMBER, "Kia ora", **none(room) | {"scheduled": now + days + timedelta(hours=1)})


def test_row_mask_limit(row: Row) -> None:
    assert row.v1 == row.v2
    longest = int(row.v1[0])
    for schemas, room, schema in ((V1_SCHEMAS, _v1, "MessageCommon"), (V2_SCHEMAS, _v2, "SingleMessage")):
        assert schemas[schema]["properties"]["mask"]["maxLength"] == longest
        assert room.send(NUMBER, "Kia ora", **none(room) | {"mask": "x" * longest}).is_send
        with pytest.raises(errors.InvalidRequestError, match="mask"):
            room.send(NUMBER, "Kia ora", **none(room) | {"mask": "x" * (longest + 1)})


def test_row_content_limit(row: Row) -> None:
    for name, longest in zip(("content", "reference"), row.v2, strict=True):
        assert V2_SCHEMAS["MessageDetails"]["properties"][name]["maxLength"] == int(longest)
        for schema in (V1_SCHEMAS["MessageCommon"], V1_SCHEMAS["StoredMessage"], V2_SCHEMAS["SingleMessage"]):
            assert "maxLength" not in schema["properties"][name]
    assert row.v1 == ()
    for room in (_v1, _v2):
        assert room.send(NUMBER, "x" * 5001, **none(room) | {"reference": "x" * 256}).is_send


# Errors


def test_row_error_envelope(row: Row, sync_or_async: Flavour, simulator: Simulator) -> None:
    for cell, path, kind, call in (
        (row.v1, simulator.base_url, (Modica, AsyncModica), v1_send),
        (row.v2, simulator.v2_base_url, V2, v2_send),
    ):
        answer = httpx.post(f"{path}/messages", json={}, auth=("app", "password"))
        assert cell == shape(answer.json())
        with sync_or_async.client("app", "password", base_url=path, kind=kind) as modica:
            with pytest.raises(errors.RejectedError) as error:
                modica.send("X", "Kia ora")
            assert error.value.descriptions[-1].startswith("Invalid destination")
        with pytest.raises(errors.RejectedError) as error:
            to_result(call(), Response(400, answer.content))
        assert error.value.descriptions


def test_row_error_code(row: Row) -> None:
    for code in row.v1:
        with pytest.raises(errors.GatewayError) as error:
            to_result(v1_send(), Response(400, json.dumps({"error": code}).encode()))
        assert error.value.code == code
        with pytest.raises(errors.GatewayError) as error:
            to_result(v2_send(), Response(400, b'{"message": "x", "statusCode": 400, "error": "Bad Request"}'))
        assert (error.value.code,) == row.v2
        with pytest.raises(errors.GatewayError) as error:
            to_result(v2_send(), Response(400, json.dumps({"error": code}).encode()))
        assert error.value.code == code  # where the prose is right
    assert set(row.v1) == migration._CODES


def every_error(call: Callable[[], Any]) -> set[str]:
    """The names of all exceptions that answers to a call can end in, by statuses and by codes in every envelope."""
    codes = (
        "invalid_attrib",
        "missing_attrib",
        "invalid_json",
        "broadcast_limit",
        "send_failed",
        "400",
        "422",
        400,
        422,
    )
    bodies: list[Any] = [None, *({"error": code, "error-desc": "scheduled"} for code in codes)]
    bodies += [{"message": "scheduled", "code": code, "statusCode": code, "error": code} for code in codes]
    found: set[str] = set()
    for status in range(100, 1000):
        for body in bodies:
            try:
                to_result(call(), Response(status, json.dumps(body).encode()))
            except ModicaError as error:
                found.add(type(error).__name__)
    return found


def test_row_exceptions_of_codes(row: Row) -> None:
    """Documented for v1; the prose of v2 lists the codes too, so they are understood there."""
    assert set(row.v1) == set(migration._CLASSES_OF_CODES)
    assert every_error(v1_send) == every_error(v2_send) > set(row.v1)
    with pytest.raises(errors.RejectedError) as error:
        to_result(v2_send(), Response(400, b'{"message": "x", "statusCode": 400, "error": "Bad Request"}'))
    assert (type(error.value).__name__,) == row.v2


def test_row_refusal(row: Row) -> None:
    assert row.v1 == row.v2 == (errors.RejectedError.__name__,)
    with pytest.raises(errors.RejectedError) as error:
        to_result(v1_send(), Response(400, b'{"error": "invalid_attrib"}'))
    assert type(error.value) is not errors.RejectedError
    with pytest.raises(errors.RejectedError) as error:
        to_result(v2_send(), Response(400, b'{"message": "x", "statusCode": 400, "error": "Bad Request"}'))
    assert type(error.value) is errors.RejectedError


# Callbacks


def posted(simulator: Simulator, kind: str, **settings: Any) -> list[dict[str, Any]]:
    """The payloads of callbacks, v1's first, that the simulator posts; all are handed to one receiver."""
    with serve(CallbackReceiver(**settings).asgi) as url:
        simulator.dlr_url = simulator.mo_url = url
        deliveries = simulator.deliver()
    assert all(delivery.ok for delivery in deliveries)
    return [dict(delivery.payload) for delivery in deliveries if delivery.kind == kind]


def test_row_receipt(row: Row, simulator: Simulator, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    v1, v2, *_ = posted(simulator, "receipt")
    assert row.v1 == shape(v1) == shape(v2)
    simulator.reset()
    simulator.v2_receipts = "specification"
    with ModicaV2("app", "password", base_url=simulator.v2_base_url) as modica:
        modica.send(NUMBER, "Kia ora", reference="order-42")
    specified, *_ = posted(simulator, "receipt")
    assert row.v2 == shape(specified)
    assert set(specified) == set(V2_PUBLISHED["components"]["schemas"]["StatusCallback"]["properties"])
    assert parse_callback(v1) == DeliveryReceipt(sent[0].id, "sent", "order-42")
    assert parse_callback(v2) == DeliveryReceipt(sent[1].id, "sent", "order-42")
    assert parse_callback(specified) == DeliveryReceipt(sent[1].id, "sent", None, NUMBER)


@pytest.mark.usefixtures("sent")
def test_row_reference_of_a_receipt(row: Row, simulator: Simulator) -> None:
    found: list[DeliveryReceipt] = []
    posted(simulator, "receipt", on_receipt=found.append)
    assert {receipt.reference for receipt in found} == {"order-42"}
    assert "reference" not in V2_PUBLISHED["components"]["schemas"]["StatusCallback"]["properties"]
    assert (row.v1, row.v2) == ((), ())
    simulator.v2_receipts = "specification"
    with ModicaV2("app", "password", base_url=simulator.v2_base_url) as modica:
        modica.send(NUMBER, "Kia ora", reference="order-43")
        posted(simulator, "receipt", on_receipt=found.append)
        assert found[-1].reference is None
        assert modica.get(found[-1].message_id).reference == "order-43"  # the way out that the page names


def test_row_statuses(row: Row) -> None:
    assert list(row.v2) == V2_PUBLISHED["components"]["schemas"]["StatusCallback"]["properties"]["status"]["enum"]
    assert set(row.v2) == set(DeliveryStatus)
    documented = V1_SCHEMAS["DeliveryReceipt"]["properties"]["status"]["description"].partition(".")[0]
    assert list(row.v1) == [status for status in re.findall("[a-z]+", documented) if status in set(DeliveryStatus)]
    step = re.search(r"\*\*Accept the new statuses\.\*\*(.*?)\n\d\.", TEXT, re.DOTALL)
    assert step is not None
    not_final, final = (re.findall("`([a-z]+)`", part) for part in step[1].split(";"))
    assert sorted([*not_final, *final]) == sorted(set(row.v2) - set(row.v1))
    assert not any(DeliveryStatus(status).is_final for status in not_final)
    assert all(DeliveryStatus(status).is_final for status in final)


def test_row_failure_after_acceptance(row: Row, simulator: Simulator) -> None:
    simulator.plan_receipts("blocked")
    found: list[DeliveryReceipt] = []
    with ModicaV2("app", "password", base_url=simulator.v2_base_url) as modica:
        message = modica.send(NUMBER, "Kia ora")
        assert (row.v1, row.v2) == ((), (str(simulator.requests[-1].status_code),))
        assert message.status == "accepted"
        posted(simulator, "receipt", on_receipt=found.append)
        assert [(receipt.message_id, receipt.status, receipt.is_final) for receipt in found] == [
            (message.id, "blocked", True)
        ]


def inbound(simulator: Simulator, content: str | bytes = "ae", **settings: Any) -> list[dict[str, Any]]:
    """The payloads of one reply on each version, v1's first."""
    payloads: list[dict[str, Any]] = []
    for client, base_url in ((Modica, simulator.base_url), (ModicaV2, simulator.v2_base_url)):
        with client("app", "password", base_url=base_url) as modica:
            modica.send(NUMBER, "Kia ora", reference="order-42")
        simulator.reply(NUMBER, content)
        payloads += posted(simulator, "inbound", **settings)
    return payloads


def test_row_inbound(row: Row, simulator: Simulator) -> None:
    found: list[InboundMessage] = []
    v1, v2 = inbound(simulator, on_inbound=found.append)
    keys = V1_SCHEMAS["InboundMessage"]["required"]
    assert row.v1 == shape(keys) == shape(V2_SCHEMAS["ReplyCallback"]["properties"]) == shape(v2)
    assert set(keys) <= set(v1)
    assert row.v2 == ("id",)
    assert [(message.source, message.content) for message in found] == [(NUMBER, "ae")] * 2
    assert found[0].id.isdecimal()
    assert found[1].id == str(UUID(found[1].id))


@pytest.mark.usefixtures("sent")
def test_row_receiver(row: Row, simulator: Simulator) -> None:
    assert row.v1 == row.v2 == (CallbackReceiver.__name__,)
    found: list[Any] = []
    simulator.reply(NUMBER, "ae")
    posted(simulator, "receipt", on_receipt=found.append, on_inbound=found.append)
    assert sorted({message.version for message in simulator.messages}) == [1, 2]
    assert len(found) == 5


# NoResponse


def test_row_broadcast_is_lost(row: Row, sync_or_async: Flavour, simulator: Simulator) -> None:
    assert row.v2 == ()
    for client, successor in ((Modica, ModicaV2), (AsyncModica, AsyncModicaV2)):
        assert set(row.v1) == methods(client) - methods(successor)
    assert "/messages/broadcast" in V1_DOCUMENT["paths"]
    assert list(V2_DOCUMENT["paths"]) == ["/messages"]
    numbers = [NUMBER, "X"]
    with sync_or_async.client("app", "password", base_url=simulator.base_url) as modica:
        before = list(modica.broadcast_many(numbers, "Kia ora"))
    with sync_or_async.client("app", "password", base_url=simulator.v2_base_url, kind=V2) as modica:
        after = list(modica.send_many(numbers, "Kia ora"))
    assert [type(outcome) for outcome in before] == [type(outcome) for outcome in after]
    assert [(outcome.destination, outcome.ok) for outcome in before] == [(o.destination, o.ok) for o in after]
    assert [request.path for request in simulator.requests] == [
        "/rest/gateway/messages/broadcast",
        *["/rest/sms/v2/messages"] * len(numbers),
    ]


def test_row_expires_is_lost(row: Row) -> None:
    documented, in_v2 = V1_SCHEMAS["MessageCommon"]["properties"], V2_SCHEMAS["SingleMessage"]["properties"]
    assert set(row.v1) == set(documented) - set(in_v2)
    for method in ("send", "broadcast", "broadcast_many"):
        assert set(row.v1) <= set(inspect.signature(getattr(Modica, method)).parameters)
    for method in ("send", "send_many"):
        assert not set(row.v1) & set(inspect.signature(getattr(ModicaV2, method)).parameters)
    assert row.v2 == ()


def test_row_reply_to_is_lost(row: Row, simulator: Simulator) -> None:
    found: list[InboundMessage] = []
    v1, v2 = inbound(simulator, on_inbound=found.append)
    assert set(row.v1) <= set(v1)
    in_v2 = set(v2) | set(V2_SCHEMAS["ReplyCallback"]["properties"])
    assert {*row.v1, "encoding"} == set(V1_SCHEMAS["InboundMessage"]["properties"]) - in_v2
    assert [(message.reply_to is None, message.reference) for message in found] == [(False, "order-42"), (True, None)]
    assert row.v2 == ()
    assert {("InboundMessage", field) for field in row.v1} <= set(migration._ALWAYS_NONE)


def test_row_encoding_is_lost(row: Row, simulator: Simulator) -> None:
    (field,) = row.v1
    assert field in V1_SCHEMAS["InboundMessage"]["properties"]
    assert field not in V2_SCHEMAS["ReplyCallback"]["properties"]
    assert inbound(simulator, b"\x00\x01")[0][field] == "base64"
    assert row.v2 == ()


def test_row_stored_fields_are_lost(row: Row, simulator: Simulator) -> None:
    assert set(row.v1) == set(V1_SCHEMAS["StoredMessage"]["properties"]) - set(
        V2_SCHEMAS["MessageDetails"]["properties"]
    )
    assert {("Message", field) for field in row.v1} <= set(migration._ALWAYS_NONE)
    v1, v2 = inbound(simulator)
    with Modica("app", "password", base_url=simulator.base_url) as modica:
        found = modica.get(v1["id"])
    assert [getattr(found, field) is None for field in row.v1] == [False, False]
    with ModicaV2("app", "password", base_url=simulator.v2_base_url) as modica_v2:
        found = modica_v2.get(v2["id"])
    assert [getattr(found, field) for field in row.v1] == [None, None]
    assert row.v2 == ()


# New


def stored(simulator: Simulator, sent: tuple[SubmittedMessage, SubmittedMessage]) -> tuple[Message, Message]:
    with Modica("app", "password", base_url=simulator.base_url) as modica:
        v1 = modica.get(sent[0].id)
    with ModicaV2("app", "password", base_url=simulator.v2_base_url) as modica_v2:
        return v1, modica_v2.get(sent[1].id)


def test_row_status_is_new(row: Row, simulator: Simulator, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    posted(simulator, "receipt")
    v1, v2 = stored(simulator, sent)
    (field,) = row.v2
    assert field not in V1_SCHEMAS["StoredMessage"]["properties"]
    assert (getattr(v1, field), getattr(v2, field)) == (None, "received")
    assert row.v1 == ()


def test_row_direction_is_new(row: Row, simulator: Simulator, sent: tuple[SubmittedMessage, SubmittedMessage]) -> None:
    field, to_a_handset, from_a_handset = row.v2
    v1, v2 = stored(simulator, sent)
    assert (getattr(v1, field), getattr(v2, field)) == (None, to_a_handset)
    _, reply = inbound(simulator)
    with ModicaV2("app", "password", base_url=simulator.v2_base_url) as modica:
        assert getattr(modica.get(reply["id"]), field) == from_a_handset
    assert row.v1 == ()


@pytest.mark.usefixtures("fixed_now")
def test_row_accepted_is_new(
    row: Row, simulator_at_now: Simulator, sent: tuple[SubmittedMessage, SubmittedMessage]
) -> None:
    field, at_once, later = row.v2
    assert (getattr(sent[0], field), getattr(sent[1], field)) == (None, at_once)
    with ModicaV2("app", "password", base_url=simulator_at_now.v2_base_url) as modica:
        scheduled = modica.send(NUMBER, "Kia ora", scheduled=NOW + timedelta(hours=1))
    assert getattr(scheduled, field) == later
    for status in DeliveryStatus:  # also a final one
        answer = Response(202, json.dumps({"id": UUID_TEXT, "status": status}).encode())
        assert getattr(to_result(v2_send(), answer), field) == status
    assert row.v1 == ()


def test_row_integration_id_is_new(row: Row) -> None:
    assert set(row.v2) == set(V2_SCHEMAS["SingleMessage"]["properties"]) - set(
        V1_SCHEMAS["MessageCommon"]["properties"]
    ) - {"destination"}
    (name,) = row.v2
    assert json.loads(v2_send(**{name: UUID(UUID_TEXT)}).body or b"")[name] == UUID_TEXT
    with pytest.raises(TypeError):
        v1_send(**{name: UUID_TEXT})
    assert row.v1 == ()


def test_row_links_are_shortened(row: Row) -> None:
    assert "links shortened" in V2_PUBLISHED["info"]["description"]
    assert "link" not in V1_DOCUMENT["info"]["description"].lower()
    assert (row.v1, row.v2) == ((), ())


# The same


def test_row_credentials(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    assert row.v1 == row.v2
    for variable in row.v1:
        monkeypatch.setenv(variable, "value")
    for client in (Modica, AsyncModica, *V2):
        assert "username='value'" in repr(client())


@pytest.mark.usefixtures("fixed_now")
def test_row_options_kept(row: Row) -> None:
    assert row.v1 == row.v2
    accepted = [set(inspect.signature(client.send).parameters) for client in (Modica, ModicaV2)]
    assert set(row.v1) == (accepted[0] & accepted[1]) - {"self", "destination", "content"}
    given: dict[str, Any] = {
        "scheduled": NOW + timedelta(days=1),
        "reference": "order-42",
        "mask": "ACME",
        "sms_class": 1,
    }
    for other in ({"source": "202"}, {"class_": "alerts"}):
        assert json.loads(v1_send(**given, **other).body or b"") == json.loads(v2_send(**given, **other).body or b"")


def test_row_repeats(row: Row) -> None:
    assert row.v1 == row.v2 == (RetryPolicy.__name__,)
    outcomes: list[Response | NoResponse] = [Response(status) for status in range(100, 1000)]
    outcomes += [
        NoResponse(may_have_been_sent=sent, reason="gone", retryable=repeatable)
        for sent in (True, False)
        for repeatable in (True, False)
    ]
    for one, other in ((v1_send(), v2_send()), (_v1.get(1), _v2.get(UUID_TEXT))):
        for outcome in outcomes:
            if not isinstance(outcome, Response) or outcome.status not in (one.success, other.success):
                pauses = [retry_delay(call, RetryPolicy(), outcome, 1, 0.0, 0.5) for call in (one, other)]
                assert pauses[0] == pauses[1]


def test_row_exceptions_by_status(row: Row) -> None:
    assert row.v1 == row.v2
    line = next(line for line in TEXT.split("\n") if row.test in line)
    named = re.findall(r"`(\w+)` (\d{3})", line)
    assert tuple(name for name, _ in named) == row.v1 + row.v2
    for call in (v1_send, v2_send):
        for name, status in named:
            with pytest.raises(errors.GatewayError) as error:
                to_result(call(), Response(int(status)))
            assert type(error.value).__name__ == name


def none(room: Any) -> dict[str, Any]:
    """Every option of a send in a dialect, not given."""
    names = ["scheduled", "source", "reference", "class_", "mask", "sms_class"]
    return dict.fromkeys([*names, "expires" if room is _v1 else "integration_id"])


def v1_send(**options: Any) -> Any:
    return _v1.send(NUMBER, "Kia ora", **none(_v1) | options)


def v2_send(**options: Any) -> Any:
    return _v2.send(NUMBER, "Kia ora", **none(_v2) | options)


# The samples


def samples(section: str) -> list[str]:
    """The Python samples under a heading of the page."""
    (chapter,) = re.findall(rf"^##+ {section}$(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```python\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)


PAIRS = {
    "Send one": ({"v1-client", "int-id"}, "9007199254740993", "e3e70682-c209-4cac-a29f-6fbed82c07cd accepted"),
    "Send to many": (
        {"v1-client", "broadcast", "expires", "lazy-result"},
        "X Invalid destination (X)",
        "X Invalid attribute value; Invalid destination X",
    ),
    "Look it up": ({"v1-client", "int-id"}, "Kia ora", "Kia ora accepted"),
    "Be refused": (
        {"v1-client", "exception"},
        "invalid_attrib: Invalid destination (X)",
        "400: Invalid attribute value: Invalid destination X",
    ),
    "With asyncio": ({"v1-client", "broadcast"}, f"{NUMBER} True\nX False", f"{NUMBER} True\nX False"),
}


@pytest.fixture
def configured(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MODICA_USERNAME": "application-name",
        "MODICA_PASSWORD": "password",
        "MODICA_BASE_URL": simulator.base_url,
        "MODICA_V2_BASE_URL": simulator.v2_base_url,
        "CALLBACK_USERNAME": "gateway",
        "CALLBACK_PASSWORD": "secret",
    }.items():
        monkeypatch.setenv(name, value)


def run(code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "sample"}
    exec(compile(code, str(PAGE), "exec"), namespace)
    return namespace


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("section", PAIRS)
def test_samples_before_and_after_run_and_the_tool_knows_one_from_the_other(
    section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rules, *printed = PAIRS[section]
    before, after = samples(section)
    assert {finding.rule for finding in migration.find(before)} == rules
    assert migration.find(after) == []
    for code, expected in zip((before, after), printed, strict=True):
        run(code)
        assert capsys.readouterr().out == f"{expected}\n"


def test_every_sample_of_the_page_is_run() -> None:
    assert TEXT.count("```python") == 2 * len(PAIRS) + len(samples("Both at once")) + 1 == 13


def test_the_transcript_is_what_the_tool_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "news.py").write_text(samples("Send to many")[0])
    monkeypatch.chdir(tmp_path)
    (transcript,) = re.findall(r"```console\n\$ python -m modica_facade.migration (\S+)\n(.*?)```", TEXT, re.DOTALL)
    assert migration.main([transcript[0]]) == 1
    assert capsys.readouterr().out == transcript[1]


# Both at once


@pytest.fixture
def cutover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory with the module of the page, which can be imported, once a test."""
    (tmp_path / "cutover.py").write_text(samples("Both at once")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    module = sys.modules.pop("cutover", None)
    for client in module.clients.values() if module else ():
        client.close()


@pytest.mark.usefixtures("configured", "cutover")  # the sample sets the same variables, which have to be put back
def test_the_cut_over_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    run(samples("Both at once")[1])
    (transcript,) = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    assert capsys.readouterr().out == transcript
    assert {"1", "2"} == set(re.findall(r"^order-\d (\d)", transcript, re.MULTILINE))


@pytest.fixture
def running(cutover: None, configured: None, simulator: Simulator) -> Iterator[Any]:
    """The module of the page, receiving what the simulator posts."""
    module = importlib.import_module("cutover")
    with serve(module.receiver.asgi) as url:
        simulator.dlr_url = url.replace("://", "://gateway:secret@")
        yield module


@pytest.mark.parametrize("share", [0, 100])
@pytest.mark.parametrize("shape", ["prose", "specification"])
@pytest.mark.parametrize("cut", ["after", "head", "body"])
def test_an_unknown_outcome_is_settled_by_its_receipt_on_both_versions(
    running: Any, simulator: Simulator, share: int, shape: Any, cut: Any
) -> None:
    running.SHARE_OF_V2 = share
    simulator.v2_receipts = shape
    simulator.fail(cut=cut)
    with contextlib.suppress(errors.OutcomeUnknownError):  # v1 answers with the id in the head, too
        running.send("order-1", NUMBER, "Kia ora")
    assert all(delivery.ok for delivery in simulator.deliver())
    (message,) = simulator.messages
    assert running.execute("SELECT * FROM messages") == [("order-1", 2 if share else 1, message.id, "received")]
    assert running.unsettled() == []


def test_receipts_in_any_order_and_number_leave_the_furthest_status(running: Any, simulator: Simulator) -> None:
    simulator.disturb_callbacks(duplicate=1.0, reorder=1.0)
    for number in range(8):
        running.send(f"order-{number}", NUMBER, "Kia ora")
    simulator.deliver()
    assert {version for (version,) in running.execute("SELECT version FROM messages")} == {1, 2}
    assert running.execute("SELECT DISTINCT status FROM messages") == [("received",)]


def test_a_reference_is_never_sent_twice(running: Any, simulator: Simulator) -> None:
    running.send("order-1", NUMBER, "Kia ora")
    with pytest.raises(sqlite3.IntegrityError):
        running.send("order-1", NUMBER, "Kia ora")
    assert len(simulator.messages) == 1


@pytest.mark.parametrize("share", [0, 100])
def test_what_was_refused_leaves_no_row_and_can_be_sent_again(running: Any, simulator: Simulator, share: int) -> None:
    running.SHARE_OF_V2 = share
    with pytest.raises(errors.RejectedError):
        running.send("order-1", "X", "Kia ora")
    assert running.execute("SELECT * FROM messages") == []
    running.send("order-1", NUMBER, "Kia ora")
    assert len(simulator.messages) == 1


def test_a_receipt_that_could_not_be_stored_is_taken_when_it_comes_again(
    running: Any, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.send("order-1", NUMBER, "Kia ora")
    calls = iter([sqlite3.OperationalError("disk full")])
    store = running.execute

    def fail_once(*arguments: Any) -> Any:
        for error in calls:
            raise error
        return store(*arguments)

    monkeypatch.setattr(running, "execute", fail_once)
    assert [delivery.status_code for delivery in simulator.deliver()] == [500, 200, 200]
    assert store("SELECT status FROM messages") == [("received",)]


# White labels


SERVICES = re.findall(r"^\| ([\w ]+) \| `(https://\S+)` \| `(https://\S+)` \|$", TEXT, re.MULTILINE)


def test_the_services_are_modica_and_its_known_white_label() -> None:
    assert [name for name, *_ in SERVICES] == ["Modica", "Optus SMS Suite"]
    assert SERVICES[0][1:] == (_v1.BASE_URL, _v2.BASE_URL)
    assert [url.replace("api.sms.optus.com.au", "api.modicagroup.com") for url in SERVICES[1][1:]] == list(
        SERVICES[0][1:]
    )


@pytest.mark.parametrize("v2", [False, True])
def test_every_call_differs_in_the_base_url_only(
    sync_or_async: Flavour, v2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls(base_url: str) -> list[tuple[Any, ...]]:
        seen: list[tuple[Any, ...]] = []

        def answer(request: httpx.Request) -> httpx.Response:
            assert str(request.url).startswith(f"{base_url}/messages")
            headers = [item for item in request.headers.multi_items() if item[0] != "host"]
            seen.append((request.method, str(request.url).removeprefix(base_url), headers, request.content))
            return httpx.Response(500)

        transport = httpx.MockTransport(answer)
        http_client = (
            httpx.AsyncClient(transport=transport) if sync_or_async.is_async else httpx.Client(transport=transport)
        )
        with monkeypatch.context() as environment:
            environment.setenv("MODICA_V2_BASE_URL" if v2 else "MODICA_BASE_URL", base_url)
            kind = V2 if v2 else (Modica, AsyncModica)
            settings: dict[str, Any] = {"http_client": http_client, "retry": RetryPolicy(attempts=1), "kind": kind}
            with sync_or_async.client("app", "password", **settings) as modica:
                uses: list[Callable[[], Any]] = [lambda: modica.send(NUMBER, "Kia ora", reference="order-42")]
                if v2:
                    uses += [lambda: modica.get(UUID_TEXT), lambda: list(modica.send_many([NUMBER], "Kia ora"))]
                else:
                    uses += [lambda: modica.get(123), lambda: modica.broadcast([NUMBER], "Kia ora")]
                for use in uses:
                    with pytest.raises(errors.ModicaError):
                        use()
        assert len(seen) == 3
        return seen

    ours, theirs = (calls(urls[v2]) for _, *urls in SERVICES)
    assert ours == theirs


def test_the_sample_for_a_white_label_works(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = samples("Base URLs and white labels")
    run(code)["modica"].close()
    out = capsys.readouterr().out
    assert out == f"ModicaV2(username='application-name', base_url={SERVICES[1][2]!r})\n"
    assert migration.find(code) == []


def test_links_of_the_page_lead_somewhere() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall("^##+ (.+)$", TEXT, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert target.removeprefix("#") in headings if target.startswith("#") else (PAGE.parent / target).exists()


def test_every_name_of_the_package_that_the_page_mentions_exists() -> None:
    fields = {attribute.name for kind in (SubmittedMessage, Message) for attribute in attrs.fields(kind)}
    for name in re.findall(r"`(?:sent|message)\.(\w+)`", TEXT):
        assert name in fields
    for name in re.findall(r"`([A-Z][a-zA-Z0-9]+(?:Error|Outcome|Policy|Receiver|V2))`", TEXT):
        assert name in modica_facade.__all__
