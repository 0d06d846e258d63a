"""What an outcome of a call means: a value, or exactly one exception."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import _calls, _v1, _v2, errors
from modica_facade._calls import Call, NoResponse, Response, parse_retry_after, to_result

SEND = _v1.send(
    "+64211234567",
    "Kia ora",
    **dict.fromkeys(("scheduled", "expires", "source", "class_", "mask", "sms_class")),
    reference="order-42",
)
GET = _v1.get(1)
NOT_SENT = NoResponse(may_have_been_sent=False, reason="ConnectError")
UNKNOWN = NoResponse(may_have_been_sent=True, reason="ReadTimeout", timed_out=True)


class TestRetryAfter:
    NOW = datetime(2030, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            ("1" * 10, 1_111_111_111),
            ("1" * 11, 9_999_999_999),
            ("1" * 500, 9_999_999_999),
            ("Tue, 01 Jan 2030 00:00:30 GMT", 30),
            ("Tue, 01 Jan 2030 00:00:30 -0000 GMT", 30),  # parsed without a zone
            ("Mon, 31 Dec 2029 00:00:00 GMT", 0),
            *((text, None) for text in [None, "", "-1", "+1", "1.5", "1e3", "inf", "nan", "0x10", " 5", "5 ", "٥"]),
            *((text, None) for text in ["tomorrow", "GMT", "Tue, 99 Jan 2030 00:00:30 GMT"]),
            ("Tue, 01 Jan 99999 00:00:30 GMT", None),
        ],
    )  # fmt: skip
    def test_digits_or_an_http_date_and_nothing_else(self, text: str | None, seconds: float | None) -> None:
        assert parse_retry_after(text, self.NOW) == seconds

    @given(st.text())
    def test_no_text_raises(self, text: str) -> None:
        wait = parse_retry_after(text)
        assert wait is None or math.isfinite(wait)


class TestToResult:
    def test_a_send_without_response_says_whether_it_may_have_gone_out_and_how_to_reconcile_it(self) -> None:
        with pytest.raises(errors.NotSentError, match="calling again is safe") as not_sent:
            to_result(SEND, NOT_SENT)
        assert not not_sent.value.may_have_been_sent
        with pytest.raises(errors.OutcomeUnknownError, match=r"do not send it again.*'order-42'") as unknown:
            to_result(SEND, UNKNOWN)
        assert unknown.value.may_have_been_sent
        assert unknown.value.timed_out
        assert unknown.value.reference == "order-42"

    def test_a_get_without_response_is_a_transport_error(self) -> None:
        with pytest.raises(errors.TransportError) as error:
            to_result(GET, UNKNOWN)
        assert type(error.value) is errors.TransportError
        assert not error.value.may_have_been_sent

    def test_the_cause_is_kept(self) -> None:
        cause = OSError("reset")
        with pytest.raises(errors.OutcomeUnknownError) as error:
            to_result(SEND, NoResponse(may_have_been_sent=True, reason="reset", cause=cause))
        assert error.value.__cause__ is cause

    @pytest.mark.parametrize("status", range(100, 1000))
    def test_every_status_but_the_documented_one_is_one_exception_that_knows_if_it_may_have_been_sent(
        self, status: int
    ) -> None:
        if status == 201:
            return
        with pytest.raises(errors.ModicaError) as error:
            to_result(SEND, Response(status, b"<html>"))
        refused = (400 <= status < 500 and status not in (408, 409, 423, 499)) or status in (301, 302, 307, 308)
        assert error.value.may_have_been_sent is not refused
        with pytest.raises(errors.ModicaError) as error:
            to_result(GET, Response(201 if status == 200 else status, b"<html>"))
        assert not error.value.may_have_been_sent

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, errors.AuthenticationError),
            (403, errors.PermissionDeniedError),
            (404, errors.NotFoundError),
            (429, errors.RateLimitError),
            (400, errors.RejectedError),
            (418, errors.RejectedError),
            (408, errors.GatewayError),
            (425, errors.GatewayError),
            (499, errors.GatewayError),
            (500, errors.ServerError),
            (503, errors.ServerError),
            (520, errors.ServerError),
            (599, errors.ServerError),
            (600, errors.UnexpectedResponseError),
            (101, errors.UnexpectedResponseError),
            (200, errors.UnexpectedResponseError),
            (204, errors.UnexpectedResponseError),
            (302, errors.UnexpectedResponseError),
            (399, errors.UnexpectedResponseError),
            (307, errors.UnexpectedResponseError),
        ],
    )
    def test_the_class_follows_from_the_status(self, status: int, kind: type[errors.ModicaError]) -> None:
        with pytest.raises(errors.ModicaError) as error:
            to_result(SEND, Response(status, retry_after="7"))
        assert type(error.value) is kind
        assert getattr(error.value, "status_code", status) == status
        if isinstance(error.value, errors.GatewayError):
            assert error.value.retry_after == 7
        if status == 425:
            assert str(error.value).endswith("try again later")

    @pytest.mark.parametrize(("status", "advice"), [(299, False), (300, True), (399, True), (600, False)])
    def test_a_redirect_is_called_one(self, status: int, advice: bool) -> None:
        with pytest.raises(errors.UnexpectedResponseError) as error:
            to_result(GET, Response(status))
        assert ("redirects are never followed" in str(error.value)) is advice

    def test_the_body_is_kept_within_bounds(self) -> None:
        with pytest.raises(errors.ServerError) as error:
            to_result(SEND, Response(502, b"<html>" + b"\xff" * 10**6))
        assert error.value.body.startswith("<html>\N{REPLACEMENT CHARACTER}")
        assert len(error.value.body) <= 16 * 1024


CALLS = [
    SEND,
    GET,
    _v1.broadcast(["+64211234567"], "Kia ora"),
    _v2.send("+64211234567", "Kia ora"),
    _v2.get("3fa85f64-5717-4562-b3fc-2c963f66afa6"),
]
PROSE = [
    ("invalid_json", errors.InvalidJSONError),
    ("missing_attrib", errors.MissingAttributeError),
    ("invalid_attrib", errors.InvalidAttributeError),
    ("broadcast_limit", errors.BroadcastLimitError),
    ("send_failed", errors.SendFailedError),
    ("400", errors.InvalidScheduleError),
    ("422", errors.InvalidScheduleError),
    ("brand_new", errors.RejectedError),
]


class TestErrorEnvelopes:
    """Which form of error body comes, on which version, the vendor's documents contradict each other: all on both."""

    def refused(self, body: Any, status: int = 400, call: Call[Any] | None = None) -> errors.GatewayError:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with pytest.raises(errors.GatewayError) as error:
            to_result(call or SEND, Response(status, content))
        assert str(error.value).isprintable()
        assert error.value.status_code == status
        return error.value

    @pytest.mark.parametrize(("code", "kind"), PROSE)
    @pytest.mark.parametrize("call", CALLS)
    def test_the_form_of_the_prose_with_one_text_or_several(self, code: str, kind: type, call: Call[Any]) -> None:
        error = self.refused({"error": code, "error-desc": "one"}, call=call)
        assert (type(error), error.code, error.descriptions) == (kind, code, ("one",))
        assert not error.may_have_been_sent
        error = self.refused({"error": code, "error-desc": ["one", "two"]}, call=call)
        assert error.descriptions == ("one", "two")
        assert ("HTTP 400, one; two;" if code == "400" else f"HTTP 400, {code}: one; two;") in str(error)

    @pytest.mark.parametrize("code", [400, 422])
    def test_schedule_codes_may_be_numbers(self, code: int) -> None:
        error = self.refused({"error": code, "error-desc": "Invalid scheduled timestamp"})
        assert type(error) is errors.InvalidScheduleError
        assert error.code == str(code)

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ({"message": "Bad request", "code": 400}, errors.RejectedError),
            ({"message": "Invalid scheduled timestamp (must be RFC3339)", "code": 400}, errors.InvalidScheduleError),
            (
                {"message": "Invalid scheduled timestamp (must not be in the past)", "code": 422},
                errors.InvalidScheduleError,
            ),
            ({"message": "no", "code": 599}, errors.RejectedError),
        ],
    )
    @pytest.mark.parametrize("call", CALLS)
    def test_the_form_of_the_specification_of_v1(self, call: Call[Any], body: dict[str, Any], kind: type) -> None:
        error = self.refused(body, call=call)
        assert type(error) is kind
        assert error.code == str(body["code"])
        assert error.descriptions == (body["message"],)

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, errors.RejectedError),
            (401, errors.AuthenticationError),
            (404, errors.NotFoundError),
            (422, errors.RejectedError),
            (429, errors.RateLimitError),
            (500, errors.ServerError),
        ],
    )
    @pytest.mark.parametrize("call", CALLS)
    def test_the_form_of_the_specification_of_v2(self, call: Call[Any], status: int, kind: type) -> None:
        body: dict[str, Any] = {
            "message": "SMS Gateway Service V2 error",
            "statusCode": status,
            "error": "no such thing",
        }
        error = self.refused(body, status, call)
        assert (type(error), error.code) == (kind, str(status))
        assert error.descriptions == (body["message"], "no such thing")
        several = self.refused(body | {"message": ["destination is wrong", "content is too long"]}, status, call)
        assert several.descriptions == ("destination is wrong", "content is too long", "no such thing")

    @pytest.mark.parametrize("call", CALLS)
    def test_the_form_of_v2_with_a_code_of_the_prose_or_about_the_schedule(self, call: Call[Any]) -> None:
        error = self.refused(
            {"message": "Invalid destination", "statusCode": 400, "error": "invalid_attrib"}, call=call
        )
        assert (type(error), error.code) == (errors.InvalidAttributeError, "invalid_attrib")
        assert error.descriptions == ("Invalid destination",)
        error = self.refused({"message": "scheduled is in the past", "statusCode": 422, "error": "no"}, 422, call)
        assert type(error) is errors.InvalidScheduleError

    def test_a_status_that_the_body_repeats_is_read_once(self) -> None:
        for body in ({"error": "401", "error-desc": "401 Unauthorized"}, {"message": "401 Unauthorized", "code": 401}):
            assert str(self.refused(body, 401)).startswith("HTTP 401, Unauthorized; check username and password")

    def test_a_number_with_an_invisible_character_shows_it(self) -> None:
        error = self.refused({"error": "invalid_attrib", "error-desc": "Invalid destination (+6421\u200b1234567)"})
        assert r"(+6421\u200b1234567)" in str(error)
        assert "like +64211234567" in str(error)

    def test_what_to_do_next_is_said(self) -> None:
        assert "nothing was sent, call again later" in str(self.refused({"error": "send_failed"}))
        assert "do not send it again" in str(self.refused({"error": "send_failed"}, 500))
        assert "allow-list" in str(self.refused(b"", 401))
        with pytest.raises(errors.RateLimitError, match=r"; wait 12 s, then send more slowly$"):
            to_result(SEND, Response(429, retry_after="12"))
        with pytest.raises(errors.RateLimitError, match=r"; send more slowly$"):
            to_result(SEND, Response(429))

    @pytest.mark.parametrize(
        "body",
        [
            *[b"", b"{", b"<html>\n<h1>Bad Request</h1>", b"\xff\xfe", b"null", b"[]", b'"x"', b"5", b"[" * 100_000],
            *[{}, {"error": None}, {"error": []}, {"error": {}, "error-desc": {}}, {"error": 10**400}],
            {"error": "", "error-desc": [1, None, ""]},
            {"code": True, "message": 5},
        ],
    )
    def test_anything_else_is_still_exactly_one_exception_that_keeps_the_body(self, body: Any) -> None:
        error = self.refused(body)
        assert type(error) is errors.RejectedError
        assert (error.code, error.descriptions) == (None, ())
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert error.body == raw[: 16 * 1024].decode(errors="replace")

    @pytest.mark.parametrize("status", [401, 403, 404, 429])
    def test_the_status_comes_before_the_code(self, status: int) -> None:
        error = self.refused({"error": "invalid_attrib", "error-desc": "no"}, status)
        assert type(error) is not errors.InvalidAttributeError
        assert error.code == "invalid_attrib"

    def test_a_server_error_stays_one_whatever_its_code(self) -> None:
        assert type(self.refused({"error": "invalid_attrib"}, 500)) is errors.ServerError
        error = self.refused({"error": "send_failed"}, 500)
        assert type(error) is errors.SendFailedError
        assert error.may_have_been_sent

    @pytest.mark.parametrize(
        ("code", "kept"),
        [
            (999_999, "999999"),
            (-999_999, "-999999"),
            (1_000_000, None),
            (-1_000_000, None),
            ("c" * 100, "c" * 100),
            ("c" * 101, "c" * 100),
            ("", None),
            (True, None),
        ],
    )
    def test_a_code_is_bounded_at_exactly_this_length(self, code: object, kept: str | None) -> None:
        assert self.refused({"error": code, "error-desc": "no"}).code == kept

    def test_descriptions_are_bounded_at_exactly_these_lengths(self) -> None:
        texts = [f"{number:<499}x" for number in range(20)]
        assert self.refused({"error": "send_failed", "error-desc": texts}).descriptions == tuple(texts)
        longer = self.refused({"error": "send_failed", "error-desc": [text + "y" for text in texts] + ["one more"]})
        assert longer.descriptions == tuple(texts)

    def test_descriptions_are_bounded(self) -> None:
        error = self.refused({"error": "x" * 10**5, "error-desc": ["y" * 10**5] * 100})
        assert len(error.descriptions) == 20
        assert max(map(len, [str(error), *error.descriptions, error.code or ""])) <= 600


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"NaN", b"[Infinity]", b"[" * 100_000, b"1" * 5000])
def test_a_body_that_is_not_json_is_none(body: bytes) -> None:
    assert _calls.parse_json(body) is None
