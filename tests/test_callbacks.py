"""callbacks: bytes -> model, or InvalidCallbackError and nothing else; the state of a message, whatever the order."""

from __future__ import annotations

import base64
import json
import pickle
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade.callbacks import (
    MAX_CALLBACK_BYTES,
    DeliveryTracker,
    parse_callback,
    parse_delivery_receipt,
    parse_inbound_message,
)
from modica_facade.errors import ConfigurationError, InvalidCallbackError, ModicaError
from modica_facade.models import DeliveryReceipt, DeliveryStatus, InboundMessage

PAYLOADS = Path(__file__).parent / "payloads"
UUID_TEXT = "3fa85f64-5717-4562-b3fc-2c963f66afa6"

RECEIPTS = {
    "v1-sent": DeliveryReceipt("1234567890", "sent"),
    "v1-received-with-reference": DeliveryReceipt("1234567890", "received", "order-7"),
    "v1-numeric-id": DeliveryReceipt("9223372036854775807", "rejected"),
    "v1-unknown-status-and-keys": DeliveryReceipt("1234567890", "parked"),
    "v1-null-reference": DeliveryReceipt("1234567890", "expired"),
    "v1-byte-order-mark": DeliveryReceipt("1234567890", "sent"),
    "v1-with-destination": DeliveryReceipt("1234567890", "sent"),
    "v2-published": DeliveryReceipt(UUID_TEXT, "deficient", None, "+64211234567"),
    "v2-prose": DeliveryReceipt(UUID_TEXT, "accepted", "Tāne"),
    "v2-both-ids": DeliveryReceipt(UUID_TEXT, "queued"),
}

INBOUND = {
    "v1-plain": InboundMessage("1234567890", "+64211234567", "2345", "Kia ora", "Kōkako"),
    "v1-reply": InboundMessage("1234567891", "+64211234567", "2345", "Āe", "Kōkako", "1234567890", "order-7"),
    "v1-binary": InboundMessage(
        "1234567892",
        "+64211234567",
        "2345",
        "AAH/\r\n/g==",
        "Kōkako",
        encoding="base64",
        data=b"\x00\x01\xff\xfe",
    ),
    "v1-string-id-numeric-reply-to": InboundMessage("1234567893", "+64211234567", "2345", "ok", reply_to="1234567890"),
    "v1-empty-content": InboundMessage("1", "+64211234567", "2345", ""),
    "v1-escaped-emoji": InboundMessage("1", "+64211234567", "2345", "🥝 [{\0}]"),
    "v1-unknown-encoding": InboundMessage("1", "+64211234567", "2345", "6b6961", encoding="hex"),
    "v2-published": InboundMessage(UUID_TEXT, "+64211234567", "2345", "Kia ora", "Kōkako"),
}

