"""REST v1 as spoken: the bytes of a request, and what every possible answer means."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any

import httpx
import modica_gateway_v1
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modica_gateway_v1.api.messages import broadcast_message, get_message, send_message
from modica_gateway_v1.models import NewBroadcast, NewMessage

from modica_facade import BroadcastOutcome, BroadcastResult, Message, SubmittedMessage, _v1, errors
from modica_facade._calls import Call, Response, to_result

from .conftest import NOW

NONE: dict[str, Any] = dict.fromkeys(("scheduled", "expires", "source", "reference", "class_", "mask", "sms_class"))
pytestmark = pytest.mark.usefixtures("fixed_now")

SOON = NOW + timedelta(hours=1)
OPTIONS: dict[str, Any] = {
    "scheduled": SOON.astimezone(timezone(timedelta(hours=13))),
    "expires": SOON + timedelta(hours=1),
    "reference": "order-42",
    "class_": "alerts",
    "mask": "ACME",
    "sms_class": 0,
}
NUMBERS = ["+64211234567", "+64211234568", "+64211234569"]


def send(destination: Any = "+64211234567", content: Any = "Kia ora", **options: Any) -> Call[SubmittedMessage]:
    return _v1.send(destination, content, **NONE | options)


def broadcast(destinations: Any = NUMBERS, content: Any = "Kia ora", **options: Any) -> Call[BroadcastResult]:
    return _v1.broadcast(destinations, content, **NONE | options)


def answer(body: Any, status: int = 201, **more: Any) -> Response:
    return Response(status, body if isinstance(body, bytes) else json.dumps(body).encode(), **more)


class TestRequests:
    """The generated client is the source of truth: method, URL, content type and bytes are the ones it writes."""

    @staticmethod
    def generated(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> httpx.Request:
        seen: list[httpx.Request] = []

        def answer_nothing(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(500)

        client = modica_gateway_v1.Client(base_url=_v1.BASE_URL)
        transport = httpx.MockTransport(answer_nothing)
        with httpx.Client(base_url=_v1.BASE_URL, transport=transport) as http_client:
            operation(*args, client=client.set_httpx_client(http_client), **kwargs)
        return seen[0]

    def same(self, call: Call[Any], generated: httpx.Request) -> None:
        assert (call.method, _v1.BASE_URL + call.path) == (generated.method, str(generated.url))
        assert (call.body or b"") == generated.content
        assert ("content-type" in generated.headers) == (call.body is not None)

    @pytest.mark.parametrize("options", [{}, OPTIONS, {"source": "202", "content": "Tēnā koe 👋"}])
    def test_a_send_is_spelt_as_the_generated_client_spells_it(self, options: dict[str, Any]) -> None:
        options = {"content": "Kia ora"} | options
        message = NewMessage(destination="+64211234567", **options)
        self.same(send(**options), self.generated(send_message.sync_detailed, body=message))

    @pytest.mark.parametrize("options", [{}, OPTIONS, {"source": "202"}])
    def test_a_broadcast_is_spelt_as_the_generated_client_spells_it(self, options: dict[str, Any]) -> None:
        message = NewBroadcast(destination=NUMBERS, content="Kia ora", **options)
        self.same(broadcast(**options), self.generated(broadcast_message.sync_detailed, body=message))

    def test_a_get_is_spelt_as_the_generated_client_spells_it(self) -> None:
        self.same(_v1.get("9007199254740993"), self.generated(get_message.sync_detailed, 9007199254740993))

    def test_dates_go_out_with_seconds_and_the_callers_own_offset(self) -> None:
        body = json.loads(
            send(scheduled=OPTIONS["scheduled"] + timedelta(microseconds=5), expires=SOON + timedelta(hours=2)).body
            or b""
        )
        assert body["scheduled"] == OPTIONS["scheduled"].isoformat()
        assert body["scheduled"].endswith("+13:00")
        assert body["expires"].endswith("+00:00")

    def test_nothing_that_was_not_asked_for_is_sent(self) -> None:
        assert json.loads(send().body or b"") == {"destination": "+64211234567", "content": "Kia ora"}

    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("destination", {"destination": ""}),
            ("destination", {"destination": " \n"}),
            ("destination", {"destination": 64211234567}),
            ("content", {"content": ""}),
            ("content", {"content": None}),
            ("content", {"content": "\ud83d"}),
            ("source", {"source": ""}),
            ("class_", {"source": "202", "class_": "alerts"}),
            ("reference", {"reference": 42}),
            ("mask", {"mask": "x" * 21}),
            ("sms_class", {"sms_class": 4}),
            ("sms_class", {"sms_class": -1}),
            ("sms_class", {"sms_class": True}),
            ("sms_class", {"sms_class": "1"}),
            ("scheduled", {"scheduled": "tomorrow"}),
            ("expires", {"expires": "2020-01-01T00:00:00Z"}),
        ],
    )
    def test_what_is_certainly_wrong_is_refused_by_name(self, field: str, arguments: dict[str, Any]) -> None:
        with pytest.raises(errors.InvalidRequestError) as error:
            send(**arguments)
        assert error.value.field == field
        if "destination" not in arguments:
            with pytest.raises(errors.InvalidRequestError):
                broadcast(**arguments)

    @pytest.mark.parametrize(
        "destinations", [[], ["+64211234567"] * 1001, "+64211234567", b"x", None, 5, ["+64211234567", ""], [1]]
    )
    def test_destinations_are_one_to_a_thousand_texts(self, destinations: Any) -> None:
        with pytest.raises(errors.InvalidRequestError) as error:
            broadcast(destinations)
        assert error.value.field == "destinations"

    def test_any_iterable_of_destinations_will_do(self) -> None:
        assert broadcast(iter(NUMBERS)).body == broadcast(tuple(NUMBERS)).body == broadcast(dict.fromkeys(NUMBERS)).body

    def test_whether_a_number_is_good_is_the_gateways_to_say(self) -> None:
        assert json.loads(send("X").body or b"")["destination"] == "X"

    @pytest.mark.parametrize("message_id", [1, "1", 2**63 - 1, str(2**63 - 1)])
    def test_an_id_is_taken_as_int_or_text(self, message_id: Any) -> None:
        assert _v1.get(message_id).path == f"/messages/{message_id}"

    @pytest.mark.parametrize(
        "message_id", [0, -1, 2**63, "0", "01", "+1", "1 ", "1\n", "٥", "1/..", "", None, True, 1.0, b"1", "abc"]
    )
    def test_what_cannot_be_an_id_is_refused(self, message_id: Any) -> None:
        with pytest.raises(errors.InvalidRequestError) as error:
            _v1.get(message_id)
        assert error.value.field == "message_id"


class TestSubmitted:
    def test_the_id_of_the_body_is_text(self) -> None:
        location = "https://api.modicagroup.com/rest/gateway/messages/9007199254740993"
        sent = to_result(send(reference="order-42", scheduled=SOON), answer([9007199254740993], location=location))
        assert sent == SubmittedMessage(
            "9007199254740993", "+64211234567", "order-42", SOON.isoformat(), location=location
        )

    @pytest.mark.parametrize(
        "body",
        [b"", b"[1", b"<html>ok</html>", [], [1, 2], ["1"], {"id": 1}, [0], [2**63], [True], [1.0], None, b"\xff"],
    )
    def test_a_body_without_exactly_one_id_falls_back_to_the_location(self, body: Any) -> None:
        assert to_result(send(), answer(body, location="/rest/gateway/messages/77")).id == "77"
        with pytest.raises(errors.UnexpectedResponseError, match="do not send it again") as error:
            to_result(send(reference="order-42"), answer(body))
        assert error.value.may_have_been_sent
        assert error.value.reference == "order-42"
        assert error.value.status_code == 201

    @pytest.mark.parametrize(
        "location",
        ["", "/messages/", "/messages/abc", "/messages/0", f"/messages/{2**63}", "/messages/1?x", "/other/1"],
    )
    def test_a_location_that_is_not_a_message_is_no_id(self, location: str) -> None:
        with pytest.raises(errors.UnexpectedResponseError):
            to_result(send(), answer(b"", location=location))

    def test_a_body_that_was_cut_loses_no_id_that_the_head_had(self) -> None:
        assert to_result(send(), answer(b"[1", location="/messages/123", truncated="ReadError")).id == "123"
        # What came of a cut body is not believed: this could be the beginning of another number.
        with pytest.raises(errors.OutcomeUnknownError, match="accepted it"):
            to_result(send(), answer(b"[12]", truncated="ReadError"))


ROWS = [
    {"status": "success", "message": None, "destination": NUMBERS[0], "id": 1},
    {"status": "failure", "message": "Invalid destination (X)", "destination": NUMBERS[1], "id": None},
    {"status": "success", "message": None, "destination": NUMBERS[2], "id": 2**63 - 1},
]
OUTCOMES = [
    BroadcastOutcome(NUMBERS[0], "1", "success"),
    BroadcastOutcome(NUMBERS[1], None, "failure", "Invalid destination (X)"),
    BroadcastOutcome(NUMBERS[2], str(2**63 - 1), "success"),
]


class TestBroadcast:
    def test_mixed_results_are_data(self) -> None:
        result = to_result(broadcast(), answer(ROWS))
        assert list(result) == OUTCOMES
        assert result.submitted == (OUTCOMES[0], OUTCOMES[2])
        assert result.failed == (OUTCOMES[1],)
        assert not result.ok

    def test_the_gateway_may_leave_out_what_is_null(self) -> None:
        rows = [{key: value for key, value in row.items() if value is not None} for row in ROWS]
        assert list(to_result(broadcast(), answer(rows))) == OUTCOMES

    def test_outcomes_come_in_the_order_of_the_destinations(self) -> None:
        assert list(to_result(broadcast(), answer(ROWS[::-1]))) == OUTCOMES

    def test_a_destination_given_twice_has_two_outcomes(self) -> None:
        twice = [ROWS[0], ROWS[0] | {"id": 5}]
        result = to_result(broadcast([NUMBERS[0]] * 2), answer(twice))
        assert [outcome.id for outcome in result] == ["1", "5"]

    def test_a_number_that_the_gateway_writes_in_its_own_way_is_kept_as_it_was_given(self) -> None:
        result = to_result(broadcast(["021 123 4567"]), answer([ROWS[0]]))
        assert list(result) == [BroadcastOutcome("021 123 4567", "1", "success")]

    @pytest.mark.parametrize(
        ("rows", "certain"),
        [
            # about somebody else
            ([ROWS[0], ROWS[1], ROWS[2] | {"destination": "+61499999999"}], [0, 1]),
            ([row | {"destination": f"+6149999999{place}"} for place, row in enumerate(ROWS)], []),
            ([row | {"destination": ""} for row in ROWS], []),
            # about one of them twice, and about another not at all
            ([ROWS[0], ROWS[0] | {"id": 5}, ROWS[1]], [1]),
            ([ROWS[1], ROWS[1] | {"status": "success", "id": 5}, ROWS[2]], [2]),
            # one id for two messages
            ([ROWS[0], ROWS[1], ROWS[2] | {"id": 1}], [1]),
            # more than were asked for
            ([*ROWS, ROWS[2] | {"id": 5}], [0, 1]),
            ([*ROWS, ROWS[2] | {"id": 5, "destination": "+61499999999"}], [0, 1, 2]),
        ],
    )
    def test_the_right_number_of_rows_is_no_success_without_one_for_each_destination(
        self, rows: list[Any], certain: list[int]
    ) -> None:
        for each in (rows, rows[::-1]):
            with pytest.raises(errors.UnexpectedResponseError, match=f"certain for {len(certain)} of 3") as error:
                to_result(broadcast(reference="order-42"), answer(each))
            assert list(error.value.outcomes) == [OUTCOMES[place] for place in certain]
            assert error.value.may_have_been_sent
            assert error.value.reference == "order-42"

    @pytest.mark.parametrize(
        "row",
        [
            None,
            5,
            {},
            ROWS[0] | {"id": None},
            ROWS[0] | {"id": "1"},
            ROWS[0] | {"id": True},
            ROWS[0] | {"id": 0},
            ROWS[0] | {"id": 2**63},
            ROWS[0] | {"status": "failure"},
            ROWS[0] | {"status": "queued"},
            ROWS[0] | {"status": None},
            ROWS[0] | {"destination": None},
            ROWS[0] | {"message": 5},
        ],
    )
    def test_a_malformed_row_is_never_success_and_never_failure(self, row: Any) -> None:
        with pytest.raises(
            errors.UnexpectedResponseError, match="3 results are certain for 2 of 3 destinations"
        ) as error:
            to_result(broadcast(), answer([row, *ROWS[1:]]))
        assert error.value.may_have_been_sent
        assert list(error.value.outcomes) == OUTCOMES[1:]

    @pytest.mark.parametrize("rows", [[], ROWS[:2], [*ROWS, ROWS[0]], {"rows": ROWS}, None, "x"])
    def test_a_wrong_number_of_rows_is_no_success(self, rows: Any) -> None:
        with pytest.raises(errors.UnexpectedResponseError) as error:
            to_result(broadcast(), answer(rows))
        assert error.value.may_have_been_sent

    @given(
        st.permutations(range(20)),
        st.lists(st.sampled_from(["+64211234561", "+64211234562", "+64211234563"]), min_size=20, max_size=20),
    )
    def test_any_order_of_rows_is_put_right(self, order: list[int], wanted: list[str]) -> None:
        rows = [{"status": "success", "destination": wanted[i], "id": i + 1} for i in order]
        result = to_result(broadcast(wanted), answer(rows))
        assert [outcome.destination for outcome in result] == wanted
        assert {outcome.id for outcome in result} == {str(i + 1) for i in range(20)}


STORED: dict[str, Any] = {"id": "7", "source": "202", "destination": "+64211234567", "content": "Kia ora"}


class TestMessage:
    @pytest.mark.parametrize("message_id", ["7", 7])
    def test_a_stored_message_reads_the_same_whatever_type_its_id_has(self, message_id: Any) -> None:
        found = to_result(_v1.get(7), answer(STORED | {"id": message_id}, 200))
        assert found == Message("7", "202", "+64211234567", "Kia ora")

    @pytest.mark.parametrize("reply_to", ["6", 6])
    def test_optional_attributes_are_taken(self, reply_to: Any) -> None:
        more = {"reference": "order-42", "reply_to": reply_to, "operator": "Spark", "new": 1}
        found = to_result(_v1.get("7"), answer(STORED | more, 200))
        assert (found.reference, found.reply_to, found.operator) == ("order-42", "6", "Spark")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            [],
            None,
            {},
            STORED | {"id": 8},
            STORED | {"id": "x"},
            STORED | {"content": None},
            STORED | {"content": 5},
            STORED | {"operator": []},
        ],
    )
    def test_anything_else_is_not_that_message(self, body: Any) -> None:
        with pytest.raises(errors.UnexpectedResponseError) as error:
            to_result(_v1.get(7), answer(body, 200))
        assert not error.value.may_have_been_sent

    def test_a_cut_answer_is_a_transport_failure(self) -> None:
        with pytest.raises(errors.TransportError, match="cut short"):
            to_result(_v1.get(7), answer(b"{", 200, truncated="ReadError: reset"))


KEYS = ["error", "error-desc", "message", "code", "statusCode", "id"]


class TestAnything:
    @given(
        st.binary()
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["error", "error-desc", "message", "code", "statusCode", "id"]), inner
                )
            ),
        ),
        st.integers(100, 999),
    )
    def test_no_response_whatsoever_ends_outside_the_hierarchy(self, body: Any, status: int) -> None:
        for call in (send(), broadcast(), _v1.get(7)):
            try:
                value: Any = to_result(call, answer(body, status))
            except errors.ModicaError as error:
                assert str(error).isprintable()
            else:
                assert status == call.success
                assert isinstance(value, SubmittedMessage | BroadcastResult | Message)
