"""What an outcome of a call means: a value, or exactly one exception."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import _calls, _v1, errors
from modica_facade._calls import NoResponse, Response, parse_retry_after, to_result

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
            ("1" * 500, 9_999_999_999),
            ("Tue, 01 Jan 2030 00:00:30 GMT", 30),
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

    def test_the_body_is_kept_within_bounds(self) -> None:
        with pytest.raises(errors.ServerError) as error:
            to_result(SEND, Response(502, b"<html>" + b"\xff" * 10**6))
        assert error.value.body.startswith("<html>\N{REPLACEMENT CHARACTER}")
        assert len(error.value.body) <= 16 * 1024


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"NaN", b"[Infinity]", b"[" * 100_000, b"1" * 5000])
def test_a_body_that_is_not_json_is_none(body: bytes) -> None:
    assert _calls.parse_json(body) is None