STOP = InboundMessage("1", "+64211234567", "2345", "STOP")
SENT = DeliveryReceipt("1", "sent")
ODD: dict[str, tuple[DeliveryReceipt | InboundMessage, dict[str, Any]]] = {
    "1e400": (SENT, {"cost": None}),
    "640-digits": (SENT, {"trace": int("7" * 640)}),
    "641-digits": (SENT, {"trace": None}),
    "content-latin-1": (InboundMessage("1", "+64211234567", "2345", "caf\ufffd"), {"content": "caf\udce9"}),
    "detail-object": (SENT, {"detail": {}}),
    "encoding-number": (InboundMessage("1", "+64211234567", "2345", "Kia ora"), {"encoding": 64}),
    "encoding-upper-case": (
        InboundMessage("1", "+64211234567", "2345", "QQ==", encoding="BASE64", data=b"A"),
        {"encoding": "BASE64"},
    ),
    "iccid": (SENT, {"iccid": 64010012345678901234}),
    "id-beside-null-message-id": (DeliveryReceipt(UUID_TEXT, "sent"), {"message_id": None, "id": UUID_TEXT}),
    "inbound-as-v2-stores-it": (
        InboundMessage(UUID_TEXT, "+64211234567", "2345", "STOP"),
        {"direction": "MO", "status": "received"},
    ),
    "inbound-status-null": (STOP, {"status": None, "reply_to": None}),
    "infinity": (SENT, {"cost": None}),
    "latin-1": (SENT, {"reference": "M\udce1ori"}),
    "lone-surrogate-content": (InboundMessage("1", "+64211234567", "2345", "\ufffd"), {"content": "\ud83e"}),
    "lone-surrogate-reference": (SENT, {"reference": "\udc00\ud800"}),
    "message-details": (DeliveryReceipt(UUID_TEXT, "received"), {"direction": "MT", "content": "Kia ora"}),
    "minus-1e400": (SENT, {"cost": None}),
    "minus-20-digits": (SENT, {"cost": -12345678901234567890}),
    "minus-infinity": (SENT, {"cost": None}),
    "nan": (SENT, {"cost": None}),
    "operator-half-an-emoji": (STOP, {"operator": "Two \ud83e"}),
    "operator-latin-1": (STOP, {"operator": "M\udcf3vil"}),
    "operator-list": (InboundMessage("1", "+64211234567", "2345", "Kia ora"), {"operator": []}),
    "operator-number": (STOP, {"operator": 53001}),
    "operator-truncated-utf-8": (STOP, {"operator": "K\udcc5"}),
    "overlong-utf-8": (SENT, {"reference": "\udcc0\udcaf"}),
    "raw-newline-in-text": (DeliveryReceipt("1", "se\nnt"), {"status": "se\nnt"}),
    "reference-number": (SENT, {"reference": 7}),
    "reference-twice": (SENT, {"reference": "order-8"}),
    "reply-to-empty": (InboundMessage("1", "+64211234567", "2345", "Kia ora"), {"reply_to": ""}),
    "reply-to-true": (InboundMessage("1", "+64211234567", "2345", "Kia ora"), {"reply_to": True}),
    "reply-to-zero": (STOP, {"reply_to": 0}),
    "surrogate-in-utf-8": (SENT, {"reference": "\udced\udca0\udc80"}),
    "twice-nested": (SENT, {"more": {"id": 2}}),
    "twice-unknown": (SENT, {"+64211234567": 2}),
    "uint64": (SENT, {"trace": 18446744073709551615}),
}
"""Read although not as documented: the model, and what of ``raw`` tells the oddity."""

NOT_JSON = (None, "not UTF-8 JSON")
NOT_AN_OBJECT = (None, "not an object")
NOT_AN_ID = ("message_id", "not a message id")
NEITHER = (None, "neither a delivery receipt .* nor an inbound message")
NOT_BASE64 = ("content", "not base64")
INVALID = {
    "20-digits": NOT_AN_ID,
    "5000-digits": ("message_id", "no value"),
    "base64-alphabet": NOT_BASE64,
    "base64-not-ascii": NOT_BASE64,
    "base64-one-letter": NOT_BASE64,
    "base64-padding": NOT_BASE64,
    "base64-too-much-padding": NOT_BASE64,
    "both-kinds": ("status", "status of a delivery receipt and the keys of an inbound message"),
    "content-null": ("content", "no value"),
    "content-number": ("content", "not text"),
    "cut": NOT_JSON,
    "direction-unknown": ("status", "no direction"),
    "destination-number": ("destination", "not text"),
    "empty": NOT_JSON,
    "empty-object": NEITHER,
    "form": NOT_JSON,
    "gzip": NOT_JSON,
    "html": NOT_JSON,
    "id-2-63": NOT_AN_ID,
    "id-exponent": NOT_AN_ID,
    "id-float": NOT_AN_ID,
    "id-list": NOT_AN_ID,
    "id-negative": NOT_AN_ID,
    "id-null": ("message_id", "no value"),
    "id-object": NOT_AN_ID,
    "id-text-2-63": NOT_AN_ID,
    "id-text-20-digits": NOT_AN_ID,
    "id-text-empty": NOT_AN_ID,
    "id-text-float": NOT_AN_ID,
    "id-text-fullwidth-digits": NOT_AN_ID,
    "id-text-leading-zero": NOT_AN_ID,
    "id-text-negative": NOT_AN_ID,
    "id-text-newline": NOT_AN_ID,
    "id-text-plus": NOT_AN_ID,
    "id-text-space": NOT_AN_ID,
    "id-text-superscript": NOT_AN_ID,
    "id-text-underscore": NOT_AN_ID,
    "id-text-unicode-digits": NOT_AN_ID,
    "id-text-zero": NOT_AN_ID,
    "id-true": NOT_AN_ID,
    "id-zero": NOT_AN_ID,
    "inbound-without-content": ("content", "missing"),
    "inbound-without-destination": ("destination", "missing"),
    "inbound-without-id": ("id", "missing"),
    "inbound-without-source": ("source", "missing"),
    "list": NOT_AN_OBJECT,
    "lone-surrogate-status": ("status", "half a character"),
    "message-id-alone": ("status", "missing"),
    "nan": ("message_id", "no value"),
    "nested-33-levels": (None, "32 levels"),
    "null": NOT_AN_OBJECT,
    "number": NOT_AN_OBJECT,
    "single-quotes": NOT_JSON,
    "source-latin-1": ("source", "half a character"),
    "source-empty": ("source", "empty"),
    "status-alone": ("message_id", "missing"),
    "status-empty": ("status", "empty"),
    "status-latin-1": ("status", "half a character"),
    "status-list": ("status", "not text"),
    "status-null": ("status", "no value"),
    "status-number": ("status", "not text"),
    "text": NOT_AN_OBJECT,
    "trailing-comma": NOT_JSON,
    "true": NOT_AN_OBJECT,
    "twice-content": ("content", "occurs twice"),
    "twice-escaped": ("status", "occurs twice"),
    "twice-message-id": ("message_id", "occurs twice"),
    "twice-status": ("status", "occurs twice"),
    "two-byte-order-marks": NOT_JSON,
    "two-objects": NOT_JSON,
    "unknown-keys-only": NEITHER,
    "utf-16": NOT_JSON,
    "utf-32": NOT_JSON,
    "uuid-braces": NOT_AN_ID,
    "uuid-newline": NOT_AN_ID,
    "uuid-not-hex": NOT_AN_ID,
    "uuid-short": NOT_AN_ID,
    "uuid-without-dashes": NOT_AN_ID,
    "white-space": NOT_JSON,
}


