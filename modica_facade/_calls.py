"""What a call to the gateway is, and what an outcome of it means: a value, or one exception of the hierarchy. No I/O.

`_v1` and `_v2` make a `Call`; the transport turns one attempt into a `Response` or a `NoResponse`; `_retry` decides
whether to try again; `to_result` turns the final outcome into the value of the call or raises.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Generic, NoReturn, TypeVar, cast

from attrs import frozen

from .errors import (
    AuthenticationError,
    BroadcastLimitError,
    GatewayError,
    InvalidAttributeError,
    InvalidJSONError,
    InvalidScheduleError,
    MissingAttributeError,
    ModicaError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    RejectedError,
    SendFailedError,
    ServerError,
    TransportError,
    UnexpectedResponseError,
)

T = TypeVar("T")

_log = logging.getLogger("modica_facade")

MAX_IN_FLIGHT: Final = 100
"""Requests of one client at a time."""
MAX_KEPT_BODY: Final = 16 * 1024
"""Bytes of an error body that an exception keeps."""

AMBIGUOUS_STATUSES: Final = frozenset({408, 409, 423, 499})
"""The statuses in 4xx after which a send may have been processed."""
_REDIRECTS: Final = frozenset({301, 302, 307, 308})


@frozen
class Response:
    """The head of an HTTP response, and as much of its body as came.

    Attributes:
        truncated: None for a whole body, otherwise the reason why the rest is missing.
        timed_out: whether the rest is missing because it took too long.
    """

    status: int
    body: bytes = b""
    location: str | None = None
    retry_after: str | None = None
    truncated: str | None = None
    timed_out: bool = False


@frozen(kw_only=True)
class NoResponse:
    """An attempt without a response.

    Attributes:
        may_have_been_sent: could the gateway have received the whole request?
        reason: what happened, as an exception may repeat it.
        timed_out: whether it took too long.
        retryable: could another attempt fare better?
        cause: the exception behind it, free of credentials.
    """

    may_have_been_sent: bool
    reason: str
    timed_out: bool = False
    retryable: bool = True
    cause: BaseException | None = None


class InvalidResponse(Exception):  # noqa: N818 - never leaves the package: `to_result` raises an exception of the hierarchy
    """Raised by a parser when a 2xx body is malformed; ``outcomes`` holds the rows that could be parsed."""

    def __init__(self, problem: str, outcomes: Collection[Any] = ()) -> None:
        super().__init__(problem)
        self.outcomes = tuple(outcomes)


@frozen(kw_only=True)
class Call(Generic[T]):
    """One request to the gateway, and how to parse its response.

    Attributes:
        success: the documented status.
        parse: turns a response with that status into the value of the call; raises `InvalidResponse`.
        is_send: a repeat could be a second message.
        reference: the caller's label, by which a send can be reconciled.
    """

    method: str
    path: str
    success: int
    parse: Callable[[Response], T]
    body: bytes | None = None
    is_send: bool = False
    reference: str | None = None

    @property
    def name(self) -> str:
        """The call as a log line may show it: no numbers, no text."""
        return f"{self.method} {self.path}"


def to_result(call: Call[T], outcome: Response | NoResponse) -> T:
    """The value of a call, or one exception of the hierarchy. What is unknown is never taken for success."""
    if isinstance(outcome, NoResponse):
        raise _no_response_error(call, outcome) from outcome.cause
    if outcome.status == call.success:
        try:
            return call.parse(outcome)
        except InvalidResponse as error:
            raise _invalid_response_error(call, outcome, error) from None
    raise _error_response(call, outcome)


def note_interruption(call: Call[Any], outcome: Response | NoResponse, error: BaseException) -> None:
    """Say on an exception that interrupts a call, and in the log, that a send may have gone out, or did."""
    if not call.is_send:
        return
    known = "may have gone out ("
    try:
        result = to_result(call, outcome)
        known = f"was accepted (id {result.id}, " if hasattr(result, "id") else "was accepted ("
    except ModicaError as known_error:
        if not known_error.may_have_been_sent:
            return
    text = f"a send that was cut off {known}reference {call.reference!r}); do not repeat it"
    error.add_note(f"modica_facade: {text}")
    _log.warning("%s: %s", type(error).__name__, text)


def _no_response_error(call: Call[Any], failure: NoResponse) -> ModicaError:
    if not failure.may_have_been_sent:
        return NotSentError(f"{failure.reason}; nothing was sent, calling again is safe", timed_out=failure.timed_out)
    if not call.is_send:
        return TransportError(
            f"no answer from the gateway: {failure.reason}; call again later", timed_out=failure.timed_out
        )
    return OutcomeUnknownError(
        f"the message may have been sent: {failure.reason}; {_reconciliation_advice(call)}",
        timed_out=failure.timed_out,
        reference=call.reference,
    )


def _reconciliation_advice(call: Call[Any]) -> str:
    if call.reference is None:
        return "do not send it again, look for its delivery receipt (give a reference next time, receipts repeat it)"
    return f"do not send it again, wait for a delivery receipt with reference {call.reference!r}"


def _invalid_response_error(call: Call[Any], response: Response, invalid: InvalidResponse) -> ModicaError:
    """The documented status with a truncated or malformed body: the message may have been accepted."""
    if response.truncated is not None:
        if not call.is_send:
            return TransportError(
                f"the answer was cut short ({response.truncated}); call again later", timed_out=response.timed_out
            )
        return OutcomeUnknownError(
            f"the gateway accepted it (HTTP {response.status}), but the answer with the id was cut short "
            f"({response.truncated}); {_reconciliation_advice(call)}",
            timed_out=response.timed_out,
            reference=call.reference,
        )
    advice = f"it may have been sent, {_reconciliation_advice(call)}" if call.is_send else "check base_url"
    return UnexpectedResponseError(
        f"HTTP {response.status}, but {invalid}; {advice}",
        status_code=response.status,
        body=body_text(response.body),
        outcomes=invalid.outcomes,
        reference=call.reference,
        may_have_been_sent=call.is_send,
    )


_BY_STATUS: Mapping[int, type[GatewayError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}
_BY_CODE: Mapping[str, type[GatewayError]] = {
    "invalid_json": InvalidJSONError,
    "missing_attrib": MissingAttributeError,
    "invalid_attrib": InvalidAttributeError,
    "broadcast_limit": BroadcastLimitError,
    "send_failed": SendFailedError,
    "400": InvalidScheduleError,
    "422": InvalidScheduleError,
}
_ADVICE: Mapping[type[GatewayError], str] = {
    AuthenticationError: "check username and password, and that this machine's address is on the allow-list",
    PermissionDeniedError: "ask for this permission to be given to the application",
    NotFoundError: "check the id and base_url",
    InvalidAttributeError: "correct the request; a number is written with + and country code, like +64211234567",
    InvalidScheduleError: "correct scheduled or expires",
    BroadcastLimitError: "send fewer destinations at once, or use broadcast_many",
    RejectedError: "correct the request",
    SendFailedError: "nothing was sent, call again later",
}


def _error_response(call: Call[Any], response: Response) -> ModicaError:
    status = response.status
    refused = status in _REDIRECTS or (400 <= status < 500 and status not in AMBIGUOUS_STATUSES)
    sent = call.is_send and not refused
    doubt = f"it may have been sent, {_reconciliation_advice(call)}" if sent else None
    body = body_text(response.body)
    if not 400 <= status < 600:
        advice = "redirects are never followed, check base_url" if 300 <= status < 400 else "check base_url"
        return UnexpectedResponseError(
            f"HTTP {status} where {call.success} is documented; {doubt or advice}",
            status_code=status,
            body=body,
            reference=call.reference,
            may_have_been_sent=sent,
        )
    fields = parse_json(response.body)
    envelope = _parse_envelope(cast("dict[str, object]", fields) if isinstance(fields, dict) else {})
    error_class = _error_class(status, envelope.mapped_code)
    retry_after = parse_retry_after(response.retry_after)
    return error_class(
        f"HTTP {status}, {_reason(status, envelope)}; {doubt or _advice(error_class, retry_after)}",
        status_code=status,
        code=envelope.code,
        descriptions=envelope.descriptions,
        body=body,
        retry_after=retry_after,
        reference=call.reference,
        may_have_been_sent=sent,
    )


def _reason(status: int, envelope: _ErrorEnvelope) -> str:
    """Code and descriptions, without the status, which several forms of the body repeat."""
    code = None if envelope.code == str(status) else envelope.code
    descriptions = (text.removeprefix(f"{status} ") for text in envelope.descriptions)
    return ": ".join(part for part in (code, "; ".join(descriptions)) if part) or "no reason given"


def _advice(error_class: type[GatewayError], retry_after: float | None) -> str:
    if error_class is RateLimitError:
        return "send more slowly" if retry_after is None else f"wait {retry_after:g} s, then send more slowly"
    for kind in error_class.__mro__:
        if kind in _ADVICE:
            return _ADVICE[kind]
    return "try again later"


@frozen
class _ErrorEnvelope:
    """The body of an error response: code and descriptions as received, and the code that selects the exception."""

    code: str | None = None
    descriptions: tuple[str, ...] = ()
    mapped_code: str | None = None


def _parse_envelope(body: Mapping[str, object]) -> _ErrorEnvelope:
    """Any of the three forms, for both API versions: the documentation contradicts itself on which of them comes.

    ``{"error", "error-desc"}``: prose documentation of v1 and v2. ``{"message", "code"}``: specification of v1.
    ``{"message", "statusCode", "error"}``: specification of v2.
    """
    error = _parse_code(body.get("error"))
    if "error-desc" in body or error in _BY_CODE or not body.keys() & {"message", "code", "statusCode"}:
        return _ErrorEnvelope(error, _parse_descriptions(body.get("error-desc") or body.get("message")), error)
    code = _parse_code(body.get("code")) or _parse_code(body.get("statusCode"))
    descriptions = _parse_descriptions(body.get("message")) + _parse_descriptions(body.get("error"))
    # Here 400 and 422 are HTTP statuses of any bad request; as codes the prose reserves them for the schedule.
    of_schedule = code in ("400", "422") and any("scheduled" in text.lower() for text in descriptions)
    return _ErrorEnvelope(code, descriptions, code if of_schedule else None)


def _parse_code(value: object) -> str | None:
    if type(value) is int and abs(value) < 10**6:
        return str(value)
    return value[:100] if isinstance(value, str) and value else None


def _parse_descriptions(value: object) -> tuple[str, ...]:
    """One text or a list of texts, as a bounded tuple."""
    several = cast("list[object]", value) if isinstance(value, list) else [value]
    return tuple(text[:500] for text in several[:20] if isinstance(text, str) and text)


def _error_class(status: int, code: str | None) -> type[GatewayError]:
    if by_status := _BY_STATUS.get(status):
        return by_status
    by_code = _BY_CODE.get(code or "")
    if status >= 500:
        return SendFailedError if by_code is SendFailedError else ServerError
    if status in AMBIGUOUS_STATUSES or status == 425:
        return GatewayError
    return by_code or RejectedError


_DIGITS = re.compile(r"[0-9]+", re.ASCII)


def parse_retry_after(text: str | None, now: datetime | None = None) -> float | None:
    """Seconds from a Retry-After header: ASCII digits or an HTTP date; anything else is None."""
    if text is None or not text.isascii():
        return None
    if _DIGITS.fullmatch(text):
        # Ten digits are three centuries: as good as any longer number, which float might call infinite.
        return float(text if len(text) <= 10 else "9" * 10)
    if not text.endswith("GMT"):
        return None
    # A tenth of what importing the package would cost, for a header that is seldom seen.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_json(body: bytes) -> Any:
    """The JSON value of a body, or None: not UTF-8, not JSON, too deep."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def parse_complete_json(response: Response) -> Any:
    """The JSON value of a body; None if it is not JSON or is truncated: a prefix may parse as something else."""
    return parse_json(response.body) if response.truncated is None else None


def body_text(body: bytes) -> str:
    """A body as bounded text for an exception."""
    return body[:MAX_KEPT_BODY].decode("utf-8", "replace")


def optional_text(fields: Mapping[str, object], name: str) -> str | None:
    """A field that may be missing or null, otherwise a str.

    Raises:
        InvalidResponse: it is something else.
    """
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidResponse(f"its {name} is not text")


def required_text(fields: Mapping[str, object], name: str) -> str:
    """A field that must be a str.

    Raises:
        InvalidResponse: it is not.
    """
    value = optional_text(fields, name)
    if value is None:
        raise InvalidResponse(f"it has no {name}")
    return value
