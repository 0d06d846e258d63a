"""What the facade needs of the generated clients and of the gateway, stated here and nowhere else.

tests/test_contract.py holds the facade and the generated code to it, update_spec.py a new document, and reports name
by it which method and argument a change touches. Run with the path of a generated/ it prints as JSON what is missing
there: a process of its own, so that two versions of one package never meet.
"""

from __future__ import annotations

import importlib
import inspect
import json
import keyword
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import attrs
import httpx
from apis import APIS
from convert import to_openapi3
from schema_diff import Node, Place, flat
from spec import Document, SpecError, actions_on, at, parse, resolve
from spec_diff import operation_name, wire_path


@dataclass(frozen=True)
class Field:
    """One field or parameter: its name on the wire, its type in the generated code, its name in the facade."""

    wire: str
    type: str
    facade: str

    @property
    def attribute(self) -> str:
        """Its name in the generated code."""
        name = self.wire.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name


@dataclass(frozen=True)
class Shape:
    """A generated class, the schema of the OpenAPI document it comes from, and the fields the facade sends or reads."""

    model: str
    schema: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Operation:
    """One operation: what the vendor calls it, what the generator makes of it, what the facade offers.

    `listed`: the answer is a list of what is read; without `reads` of bare ids.
    """

    api: str
    facade: str
    method: str
    path: str
    success: int
    generated: str
    parameters: tuple[Field, ...] = ()
    sends: Shape | None = None
    reads: Shape | None = None
    listed: bool = False


@dataclass(frozen=True)
class Callback:
    """What the gateway posts to us, and the noun of the facade it becomes."""

    api: str
    facade: str
    name: str
    reads: Shape


PACKAGES = {api.name: api.package for api in APIS}
SCHEMAS = "#/components/schemas/"

_OPTIONS = (
    Field("source", "str | Unset", "source"),
    Field("reference", "str | Unset", "reference"),
    Field("class", "str | Unset", "class_"),
    Field("mask", "str | Unset", "mask"),
    Field("sms_class", "int | Unset", "sms_class"),
    Field("scheduled", "datetime.datetime | Unset", "scheduled"),
)
_CONTENT = Field("content", "str", "content")
_DESTINATION = Field("destination", "str", "destination")
_EXPIRES = Field("expires", "datetime.datetime | Unset", "expires")

OPERATIONS = (
    Operation(
        "gateway-v1", "Modica.send", "post", "/messages", 201, "send_message",
        sends=Shape("NewMessage", f"{SCHEMAS}Message", (_DESTINATION, _CONTENT, *_OPTIONS, _EXPIRES)),
        listed=True,
    ),
    Operation(
        "gateway-v1", "Modica.broadcast", "post", "/messages/broadcast", 201, "broadcast_message",
        sends=Shape(
            "NewBroadcast", f"{SCHEMAS}MessageBroadcast",
            (Field("destination", "list[str]", "destinations"), _CONTENT, *_OPTIONS, _EXPIRES),
        ),
        reads=Shape(
            "BroadcastOutcome", f"{SCHEMAS}BroadcastRestResponse/items",
            (
                Field("destination", "str", "BroadcastOutcome.destination"),
                Field("id", "int | None", "BroadcastOutcome.id"),
                Field("status", "str", "BroadcastOutcome.status"),
                Field("message", "None | str", "BroadcastOutcome.reason"),
            ),
        ),
        listed=True,
    ),
    Operation(
        "gateway-v1", "Modica.get", "get", "/messages/{messageid}", 200, "get_message",
        parameters=(Field("messageid", "int", "message_id"),),
        reads=Shape(
            "StoredMessage", f"{SCHEMAS}StoredMessage",
            (
                Field("id", "int | str", "Message.id"),
                Field("source", "str", "Message.source"),
                Field("destination", "str", "Message.destination"),
                Field("content", "str", "Message.content"),
                Field("reference", "str", "Message.reference"),
                Field("reply_to", "int | str", "Message.reply_to"),
                Field("operator", "str", "Message.operator"),
            ),
        ),
    ),
    Operation(
        "sms-v2", "ModicaV2.send", "post", "/messages", 202, "send_message",
        sends=Shape(
            "NewMessage", f"{SCHEMAS}SingleMessage",
            (_DESTINATION, _CONTENT, *_OPTIONS, Field("integration_id", "UUID | Unset", "integration_id")),
        ),
        reads=Shape(
            "AcceptedMessage", f"{SCHEMAS}AcceptedMessage",
            (Field("id", "UUID", "SubmittedMessage.id"), Field("status", "str", "SubmittedMessage.status")),
        ),
    ),
    Operation(
        "sms-v2", "ModicaV2.get", "get", "/messages", 200, "get_message",
        parameters=(Field("id", "uuid.UUID", "message_id"),),
        reads=Shape(
            "StoredMessage", f"{SCHEMAS}MessageDetails",
            (
                Field("id", "UUID", "Message.id"),
                Field("source", "str", "Message.source"),
                Field("destination", "str", "Message.destination"),
                Field("content", "str", "Message.content"),
                Field("reference", "str", "Message.reference"),
                Field("direction", "str", "Message.direction"),
                Field("status", "str", "Message.status"),
            ),
        ),
    ),
)  # fmt: skip