def payload(kind: str, name: str) -> bytes:
    return (PAYLOADS / kind / f"{name}.json").read_bytes()


def forms(body: bytes) -> list[Any]:
    """The same callback in every form that is taken."""
    parsed = json.loads(body.decode("utf-8-sig"))
    return [
        body,
        bytearray(body),
        memoryview(body),
        memoryview(bytes(byte for byte in body for _ in (0, 1)))[::2],  # not contiguous
        body.decode(),
        parsed,
        MappingProxyType(parsed),
    ]


# Reading what is documented


@pytest.mark.parametrize(
    ("kind", "expected"), [("receipts", RECEIPTS), ("inbound", INBOUND), ("odd", ODD), ("invalid", INVALID)]
)
def test_every_payload_of_the_corpus_has_an_expectation(kind: str, expected: dict[str, object]) -> None:
    assert {path.stem for path in (PAYLOADS / kind).iterdir()} == set(expected)


@pytest.mark.parametrize("name", RECEIPTS)
def test_a_delivery_receipt_is_read_from_every_form_of_body(name: str) -> None:
    body = payload("receipts", name)
    for form in forms(body):
        for parse in (parse_callback, parse_delivery_receipt):
            receipt = parse(form)
            assert receipt == RECEIPTS[name]
            assert receipt.raw == json.loads(body.decode("utf-8-sig"))


@pytest.mark.parametrize("name", INBOUND)
def test_an_inbound_message_is_read_from_every_form_of_body(name: str) -> None:
    body = payload("inbound", name)
    for form in forms(body):
        for parse in (parse_callback, parse_inbound_message):
            message = parse(form)
            assert message == INBOUND[name]
            assert message.raw == json.loads(body)


@pytest.mark.parametrize("name", ODD)
def test_only_what_identifies_a_callback_makes_it_unreadable(name: str) -> None:
    expected, raw = ODD[name]
    callback = parse_callback(payload("odd", name))
    assert callback == expected
    assert {key: callback.raw[key] for key in raw} == raw
    assert pickle.loads(pickle.dumps(callback)).raw == callback.raw


def test_a_mapping_is_copied_into_raw() -> None:
    mapping = {"message_id": "1", "status": "sent"}
    receipt = parse_delivery_receipt(mapping)
    mapping["status"] = "received"
    assert receipt.raw == {"message_id": "1", "status": "sent"}


