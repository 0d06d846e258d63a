"""What a call is, and the pure decision after each attempt: wait how long, or stop.

A dialect makes a `Call`; a transport turns one attempt of it into an `Answer` or into a `Lost`; `pause` says whether
the attempt may be repeated; `conclude` turns the last word into a value or into one exception of the tree. No I/O.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NoReturn, TypeVar, cast

from attrs import Attribute, field, frozen

from . import _time
from .errors import (
    AuthenticationError,
    BroadcastLimitError,
    ConfigurationError,
    GatewayError,
    InvalidAttributeError,
    InvalidJSONError,
    InvalidRequestError,
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

__version__ = "0.1.0"
USER_AGENT = f"modica-facade/{__version__}"

T = TypeVar("T")

LONGEST_BODY_KEPT = 16 * 1024
# Requests that one client has under way at once.
MOST_IN_FLIGHT = 100
LARGEST_ID = 2**63 - 1
_CLOCK_SKEW = timedelta(minutes=5)
_FURTHEST_SCHEDULE = timedelta(days=60)


# Nouns


@frozen
class Answer:
    """A response head, and as much of its body as came.

    ``cut`` is None for a whole body, otherwise the reason why the rest is missing.
    """

    status: int
    body: bytes = b""
    location: str | None = None
    retry_after: str | None = None
    cut: str | None = None
    timed_out: bool = False


@frozen
class Lost:
    """An attempt that brought no answer. ``sent``: could the gateway have seen the whole request?"""

    sent: bool
    reason: str
    timed_out: bool = False
    repeatable: bool = True
    cause: BaseException | None = None


@frozen
class Envelope:
    """An error body: the code and descriptions as the gateway spells them, and the code that decides the exception."""

    code: str | None = None
    descriptions: tuple[str, ...] = ()
    decisive: str | None = None


class Unreadable(Exception):  # noqa: N818 - never leaves the package: `conclude` makes it an exception of the tree
    """A reader's word that a success status has a body that makes no sense; with the outcomes that do make sense."""

    def __init__(self, what: str, outcomes: Collection[Any] = ()) -> None:
        super().__init__(what)
        self.outcomes = tuple(outcomes)


@frozen
class Call(Generic[T]):
    """One operation on the gateway: the request as bytes, and how to read a 2xx answer.

    ``creates``: a repeat could be a second message. ``success``: the documented status. ``read`` raises `Unreadable`
    for a body that makes no sense. ``envelope`` reads this dialect's error bodies.
    """

    method: str
    path: str
    success: int
    read: Callable[[Answer], T]
    envelope: Callable[[Mapping[str, Any]], Envelope]
    body: bytes | None = None
    creates: bool = False
    reference: str | None = None

    @property
    def name(self) -> str:
        """The call as a log line may show it: no numbers, no text."""
        return f"{self.method} {self.path}"


# Policy


def _at_least(least: float, *, whole: bool = False) -> Callable[[RetryPolicy, Attribute[Any], Any], None]:
    def check(_policy: RetryPolicy, attribute: Attribute[Any], value: Any) -> None:
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < math.inf:
            kind = "a whole number" if whole else "a number"
            raise ConfigurationError(f"RetryPolicy.{attribute.name} must be {kind}, at least {least}")

    return check


@frozen
class RetryPolicy:
    """How often and how long a call may be tried. Which outcomes may be repeated at all is not an option.

    A ``get`` is repeated on transport failures and 408, 425, 429, 500, 502, 503 and 504. A send or broadcast is
    repeated only when it certainly was not processed: the request never left this machine, or the answer is 425 or 429.

    Attributes:
        attempts: tries in all, at least 1.
        backoff: seconds; the n-th pause is drawn evenly from 0 to ``backoff * 2**n`` (twice that after a 429).
        backoff_cap: seconds; no drawn pause is longer.
        retry_after_cap: seconds; an answer that asks for a longer wait is raised at once, with ``retry_after`` set.
        deadline: seconds for the whole call, attempts and pauses together.

    Raises:
        ConfigurationError: a value is not a number or out of range.
    """

    attempts: int = field(default=4, validator=_at_least(1, whole=True))
    backoff: float = field(default=0.5, validator=_at_least(0))
    backoff_cap: float = field(default=8.0, validator=_at_least(0))
    retry_after_cap: float = field(default=60.0, validator=_at_least(0))
    deadline: float = field(default=90.0, validator=_at_least(0.001))


