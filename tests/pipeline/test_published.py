"""What the vendor publishes, what we say it gets wrong, and what the generated clients make of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import modica_gateway_v1
import modica_sms_v2
import pytest
from modica_gateway_v1.api.messages import broadcast_message, get_message, send_message
from modica_gateway_v1.errors import UnexpectedStatus
from modica_gateway_v1.models import BroadcastOutcome, NewBroadcast, NewMessage
from modica_gateway_v1.models import DeliveryReceipt as DeliveryReceiptV1
from modica_gateway_v1.models import GatewayError as GatewayErrorV1
from modica_gateway_v1.models import InboundMessage as InboundMessageV1
from modica_gateway_v1.models import StoredMessage as StoredMessageV1
from modica_sms_v2.api.messages import get_message as get_message_v2
from modica_sms_v2.api.messages import send_message as send_message_v2
from modica_sms_v2.models import AcceptedMessage, ReplyCallback, StatusCallback
from modica_sms_v2.models import GatewayError as GatewayErrorV2
from modica_sms_v2.models import NewMessage as NewMessageV2
from modica_sms_v2.models import StoredMessage as StoredMessageV2

from scripts.pipeline.document import parse

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "openapi"
VENDOR = ROOT.parent / "shared" / "specs"
TEXTS = {"description", "title", "summary", "example", "examples"}
MESSAGE_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
STATUSES = [
    "accepted", "queued", "submitted", "sent", "received", "blocked", "deficient", "frozen", "rejected", "failed",
    "dead", "expired",
]  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    return parse(path.read_bytes(), path.name)


@pytest.fixture(scope="module")
def v1() -> dict[str, Any]:
    return read(OPENAPI / "gateway-v1.openapi.yaml")


@pytest.fixture(scope="module")
def v2() -> dict[str, Any]:
    return read(OPENAPI / "sms-v2.openapi.yaml")


def facts(node: Any) -> Any:
    """A document without its texts, and with only the path of where it is served."""
    if isinstance(node, list):
        return [facts(value) for value in node]
    if not isinstance(node, dict):
        return node
    result = {key: facts(value) for key, value in node.items() if key not in TEXTS | {"host"}}
    for server in result.get("servers", []):
        server["url"] = urlsplit(server["url"]).path
    return result


def texts(node: Any) -> set[str]:
    """Every description, title and summary of a document."""
    if isinstance(node, list):
        return {text for value in node for text in texts(value)}
    if not isinstance(node, dict):
        return set()
    own = {node[key] for key in TEXTS & node.keys() if isinstance(node[key], str)}
    return own | {text for value in node.values() for text in texts(value)}


PAIRS = pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("gateway-v1.swagger.yaml", "gateway-v1.swagger.json"),
        ("sms-v2.openapi.yaml", "sms-v2.openapi.yaml"),
    ],
)
NEEDS_VENDOR = pytest.mark.skipif(not VENDOR.is_dir(), reason="the vendor's own documents are not part of the project")


# What is published ------------------------------------------------------------------------------------------------


@PAIRS
@NEEDS_VENDOR
def test_our_published_files_state_exactly_the_vendors_facts(ours: str, theirs: str) -> None:
    assert facts(read(OPENAPI / "published" / ours)) == facts(read(VENDOR / theirs))


@PAIRS
@NEEDS_VENDOR
def test_our_published_files_use_none_of_the_vendors_texts(ours: str, theirs: str) -> None:
    def words(path: Path) -> set[str]:
        return {" ".join(text.split()).casefold().rstrip(".") for text in texts(read(path))}

    assert words(OPENAPI / "published" / ours) & words(VENDOR / theirs) == set()


@PAIRS
def test_the_published_files_name_modica_and_modicas_own_host(ours: str, theirs: str) -> None:
    document = read(OPENAPI / "published" / ours)
    servers = document.get("servers") or [{"url": f"https://{document['host']}{document['basePath']}"}]
    assert "Modica" in document["info"]["title"]
    assert [server["url"] for server in servers] in (
        ["https://api.modicagroup.com/rest/gateway"],
        ["https://api.modicagroup.com/rest/sms/v2"],
    )


@PAIRS
def test_the_sources_name_the_hash_of_each_published_file(ours: str, theirs: str) -> None:
    sources = (OPENAPI / "published" / "SOURCES.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((OPENAPI / "published" / ours).read_bytes()).hexdigest()
    section = sources.partition(f"## {ours}\n")[2].partition("## ")[0]
    assert f"- sha256 `{digest}`\n" in section


@pytest.mark.parametrize("name", ["gateway-v1", "sms-v2"])
def test_every_overlay_action_gives_a_reason_of_its_own_length(name: str) -> None:
    for action in read(OPENAPI / "overlays" / f"{name}.overlay.yaml")["actions"]:
        assert len(action["description"]) > 20, action["target"]


# What the v1 document gets wrong, put right -----------------------------------------------------------------------


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Those the facade uses; a vendor may add others."""
    return {
        f"{method} {path}": item[method]
        for path, item in document["paths"].items()
        for method in ("get", "post")
        if method in item and path.startswith("/messages")
    }