def test_a_body_with_the_keys_of_both_kinds_is_readable_by_code_that_knows_which_it_is() -> None:
    body = payload("invalid", "both-kinds")
    assert parse_delivery_receipt(body) == DeliveryReceipt("1", "sent")
    assert parse_inbound_message(body) == InboundMessage("1", "+64211234567", "2345", "Kia ora")


def test_each_kind_refuses_the_other() -> None:
    with pytest.raises(InvalidCallbackError, match="status is missing"):
        parse_delivery_receipt(payload("inbound", "v1-plain"))
    with pytest.raises(InvalidCallbackError, match="content is missing"):
        parse_inbound_message(payload("receipts", "v1-sent"))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NON_EMPTY = TEXT.filter(bool)
IDS = st.one_of(
    st.integers(1, 2**63 - 1).map(lambda number: (number, str(number))),
    st.integers(1, 2**63 - 1).map(lambda number: (str(number), str(number))),
    st.uuids().map(lambda uuid: (str(uuid), str(uuid))),
    st.uuids().map(lambda uuid: (str(uuid).upper(), str(uuid))),
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=5,
)
FIELDS = ["message_id", "id", "status", "reference", "detail", "source", "destination", "content"]
FIELDS += ["operator", "reply_to", "encoding"]
EXTRA = st.dictionaries(TEXT.filter(lambda key: key not in FIELDS), JSON_VALUES, max_size=3)


def spelt(fields: dict[str, Any], draw: Callable[[Any], Any]) -> bytes:
    """The fields as JSON in one of its spellings."""
    items = draw(st.permutations(list(fields.items())))
    text = json.dumps(dict(items), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


@given(data=st.data(), key=st.sampled_from(["message_id", "id"]), extra=EXTRA)
def test_any_valid_receipt_survives_the_round_trip(data: st.DataObject, key: str, extra: dict[str, Any]) -> None:
    sent, message_id = data.draw(IDS)
    status = data.draw(NON_EMPTY)
    optional = data.draw(st.fixed_dictionaries({}, optional={"reference": TEXT, "detail": TEXT}))
    fields = {**extra, key: sent, "status": status, **optional}
    receipt = parse_callback(spelt(fields, data.draw))
    assert receipt == DeliveryReceipt(message_id, status, optional.get("reference"), optional.get("detail"))
    assert receipt.raw == fields


@given(data=st.data(), extra=EXTRA)
def test_any_valid_inbound_message_survives_the_round_trip(data: st.DataObject, extra: dict[str, Any]) -> None:
    sent, message_id = data.draw(IDS)
    reply_to = data.draw(st.none() | IDS)
    texts = data.draw(st.fixed_dictionaries({"source": NON_EMPTY, "destination": NON_EMPTY, "content": TEXT}))
    optional = data.draw(st.fixed_dictionaries({}, optional={"operator": TEXT, "reference": TEXT}))
    fields = {**extra, "id": sent, **texts, **optional}
    if reply_to is not None:
        fields["reply_to"] = reply_to[0]
    message = parse_callback(spelt(fields, data.draw))
    expected = InboundMessage(message_id, **texts, **optional, reply_to=reply_to and reply_to[1])
    assert message == expected
    assert message.raw == fields


ANY_JSON = JSON_VALUES | st.integers() | st.floats() | st.text(st.characters())  # what Python's json writes, NaN too
OPTIONAL = {"receipt": ["reference", "detail"], "inbound": ["operator", "reply_to", "reference", "encoding"]}


@given(data=st.data(), kind=st.sampled_from(["receipt", "inbound"]))
def test_no_value_of_an_optional_or_unknown_field_makes_a_callback_unreadable(data: st.DataObject, kind: str) -> None:
    required: dict[str, Any] = (
        {"message_id": 1, "status": "sent"}
        if kind == "receipt"
        else {"id": 1, "source": "+64211234567", "destination": "2345", "content": "STOP"}
    )
    keys = st.sampled_from(OPTIONAL[kind]) | st.text().filter(lambda key: key not in FIELDS)
    extra = data.draw(st.lists(st.tuples(keys, ANY_JSON), max_size=4))
    members = data.draw(st.permutations([*required.items(), *extra]))
    body = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in members)
    callback = parse_callback("{" + body + "}")
    assert isinstance(callback, DeliveryReceipt if kind == "receipt" else InboundMessage)
    optional = [getattr(callback, key) for key in OPTIONAL[kind]]
    assert all(value is None or value.encode().decode() == value for value in optional)
    assert set(callback.raw) == {key for key, _ in members}