CALLBACKS = (
    Callback(
        "gateway-v1", "parse_callback", "status",
        Shape(
            "DeliveryReceipt", f"{SCHEMAS}DeliveryReceipt",
            (
                Field("message_id", "str", "DeliveryReceipt.message_id"),
                Field("status", "str", "DeliveryReceipt.status"),
                Field("reference", "str", "DeliveryReceipt.reference"),
            ),
        ),
    ),
    Callback(
        "gateway-v1", "parse_callback", "reply",
        Shape(
            "InboundMessage", f"{SCHEMAS}InboundMessage",
            (
                Field("id", "int", "InboundMessage.id"),
                Field("source", "str", "InboundMessage.source"),
                Field("destination", "str", "InboundMessage.destination"),
                Field("content", "str", "InboundMessage.content"),
                Field("operator", "str", "InboundMessage.operator"),
                Field("reply_to", "str", "InboundMessage.reply_to"),
                Field("reference", "str", "InboundMessage.reference"),
                Field("encoding", "str", "InboundMessage.encoding"),
            ),
        ),
    ),
    Callback(
        "sms-v2", "parse_callback", "status",
        Shape(
            "StatusCallback", f"{SCHEMAS}StatusCallback",
            (
                Field("id", "UUID", "DeliveryReceipt.message_id"),
                Field("message_id", "UUID", "DeliveryReceipt.message_id"),
                Field("status", "str", "DeliveryReceipt.status"),
                Field("detail", "str", "DeliveryReceipt.detail"),
                Field("reference", "str", "DeliveryReceipt.reference"),
            ),
        ),
    ),
    Callback(
        "sms-v2", "parse_callback", "reply",
        Shape(
            "ReplyCallback", f"{SCHEMAS}ReplyCallback",
            (
                Field("id", "UUID", "InboundMessage.id"),
                Field("source", "str", "InboundMessage.source"),
                Field("destination", "str", "InboundMessage.destination"),
                Field("content", "str", "InboundMessage.content"),
                Field("operator", "str", "InboundMessage.operator"),
            ),
        ),
    ),
)  # fmt: skip


# From a place in the document to the facade ------------------------------------------------------------------------


def surface(api: str, place: Place) -> str | None:
    """What of the facade stands at a place of the document: "Modica.send(mask=)"; None if nothing does."""
    if not place.operation:
        return "every call"
    kind, _, rest = place.part.partition(" ")
    field = place.field.replace("[]", "").lstrip(".")
    if kind == "callback":
        for callback in CALLBACKS:
            if (callback.api, callback.name) == (api, rest.partition(" ")[0]):
                return _read(callback.facade, callback.reads, field)
        return None
    for operation in OPERATIONS:
        name = operation_name(operation.method, wire_path(operation.path))
        if (operation.api, name) == (api, wire_path(place.operation)):
            return _of_operation(operation, kind, rest, field)
    return None


def _of_operation(operation: Operation, kind: str, status: str, field: str) -> str | None:
    if kind == "path":
        return f"{operation.facade}({operation.parameters[0].facade})" if operation.parameters else None
    if kind in ("query", "header"):
        return _argument(operation.facade, operation.parameters, field)
    if kind == "request" and operation.sends and field:
        return _argument(operation.facade, operation.sends.fields, field)
    if kind == "answer" and status != str(operation.success):
        return f"{operation.facade}: GatewayError"
    if field.startswith("header "):
        return f"{operation.facade}: SubmittedMessage.location" if field == "header location" else None
    if kind == "answer" and operation.reads:
        return _read(operation.facade, operation.reads, field)
    return operation.facade


def _argument(facade: str, fields: tuple[Field, ...], wire: str) -> str | None:
    return next((f"{facade}({field.facade})" for field in fields if field.wire == wire.partition(".")[0]), None)


