"""What the facade needs of the generated clients and of the gateway, stated here and nowhere else. Pure data.

conformance.py holds generated code to it, and reports name by it which method and argument a change touches.
"""

from __future__ import annotations

import keyword

from attrs import frozen

from .apis import APIS
from .document import operation_name, wire_path
from .schema_diff import Location


@frozen
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


@frozen
class Shape:
    """A generated class, the schema of the OpenAPI document it comes from, and the fields the facade sends or reads."""

    model: str
    schema: str
    fields: tuple[Field, ...]


@frozen
class Operation:
    """One operation: what the vendor calls it, what the generator makes of it, what the facade offers.

    `listed`: the response is a list of what is read; without `reads`, of bare ids.
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


@frozen
class Callback:
    """What the gateway posts to us, and the model of the facade it becomes."""

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


# From a location in the document to the facade ---------------------------------------------------------------------


def surface(api: str, location: Location) -> str | None:
    """What of the facade depends on a location of the document: "Modica.send(mask)"; None if nothing does."""
    if not location.operation:
        return "every call"
    kind, _, rest = location.part.partition(" ")
    field = location.field.replace("[]", "").lstrip(".")
    if kind == "callback":
        name, _, part = rest.partition(" ")
        for callback in CALLBACKS:
            if (callback.api, callback.name) == (api, name):
                if part.startswith(("header", "query")):
                    return None
                return callback.facade if part else _received(callback.facade, callback.reads, field)
        return None
    for operation in OPERATIONS:
        name = operation_name(operation.method, wire_path(operation.path))
        if (operation.api, name) == (api, wire_path(location.operation)):
            return _of_operation(operation, kind, rest, field)
    return None


def _of_operation(operation: Operation, kind: str, status: str, field: str) -> str | None:
    if kind == "path":
        return f"{operation.facade}({operation.parameters[0].facade})" if operation.parameters else None
    if kind in ("query", "header"):
        return _argument(operation.facade, operation.parameters, field)
    if kind == "request" and operation.sends and field:
        return _argument(operation.facade, operation.sends.fields, field)
    if kind == "response" and status != str(operation.success):
        return f"{operation.facade}: GatewayError"
    if field.startswith("header "):
        return f"{operation.facade}: SubmittedMessage.location" if field == "header location" else None
    if kind == "response" and operation.reads:
        return _received(operation.facade, operation.reads, field)
    return operation.facade


def _argument(facade: str, fields: tuple[Field, ...], wire: str) -> str | None:
    return next((f"{facade}({field.facade})" for field in fields if field.wire == wire.partition(".")[0]), None)


def _received(facade: str, shape: Shape, wire: str) -> str | None:
    if not wire:
        return facade
    return next((f"{facade}: {field.facade}" for field in shape.fields if field.wire == wire.partition(".")[0]), None)