@given(data=st.binary(), gaps=st.sampled_from(["", "\n", "\r\n", " \t"]))
def test_any_binary_content_is_decoded(data: bytes, gaps: str) -> None:
    content = gaps.join(base64.b64encode(data).decode())
    fields = {"id": 1, "source": "+64211234567", "destination": "2345", "content": content, "encoding": "base64"}
    message = parse_inbound_message(json.dumps(fields))
    assert (message.data, message.content, message.encoding) == (data, content, "base64")


# Refusing what is not


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_payload_is_refused_by_naming_the_key(name: str) -> None:
    key, pattern = INVALID[name]
    with pytest.raises(InvalidCallbackError, match=pattern) as caught:
        parse_callback(payload("invalid", name))
    assert caught.value.key == key
    assert key is None or key in str(caught.value)


@pytest.mark.parametrize("name", INVALID)
def test_the_message_of_an_error_is_one_line_without_content_or_numbers(name: str) -> None:
    with pytest.raises(InvalidCallbackError) as caught:
        parse_callback(payload("invalid", name))
    message = str(caught.value)
    assert message.isprintable()
    assert "64211234567" not in message
    assert "Kia" not in message


@pytest.mark.parametrize(
    "fields",
    [
        {"message_id": True, "status": "sent"},
        {"message_id": 1.0, "status": "sent"},
        {"message_id": float("nan"), "status": "sent"},
        {"message_id": 10**5000, "status": "sent"},
        {"message_id": -1, "status": "sent"},
        {"message_id": b"1", "status": "sent"},
        {"message_id": "1\n", "status": "sent"},
        {"message_id": "1", "status": b"sent"},
        {"message_id": "1", "status": "\ud800"},
        {1: 2},
        {},
    ],
)
def test_a_mapping_is_checked_as_strictly_as_bytes(fields: Mapping[Any, Any]) -> None:
    with pytest.raises(InvalidCallbackError):
        parse_callback(fields)


@pytest.mark.parametrize("body", [None, 7, 1.5, ["status"], object(), {"status"}, iter(b"")])
def test_what_cannot_be_a_body_is_refused_by_its_type(body: Any) -> None:
    with pytest.raises(InvalidCallbackError, match=f"not {type(body).__name__}"):
        parse_callback(body)


def test_a_released_memoryview_is_refused() -> None:
    view = memoryview(payload("receipts", "v1-sent"))
    view.release()
    with pytest.raises(InvalidCallbackError):
        parse_callback(view)


