"""callbacks: bytes -> noun, or InvalidCallbackError and nothing else; where each message stands, whatever the order."""

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
    LARGEST_BODY,
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

NOT_JSON = (None, "not UTF-8 JSON")
NOT_AN_OBJECT = (None, "not an object")
NOT_AN_ID = ("message_id", "not a message id")
NEITHER = (None, "neither a delivery receipt .* nor an inbound message")
NOT_BASE64 = ("content", "not base64")
INVALID = {
    "1e400": (None, "too large"),
    "20-digits": (None, "more than 19 digits"),
    "5000-digits": (None, "more than 19 digits"),
    "base64-alphabet": NOT_BASE64,
    "base64-not-ascii": NOT_BASE64,
    "base64-one-letter": NOT_BASE64,
    "base64-padding": NOT_BASE64,
    "base64-too-much-padding": NOT_BASE64,
    "both-kinds": ("status", "status of a delivery receipt and the keys of an inbound message"),
    "content-null": ("content", "null"),
    "content-number": ("content", "not text"),
    "cut": NOT_JSON,
    "destination-number": ("destination", "not text"),
    "detail-object": ("detail", "not text"),
    "empty": NOT_JSON,
    "empty-object": NEITHER,
    "encoding-number": ("encoding", "not text"),
    "form": NOT_JSON,
    "gzip": NOT_JSON,
    "html": NOT_JSON,
    "id-2-63": NOT_AN_ID,
    "id-exponent": NOT_AN_ID,
    "id-float": NOT_AN_ID,
    "id-list": NOT_AN_ID,
    "id-negative": NOT_AN_ID,
    "id-null": ("message_id", "null"),
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
    "infinity": (None, "Infinity"),
    "latin-1": NOT_JSON,
    "list": NOT_AN_OBJECT,
    "lone-surrogate-content": ("content", "half a character"),
    "lone-surrogate-reference": ("reference", "half a character"),
    "lone-surrogate-status": ("status", "half a character"),
    "message-details": ("status", "status of a delivery receipt and the keys of an inbound message"),
    "message-id-alone": ("status", "missing"),
    "minus-1e400": (None, "too large"),
    "minus-20-digits": (None, "more than 19 digits"),
    "minus-infinity": (None, "-Infinity"),
    "nan": (None, "NaN"),
    "nested-33-levels": (None, "32 levels"),
    "null": NOT_AN_OBJECT,
    "number": NOT_AN_OBJECT,
    "operator-list": ("operator", "not text"),
    "overlong-utf-8": NOT_JSON,
    "raw-newline-in-text": NOT_JSON,
    "reference-number": ("reference", "not text"),
    "reply-to-empty": ("reply_to", "not a message id"),
    "reply-to-true": ("reply_to", "not a message id"),
    "single-quotes": NOT_JSON,
    "source-empty": ("source", "empty"),
    "status-alone": ("message_id", "missing"),
    "status-empty": ("status", "empty"),
    "status-list": ("status", "not text"),
    "status-null": ("status", "null"),
    "status-number": ("status", "not text"),
    "surrogate-in-utf-8": NOT_JSON,
    "text": NOT_AN_OBJECT,
    "trailing-comma": NOT_JSON,
    "true": NOT_AN_OBJECT,
    "twice-escaped": ("status", "occurs twice"),
    "twice-nested": ("id", "occurs twice"),
    "twice-status": ("status", "occurs twice"),
    "twice-unknown": (None, "a key occurs twice"),
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


@pytest.mark.parametrize(("kind", "expected"), [("receipts", RECEIPTS), ("inbound", INBOUND), ("invalid", INVALID)])
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


def test_a_mapping_is_copied_into_raw() -> None:
    mapping = {"message_id": "1", "status": "sent"}
    receipt = parse_delivery_receipt(mapping)
    mapping["status"] = "received"
    assert receipt.raw == {"message_id": "1", "status": "sent"}


def test_a_body_with_the_keys_of_both_kinds_is_readable_by_who_knows_which_it_is() -> None:
    body = payload("invalid", "message-details")
    assert parse_delivery_receipt(body) == DeliveryReceipt(UUID_TEXT, "received")
    assert parse_inbound_message(body) == InboundMessage(UUID_TEXT, "2345", "+64211234567", "Kia ora")


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


M = LARGEST_BODY - 200
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


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_forty_times_its_size(name: str) -> None:
    body = BOMBS[name].encode()
    assert len(body) <= LARGEST_BODY
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
    largest = body + b" " * (LARGEST_BODY - len(body))
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
    """What reading ends in; any other exception fails the test."""
    try:
        noun = parse(body)
    except InvalidCallbackError as error:
        return error
    assert isinstance(noun, (DeliveryReceipt, InboundMessage))
    return noun


@given(st.binary() | JSON_LIKE | JSON_LIKE.map(lambda body: b"{" + body))
def test_any_bytes_end_in_a_noun_or_in_the_one_error(body: bytes) -> None:
    for parse in (parse_callback, parse_delivery_receipt, parse_inbound_message):
        outcome(parse, body)


@given(st.text() | JSON_LIKE.map(lambda body: body.decode(errors="surrogateescape")))
def test_any_text_ends_in_a_noun_or_in_the_one_error(body: str) -> None:
    outcome(parse_callback, body)


ANYTHING = JSON_VALUES | st.text() | st.binary() | st.floats() | st.integers() | IDS.map(lambda pair: pair[0])


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_mapping_ends_in_a_noun_or_in_the_one_error(fields: dict[str, Any]) -> None:
    for parse in (parse_callback, parse_delivery_receipt, parse_inbound_message):
        result = outcome(parse, fields)
        if isinstance(result, InvalidCallbackError):
            assert result.key is None or result.key in FIELDS
        else:
            assert result.raw.keys() == fields.keys()


@given(data=st.data(), name=st.sampled_from(sorted(RECEIPTS) + sorted(INBOUND)))
def test_a_damaged_callback_ends_in_a_noun_or_in_the_one_error(data: st.DataObject, name: str) -> None:
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


# Where each message stands

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
        changed = tracker.record(receipt)
        state = tracker.state("1")
        assert state is not None
        assert changed == (state != before)
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


@pytest.mark.parametrize("max_messages", [0, -1, 1.5, "7", None])
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
