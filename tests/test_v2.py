"""REST v2 as spoken: the bytes of a request, and what every possible answer means."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import modica_sms_v2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modica_sms_v2.api.messages import get_message, send_message
from modica_sms_v2.models import NewMessage

from modica_facade import Message, SubmittedMessage, _v2, errors
from modica_facade._calls import Call, Response, to_result

from .conftest import NOW

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
NONE: dict[str, Any] = dict.fromkeys(
    ("scheduled", "source", "reference", "class_", "mask", "sms_class", "integration_id")
)
pytestmark = pytest.mark.usefixtures("fixed_now")

SOON = NOW + timedelta(hours=1)
STORED: dict[str, Any] = {
    "id": ID,
    "source": "202",
    "destination": "+64211234567",
    "direction": "MT",
    "reference": "order-42",
    "content": "Kia ora",
    "status": "received",
}


def send(destination: Any = "+64211234567", content: Any = "Kia ora", **options: Any) -> Call[SubmittedMessage]:
    return _v2.send(destination, content, **NONE | options)


def answer(body: Any, status: int = 202, **more: Any) -> Response:
    return Response(status, body if isinstance(body, bytes) else json.dumps(body).encode(), **more)


class TestRequests:
    """The generated client is the source of truth: method, URL, content type and bytes are the ones it spells."""

    @staticmethod
    def generated(operation: Callable[..., Any], **kwargs: Any) -> httpx.Request:
        seen: list[httpx.Request] = []

        def answer_nothing(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(500)

        client = modica_sms_v2.Client(base_url=_v2.BASE_URL)
        transport = httpx.MockTransport(answer_nothing)
        with httpx.Client(base_url=_v2.BASE_URL, transport=transport) as http_client:
            operation(client=client.set_httpx_client(http_client), **kwargs)
        return seen[0]

    def same(self, call: Call[Any], generated: httpx.Request) -> None:
        assert (call.method, _v2.BASE_URL + call.path) == (generated.method, str(generated.url))
        assert (call.body or b"") == generated.content

    @pytest.mark.parametrize(
        "options",
        [{}, {"scheduled": SOON, "reference": "order-42", "mask": "ACME", "sms_class": 3, "integration_id": UUID(ID)}],
    )
    def test_a_send_is_spelt_as_the_generated_client_spells_it(self, options: dict[str, Any]) -> None:
        message = NewMessage(destination="+64211234567", content="Kia ora", **options)
        self.same(send(**options), self.generated(send_message.sync_detailed, body=message))

    def test_a_get_is_spelt_as_the_generated_client_spells_it(self) -> None:
        self.same(_v2.get(ID), self.generated(get_message.sync_detailed, id=UUID(ID)))

    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("destination", {"destination": ""}),
            ("content", {"content": " "}),
            ("integration_id", {"integration_id": "42"}),
            ("mask", {"mask": "x" * 21}),
            ("scheduled", {"scheduled": "soon"}),
        ],
    )
    def test_what_is_certainly_wrong_is_refused_by_name(self, field: str, arguments: dict[str, Any]) -> None:
        with pytest.raises(errors.InvalidRequestError) as error:
            send(**arguments)
        assert error.value.field == field

    def test_there_is_no_expires(self) -> None:
        with pytest.raises(TypeError, match="expires"):
            send(expires=SOON)

    @pytest.mark.parametrize("message_id", [ID, ID.upper(), UUID(ID)])
    def test_an_id_is_taken_as_uuid_or_text(self, message_id: Any) -> None:
        assert _v2.get(message_id).path == f"/messages?id={ID}"

    @pytest.mark.parametrize(
        "message_id", [1, "1", "", None, f"{{{ID}}}", f"urn:uuid:{ID}", ID.replace("-", ""), ID + "\n"]
    )
    def test_what_cannot_be_an_id_is_refused(self, message_id: Any) -> None:
        with pytest.raises(errors.InvalidRequestError, match="v1 ids cannot be looked up") as error:
            _v2.get(message_id)
        assert error.value.field == "message_id"


class TestAnswers:
    def test_a_send_is_accepted_with_a_lower_case_uuid(self) -> None:
        body = {"id": ID.upper(), "status": "accepted", "detail": ""}
        sent = to_result(send(reference="order-42"), answer(body))
        assert sent == SubmittedMessage(ID, "+64211234567", "order-42", status="accepted")

    @pytest.mark.parametrize("location", [f"/rest/sms/v2/messages?id={ID}", f"https://x/messages/{ID.upper()}"])
    def test_a_body_that_was_cut_loses_no_id_that_the_head_had(self, location: str) -> None:
        assert to_result(send(), answer(b"{", location=location, truncated="ReadError")).id == ID

    @pytest.mark.parametrize("status", [None, 5, []])
    def test_an_odd_status_does_not_lose_the_id(self, status: Any) -> None:
        assert to_result(send(), answer({"id": ID, "status": status})) == SubmittedMessage(ID, "+64211234567")

    @pytest.mark.parametrize("body", [b"", b"<html>", [], [ID], {}, {"id": 1}, {"id": None}, {"id": "x"}])
    def test_an_acceptance_without_an_id_is_never_success(self, body: Any) -> None:
        with pytest.raises(errors.UnexpectedResponseError) as error:
            to_result(send(), answer(body))
        assert error.value.may_have_been_sent

    def test_an_acceptance_cut_short_is_an_unknown_outcome(self) -> None:
        with pytest.raises(errors.OutcomeUnknownError, match="order-42"):
            to_result(send(reference="order-42"), answer(b"{", truncated="ReadError"))

    def test_a_201_is_not_what_v2_answers(self) -> None:
        with pytest.raises(errors.UnexpectedResponseError, match="202 is documented"):
            to_result(send(), answer({"id": ID}, 201))

    def test_a_stored_message_has_direction_and_status(self) -> None:
        assert to_result(_v2.get(ID), answer(STORED, 200)) == Message(
            ID, "202", "+64211234567", "Kia ora", "order-42", direction="MT", status="received"
        )

    @pytest.mark.parametrize(
        "body", [b"", [], {}, STORED | {"id": ID[::-1]}, STORED | {"status": 5}, STORED | {"content": None}]
    )
    def test_anything_else_is_not_that_message(self, body: Any) -> None:
        with pytest.raises(errors.UnexpectedResponseError):
            to_result(_v2.get(ID), answer(body, 200))

    @given(
        st.binary()
        | st.dictionaries(
            st.sampled_from(["id", "status", "message", "statusCode", "error", "error-desc", "code"]),
            st.none() | st.integers() | st.text() | st.lists(st.text()),
        ),
        st.integers(100, 999),
    )
    def test_no_response_whatsoever_ends_outside_the_hierarchy(self, body: Any, status: int) -> None:
        for call in (send(), _v2.get(ID)):
            try:
                value: Any = to_result(call, answer(body, status))
            except errors.ModicaError as error:
                assert str(error).isprintable()
            else:
                assert status == call.success
                assert isinstance(value, SubmittedMessage | Message)
