"""What the vendor might publish tomorrow: changes to the published documents, with the rating each must get.

They are made to the documents of November 2026, which tests/pipeline/specs/openapi keeps: a table that quotes limits
must not fail on the day one of them really changes. `python -m tests.pipeline.mutations FOLDER` writes each to a file,
to try `make diff-spec SPEC=...` on.
"""

from __future__ import annotations

import copy
import functools
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.document import parse

OPENAPI = Path(__file__).parent / "specs" / "openapi"
V1 = "published/gateway-v1.swagger.yaml"
V2 = "published/sms-v2.openapi.yaml"

Document = dict[str, Any]
Edit = Callable[[Document], None]


def published(name: str) -> Document:
    """A published document, fresh."""
    return copy.deepcopy(_read(name))


@functools.cache
def _read(name: str) -> Document:
    return parse((OPENAPI / name).read_bytes(), name)


def _at(document: Any, place: str) -> tuple[Any, Any]:
    *above, last = place.split(" > ")
    for key in above:
        document = document[int(key) if isinstance(document, list) else key]
    return document, int(last) if isinstance(document, list) else last


def put(place: str, value: Any) -> Edit:
    def edit(document: Document) -> None:
        node, key = _at(document, place)
        node[key] = copy.deepcopy(value)

    return edit


def add(place: str, *values: Any) -> Edit:
    def edit(document: Document) -> None:
        node, key = _at(document, place)
        node.setdefault(key, []).extend(copy.deepcopy(values)) if isinstance(node, dict) else node[key].extend(values)

    return edit


def drop(place: str) -> Edit:
    def edit(document: Document) -> None:
        node, key = _at(document, place)
        del node[key]

    return edit


def rename(place: str, name: str) -> Edit:
    """Another key for the same value, at the same place among the keys."""

    def edit(document: Document) -> None:
        node, key = _at(document, place)
        items = [(name if other == key else other, value) for other, value in node.items()]
        node.clear()
        node.update(items)

    return edit


def replace_text(old: str, new: str) -> Edit:
    """Everywhere, keys included: for names that are referred to."""

    def edit(document: Document) -> None:
        changed = json.loads(json.dumps(document).replace(old, new))
        document.clear()
        document.update(changed)

    return edit


@dataclass(frozen=True)
class Mutation:
    """A change, the worst rating it must get, what the report must say, and what of the facade it must name."""

    name: str
    of: str
    rating: str
    says: str
    touches: str
    edits: tuple[Edit, ...]

    def document(self) -> Document:
        """The published document with the change made."""
        document = published(self.of)
        for edit in self.edits:
            edit(document)
        return document


def m(name: str, of: str, rating: str, says: str, touches: str, *edits: Edit) -> Mutation:
    """One row."""
    return Mutation(name, of, rating, says, touches, edits)


def as_openapi(version: str) -> Edit:
    """The same document in another version of the format."""

    def edit(document: Document) -> None:
        changed = to_openapi3(document, "#")
        document.clear()
        document.update({**changed, "openapi": version})

    return edit


COMMON = "definitions > MessageCommon > properties"
SEND = "paths > /messages > post"
BROADCAST = "definitions > MessageBroadcast > allOf > 1 > properties > destination"
OUTCOME = "definitions > BroadcastRestResponse > items > properties"
GET = "paths > /messages/{messageid} > get"
SINGLE = "components > schemas > SingleMessage"
STORED = "components > schemas > MessageDetails > properties"
STATUS = "components > schemas > StatusCallback > properties"
REPLY = "components > schemas > ReplyCallback > properties"
POSTED = "paths > /messages > post > callbacks > status > {$url} > post"
SEND_V2 = "paths > /messages > post"
GET_V2 = "paths > /messages > get"
TEXT = {"type": "string"}

