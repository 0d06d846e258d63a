"""What scripts/pipeline/contract.py says the facade needs is what it uses, and generated code is held to it."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest

import modica_facade
from scripts.pipeline import conformance, contract
from scripts.pipeline.apis import APIS
from scripts.pipeline.document import parse, resolve
from scripts.pipeline.schema_diff import Node, flat

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "generated"
OPERATIONS = pytest.mark.parametrize("operation", contract.OPERATIONS, ids=lambda operation: operation.facade)


def test_the_generated_clients_meet_every_need_of_the_facade() -> None:
    assert [str(need) for need in conformance.unmet(GENERATED)] == []


# The contract is the facade's -------------------------------------------------------------------------------------


@OPERATIONS
def test_an_operation_of_the_contract_sends_every_argument_of_its_method_and_no_other(operation: Any) -> None:
    class_name, method = operation.facade.split(".")
    for name in (class_name, f"Async{class_name}"):
        takes = set(inspect.signature(getattr(getattr(modica_facade, name), method)).parameters) - {"self"}
        sent = {field.facade for field in (*operation.parameters, *(operation.sends.fields if operation.sends else ()))}
        assert sent == takes


def nouns() -> dict[str, set[str]]:
    """The fields that the contract fills, by noun."""
    found: dict[str, set[str]] = {}
    shapes = [item.reads for item in (*contract.OPERATIONS, *contract.CALLBACKS) if item.reads]
    for field in (field for shape in shapes for field in shape.fields):
        noun, _, attribute = field.facade.partition(".")
        found.setdefault(noun, set()).add(attribute)
    return found


@pytest.mark.parametrize(
    ("noun", "ours"),
    [
        ("Message", set()),
        ("BroadcastOutcome", set()),
        ("SubmittedMessage", {"destination", "reference", "scheduled", "location"}),  # as sent, and a header
        ("DeliveryReceipt", {"raw"}),
        ("InboundMessage", {"raw", "data"}),
    ],
)
def test_every_field_of_a_noun_is_read_from_where_the_contract_says(noun: str, ours: set[str]) -> None:
    assert nouns()[noun] == {field.name for field in attrs.fields(getattr(modica_facade, noun))} - ours


def test_every_operation_and_callback_of_the_contract_is_in_its_document() -> None:
    for api in APIS:
        document = parse((ROOT / "openapi" / api.product).read_bytes(), api.product)
        offered = {(path, method) for path, item in document["paths"].items() for method in item}
        assert {(item.path, item.method) for item in contract.OPERATIONS if item.api == api.name} <= offered
        callbacks = {name for item in document["paths"].values() for name in item.get("post", {}).get("callbacks", {})}
        assert {item.name for item in contract.CALLBACKS if item.api == api.name} <= callbacks


@pytest.mark.parametrize("item", [*contract.OPERATIONS, *contract.CALLBACKS], ids=lambda item: item.facade)
def test_every_shape_of_the_contract_stands_in_the_document_where_it_says(item: Any) -> None:
    [api] = [api for api in APIS if api.name == item.api]
    document = parse((ROOT / "openapi" / api.product).read_bytes(), api.product)
    for shape in filter(None, [getattr(item, "sends", None), item.reads]):
        schema = flat(Node(document, shape.schema, resolve(shape.schema, document)))
        assert {field.wire for field in shape.fields} <= schema.properties.keys()
        name = resolve(shape.schema, document).get("title") or shape.schema.rpartition("/")[2]
        assert name == shape.model


# What is missing is named -----------------------------------------------------------------------------------------


def broken(tmp_path: Path, file: str, old: str, new: str) -> list[str]:
    """What is unmet when generated code says something else, explained as a person gets to read it."""
    generated = tmp_path / "generated"
    shutil.copytree(GENERATED, generated, ignore=shutil.ignore_patterns("__pycache__"))
    text = (generated / file).read_text(encoding="utf-8")
    assert re.search(old, text), "the test must break something"
    (generated / file).write_text(re.sub(old, new, text), encoding="utf-8")
    openapi = ROOT / "openapi"
    return [conformance.explain(need, openapi, openapi) for need in conformance.unmet(generated)]


V1 = "modica_gateway_v1"
V2 = "modica_sms_v2"
COMMON = "spec path gateway-v1.openapi.yaml#/components/schemas/MessageCommon/properties"
BREAKS: list[tuple[str, str, str, list[str]]] = [
    # The file, what it says, what it says instead, and what the failure has to name.
    (f"{V1}/models/new_message.py", r"\bexpires\b", "expiry", [
        "Modica.send(expires) needs NewMessage.expires: datetime.datetime | Unset, and there is none; ",
        f"{COMMON}/expires, shaped by overlays/gateway-v1.overlay.yaml action ",
        "($.components.schemas.MessageCommon.properties)",
    ]),
    (f"{V1}/models/new_message.py", r"mask: str \| Unset = UNSET", "mask: int | Unset = UNSET", [
        "Modica.send(mask) needs NewMessage.mask: str | Unset, and it is int | Unset; ",
        f"{COMMON}/mask, shaped by no action of overlays/gateway-v1.overlay.yaml",
    ]),
    (f"{V1}/models/new_broadcast.py", '"class"', '"category"', [
        "Modica.broadcast(class_) needs NewBroadcast.class_: str | Unset, called 'class' on the wire; ",
        f"{COMMON}/class, shaped by no action of overlays/gateway-v1.overlay.yaml",
    ]),
    (f"{V1}/models/new_message.py", "    destination: str\n", "    destination: str\n    campaign: int\n", [
        "Modica.send needs to fill NewMessage.campaign: int, which is required and the facade does not know; ",
    ]),
    (f"{V1}/models/__init__.py", '"?StoredMessage"?,?|from .stored_message import StoredMessage', "", [
        "Modica.get needs a class modica_gateway_v1.models.StoredMessage; ",
        "spec path gateway-v1.openapi.yaml#/components/schemas/StoredMessage, shaped by ", "($.components.schemas)",
    ]),
    (f"{V1}/models/new_message.py", "^", "syntax error\n", [
        "the facade needs generated code that can be used at all: SyntaxError: ",
    ]),
    (f"{V1}/api/messages/send_message.py", '"/messages"', '"/message"', [
        "Modica.send needs POST /base/messages, and it is POST /base/message; ",
        "spec path gateway-v1.openapi.yaml#/paths/~1messages/post, shaped by ", "($.paths['/messages'].post)",
    ]),
    (f"{V1}/api/messages/send_message.py", "status_code == 201", "status_code == 200", [
        "Modica.send needs a response 201, and there is none; ",
    ]),
    (f"{V1}/api/messages/send_message.py", r'"Content-Type"\] = "application/json"', '"Content-Type"] = "text/plain"', [
        "Modica.send needs Content-Type application/json, and it is text/plain; ",
    ]),
    (f"{V1}/api/messages/send_message.py", r'\["json"\] = body.to_dict\(\)', '["json"] = {}', [
        "Modica.send needs the body {", ", and it is {}; ",
    ]),
    (f"{V1}/api/messages/send_message.py", "def _get_kwargs", "def _kwargs", [
        "Modica.send needs modica_gateway_v1.api.messages.send_message.sync_detailed to send, and it raises NameError",
    ]),
    (f"{V1}/api/messages/broadcast_message.py", "response_201 = \\[\\]", "return BroadcastOutcome('x', 'y')", [
        "Modica.broadcast needs a response that is a list; ",
    ]),
    (f"{V1}/api/messages/get_message.py", "messageid: int", "messageid: float", [
        "Modica.get needs modica_gateway_v1.api.messages.get_message.sync_detailed(messageid: int), and it takes float",
    ]),
    (f"{V1}/api/messages/get_message.py", "def sync_detailed", "def synchronous", [
        "Modica.get needs a module modica_gateway_v1.api.messages.get_message with sync_detailed; ",
    ]),
    (f"{V2}/api/messages/get_message.py", 'params\\["id"\\]', 'params["message"]', [
        "ModicaV2.get needs the query {'id': '00000000-0000-0000-0000-000000000007'}, and it is {'message': ",
    ]),
    (f"{V2}/models/stored_message.py", r"direction\b", "way", [
        "ModicaV2.get: Message.direction needs StoredMessage.direction: str, and there is none; ",
        "spec path sms-v2.openapi.yaml#/components/schemas/MessageDetails/properties/direction, shaped by ",
        "($.components.schemas.MessageDetails.properties.direction.enum), overlays/sms-v2.overlay.yaml action ",
    ]),
    (f"{V2}/models/status_callback.py", r"status: str \| Unset", "status: StatusCallbackStatus | Unset", [
        "DeliveryReceipt.status needs StatusCallback.status: str, and it is StatusCallbackStatus | Unset; ",
        "spec path sms-v2.openapi.yaml#/components/schemas/StatusCallback/properties/status, shaped by ",
    ]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "named"), BREAKS, ids=[row[3][0].strip("; ") for row in BREAKS])
def test_what_generated_code_lacks_is_named_with_method_spec_path_and_overlay_action(
    file: str, old: str, new: str, named: list[str], tmp_path: Path
) -> None:
    explained = broken(tmp_path, file, old, new)
    assert any(all(part in line for part in named) for line in explained), explained
    assert all("\n" not in line for line in explained)


def test_an_answer_that_says_more_than_the_facade_reads_is_fine(tmp_path: Path) -> None:
    file = "modica_sms_v2/models/accepted_message.py"
    assert broken(tmp_path, file, "    id: UUID\n", "    id: UUID\n    price: int\n") == []