def test_every_v1_operation_has_a_name_and_one_tag(v1: dict[str, Any]) -> None:
    assert {key: (node["operationId"], node["tags"]) for key, node in operations(v1).items()} == {
        "post /messages": ("send_message", ["messages"]),
        "post /messages/broadcast": ("broadcast_message", ["messages"]),
        "get /messages/{messageid}": ("get_message", ["messages"]),
    }


def test_a_v1_message_id_in_a_path_is_an_integer_and_not_a_float(v1: dict[str, Any]) -> None:
    [parameter] = v1["paths"]["/messages/{messageid}"]["get"]["parameters"]
    assert facts(parameter["schema"]) == {"type": "integer", "format": "int64"}


def test_v1_errors_have_the_documented_envelope_and_no_answer_is_a_default(v1: dict[str, Any]) -> None:
    envelope = {"$ref": "#/components/schemas/GatewayError"}
    statuses = {
        key: {
            status: response["content"]["application/json"]["schema"] == envelope
            for status, response in node["responses"].items()
        }
        for key, node in operations(v1).items()
    }
    assert statuses == {
        "post /messages": {"201": False, "400": True, "401": True},
        "post /messages/broadcast": {"201": False, "400": True, "401": True},
        "get /messages/{messageid}": {"200": False, "401": True, "404": True},
    }
    assert v1["components"]["schemas"]["GatewayError"]["properties"].keys() == {"error", "error-desc"}
    assert "DefaultError" not in v1["components"]["schemas"]


def test_v1_requests_may_expire_and_say_nothing_by_default(v1: dict[str, Any]) -> None:
    common = v1["components"]["schemas"]["MessageCommon"]["properties"]
    assert common["expires"]["format"] == "date-time"
    assert "id" not in common
    assert common.keys() >= {
        "source", "content", "reference", "class", "mask", "sms_class", "scheduled", "expires",
    }  # fmt: skip
    assert [name for name, schema in common.items() if "default" in schema] == []


def test_v1_limits_stand_where_they_mean_something(v1: dict[str, Any]) -> None:
    schemas = v1["components"]["schemas"]
    assert {key: schemas["MessageCommon"]["properties"]["sms_class"][key] for key in ("minimum", "maximum")} == {
        "minimum": 0,
        "maximum": 3,
    }
    assert schemas["MessageCommon"]["properties"]["mask"]["maxLength"] == 20
    assert facts(schemas["MessageBroadcast"]["allOf"][1]) == {
        "required": ["destination"],
        "properties": {"destination": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000}},
    }
    assert (schemas["RestResponse"]["minItems"], schemas["RestResponse"]["maxItems"]) == (1, 1)


def test_v1_required_lists_stand_beside_the_properties_they_require(v1: dict[str, Any]) -> None:
    for name in ("Message", "MessageBroadcast"):
        schema = v1["components"]["schemas"][name]
        assert "required" not in schema
        assert schema["allOf"][1]["required"] == ["destination"]