M = MAX_CALLBACK_BYTES - 200
BOMBS = {
    "lists, 100,000 levels": "[" * 100_000,
    "lists, closed": "[" * 50_000 + "]" * 50_000,
    "objects, 100,000 levels": '{"a":' * 100_000,
    "5,000 levels": '{"message_id": 1, "status": "sent", "a":' + "[" * 5_000 + "]" * 5_000 + "}",
    "33 levels of objects": '{"message_id": 1, "status": "sent", "a":' + '{"a":' * 32 + "1" + "}" * 33,
    "many empty lists": '{"a":[' + "[]," * (M // 3) + "1]}",
    "many empty objects": '{"a":[' + "{}," * (M // 3) + "1]}",
    "many keys": "{" + ",".join(f'"{number:x}":1' for number in range(M // 10)) + "}",
    "many equal keys": "{" + '"a":1,' * (M // 6) + '"a":1}',
    "long fraction": '{"a":0.' + "1" * M + "}",
    "long integer": '{"a":' + "1" * M + "}",
    "long exponent": '{"a":1e' + "9" * M + "}",
    "long negative exponent": '{"a":1e-' + "9" * M + "}",
    "long id": '{"message_id":"' + "1" * M + '","status":"sent"}',
    "long base64": '{"id":1,"source":"1","destination":"1","encoding":"base64","content":"'
    + "A " * (M // 2 - 50)
    + '!"}',
    "escapes": '{"a":"' + "\\u0061" * (M // 6) + '"}',
    "white space": " " * M,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_forty_times_its_size(name: str) -> None:
    body = BOMBS[name].encode()
    assert len(body) <= MAX_CALLBACK_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(InvalidCallbackError):
            parse_callback(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(body) + 1_000_000


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview, lambda body: body.decode()])
def test_ten_megabytes_are_refused_without_being_looked_at(convert: Callable[[bytes], Any]) -> None:
    body = convert(b" " * 10_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidCallbackError, match="larger than any callback"):
            parse_callback(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000  # not even a copy


def test_the_largest_body_is_read_and_one_byte_more_is_not() -> None:
    body = payload("receipts", "v1-sent")
    largest = body + b" " * (MAX_CALLBACK_BYTES - len(body))
    assert parse_callback(largest) == RECEIPTS["v1-sent"]
    with pytest.raises(InvalidCallbackError):
        parse_callback(largest + b" ")


def test_a_message_full_of_brackets_is_not_taken_for_a_depth_bomb() -> None:
    content = "[{" * 2_500
    fields = {"id": 1, "source": "+64211234567", "destination": "2345", "content": content}
    assert parse_inbound_message(json.dumps(fields)).content == content


def test_thirty_two_levels_are_read() -> None:
    body = '{"message_id": 1, "status": "sent", "a":' + "[" * 31 + "]" * 31 + "}"
    receipt = parse_delivery_receipt(body)
    assert pickle.loads(pickle.dumps(receipt)).raw == receipt.raw


# Fragments of JSON, likely and unlikely, so that fuzzing gets past the first byte.
FRAGMENTS = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"',
        b"\\",
        b"\\ud800",
        b"\\u0000",
        b"NaN",
        b"-",
        b"1",
        b"0",
        b"1e999",
        b"null",
    ]
    + [b"true", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b"9" * 30, b'"base64"', "²".encode(), b"\x00", b"+64"]
    + [f'"{field}":'.encode() for field in FIELDS]
)


JSON_LIKE = st.lists(FRAGMENTS).map(b"".join)


def outcome(parse: Callable[[Any], Any], body: Any) -> DeliveryReceipt | InboundMessage | InvalidCallbackError:
    """What parsing ends in; any other exception fails the test."""
    try:
        model = parse(body)
    except InvalidCallbackError as error:
        return error
    assert isinstance(model, (DeliveryReceipt, InboundMessage))
    return model


@given(st.binary() | JSON_LIKE | JSON_LIKE.map(lambda body: b"{" + body))
def test_any_bytes_end_in_a_model_or_in_the_one_error(body: bytes) -> None:
    for parse in (parse_callback, parse_delivery_receipt, parse_inbound_message):
        outcome(parse, body)


@given(st.text() | JSON_LIKE.map(lambda body: body.decode(errors="surrogateescape")))
def test_any_text_ends_in_a_model_or_in_the_one_error(body: str) -> None:
    outcome(parse_callback, body)


ANYTHING = JSON_VALUES | st.text() | st.binary() | st.floats() | st.integers() | IDS.map(lambda pair: pair[0])


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_mapping_ends_in_a_model_or_in_the_one_error(fields: dict[str, Any]) -> None:
    for parse in (parse_callback, parse_delivery_receipt, parse_inbound_message):
        result = outcome(parse, fields)
        if isinstance(result, InvalidCallbackError):
            assert result.key is None or result.key in FIELDS
        else:
            assert result.raw.keys() == fields.keys()


@given(data=st.data(), name=st.sampled_from(sorted(RECEIPTS) + sorted(INBOUND)))
def test_a_damaged_callback_ends_in_a_model_or_in_the_one_error(data: st.DataObject, name: str) -> None:
    body = bytearray(payload("receipts" if name in RECEIPTS else "inbound", name))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(FRAGMENTS | st.binary(max_size=3))
    outcome(parse_callback, body)


def test_the_error_is_one_of_the_tree_and_survives_pickling() -> None:
    result = outcome(parse_callback, b'{"message_id": "1"}')
    assert isinstance(result, ModicaError)
    assert isinstance(result, ValueError)
    assert result.may_have_been_sent is False
    copy = pickle.loads(pickle.dumps(result))
    assert (str(copy), copy.key) == (str(result), "status")


# The state of a message

STATUSES = [*map(str, DeliveryStatus), "parked", "RECEIVED", "sént"]
ONE_MESSAGE = st.lists(
    st.builds(
        DeliveryReceipt,
        st.just("1"),
        st.sampled_from(STATUSES),
        st.sampled_from([None, "", "order-7", "order-8"]),
        st.sampled_from([None, "", "why"]),
    ),
    min_size=1,
    max_size=8,
)


def state_after(receipts: list[DeliveryReceipt]) -> DeliveryReceipt | None:
    tracker = DeliveryTracker()
    for receipt in receipts:
        tracker.record(receipt)
    return tracker.state("1")


@given(data=st.data(), receipts=ONE_MESSAGE)
def test_any_order_and_any_duplicates_lead_to_the_same_state(
    data: st.DataObject, receipts: list[DeliveryReceipt]
) -> None:
    duplicates = data.draw(st.lists(st.sampled_from(receipts), max_size=5))
    shuffled = data.draw(st.permutations(receipts + duplicates))
    assert state_after(shuffled) == state_after(receipts)


@given(ONE_MESSAGE)
def test_a_final_state_is_never_left_for_one_that_is_not(receipts: list[DeliveryReceipt]) -> None:
    tracker = DeliveryTracker()
    delivered = final = False
    for receipt in receipts:
        before = tracker.state("1")
        is_news = tracker.record(receipt)
        state = tracker.state("1")
        assert state is not None
        assert not is_news or before is None or not before.is_final or state.rank > before.rank
        delivered, final = delivered or receipt.is_delivered, final or receipt.is_final
        assert (state.is_delivered, state.is_final) == (delivered, final)
        assert state in receipts


@pytest.mark.parametrize(
    ("earlier", "further"),
    [
        ("parked", "accepted"),
        ("accepted", "queued"),
        ("queued", "frozen"),
        ("frozen", "submitted"),
        ("submitted", "sent"),
        ("sent", "blocked"),
        ("blocked", "deficient"),
        ("deficient", "dead"),
        ("dead", "failed"),
        ("failed", "rejected"),
        ("rejected", "expired"),
        ("expired", "received"),
    ],
)
def test_the_documented_order_of_statuses_holds(earlier: str, further: str) -> None:
    one, other = DeliveryReceipt("1", earlier), DeliveryReceipt("1", further)
    assert state_after([one, other]) == state_after([other, one]) == other


def test_record_says_whether_there_is_something_to_act_on() -> None:
    tracker = DeliveryTracker()
    statuses = ["submitted", "received", "received", "sent", "expired"]
    assert [tracker.record(DeliveryReceipt("1", status)) for status in statuses] == [True, True, False, False, False]
    assert tracker.state("1") == DeliveryReceipt("1", "received")


@given(ONE_MESSAGE)
def test_each_status_is_news_once_at_most_and_only_upwards(receipts: list[DeliveryReceipt]) -> None:
    tracker = DeliveryTracker()
    news = [receipt for receipt in receipts if tracker.record(receipt)]
    assert len({receipt.status.lower() for receipt in news}) == len(news)
    ranks = [receipt.rank for receipt in news if receipt.rank]
    assert ranks == sorted(ranks)
    assert max(ranks, default=0) == max(receipt.rank for receipt in receipts)
    final = [receipt.is_final for receipt in news]
    assert all(receipt.rank for receipt in news[final.index(True) :]) if any(final) else True


def test_the_same_status_in_another_shape_is_a_duplicate_but_its_reference_is_kept() -> None:
    tracker = DeliveryTracker()
    bodies = [
        {"id": UUID_TEXT, "status": "received", "detail": "attempt 1"},
        {"message_id": UUID_TEXT, "status": "received", "reference": "order-7"},
        {"id": UUID_TEXT, "status": "RECEIVED", "detail": "attempt 2"},
    ]
    assert [tracker.record(parse_delivery_receipt(body)) for body in bodies] == [True, False, False]
    assert tracker.state(UUID_TEXT) == DeliveryReceipt(UUID_TEXT, "received", "order-7")


def test_a_status_that_nobody_documents_is_news_the_first_time_and_before_a_final_one() -> None:
    tracker = DeliveryTracker()
    statuses = ["sent", "parked", "Parked", "held", "parked", "received", "released"]
    news = [tracker.record(DeliveryReceipt("1", status)) for status in statuses]
    assert news == [True, True, False, True, False, True, False]
    assert tracker.state("1") == DeliveryReceipt("1", "received")


def test_a_status_moves_up_whatever_its_case() -> None:
    tracker = DeliveryTracker()
    statuses = ["Sent", "sent", "RECEIVED", "Expired"]
    assert [tracker.record(DeliveryReceipt("1", status)) for status in statuses] == [True, False, True, False]
    state = tracker.state("1")
    assert state is not None
    assert (state.status, state.is_final, state.is_delivered) == ("RECEIVED", True, True)


def test_a_message_is_found_by_its_id_in_every_form() -> None:
    tracker = DeliveryTracker()
    tracker.record(DeliveryReceipt("1234567890", "sent"))
    tracker.record(DeliveryReceipt(UUID_TEXT.upper(), "sent"))
    assert tracker.state(1234567890) == tracker.state("1234567890") == DeliveryReceipt("1234567890", "sent")
    assert tracker.state(UUID(UUID_TEXT)) == tracker.state(UUID_TEXT.upper()) == DeliveryReceipt(UUID_TEXT, "sent")
    assert tracker.state("7") is None


def test_raw_is_not_remembered() -> None:
    tracker = DeliveryTracker()
    tracker.record(parse_delivery_receipt({"message_id": "1", "status": "sent", "more": "x" * 1000}))
    state = tracker.state("1")
    assert state is not None
    assert state.raw == {}


def test_beyond_its_limit_the_tracker_forgets_the_message_longest_without_a_receipt() -> None:
    tracker = DeliveryTracker(max_messages=3)
    for message_id in "123":
        tracker.record(DeliveryReceipt(message_id, "received"))
    assert tracker.record(DeliveryReceipt("1", "sent")) is False  # a straggler counts as a sign of life
    tracker.record(DeliveryReceipt("4", "sent"))
    assert [tracker.state(message_id) is not None for message_id in "1234"] == [True, False, True, True]


def test_the_memory_of_a_tracker_is_bounded() -> None:
    tracker = DeliveryTracker(max_messages=1_000)

    def record(numbers: range) -> int:
        tracemalloc.start()
        try:
            for number in numbers:
                tracker.record(parse_delivery_receipt({"message_id": number, "status": "sent"}))
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    record(range(1, 2_000))
    assert record(range(2_000, 22_000)) < 1_000 * 1_000


@pytest.mark.slow
def test_the_memory_of_a_tracker_is_bounded_in_bytes_too() -> None:
    tracker = DeliveryTracker(max_messages=1_000)
    tracemalloc.start()
    try:
        for number in range(1, 101):
            tracker.record(DeliveryReceipt(str(number), "sent", "r" * 100_000, "d" * 100_000))
        for number in range(101, 201):
            for status in range(100):
                tracker.record(DeliveryReceipt(str(number), f"{status}" * 50_000))
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert size < 1_000 * 1_024 * 1.5
    assert tracker.state("1") is None
    assert tracker.record(DeliveryReceipt("2", "sent")) is True
    assert tracker.record(DeliveryReceipt("1", "sent", "r" * 2_000_000)) is True
    assert tracker.state("1") is None  # alone it is more than the tracker may remember
    assert tracker.state("2") == DeliveryReceipt("2", "sent")  # and pushes nothing out


def test_of_one_message_only_so_many_undocumented_statuses_are_news() -> None:
    tracker = DeliveryTracker()
    assert sum(tracker.record(DeliveryReceipt("1", f"status {number}")) for number in range(100)) == 16
    assert tracker.record(DeliveryReceipt("1", "sent")) is True


@pytest.mark.parametrize("max_messages", [0, -1, 1.5, "7", None, True])
def test_a_tracker_that_cannot_remember_anything_is_refused(max_messages: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_messages"):
        DeliveryTracker(max_messages=max_messages)


def test_threads_share_a_tracker_and_each_change_is_reported_once() -> None:
    tracker = DeliveryTracker()
    receipts = [DeliveryReceipt(str(number), status) for number in range(200) for status in ("sent", "received")]
    changes: list[DeliveryReceipt] = []

    def work() -> None:
        changes.extend(receipt for receipt in receipts if tracker.record(receipt))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changes, key=receipts.index) == receipts