MUTATIONS = [
    # Fields of requests
    m("field renamed", V1, "breaking", "'mask' is gone (renamed to 'sender'?)", "Modica.send(mask)",
      rename(f"{COMMON} > mask", "sender")),
    m("field removed", V1, "breaking", "'reference' is gone", "Modica.broadcast(reference)",
      drop(f"{COMMON} > reference")),
    m("optional field added", V1, "compatible",
      "'priority' is new", "POST /messages, request, priority, not in the facade",
      put(f"{COMMON} > priority", {"type": "integer"})),
    m("documented field added", V1, "compatible", "'expires' is new", "Modica.send(expires)",
      put(f"{COMMON} > expires", {"type": "string", "format": "date-time"})),
    m("required field added", V1, "breaking", "'campaign' is new, and required", "POST /messages, request, campaign",
      put(f"{COMMON} > campaign", TEXT), add("definitions > MessageCommon > required", "campaign")),
    m("field made required", V1, "breaking", "'reference' is now required", "Modica.send(reference)",
      add("definitions > MessageCommon > required", "reference")),
    m("field no longer required", V2, "compatible", "'content' is no longer required", "ModicaV2.send(content)",
      put(f"{SINGLE} > required", ["destination"])),
    m("read-only field becomes writable", V1, "compatible",
      "'id' is new", "POST /messages, request, id, not in the facade",
      drop(f"{COMMON} > id > readOnly")),
    m("field becomes read-only", V2, "breaking", "'mask' is gone", "ModicaV2.send(mask)",
      put(f"{SINGLE} > properties > mask > readOnly", True)),
    m("field deprecated", V2, "compatible", "deprecated is now said", "ModicaV2.send(class_)",
      put(f"{SINGLE} > properties > class > deprecated", True)),
    m("unnamed fields refused", V2, "breaking", "fields that are not named are now refused", "ModicaV2.send",
      put(f"{SINGLE} > additionalProperties", False)),
    # Types and formats
    m("type changed in a request", V1, "breaking", "type integer is now string", "Modica.send(sms_class)",
      put(f"{COMMON} > sms_class > type", "string")),
    m("type widened in a request", V2, "compatible", "type integer is now number", "ModicaV2.send(sms_class)",
      put(f"{SINGLE} > properties > sms_class > type", "number")),
    m("number of 64 bits called an integer", V1, "compatible",
      "type number is now integer: the same", "Modica.get(message_id)",
      put(f"{GET} > parameters > 0 > type", "integer")),
    m("id becomes text", V1, "breaking", "type integer is now string", "Modica.get(message_id)",
      put(f"{GET} > parameters > 0 > type", "string"), put(f"{GET} > parameters > 0 > format", "uuid")),
    m("type changed in an answer", V1, "breaking",
      "type integer is now string", "Modica.broadcast: BroadcastOutcome.id",
      put(f"{OUTCOME} > id", TEXT)),
    m("ids of another kind in an answer", V1, "breaking", "type integer is now string", "Modica.send",
      put("definitions > RestResponse > items", TEXT)),
    m("format changed in an answer", V2, "breaking", "format uuid is now ulid", "ModicaV2.get: Message.id",
      put(f"{STORED} > id > format", "ulid")),
    m("format added to a request", V1, "breaking", "format none is now uuid", "Modica.send(reference)",
      put(f"{COMMON} > reference > format", "uuid")),
    m("format that says nothing removed", V2, "compatible", "the same values", "ModicaV2.get: Message.source",
      drop(f"{STORED} > source > format")),
    m("null possible in an answer", V2, "breaking", "null is now possible", "ModicaV2.get: Message.content",
      put(f"{STORED} > content > nullable", True)),
    m("null possible in a request", V2, "compatible", "null is now possible", "ModicaV2.send(reference)",
      put(f"{SINGLE} > properties > reference > nullable", True)),
    m("one of two types in an answer", V2, "breaking", "is new", "ModicaV2.get: Message.id",
      put(f"{STORED} > id", {"oneOf": [{"type": "string", "format": "uuid", "maxLength": 36}, {"type": "integer"}]})),
    # Limits, defaults, enums
    m("limit tightened", V1, "breaking", "maxLength tightened, 20 is now 11", "Modica.send(mask)",
      put(f"{COMMON} > mask > maxLength", 11)),
    m("limit loosened", V1, "compatible", "maxLength loosened, 20 is now 40", "Modica.send(mask)",
      put(f"{COMMON} > mask > maxLength", 40)),
    m("limit removed", V1, "compatible", "maxLength loosened, 20 is now none", "Modica.send(mask)",
      drop(f"{COMMON} > mask > maxLength")),
    m("limit new", V1, "breaking", "maxLength tightened, none is now 160", "Modica.send(content)",
      put(f"{COMMON} > content > maxLength", 160)),
    m("fewer destinations", V1, "breaking", "maxItems tightened, none is now 500", "Modica.broadcast(destinations)",
      put(f"{BROADCAST} > maxItems", 500)),
    m("range excluded at its end", V2, "breaking",
      "maximum tightened, none is now 4 (excluded)", "ModicaV2.send(sms_class)",
      put(f"{SINGLE} > properties > sms_class > maximum", 4),
      put(f"{SINGLE} > properties > sms_class > exclusiveMaximum", True)),
    m("pattern changed", V2, "breaking", "pattern changed", "ModicaV2.get(message_id)",
      put("components > schemas > Uuid > pattern", "^[0-9A-F-]{36}$")),
    m("limit of an answer", V2, "compatible", "maxLength loosened, 5000 is now 10000", "ModicaV2.get: Message.content",
      put(f"{STORED} > content > maxLength", 10000)),
    m("another default", V1, "breaking", "default mt_message is now bulk", "Modica.send(class_)",
      put(f"{COMMON} > class > default", "bulk")),
    m("default no longer published", V1, "compatible", "default mt_message is now none", "Modica.send(class_)",
      drop(f"{COMMON} > class > default")),
    m("new status in an answer", V2, "compatible", "now possible: read", "ModicaV2.get: Message.status",
      add(f"{STORED} > status > enum", "read")),
    m("status renamed", V2, "breaking", "no longer possible: received", "parse_callback: DeliveryReceipt.status",
      put(f"{STATUS} > status > enum > 4", "delivered")),
    m("status no longer a list of values", V2, "compatible",
      "any value is now possible", "parse_callback: DeliveryReceipt.status",
      drop(f"{STATUS} > status > enum")),
    m("values of a request listed", V1, "breaking",
      "only these are possible now: mt_message, bulk", "Modica.send(class_)",
      put(f"{COMMON} > class > enum", ["mt_message", "bulk"])),
    # A limit of 0, and everything else that is falsy and says something
    m("minimum 0 new", V2, "breaking", "minimum tightened, none is now 0", "ModicaV2.send(sms_class)",
      put(f"{SINGLE} > properties > sms_class > minimum", 0)),
    m("maximum 0 new", V1, "breaking", "maximum tightened, none is now 0", "Modica.send(sms_class)",
      put(f"{COMMON} > sms_class > maximum", 0)),
    m("maxLength 0 new", V1, "breaking", "maxLength tightened, none is now 0", "Modica.send(content)",
      put(f"{COMMON} > content > maxLength", 0)),
    m("maxItems 0 new", V1, "breaking", "maxItems tightened, none is now 0", "Modica.broadcast(destinations)",
      put(f"{BROADCAST} > maxItems", 0)),
    m("minimum 0 excluded", V2, "breaking", "minimum tightened, none is now 0 (excluded)", "ModicaV2.send(sms_class)",
      put(f"{SINGLE} > properties > sms_class > minimum", 0),
      put(f"{SINGLE} > properties > sms_class > exclusiveMinimum", True)),
    m("exclusiveMinimum 0 in 3.1", V2, "breaking",
      "minimum tightened, none is now 0 (excluded)", "ModicaV2.send(sms_class)",
      put("openapi", "3.1.0"), put(f"{SINGLE} > properties > sms_class > exclusiveMinimum", 0)),
    m("no length is below 0", V1, "compatible", "minLength none is now 0: the same values", "Modica.send(content)",
      put(f"{COMMON} > content > minLength", 0)),
    m("an exclusion of no limit", V2, "compatible", "exclusiveMinimum is now said", "ModicaV2.send(sms_class)",
      put(f"{SINGLE} > properties > sms_class > exclusiveMinimum", True)),
    m("no value is possible", V1, "breaking", "only these are possible now: none at all", "Modica.send(reference)",
      as_openapi("3.1.0"), put("components > schemas > MessageCommon > properties > reference > enum", [])),
    m("an empty default", V2, "compatible", "default none is now ", "ModicaV2.send(mask)",
      put(f"{SINGLE} > properties > mask > default", "")),
    m("default 0", V1, "compatible", "default none is now 0", "Modica.send(sms_class)",
      put(f"{COMMON} > sms_class > default", 0)),
    m("nothing else in a map", V2, "breaking", "fields that are not named are now refused", "ModicaV2.send",
      put(f"{SINGLE} > additionalProperties", False)),
    m("a step of 2", V2, "breaking", "multipleOf tightened, none is now 2", "ModicaV2.send(sms_class)",
      put(f"{SINGLE} > properties > sms_class > multipleOf", 2)),
    # What several schemas say together
    m("tighter inside allOf", V2, "breaking", "maxLength tightened, 20 is now 11", "ModicaV2.send(mask)",
      put("components > schemas > Short", {"type": "string", "maxLength": 11}),
      put(f"{SINGLE} > properties > mask", {"maxLength": 20, "allOf": [{"$ref": "#/components/schemas/Short"}]})),
    m("looser inside allOf", V2, "text", "version 1.0.0 is now 2", "",
      put("info > version", "2"),
      put(f"{SINGLE} > properties > mask", {"maxLength": 20, "allOf": [{"type": "string", "maxLength": 40}]})),
    m("tighter inside anyOf", V2, "breaking", "maxLength tightened, 20 is now 11", "ModicaV2.send(mask)",
      put(f"{SINGLE} > properties > mask", {"type": "string", "maxLength": 20, "anyOf": [{"maxLength": 11}]})),
    m("fewer values together", V2, "breaking", "no longer possible: MO", "ModicaV2.get: Message.direction",
      put(f"{STORED} > direction > allOf", [{"enum": ["MT", "other"]}])),
    m("two patterns", V2, "breaking", "pattern tightened", "ModicaV2.get(message_id)",
      put("components > schemas > Uuid > allOf", [{"pattern": "^[0-9]"}])),
    m("one accepted alternative more", V2, "compatible", "is new", "ModicaV2.send",
      put("components > requestBodies > SingleMessageRequest > content > application/json > schema",
          {"oneOf": [{"$ref": "#/components/schemas/SingleMessage"},
                     {"title": "Other", "type": "object", "properties": {"to": TEXT}}]})),
    m("all fields of an answer gone behind oneOf", V2, "breaking", "'status' is gone", "ModicaV2.get: Message.status",
      put("components > responses > ResponseMessageGet > content > application/json > schema",
          {"oneOf": [{"title": "Bare", "type": "object", "properties": {"id": TEXT}}]})),
    m("one of two kinds of answer", V2, "breaking", "alternative Problem is new", "ModicaV2.get",
      put("components > schemas > Problem", {"type": "object", "properties": {"reason": TEXT}}),
      put("components > responses > ResponseMessageGet > content > application/json > schema",
          {"oneOf": [{"$ref": "#/components/schemas/MessageDetails"}, {"$ref": "#/components/schemas/Problem"}]})),
    m("required in one alternative", V2, "breaking", "'reference' is now required", "ModicaV2.send(reference)",
      put(f"{SINGLE} > oneOf", [{"required": ["reference"]}])),
    m("tighter after a wider type", V2, "breaking", "maximum tightened, none is now 3", "ModicaV2.send(sms_class)",
      put(f"{SINGLE} > properties > sms_class", {"type": "number", "maximum": 3})),
    m("required without a definition", V1, "breaking", "'campaign', which is not defined here, is now required",
      "POST /messages, request, campaign", add("definitions > MessageCommon > required", "campaign")),
    m("promised without a definition", V2, "compatible", "'cost', which is not defined here, is now required",
      "GET /messages, response 200, cost", put("components > schemas > MessageDetails > required", ["cost"])),
    m("null in Swagger 2.0", V1, "breaking", "null is now possible", "BroadcastOutcome.status",
      put(f"{OUTCOME} > status > x-nullable", True)),
    m("null in a Swagger 2.0 request", V1, "compatible", "null is now possible", "Modica.broadcast(destinations)",
      put(f"{BROADCAST} > x-nullable", True)),
    # Answers, statuses, errors
    m("field removed from an answer", V2, "breaking", "'direction' is gone", "ModicaV2.get: Message.direction",
      drop(f"{STORED} > direction")),
    m("field renamed in an answer", V1, "breaking",
      "'message' is gone (renamed to 'reason'?)", "BroadcastOutcome.reason",
      rename(f"{OUTCOME} > message", "reason")),
    m("field added to an answer", V2, "compatible",
      "'operator' is new", "GET /messages, response 200, operator, not in the facade",
      put(f"{STORED} > operator", TEXT)),
    m("field of an answer no longer promised", V1, "breaking",
      "'status' is no longer required", "BroadcastOutcome.status",
      put("definitions > BroadcastRestResponse > items > required", ["destination"])),
    m("field of an answer now promised", V2, "compatible", "'id' is now required", "ModicaV2.get: Message.id",
      put("components > schemas > MessageDetails > required", ["id"])),
    m("success has another number", V1, "breaking", "response 202 is new", "Modica.send",
      rename(f"{SEND} > responses > 201", "202")),
    m("second kind of success", V2, "breaking", "response 207 is new", "ModicaV2.send",
      put(f"{SEND_V2} > responses > 207", {"description": "Some"})),
    m("error status added", V1, "compatible", "response 429 is new", "Modica.send: GatewayError",
      put(f"{SEND} > responses > 429", {"description": "Slower", "schema": {"$ref": "#/definitions/DefaultError"}})),
    m("another error shape", V2, "breaking", "'statusCode' is gone", "ModicaV2.send: GatewayError",
      put("components > responses > ApiErrorResponse > content > application/json > schema",
          {"type": "object", "title": "Problem", "properties": {"title": TEXT, "detail": TEXT}})),
    m("answer without a body", V1, "breaking", "the body is gone", "Modica.send",
      drop(f"{SEND} > responses > 201 > schema")),
    m("list becomes an object", V1, "breaking", "type array is now object", "Modica.send",
      put("definitions > RestResponse", {"type": "object", "properties": {"id": {"type": "integer"}}})),
    m("header added", V1, "compatible",
      "header 'retry-after' is new", "POST /messages, response 201, header retry-after",
      put(f"{SEND} > responses > 201 > headers", {"Retry-After": {"type": "integer"}})),
    # Operations, parameters, callbacks
    m("path renamed", V1, "breaking", "operation POST /messages/broadcast is gone", "Modica.broadcast",
      rename("paths > /messages/broadcast", "/broadcasts")),
    m("operation removed", V1, "breaking", "operation GET /messages/{messageid} is gone", "Modica.get",
      drop("paths > /messages/{messageid}")),
    m("new path", V2, "compatible", "operation DELETE /messages is new", "DELETE /messages, not in the facade",
      put("paths > /messages > delete", {"responses": {"204": {"description": "Gone"}}})),
    m("operation deprecated", V1, "compatible", "deprecated", "Modica.broadcast",
      put("paths > /messages/broadcast > post > deprecated", True)),
    m("operation named", V1, "compatible", "operationId none is now sendMessage", "Modica.send",
      put(f"{SEND} > operationId", "sendMessage")),
    m("operations tagged", V2, "compatible", "tags", "ModicaV2.send",
      put(f"{SEND_V2} > tags", ["sms"])),
    m("path parameter renamed", V1, "compatible", "is now written /messages/{id}", "",
      rename("paths > /messages/{messageid}", "/messages/{id}"),
      put("paths > /messages/{id} > get > parameters > 0 > name", "id")),
    m("query parameter renamed", V2, "breaking", "query parameter 'id' is gone", "ModicaV2.get(message_id)",
      put(f"{GET_V2} > parameters > 0 > name", "message_id")),
    m("optional query parameter added", V2, "compatible",
      "query parameter 'fields' is new", "GET /messages, query, fields, not",
      add(f"{GET_V2} > parameters", {"name": "fields", "in": "query", "schema": TEXT})),
    m("required header added", V1, "breaking",
      "header parameter 'X-Key' is new, and required", "POST /messages, header, X-Key",
      add(f"{SEND} > parameters", {"name": "X-Key", "in": "header", "type": "string", "required": True})),
    m("callback removed", V2, "breaking", "callback reply POST {$url} is gone", "parse_callback",
      drop(f"{SEND_V2} > callbacks > reply")),
    m("callback added", V2, "compatible", "callback click POST {$url} is new", "callback click, not in the facade",
      put(f"{SEND_V2} > callbacks > click", {"{$url}": {"post": {"responses": {"200": {"description": "Taken"}}}}})),
    m("field of a callback renamed", V2, "breaking", "'source' is gone (renamed to 'from'?)", "InboundMessage.source",
      rename(f"{REPLY} > source", "from")),
    m("field of a callback added", V2, "compatible", "'keyword' is new", "callback reply, keyword, not in the facade",
      put(f"{REPLY} > keyword", TEXT)),
    m("callback to another address", V2, "breaking", "callback status POST {$url} is gone", "parse_callback",
      rename(f"{SEND_V2} > callbacks > status > {{$url}}", "{$request.body#/callback}")),
    m("a callback with a header", V2, "compatible", "header parameter 'X-Signature' is new", "not in the facade",
      put(f"{POSTED} > parameters", [{"name": "X-Signature", "in": "header", "required": True, "schema": TEXT}])),
    m("a callback that shows credentials", V2, "breaking",
      "credentials not needed are now apiKey header authorization", "parse_callback",
      put(f"{POSTED} > security", [{"GatewayAuthorizer": []}])),
    m("a callback in another media type", V2, "breaking", "media type application/json is gone", "parse_callback",
      rename(f"{POSTED} > requestBody > content > application/json", "application/xml")),
    m("a callback in one more media type", V2, "compatible", "media type text/json is new", "parse_callback",
      put(f"{POSTED} > requestBody > content > text/json", {})),
    m("a callback that wants an answer", V2, "breaking", "a body is now expected", "parse_callback",
      put(f"{POSTED} > responses > 200 > content", {"application/json": {"schema": {
          "title": "Taken", "type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}}})),
    # The service
    m("another host", V1, "breaking", "server address https://api.modicagroup.com/rest/gateway is now", "every call",
      put("host", "api.example.com")),
    m("another base path", V2, "breaking", "server address", "every call",
      put("servers > 0 > url", "https://api.modicagroup.com/rest/sms/v3")),
    m("plain http only", V1, "breaking", "is now http://", "every call", put("schemes", ["http"])),
    m("one more address", V2, "compatible", "server address", "every call",
      add("servers", {"url": "https://api2.modicagroup.com/rest/sms/v2"})),
    m("the same address in other letters", V2, "text", "version 1.0.0 is now 2", "",
      put("info > version", "2"), put("servers > 0 > url", "HTTPS://API.modicagroup.com:443/rest/sms/v2/")),
    m("the same host with its port", V1, "text", "version 1.0.0 is now 2", "",
      put("info > version", "2"), put("host", "API.sms.optus.com.au:443")),
    m("another port", V1, "breaking", "server address", "every call", put("host", "api.modicagroup.com:8443")),
    m("one more address, of the other service", V2, "compatible", "server address", "every call",
      add("servers", {"url": "https://api.modicagroup.com/rest/gateway"})),
    m("served where the other service is", V2, "breaking",
      "Taken for sms-v2, although its server address is that of another", "every call",
      put("servers > 0 > url", "https://api.modicagroup.com/rest/gateway")),
    m("no credentials", V1, "breaking", "credentials http basic are now not needed", "Modica.send",
      put("security", [])),
    m("credentials may be left out", V1, "compatible", "are now http basic, not needed", "Modica.send",
      add("security", {})),
    m("an api key instead of Basic", V1, "breaking",
      "credentials http basic are now apiKey header x-key", "Modica.send",
      put("securityDefinitions > BasicAuth", {"type": "apiKey", "in": "header", "name": "X-Key"})),
    m("Basic said as such", V2, "compatible",
      "credentials apiKey header authorization are now http basic", "ModicaV2.send",
      put("components > securitySchemes > GatewayAuthorizer", {"type": "http", "scheme": "basic"})),
    m("a bearer token", V2, "breaking", "are now http bearer", "ModicaV2.get",
      put("components > securitySchemes > GatewayAuthorizer", {"type": "http", "scheme": "bearer"})),
    m("a way more to show credentials", V1, "compatible", "are now apiKey query key, http basic", "Modica.send",
      put("securityDefinitions > Key", {"type": "apiKey", "in": "query", "name": "key"}), add("security", {"Key": []})),
    m("request media type gone", V1, "compatible",
      "media type application/vnd.modica.gateway.v1+json is gone", "Modica.send",
      put("consumes", ["application/json"])),
    m("JSON with its charset", V1, "compatible",
      "media type application/json is now written application/json; charset=utf-8", "Modica.get",
      put("produces", ["application/json; charset=utf-8"])),
    m("JSON in capitals", V1, "compatible", "is now written Application/JSON", "Modica.get",
      put("produces", ["Application/JSON"])),
    m("JSON of another kind", V1, "breaking", "media type application/json is gone", "Modica.get",
      put("produces", ["application/json; version=2"])),
    m("any media type taken", V1, "compatible", "media type application/json is gone", "Modica.send",
      put("consumes", ["*/*"])),
    m("JSON no longer taken", V1, "breaking", "media type application/json is gone", "Modica.send",
      put("consumes", ["application/xml"])),
    m("answer media type added", V1, "compatible",
      "media type application/vnd.modica.gateway.v1+json is new", "Modica.get",
      add("produces", "application/vnd.modica.gateway.v1+json")),
    m("answers no longer JSON", V1, "breaking", "media type application/json is gone", "Modica.get",
      put("produces", ["text/xml"])),
    # Names only
    m("definition renamed", V1, "compatible", "the name 'Message' is gone: 'Outbound' has its shape", "",
      rename("definitions > Message", "Outbound"), replace_text('"#/definitions/Message"', '"#/definitions/Outbound"')),
    m("unused definition added", V1, "compatible",
      "'Unused' is new", "", put("definitions > Unused", {"type": "string"})),
    m("unused component changed", V2, "compatible", "'Empty', which no operation uses, changed", "",
      put("components > requestBodies > Empty > required", True)),
    # Words
    m("reworded", V1, "text", "reworded", "", put(f"{COMMON} > scheduled > description", "Up to 90 days from now.")),
    m("words added", V2, "text",
      "words are new", "", put(f"{SINGLE} > properties > mask > description", "Shown as sender.")),
    m("words gone", V2, "text", "words are gone", "", drop("components > schemas > Uuid > description")),
    m("version raised", V1, "text", "version 1.0.0 is now 1.4.2", "", put("info > version", "1.4.2")),
    m("example added", V2, "text", "words are new", "", put(f"{SINGLE} > properties > mask > example", "Modica")),
    m("v1 as OpenAPI 3.0", V1, "text", "published as OpenAPI 3.0, before as Swagger 2.0", "", as_openapi("3.0.3")),
    m("v1 as OpenAPI 3.1", V1, "text", "published as OpenAPI 3.1, before as Swagger 2.0", "", as_openapi("3.1.0")),
    m("v2 as OpenAPI 3.1", V2, "text", "published as OpenAPI 3.1, before as OpenAPI 3.0", "", as_openapi("3.1.1")),
    # Several at once: the worst counts, and nothing hides behind it
    m("a busy release", V1, "breaking", "'priority' is new", "Modica.send(mask)",
      put("info > version", "1.1.0"), put(f"{COMMON} > priority", {"type": "integer"}),
      put(f"{COMMON} > expires", {"type": "string", "format": "date-time"}), put(f"{COMMON} > mask > maxLength", 11),
      put(f"{COMMON} > scheduled > description", "When to send the message, up to 90 days from now."),
      put("paths > /status", {"get": {"operationId": "status", "tags": ["messages"],
                                      "responses": {"200": {"description": "Well"}}}})),
    m("3.1 and a new field", V1, "compatible", "'priority' is new", "POST /messages, request, priority",
      as_openapi("3.1.0"),
      put("components > schemas > MessageCommon > properties > priority", {"type": ["integer", "null"]})),
]  # fmt: skip

# No document to take over: what the error must say.
REFUSED = [
    m("form data", V1, "refused",
      "#/paths/~1messages/post/parameters/0: a request body in 'multipart/form-data' (formData)", "",
      put("consumes", ["multipart/form-data"])),
    m("form data in v2", V2, "refused", "a request body in 'application/x-www-form-urlencoded' (formData)", "",
      rename("components > requestBodies > SingleMessageRequest > content > application/json",
             "application/x-www-form-urlencoded")),
    m("a form parameter", V1, "refused", "a parameter in 'formData' cannot be carried over", "",
      add(f"{GET} > parameters", {"name": "file", "in": "formData", "type": "string"})),
    m("oauth2", V1, "refused", "security of type 'oauth2' cannot be carried over", "",
      put("securityDefinitions > BasicAuth", {"type": "oauth2", "flow": "implicit", "scopes": {},
                                              "authorizationUrl": "https://example.com"})),
    m("oauth2 in v2", V2, "refused", "security of type 'oauth2' cannot be carried over", "",
      put("components > securitySchemes > GatewayAuthorizer",
          {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://example.com", "scopes": {}}}})),
    m("a foreign reference", V1, "refused", "'https://example.com/x.yaml#/Message' is not in this document", "",
      put("definitions > Message", {"$ref": "https://example.com/x.yaml#/Message"})),
    m("a reference to nothing", V2, "refused", "'#/components/schemas/SingleMessage' is not in this document", "",
      drop(SINGLE)),
    m("an unknown kind of credentials", V1, "refused", "'Other' is not one of the document's security schemes", "",
      put("security", [{"Other": []}])),
    m("an unknown type", V2, "refused", "not a valid document", "", put(f"{STORED} > id > type", "guid")),
    m("several types", V2, "refused", "type ['integer', 'string'] cannot be carried over: use oneOf", "",
      put("openapi", "3.1.0"), put(f"{STORED} > id", {"type": ["integer", "string"]})),
    m("a cookie", V2, "refused", "a parameter in 'cookie' cannot be carried over", "",
      add(f"{GET_V2} > parameters", {"name": "session", "in": "cookie", "schema": TEXT})),
    m("what the converter does not know", V2, "refused", "discriminator: unknown here", "",
      put(f"{SINGLE} > discriminator", {"propertyName": "class"})),
    m("a server of its own", V2, "refused", "servers: unknown here", "",
      put(f"{SEND_V2} > servers", [{"url": "https://example.com"}])),
    m("webhooks", V2, "refused", "webhooks: unknown here", "", put("openapi", "3.1.0"), put("webhooks", {})),
    m("no paths", V1, "refused", "not a valid document", "", drop("paths")),
    m("Swagger 1.2", V1, "refused", "version '1.2' cannot be read", "", put("swagger", "1.2")),
    m("OpenAPI 4", V2, "refused", "version '4.0.0' cannot be read", "", put("openapi", "4.0.0")),
    m("another service", V2, "refused", "neither of the gateway's documents", "",
      put("servers > 0 > url", "https://example.com/pets"), rename("paths > /messages", "/pets")),
]  # fmt: skip


def main(folder: Path) -> None:
    """Write every mutation as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for mutation in [*MUTATIONS, *REFUSED]:
        name = re.sub(r"\W+", "-", mutation.name.lower())
        (folder / f"{name}.json").write_text(json.dumps(mutation.document(), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