def test_v1_get_answers_with_the_stored_message(v1: dict[str, Any]) -> None:
    content = v1["paths"]["/messages/{messageid}"]["get"]["responses"]["200"]["content"]
    assert {media["schema"]["$ref"] for media in content.values()} == {"#/components/schemas/StoredMessage"}
    stored = v1["components"]["schemas"]["StoredMessage"]
    assert stored["required"] == ["id", "source", "destination", "content"]
    assert {"reference", "reply_to", "operator"} <= stored["properties"].keys()
    for name in ("id", "reply_to"):
        assert [kind["type"] for kind in stored["properties"][name]["oneOf"]] == ["integer", "string"]


def test_v1_broadcast_outcomes_may_lack_an_id_and_a_reason_but_not_a_destination(v1: dict[str, Any]) -> None:
    outcome = v1["components"]["schemas"]["BroadcastRestResponse"]["items"]
    assert [name for name, schema in outcome["properties"].items() if schema.get("nullable")] == ["id", "message"]
    assert sorted(outcome["required"]) == ["destination", "status"]
    assert "enum" not in outcome["properties"]["status"]
    assert outcome["properties"]["status"]["description"] == "Known values: success, failure."


def test_v1_callbacks_are_described(v1: dict[str, Any]) -> None:
    for node in (v1["paths"]["/messages"]["post"], v1["paths"]["/messages/broadcast"]["post"]):
        bodies = {
            name: callback["{$url}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            for name, callback in node["callbacks"].items()
        }
        assert bodies == {
            "status": "#/components/schemas/DeliveryReceipt",
            "reply": "#/components/schemas/InboundMessage",
        }
    receipt, inbound = (v1["components"]["schemas"][name] for name in ("DeliveryReceipt", "InboundMessage"))
    assert receipt["required"] == ["message_id", "status"]
    assert {"reply_to", "reference", "encoding"} <= inbound["properties"].keys() - set(inbound["required"])


def test_v1_takes_one_media_type_and_answers_in_the_vendors_too(v1: dict[str, Any]) -> None:
    both = {"application/json", "application/vnd.modica.gateway.v1+json"}
    for node in operations(v1).values():
        if "requestBody" in node:
            assert node["requestBody"]["content"].keys() == {"application/json"}
        [success] = [response for status, response in node["responses"].items() if status.startswith("2")]
        assert success["content"].keys() == both
    assert "Location" in v1["paths"]["/messages"]["post"]["responses"]["201"]["headers"]


# The same for v2 --------------------------------------------------------------------------------------------------


def test_v2_has_two_named_operations_and_basic_authentication(v2: dict[str, Any]) -> None:
    assert {key: (node["operationId"], node["tags"]) for key, node in operations(v2).items()} == {
        "post /messages": ("send_message", ["messages"]),
        "get /messages": ("get_message", ["messages"]),
    }
    assert "/openapi.yaml" not in v2["paths"]
    scheme = v2["components"]["securitySchemes"]["GatewayAuthorizer"]
    assert (scheme["type"], scheme["scheme"], scheme.keys() & {"name", "in"}) == ("http", "basic", set())


def test_v2_statuses_are_open_and_the_known_ones_are_told(v2: dict[str, Any]) -> None:
    for name in ("StatusCallback", "MessageDetails"):
        status = v2["components"]["schemas"][name]["properties"]["status"]
        assert status["type"] == "string"
        assert "enum" not in status
        assert [value for value in STATUSES if value not in status["description"]] == []
    assert "enum" not in v2["components"]["schemas"]["MessageDetails"]["properties"]["direction"]


def test_v2_requests_have_no_id_no_default_and_a_range(v2: dict[str, Any]) -> None:
    properties = v2["components"]["schemas"]["SingleMessage"]["properties"]
    assert "id" not in properties
    assert [name for name, schema in properties.items() if "default" in schema] == []
    assert (properties["sms_class"]["minimum"], properties["sms_class"]["maximum"]) == (0, 3)
    assert v2["components"]["schemas"]["Uuid"]["format"] == "uuid"


def test_v2_status_callbacks_are_understood_in_both_spellings(v2: dict[str, Any]) -> None:
    callback = v2["components"]["schemas"]["StatusCallback"]["properties"]
    assert callback.keys() >= {"id", "message_id", "status", "detail", "reference"}


# The generated clients --------------------------------------------------------------------------------------------


def test_every_generated_field_and_argument_is_described() -> None:
    bare = re.compile(r"^ {8}\w+ \(.*\):$", re.MULTILINE)
    modules = [*ROOT.glob("generated/*/models/*.py"), *ROOT.glob("generated/*/api/messages/*.py")]
    described = re.compile(r"^ {8}\w+ \(.*\): \S", re.MULTILINE)
    assert {path.name: bare.findall(path.read_text(encoding="utf-8")) for path in modules} == {
        path.name: [] for path in modules
    }
    assert sum(len(described.findall(path.read_text(encoding="utf-8"))) for path in modules) > 60


def handler(status: int, body: Any, seen: list[httpx.Request]) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=body)

    return httpx.MockTransport(handle)