class RetryBudget:
    """Stops a client from hammering a gateway that is down: a repeat costs 10 of 500 tokens, a clean success brings 1.

    Plain integers without a lock: a lost update between threads changes nothing that matters.
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens = 500

    def take(self) -> bool:
        """Pay for a repeat; False if that cannot be afforded."""
        if self._tokens < 10:
            return False
        self._tokens -= 10
        return True

    def earn(self) -> None:
        """Note a clean success."""
        if self._tokens < 500:
            self._tokens += 1


_NOT_PROCESSED = frozenset({425, 429})
_REPEAT_GET = frozenset({408, 425, 429, 500, 502, 503, 504})
# A send was not processed, say 4xx but for the ambiguous ones, and redirects that ask for the same POST elsewhere.
_AMBIGUOUS = frozenset({408, 409, 423, 499})
_REDIRECTS = frozenset({301, 302, 307, 308})


def pause(
    call: Call[Any], policy: RetryPolicy, outcome: Answer | Lost, attempt: int, elapsed: float, jitter: float
) -> float | None:
    """Seconds to wait before the next attempt, or None: this was the last.

    Args:
        call: what was tried.
        policy: limits.
        outcome: what the attempt brought.
        attempt: how many attempts were made, 1 after the first.
        elapsed: seconds since the call began.
        jitter: a random number from 0 to 1.
    """
    if attempt >= policy.attempts:
        return None
    base = policy.backoff
    wait = 0.0
    if isinstance(outcome, Lost):
        if not outcome.repeatable or (call.creates and outcome.sent):
            return None
    elif outcome.status in (_NOT_PROCESSED if call.creates else _REPEAT_GET):
        if outcome.status == 429:
            base *= 2
        wait = read_retry_after(outcome.retry_after) or 0.0
        if wait > policy.retry_after_cap:
            return None
    elif call.creates or outcome.cut is None:
        return None
    # 2.0**1024 overflows; nobody's backoff needs more than 2**60.
    wait = max(wait, jitter * min(policy.backoff_cap, base * 2.0 ** min(attempt - 1, 60)))
    return wait if elapsed + wait < policy.deadline else None


_DIGITS = re.compile(r"[0-9]+", re.ASCII)


def read_retry_after(text: str | None, now: datetime | None = None) -> float | None:
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


# The last word


def conclude(call: Call[T], outcome: Answer | Lost) -> T:
    """The value of a call, or exactly one exception of the tree; unknown is never read as success."""
    if isinstance(outcome, Lost):
        raise _lost(call, outcome) from outcome.cause
    if outcome.status == call.success:
        try:
            return call.read(outcome)
        except Unreadable as error:
            raise _unreadable(call, outcome, error) from None
    raise _refused(call, outcome)


def _lost(call: Call[Any], lost: Lost) -> ModicaError:
    if not lost.sent:
        return NotSentError(f"{lost.reason}; nothing was sent, calling again is safe", timed_out=lost.timed_out)
    if not call.creates:
        return TransportError(f"no answer from the gateway: {lost.reason}; call again later", timed_out=lost.timed_out)
    return OutcomeUnknownError(
        f"the message may have been sent: {lost.reason}; {_settle(call)}",
        timed_out=lost.timed_out,
        reference=call.reference,
    )


def _settle(call: Call[Any]) -> str:
    if call.reference is None:
        return "do not send it again, look for its delivery receipt (give a reference next time, receipts repeat it)"
    return f"do not send it again, wait for a delivery receipt with reference {call.reference!r}"


def _unreadable(call: Call[Any], answer: Answer, nonsense: Unreadable) -> ModicaError:
    """A success status whose body is cut or makes no sense: accepted perhaps, never success."""
    if answer.cut is not None:
        if not call.creates:
            return TransportError(
                f"the answer was cut short ({answer.cut}); call again later", timed_out=answer.timed_out
            )
        return OutcomeUnknownError(
            f"the gateway accepted it (HTTP {answer.status}), but the answer with the id was cut short ({answer.cut}); "
            f"{_settle(call)}",
            timed_out=answer.timed_out,
            reference=call.reference,
        )
    advice = f"it may have been sent, {_settle(call)}" if call.creates else "check base_url"
    return UnexpectedResponseError(
        f"HTTP {answer.status}, but {nonsense}; {advice}",
        status_code=answer.status,
        body=body_text(answer.body),
        outcomes=nonsense.outcomes,
        reference=call.reference,
        may_have_been_sent=call.creates,
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
    RateLimitError: "send more slowly",
    InvalidScheduleError: "correct scheduled or expires",
    BroadcastLimitError: "send fewer destinations at once, or use broadcast_many",
}


def _refused(call: Call[Any], answer: Answer) -> ModicaError:
    status = answer.status
    refused = status in _REDIRECTS or (400 <= status < 500 and status not in _AMBIGUOUS)
    sent = call.creates and not refused
    doubt = f"it may have been sent, {_settle(call)}" if sent else None
    body = body_text(answer.body)
    if not 400 <= status < 600:
        advice = "redirects are never followed, check base_url" if 300 <= status < 400 else "check base_url"
        return UnexpectedResponseError(
            f"HTTP {status} where {call.success} is documented; {doubt or advice}",
            status_code=status,
            body=body,
            reference=call.reference,
            may_have_been_sent=sent,
        )
    fields = read_json(answer.body)
    envelope = call.envelope(cast("dict[str, Any]", fields)) if isinstance(fields, dict) else Envelope()
    kind = _kind(status, envelope.decisive)
    says = ": ".join(part for part in (envelope.code, "; ".join(envelope.descriptions)) if part) or "no reason given"
    advice = _ADVICE.get(kind, "correct the request" if issubclass(kind, RejectedError) else "try again later")
    return kind(
        f"HTTP {status}, {says}; {doubt or advice}",
        status_code=status,
        code=envelope.code,
        descriptions=envelope.descriptions,
        body=body,
        retry_after=read_retry_after(answer.retry_after),
        reference=call.reference,
        may_have_been_sent=sent,
    )


def _kind(status: int, code: str | None) -> type[GatewayError]:
    if by_status := _BY_STATUS.get(status):
        return by_status
    by_code = _BY_CODE.get(code or "")
    if status >= 500:
        return SendFailedError if by_code is SendFailedError else ServerError
    if status in _AMBIGUOUS or status == 425:
        return GatewayError
    return by_code or RejectedError


# Reading what a stranger wrote


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_json(body: bytes) -> Any:
    """The JSON value of a body, or None: not UTF-8, not JSON, too deep."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def read_whole(answer: Answer) -> Any:
    """The JSON value of an answer; None as well if it was cut: what came could be the beginning of something else."""
    return read_json(answer.body) if answer.cut is None else None


