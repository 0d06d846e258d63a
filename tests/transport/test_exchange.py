"""One exchange without I/O: what of a request was handed over, what came back, what that proves."""

from __future__ import annotations

import errno
import itertools
import ssl
import time
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import _v1
from modica_facade._calls import NoResponse, Response
from modica_facade._transport._endpoint import Endpoint
from modica_facade._transport._exchange import MAX_RESPONSE_BYTES, Exchange

from ..misbehaving import ID, response

NUMBER = "+64211234567"
JSON = {"Content-Type": "application/json"}
RIGHT = response(201, [ID], JSON | {"Location": f"/rest/gateway/messages/{ID}"})


def exchange(*, sent: bool = True, password: str = "password", deadline: float = 60.0) -> Exchange:
    """One that was begun on a new connection, its request written or not."""
    endpoint = Endpoint("http://127.0.0.1:9/rest/gateway", "name", password, _v1.ACCEPT, 2.0)
    made = Exchange(endpoint, _v1.send(NUMBER, "Kia ora", reference="r"), 30.0, time.monotonic() + deadline)
    made.start(h11.Connection(h11.CLIENT))
    if sent:
        made.unsent = made.unsent[:0]
    return made


def outcome_of(*received: bytes, **options: Any) -> Response | NoResponse:
    """What an exchange that receives this comes to; the peer closes at the end."""
    made = exchange(**options)
    for data in (*received, b""):
        if not made.over:
            made.receive(data)
    return made.outcome()