def v1_client(status: int, body: Any, seen: list[httpx.Request]) -> modica_gateway_v1.Client:
    base, transport = "https://api.modicagroup.com/rest/gateway", handler(status, body, seen)
    client = modica_gateway_v1.Client(base_url=base)
    client.set_httpx_client(httpx.Client(base_url=base, transport=transport))
    return client.set_async_httpx_client(httpx.AsyncClient(base_url=base, transport=transport))


def v2_client(status: int, body: Any, seen: list[httpx.Request]) -> modica_sms_v2.Client:
    base, transport = "https://api.modicagroup.com/rest/sms/v2", handler(status, body, seen)
    client = modica_sms_v2.Client(base_url=base)
    client.set_httpx_client(httpx.Client(base_url=base, transport=transport))
    return client.set_async_httpx_client(httpx.AsyncClient(base_url=base, transport=transport))


def test_the_generated_v1_client_sends_what_is_set_and_nothing_else() -> None:
    seen: list[httpx.Request] = []
    client = v1_client(201, [2**63 - 1], seen)
    body = NewMessage(destination="+64211234567", content="Kia ora")
    answers = [
        send_message.sync_detailed(client=client, body=body),
        asyncio.run(send_message.asyncio_detailed(client=client, body=body)),
    ]
    assert [answer.parsed for answer in answers] == [[2**63 - 1]] * 2
    for request in seen:
        assert (request.method, str(request.url)) == ("POST", "https://api.modicagroup.com/rest/gateway/messages")
        assert request.headers["content-type"] == "application/json"
        assert json.loads(request.content) == {"destination": "+64211234567", "content": "Kia ora"}


def test_the_generated_v1_client_writes_every_option_under_its_wire_name() -> None:
    seen: list[httpx.Request] = []
    when = datetime(2026, 12, 1, 9, 0, tzinfo=timezone(timedelta(hours=13)))
    body = NewMessage(
        destination="+64211234567", content="Kia ora", source="1234", reference="order-7", class_="mt_message",
        mask="Modica", sms_class=0, scheduled=when, expires=when + timedelta(hours=1),
    )  # fmt: skip
    send_message.sync_detailed(client=v1_client(201, [1], seen), body=body)
    assert json.loads(seen[0].content) == {
        "destination": "+64211234567", "content": "Kia ora", "source": "1234", "reference": "order-7",
        "class": "mt_message", "mask": "Modica", "sms_class": 0, "scheduled": "2026-12-01T09:00:00+13:00",
        "expires": "2026-12-01T10:00:00+13:00",
    }  # fmt: skip