def body_text(body: bytes) -> str:
    """A body as bounded text for an exception."""
    return body[:LONGEST_BODY_KEPT].decode("utf-8", "replace")


def texts(value: object) -> tuple[str, ...]:
    """A description as the gateway spells it, one text or a list of texts, as a bounded tuple."""
    several = cast("list[object]", value) if isinstance(value, list) else [value]
    return tuple(text[:500] for text in several[:20] if isinstance(text, str) and text)


def optional_text(fields: Mapping[str, object], name: str) -> str | None:
    """A field that may be missing or null, otherwise a str.

    Raises:
        Unreadable: it is something else.
    """
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Unreadable(f"its {name} is not text")


def required_text(fields: Mapping[str, object], name: str) -> str:
    """A field that must be a str.

    Raises:
        Unreadable: it is not.
    """
    value = optional_text(fields, name)
    if value is None:
        raise Unreadable(f"it has no {name}")
    return value


# Arguments: refused here is only what can be known for certain


def check_seconds(name: str, value: object, *, zero: bool = False) -> float:
    """A finite, positive number of seconds (0 too, with ``zero``).

    Raises:
        ConfigurationError: it is not.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 86400 and (zero or value > 0)
    if not good:
        raise ConfigurationError(f"{name} must be seconds, {'0 or more' if zero else 'more than 0'}, below a day")
    return float(value)  # type: ignore[arg-type]  # checked in the line above, which mypy cannot follow


def check_text(name: str, value: object, *, longest: int | None = None) -> str:
    """A non-empty str that UTF-8 can carry.

    Raises:
        InvalidRequestError: it is not.
    """
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a str, not {type(value).__name__}", field=name)
    if not value or value.isspace():
        raise InvalidRequestError(f"{name} is empty; nothing was sent", field=name)
    if longest is not None and len(value) > longest:
        raise InvalidRequestError(f"{name} has {len(value)} characters; shorten it to {longest}", field=name)
    return value


def check_options(
    *,
    source: str | None,
    reference: str | None,
    class_: str | None,
    mask: str | None,
    sms_class: int | None,
    scheduled: datetime | str | None,
    expires: datetime | str | None = None,
) -> dict[str, Any]:
    """The options of a send that were given, checked, dates as aware datetimes; keyed as the generated models do.

    Raises:
        InvalidRequestError: one of them is certainly wrong.
    """
    options: dict[str, Any] = {}
    for name, value, longest in (
        ("source", source, None),
        ("reference", reference, None),
        ("class_", class_, None),
        ("mask", mask, 20),
    ):
        if value is not None:
            options[name] = check_text(name, value, longest=longest)
    if "source" in options and "class_" in options:
        raise InvalidRequestError("give source or class_, not both: the gateway takes one of them", field="class_")
    if sms_class is not None:
        if isinstance(sms_class, bool) or not isinstance(sms_class, int) or not 0 <= sms_class <= 3:
            raise InvalidRequestError("sms_class must be 0, 1, 2 or 3", field="sms_class")
        options["sms_class"] = sms_class
    if scheduled is not None or expires is not None:
        options |= _check_dates(scheduled, expires, _now())
    return options


def _now() -> datetime:
    return datetime.now(UTC)


def _check_dates(
    scheduled: datetime | str | None, expires: datetime | str | None, now: datetime
) -> dict[str, datetime]:
    dates: dict[str, datetime] = {}
    for name, value in (("scheduled", scheduled), ("expires", expires)):
        if value is None:
            continue
        try:
            moment = _time.moment(value)
            past = moment < now - _CLOCK_SKEW
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidRequestError(f"{name} cannot be sent: {error}", field=name) from error
        if past:
            raise InvalidRequestError(f"{name} is in the past; give a later moment", field=name)
        dates[name] = moment
    if scheduled is not None and dates["scheduled"] > now + _FURTHEST_SCHEDULE + _CLOCK_SKEW:
        raise InvalidRequestError("scheduled is more than 60 days ahead; the gateway takes no more", field="scheduled")
    if len(dates) == 2 and dates["expires"] <= dates["scheduled"]:
        raise InvalidRequestError("expires must be later than scheduled", field="expires")
    return dates


def encode(field_name: str, body: Mapping[str, Any]) -> bytes:
    """The bytes that httpx, and so the generated client, spells for a JSON body.

    Raises:
        InvalidRequestError: a lone surrogate, which UTF-8 cannot carry.
    """
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"{field_name} holds half of a surrogate pair, which no SMS can carry; remove it", field=field_name
        ) from error