def _read(facade: str, shape: Shape, wire: str) -> str | None:
    if not wire:
        return facade
    return next((f"{facade}: {field.facade}" for field in shape.fields if field.wire == wire.partition(".")[0]), None)


# Holding generated code to it --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unmet:
    """A need that generated code does not meet. `schema` and `field` say where the document would have to say it."""

    api: str
    facade: str
    schema: str
    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.facade} needs {self.what}"


def unmet(generated: Path) -> list[Unmet]:
    """Every need that the packages in the folder `generated` do not meet."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(generated), str(Path(__file__).parent)])}
    done = subprocess.run(
        [sys.executable, __file__, generated], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return [Unmet("", "the facade", "", "", f"generated code that can be used at all: {' '.join(last)}")]
    return [Unmet(**found) for found in json.loads(done.stdout)]


def hold(built: Path, root: Path) -> None:
    """Refuse what was built in `built` to take the place of what is in `root` when the facade could not use it."""
    for need in unmet(built / "generated"):
        raise SpecError("scripts/contract.py", explain(need, root / "openapi", built / "openapi"))


def explain(need: Unmet, before: Path, after: Path) -> str:
    """An unmet need on one line: the method, the place in the document, and the overlay actions that shape it.

    Args:
        need: What is not met.
        before: The openapi/ it was met with.
        after: The openapi/ it is not met with any more.
    """
    if not need.api:
        return str(need)
    api = next(api for api in APIS if api.name == need.api)
    place = need.schema
    for folder in (before, after):
        place = _locate(parse((folder / api.product).read_bytes(), api.product), need) or place
    published = to_openapi3(parse((before / api.published).read_bytes(), api.published), "#")
    overlay = parse((before / api.overlay).read_bytes(), api.overlay)
    # An operation is shaped by most actions; the one that names it says enough.
    shaped = f"{place}/operationId" if place.startswith("#/paths/") else place
    actions = actions_on(published, overlay, api.overlay, shaped) or [f"no action of {api.overlay}"]
    return f"{need}; spec path {api.product}{place}, shaped by {', '.join(actions)}"


def _locate(document: Document, need: Unmet) -> str | None:
    """Where a document defines what is needed, allOf and references followed."""
    value = resolve(need.schema, document)
    if value is None or not need.field:
        return None
    found = flat(Node(document, need.schema, value)).properties.get(need.field)
    return found.path if found else None


# A value of each type as Python has it, and as it is on the wire.
_SAMPLES: dict[str, tuple[Any, Any]] = {
    "str": ("text", "text"),
    "list[str]": (["text"], ["text"]),
    "int": (7, 7),
    "datetime.datetime": (datetime(2026, 12, 1, 9, tzinfo=UTC), "2026-12-01T09:00:00+00:00"),
    "UUID": (UUID(int=7), str(UUID(int=7))),
    "uuid.UUID": (UUID(int=7), str(UUID(int=7))),
}


def _sample(field: Field) -> tuple[Any, Any]:
    return next(sample for kind, sample in _SAMPLES.items() if kind in field.type.split(" | "))


def _missing() -> Iterator[Unmet]:
    for operation in OPERATIONS:
        need = Unmet(operation.api, operation.facade, at("#/paths", operation.path, operation.method), "", "")
        models = importlib.import_module(f"{PACKAGES[operation.api]}.models")
        shapes = [*_of_shape(need, models, operation.sends, True), *_of_shape(need, models, operation.reads, False)]
        yield from shapes
        if not shapes:
            yield from (replace(need, what=what) for what in _of_endpoint(operation, models))
    for callback in CALLBACKS:
        models = importlib.import_module(f"{PACKAGES[callback.api]}.models")
        yield from _of_shape(Unmet(callback.api, callback.facade, "", "", ""), models, callback.reads, False)


def _of_shape(need: Unmet, models: Any, shape: Shape | None, sends: bool) -> Iterator[Unmet]:
    if shape is None:
        return
    need = replace(need, schema=shape.schema)
    model = getattr(models, shape.model, None)
    if model is None:
        yield replace(need, what=f"a class {models.__name__}.{shape.model}")
        return
    has = attrs.fields_dict(model)
    wanted = {field.attribute: field for field in shape.fields}
    # An answer may say more than the facade reads; a mock passes for a value of any type.
    usable = {name for name, field in wanted.items() if name in has and _fits(field.type, str(has[name].type), sends)}
    values = {name: _sample(wanted[name])[0] if name in usable else MagicMock() for name in has if has[name].init}
    written = model(**values).to_dict()
    for name, field in wanted.items():
        here = replace(
            need,
            facade=f"{need.facade}({field.facade})" if sends else f"{need.facade}: {field.facade}",
            field=field.wire,
            what=f"{shape.model}.{name}: {field.type}",
        )
        if name not in has:
            yield replace(here, what=f"{here.what}, and there is none")
        elif name not in usable:
            yield replace(here, what=f"{here.what}, and it is {has[name].type}")
        elif written.get(field.wire) != _sample(field)[1]:
            yield replace(here, what=f"{here.what}, called {field.wire!r} on the wire")
    for name, attribute in has.items():
        if sends and name not in wanted and attribute.init and attribute.default is attrs.NOTHING:
            what = f"to fill {shape.model}.{name}: {attribute.type}, which is required and the facade does not know"
            yield replace(need, field=name, what=what)


def _filled(shape: Shape) -> dict[str, Any]:
    return {field.wire: _sample(field)[1] for field in shape.fields}


def _fits(wanted: str, found: str, sends: bool) -> bool:
    """What is sent must be taken, what is read must be known; that it may be absent is always reckoned with."""
    ours, theirs = set(wanted.split(" | ")), set(found.split(" | "))
    return ours <= theirs if sends else theirs - {"Unset"} <= ours


def _of_endpoint(operation: Operation, models: Any) -> Iterator[str]:
    """Drive the generated sender against a transport that answers as the gateway would."""
    package = PACKAGES[operation.api]
    name = f"{package}.api.messages.{operation.generated}"
    try:
        send = importlib.import_module(name).sync_detailed
    except (ImportError, AttributeError):
        yield f"a module {name} with sync_detailed"
        return
    arguments: dict[str, Any] = {field.attribute: _sample(field)[0] for field in operation.parameters}
    takes = {
        key: inspect.formatannotation(value.annotation) for key, value in inspect.signature(send).parameters.items()
    }
    for field in operation.parameters:
        if takes.get(field.attribute) != field.type:
            yield f"{name}.sync_detailed({field.attribute}: {field.type}), and it takes {takes.get(field.attribute)}"
            return
    if operation.sends:
        model = getattr(models, operation.sends.model)
        arguments["body"] = model(**{field.attribute: _sample(field)[0] for field in operation.sends.fields})
    item: Any = _filled(operation.reads) if operation.reads else 7
    answer = [item] if operation.listed else item
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(operation.success, json=answer)

    base = "https://gateway.invalid/base"
    client = importlib.import_module(package).Client(base_url=base)
    client.set_httpx_client(httpx.Client(base_url=base, transport=httpx.MockTransport(handle)))
    parsed: Any = answer
    try:
        parsed = send(client=client, **arguments).parsed
    except Exception as error:  # noqa: BLE001 - whatever it raises
        if not seen:
            yield f"{name}.sync_detailed to send, and it raises {type(error).__name__}: {error}"
            return
        # It knows the status and looks for more than the sample has; what the facade reads was checked before.
    yield from _of_request(operation, seen[0])
    if parsed is None:
        yield f"an answer {operation.success}, and there is none"
    elif isinstance(parsed, list) != operation.listed:
        yield f"an answer that is {'' if operation.listed else 'not '}a list"


def _of_request(operation: Operation, request: httpx.Request) -> Iterator[str]:
    """What the generated sender made of a call, against what the facade sends for the same."""
    values = {field.wire: _sample(field)[1] for field in operation.parameters}
    inside = {wire for wire in values if f"{{{wire}}}" in operation.path}
    url = "/base" + operation.path.format(**{wire: values[wire] for wire in inside})
    if (request.method, request.url.path) != (operation.method.upper(), url):
        yield f"{operation.method.upper()} {url}, and it is {request.method} {request.url.path}"
    query = {wire: str(value) for wire, value in values.items() if wire not in inside}
    if dict(request.url.params) != query:
        yield f"the query {query}, and it is {dict(request.url.params)}"
    if operation.sends:
        if json.loads(request.content) != _filled(operation.sends):
            yield f"the body {_filled(operation.sends)}, and it is {request.content.decode()}"
        if request.headers.get("content-type") != "application/json":
            yield f"Content-Type application/json, and it is {request.headers.get('content-type')}"


if __name__ == "__main__":
    print(json.dumps([asdict(found) for found in _missing()]))