def test_the_generated_v1_client_reads_mixed_broadcasts() -> None:
    seen: list[httpx.Request] = []
    rows = [
        {"status": "success", "message": None, "destination": "+64211234567", "id": 7},
        {"status": "failure", "message": "Invalid destination (X)", "destination": "X", "id": None},
        {"status": "postponed", "destination": "Y"},
    ]
    client = v1_client(201, rows, seen)
    body = NewBroadcast(destination=["+64211234567", "X", "Y"], content="Kia ora")
    parsed = broadcast_message.sync_detailed(client=client, body=body).parsed
    assert isinstance(parsed, list)
    assert [type(row) for row in parsed] == [BroadcastOutcome] * 3
    assert [row.to_dict() for row in parsed] == rows
    assert asyncio.run(broadcast_message.asyncio_detailed(client=client, body=body)).parsed == parsed
    assert seen[0].url.path == "/rest/gateway/messages/broadcast"


@pytest.mark.parametrize("message_id", [7, "7"], ids=["number", "text"])
def test_the_generated_v1_client_reads_stored_messages_with_either_kind_of_id(message_id: int | str) -> None:
    seen: list[httpx.Request] = []
    wire = {"id": message_id, "source": "1234", "destination": "+64211234567", "content": "Kia ora", "reply_to": "6"}
    client = v1_client(200, wire, seen)
    parsed = get_message.sync_detailed(2**63 - 1, client=client).parsed
    assert isinstance(parsed, StoredMessageV1)
    assert parsed.to_dict() == wire
    assert asyncio.run(get_message.asyncio_detailed(7, client=client)).parsed == parsed
    assert [request.url.path for request in seen] == [
        f"/rest/gateway/messages/{2**63 - 1}",
        "/rest/gateway/messages/7",
    ]


@pytest.mark.parametrize("text", ["nope", ["nope", "and no"]], ids=["text", "list"])
def test_the_generated_v1_client_reads_the_documented_error_envelope(text: Any) -> None:
    client = v1_client(400, {"error": "invalid_attrib", "error-desc": text}, [])
    parsed = send_message.sync_detailed(client=client, body=NewMessage(destination="X", content="Kia ora")).parsed
    assert isinstance(parsed, GatewayErrorV1)
    assert (parsed.error, parsed.error_desc) == ("invalid_attrib", text)


def test_the_generated_v1_models_carry_callbacks() -> None:
    receipt = {"message_id": "7", "status": "received", "reference": "order-7"}
    inbound = {
        "id": 8, "source": "+64211234567", "destination": "1234", "content": "yes", "operator": "Operator",
        "reply_to": "7", "reference": "order-7", "encoding": "base64",
    }  # fmt: skip
    assert DeliveryReceiptV1.from_dict(receipt).to_dict() == receipt
    assert InboundMessageV1.from_dict(inbound).to_dict() == inbound


def test_the_generated_v2_client_sends_and_reads_back() -> None:
    seen: list[httpx.Request] = []
    accepted = {"id": MESSAGE_ID, "status": "accepted", "detail": "+64211234567"}
    body = NewMessageV2(
        destination="+64211234567", content="Kia ora", class_="mt_message", integration_id=UUID(MESSAGE_ID)
    )
    client = v2_client(202, accepted, seen)
    parsed = send_message_v2.sync_detailed(client=client, body=body).parsed
    assert isinstance(parsed, AcceptedMessage)
    assert (parsed.id, parsed.status) == (UUID(MESSAGE_ID), "accepted")
    assert asyncio.run(send_message_v2.asyncio_detailed(client=client, body=body)).parsed == parsed
    assert json.loads(seen[0].content) == {
        "destination": "+64211234567", "content": "Kia ora", "class": "mt_message", "integration_id": MESSAGE_ID,
    }  # fmt: skip

    wire = {"id": MESSAGE_ID, "direction": "MT", "status": "a status of tomorrow", "content": "Kia ora"}
    client = v2_client(200, wire, seen)
    stored = get_message_v2.sync_detailed(client=client, id=UUID(MESSAGE_ID.upper())).parsed
    assert isinstance(stored, StoredMessageV2)
    assert stored.to_dict() == wire
    assert asyncio.run(get_message_v2.asyncio_detailed(client=client, id=UUID(MESSAGE_ID))).parsed == stored
    assert str(seen[-2].url) == f"https://api.modicagroup.com/rest/sms/v2/messages?id={MESSAGE_ID}"