class TestWhatWasSent:
    def test_nothing_is_in_doubt_before_a_write(self) -> None:
        assert not exchange(sent=False).may_have_been_sent

    def test_a_write_that_did_not_say_what_it_took_is_in_doubt(self) -> None:
        made = exchange(sent=False)
        made.pending = True
        assert made.may_have_been_sent

    def test_all_but_one_byte_is_not_sent_and_all_of_it_may_be(self) -> None:
        made = exchange(sent=False)
        made.unsent = made.unsent[-1:]
        assert not made.may_have_been_sent
        made.unsent = made.unsent[1:]
        assert made.may_have_been_sent

    def test_the_request_is_what_h11_would_write(self) -> None:
        """h11 is only told that there was one: our credentials would be in the locals of its frames."""
        made = exchange(sent=False)
        head, _, body = bytes(made.unsent).partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        connection = h11.Connection(h11.CLIENT)
        request = h11.Request(method=method, target=target, headers=[tuple(line.split(b": ", 1)) for line in lines])  # type: ignore[arg-type]
        written = [connection.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        assert b"".join(written) == bytes(made.unsent)


class TestWhatCame:
    @given(st.lists(st.integers(0, len(RIGHT)), max_size=5))
    def test_a_response_is_the_same_in_any_pieces(self, cuts: list[int]) -> None:
        made = exchange()
        ends = [0, *sorted(cuts), len(RIGHT)]
        for begin, end in itertools.pairwise(ends):
            if begin != end:
                made.receive(RIGHT[begin:end])
        assert made.outcome() == Response(201, f"[{ID}]".encode(), f"/rest/gateway/messages/{ID}")
        assert made.connection_is_reusable

    @pytest.mark.parametrize("end", range(len(RIGHT)))
    def test_a_response_that_ends_early_is_truncated_or_none(self, end: int) -> None:
        outcome = outcome_of(RIGHT[:end])
        head = RIGHT.index(b"\r\n\r\n") + 4
        if end < head:
            assert isinstance(outcome, NoResponse)
            assert outcome.may_have_been_sent
            assert outcome.reason
        else:
            assert isinstance(outcome, Response)
            assert outcome.truncated

    @given(st.binary(max_size=300), st.booleans())
    def test_whatever_comes_is_an_outcome(self, data: bytes, after_a_head: bool) -> None:
        begin = RIGHT[: RIGHT.index(b"\r\n\r\n") + 4] if after_a_head else b"HTTP/1.1 "
        outcome = outcome_of(begin + data)
        assert isinstance(outcome, Response | NoResponse)
        if isinstance(outcome, NoResponse):
            assert outcome.may_have_been_sent
            assert "\n" not in outcome.reason

    def test_a_truncated_array_or_object_that_parses_is_whole(self) -> None:
        for body in b"[12]", b'{"id": "x"} ':
            outcome = outcome_of(response(201, body, JSON, length=99))
            assert isinstance(outcome, Response)
            assert (outcome.body, outcome.truncated) == (body, None)

    @pytest.mark.parametrize("body", [b"12", b'"12"', b"true", b"[12", b"", b"null"])
    def test_a_truncated_body_that_could_go_on_is_not(self, body: bytes) -> None:
        outcome = outcome_of(response(201, body, JSON, length=99))
        assert isinstance(outcome, Response)
        assert outcome.truncated

    def test_a_head_of_30_kb_is_read_and_one_of_a_megabyte_is_not(self) -> None:
        assert outcome_of(response(201, [ID], {"X": "x" * 30_000})).status == 201  # type: ignore[union-attr]
        assert isinstance(outcome_of(b"HTTP/1.1 201 Created\r\nX: " + b"x" * 1_000_000), NoResponse)

    def test_a_body_beyond_the_limit_is_truncated(self) -> None:
        made = exchange()
        made.receive(response(201, b"", length=10**9))
        while not made.over:
            made.receive(b" " * 65536)
        outcome = made.outcome()
        assert isinstance(outcome, Response)
        assert str(MAX_RESPONSE_BYTES) in str(outcome.truncated)

    @pytest.mark.parametrize(("informational", "good"), [(10, True), (11, False)])
    def test_ten_informational_responses_are_borne(self, informational: int, good: bool) -> None:
        outcome = outcome_of(b"HTTP/1.1 103 Early Hints\r\n\r\n" * informational + RIGHT)
        assert isinstance(outcome, Response) is good

    @pytest.mark.parametrize("name", ["location", "retry-after"])
    def test_a_header_that_comes_twice_is_not_believed(self, name: str) -> None:
        twice = RIGHT.replace(b"\r\n", f"\r\n{name}: 1\r\n{name}: 2\r\n".encode(), 1)
        assert getattr(outcome_of(twice), name.replace("-", "_")) is None


class TestReuse:
    @pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 404, 409])
    def test_after_an_ordinary_response(self, status: int) -> None:
        made = exchange()
        made.receive(response(status, length=-1 if status == 204 else None))
        assert made.connection_is_reusable

    @pytest.mark.parametrize(
        "data",
        [
            *(response(status) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
            RIGHT.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
            RIGHT.replace(b"HTTP/1.1", b"HTTP/1.0"),
            RIGHT + b"\r",
            RIGHT + RIGHT,
            response(201, b"[1]", length=99),
        ],
    )
    def test_not_after_anything_odd(self, data: bytes) -> None:
        made = exchange()
        made.receive(data)
        assert not made.connection_is_reusable

    def test_not_after_a_response_that_came_before_the_request_was_whole(self) -> None:
        made = exchange(sent=False)
        made.receive(RIGHT)
        assert made.complete
        assert not made.connection_is_reusable

    def test_a_connection_serves_one_exchange_after_another(self) -> None:
        parser = h11.Connection(h11.CLIENT)
        for number in range(3):
            made = exchange()
            made.start(parser)
            made.receive(response(201, [number], JSON))
            assert made.connection_is_reusable
            assert made.outcome() == Response(201, b"[%d]" % number)


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    return error


class TestFailures:
    def test_the_first_reason_counts(self) -> None:
        made = exchange()
        made.fail("first", timed_out=True)
        made.fail("second")
        assert made.outcome().reason == "first (127.0.0.1)"  # type: ignore[union-attr]
        assert made.outcome().timed_out

    def test_past_the_deadline_that_is_the_reason_and_nothing_is_tried_again(self) -> None:
        made = exchange(deadline=-1)
        made.fail("whatever")
        outcome = made.outcome()
        assert isinstance(outcome, NoResponse)
        assert "deadline" in outcome.reason
        assert (outcome.timed_out, outcome.retryable) == (True, False)

    @pytest.mark.parametrize(
        ("error", "timed_out", "retryable"),
        [
            (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), False, True),
            (OSError(errno.ETIMEDOUT, "too slow"), True, True),
            (ssl.SSLError(1, "handshake"), False, True),
            (certificate_error(), False, False),
        ],
    )
    def test_errors_of_the_system(self, error: OSError, timed_out: bool, retryable: bool) -> None:
        made = exchange()
        try:
            raise error from KeyError("secret")
        except OSError as raised:
            made.fail_with(raised)
        outcome = made.outcome()
        assert isinstance(outcome, NoResponse)
        assert (outcome.timed_out, outcome.retryable) == (timed_out, retryable)
        assert outcome.cause is not None
        assert (outcome.cause.__traceback__, outcome.cause.__cause__, outcome.cause.__context__) == (None, None, None)

    def test_nothing_waits_beyond_the_deadline(self) -> None:
        assert exchange(deadline=-1).remaining(5.0) == 0.0
        assert 0.0 < exchange(deadline=2).remaining(5.0) <= 2.0
        assert exchange(deadline=60).remaining(5.0) == 5.0


class TestRedaction:
    def test_the_id_stays_whatever_the_password_is(self) -> None:
        for headers in JSON, {}:
            outcome = outcome_of(response(201, [123456789], headers), password="123456")
            assert isinstance(outcome, Response)
            assert outcome.body == b"[123456789]"

    @pytest.mark.parametrize("headers", [JSON, {}])
    def test_an_error_page_shows_no_password_be_it_json_or_not(self, headers: dict[str, str]) -> None:
        outcome = outcome_of(response(404, {"error": "sesame-open is no password"}, headers), password="sesame-open")
        assert isinstance(outcome, Response)
        assert b"sesame" not in outcome.body

    def test_a_page_in_place_of_an_answer_shows_none_either(self) -> None:
        outcome = outcome_of(response(201, "<b>sesame-open</b>"), password="sesame-open")
        assert isinstance(outcome, Response)
        assert outcome.body == b"<b>[redacted]</b>"