@pytest.mark.parametrize("status", [401, 404])
def test_the_generated_v2_client_reads_the_error_envelope(status: int) -> None:
    client = v2_client(status, {"message": "no", "statusCode": status, "error": "not here"}, [])
    parsed = get_message_v2.sync_detailed(client=client, id=UUID(MESSAGE_ID)).parsed
    assert isinstance(parsed, GatewayErrorV2)
    assert (parsed.message, parsed.status_code, parsed.error) == ("no", status, "not here")


@pytest.mark.parametrize("key", ["id", "message_id"])
def test_the_generated_v2_models_carry_callbacks(key: str) -> None:
    receipt = {key: MESSAGE_ID, "status": "a status of tomorrow", "reference": "order-7"}
    inbound = {"id": MESSAGE_ID, "source": "+64211234567", "destination": "1234", "content": "yes", "operator": "x"}
    assert StatusCallback.from_dict(receipt).to_dict() == receipt
    assert ReplyCallback.from_dict(inbound).to_dict() == inbound


# What a user of the low-level clients is told in docs/generated-clients.md ---------------------------------------


def low_level(status: int, raising: bool = True, **response: Any) -> modica_gateway_v1.Client:
    http = httpx.Client(
        base_url="https://gateway.invalid",
        auth=("name", "canary"),
        transport=httpx.MockTransport(lambda request: httpx.Response(status, **response)),
    )
    client = modica_gateway_v1.Client("https://gateway.invalid", raise_on_unexpected_status=raising)
    return client.set_httpx_client(http)


@pytest.mark.parametrize(
    ("status", "response", "error"),
    [
        (503, {"html": "<html>"}, UnexpectedStatus),
        (520, {"html": "<html>"}, ValueError),
        (201, {"html": "<html>"}, json.JSONDecodeError),
        (400, {"html": "<html>"}, json.JSONDecodeError),
        (400, {"json": {"message": "no", "code": 400}}, KeyError),
    ],
)
def test_what_the_generated_client_raises_is_what_the_page_says(
    status: int, response: dict[str, Any], error: type[Exception]
) -> None:
    message = NewMessage(destination="+64211234567", content="Kia ora")
    with low_level(status, **response) as client, pytest.raises(error):
        send_message.sync_detailed(client=client, body=message)


def test_an_undocumented_status_is_nothing_unless_it_is_asked_to_raise() -> None:
    message = NewMessage(destination="+64211234567", content="Kia ora")
    with low_level(503, raising=False) as client:
        assert send_message.sync_detailed(client=client, body=message).parsed is None


def test_the_password_is_in_the_repr_of_a_generated_client_unless_httpx_has_it() -> None:
    with low_level(201) as client:
        assert "canary" not in repr(client)
    assert "canary" in repr(modica_gateway_v1.Client("https://x.invalid", httpx_args={"auth": ("name", "canary")}))
    assert "canary" in repr(modica_gateway_v1.AuthenticatedClient("https://x.invalid", token="canary"))


def test_a_generated_client_has_no_time_out_and_sends_naive_dates_without_an_offset() -> None:
    client = modica_gateway_v1.Client("https://x.invalid")
    with client.get_httpx_client() as http:
        assert http.timeout == httpx.Timeout(None)
    naive = datetime(2026, 12, 1, 9)  # noqa: DTZ001 - a date without a zone is what is tried
    assert NewMessage("+64211234567", "Kia ora", scheduled=naive).to_dict()["scheduled"] == "2026-12-01T09:00:00"


def test_a_generated_client_sends_what_is_over_every_limit() -> None:
    with low_level(201, json=[1]) as client:
        message = NewMessage(destination="not a number", content="x" * 100_000, mask="x" * 1000, sms_class=99)
        assert send_message.sync_detailed(client=client, body=message).parsed == [1]
