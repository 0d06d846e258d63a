"""The exception hierarchy. Code that sends needs one attribute of it: ``may_have_been_sent``.

::

    ModicaError                          .may_have_been_sent
    ├── ConfigurationError               credentials, base_url, options: fix the set-up
    ├── InvalidRequestError (ValueError) refused here, nothing left the machine; .field
    ├── TransportError                   no usable answer; .timed_out
    │   ├── NotSentError                 certainly never reached the gateway
    │   └── OutcomeUnknownError          a send that may have been accepted; .reference to reconcile by
    ├── GatewayError                     .status_code .code .descriptions .body .retry_after
    │   ├── AuthenticationError          401
    │   ├── PermissionDeniedError        403
    │   ├── NotFoundError                404
    │   ├── RateLimitError               429
    │   ├── RejectedError                the gateway refused the request
    │   │   ├── InvalidJSONError         invalid_json
    │   │   ├── MissingAttributeError    missing_attrib
    │   │   ├── InvalidAttributeError    invalid_attrib
    │   │   ├── InvalidScheduleError     400 and 422 as codes: the schedule
    │   │   └── BroadcastLimitError      broadcast_limit
    │   ├── SendFailedError              send_failed
    │   └── ServerError                  5xx
    ├── UnexpectedResponseError          a malformed or undocumented answer; .status_code .body .outcomes
    ├── BroadcastInterruptedError        .cause .batch .unsent .submitted_count
    └── InvalidCallbackError (ValueError) a callback body that cannot be read; .key

Every message is one printable line. Every exception pickles and copies, keeps its cause where there is one, and holds
copies of safe fields only: never a request, a header or a credential.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

__all__ = [
    "AuthenticationError",
    "BroadcastInterruptedError",
    "BroadcastLimitError",
    "ConfigurationError",
    "GatewayError",
    "InvalidAttributeError",
    "InvalidCallbackError",
    "InvalidJSONError",
    "InvalidRequestError",
    "InvalidScheduleError",
    "MissingAttributeError",
    "ModicaError",
    "NotFoundError",
    "NotSentError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitError",
    "RejectedError",
    "SendFailedError",
    "ServerError",
    "TransportError",
    "UnexpectedResponseError",
]

_LONGEST_MESSAGE = 600


def _one_line(text: str) -> str:
    """``text`` as one bounded, printable line, with invisible characters escaped.

    A description may hold newlines or terminal escapes, and a number copied from somewhere a zero-width space, which is
    what is wrong with it.
    """
    text = " ".join("".join(map(_visible, text[: 2 * _LONGEST_MESSAGE])).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def _visible(character: str) -> str:
    if character.isprintable() or character in "\t\n\r\v\f":
        return character
    return character.encode("unicode_escape").decode()


class ModicaError(Exception):
    """The base class of every exception of this package.

    Attributes:
        may_have_been_sent: True if the gateway may have accepted a message during the call that raised this. Then do
            not simply call again: a repeated send is a second, billed SMS.
    """

    may_have_been_sent: bool = False

    def __init__(self, message: str = "", *, may_have_been_sent: bool | None = None) -> None:
        super().__init__(_one_line(message))
        if may_have_been_sent is not None:
            self.may_have_been_sent = may_have_been_sent


class ConfigurationError(ModicaError):
    """Credentials, base URL or options cannot work; the message names what to set."""


class InvalidRequestError(ModicaError, ValueError):
    """Refused before anything was sent.

    Attributes:
        field: name of the offending argument, e.g. ``"scheduled"``.
    """

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class TransportError(ModicaError):
    """No usable answer came back.

    Raised itself for calls that send nothing (``get``); sends raise one of the two subclasses.

    Attributes:
        timed_out: True if a time-out or the deadline of the call ended it.
    """

    def __init__(self, message: str = "", *, timed_out: bool = False, may_have_been_sent: bool | None = None) -> None:
        super().__init__(message, may_have_been_sent=may_have_been_sent)
        self.timed_out = timed_out


class NotSentError(TransportError):
    """The request certainly never reached the gateway: sending again is safe."""


class OutcomeUnknownError(TransportError):
    """The gateway may have accepted the message, and nobody can tell from here: never send it again automatically.

    A delivery receipt that echoes ``reference`` settles it (and brings the message id); its absence proves nothing.

    Attributes:
        reference: the reference given with the send, or None: what to reconcile by.
    """

    may_have_been_sent = True

    def __init__(
        self,
        message: str = "",
        *,
        timed_out: bool = False,
        reference: str | None = None,
        may_have_been_sent: bool | None = None,
    ) -> None:
        super().__init__(message, timed_out=timed_out, may_have_been_sent=may_have_been_sent)
        self.reference = reference


class GatewayError(ModicaError):
    """The gateway, or something before it, answered with an error.

    Attributes:
        status_code: HTTP status.
        code: the error code of the envelope as text (``"invalid_attrib"``, ``"422"``); None without a known envelope.
        descriptions: the gateway's own words, a tuple of str, possibly empty.
        body: the answer's body as text, at most 16 KiB of it.
        retry_after: seconds the answer asked to wait, or None.
        reference: the reference given with the send, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int = 0,
        code: str | None = None,
        descriptions: tuple[str, ...] = (),
        body: str = "",
        retry_after: float | None = None,
        reference: str | None = None,
        may_have_been_sent: bool | None = None,
    ) -> None:
        super().__init__(message, may_have_been_sent=may_have_been_sent)
        self.status_code = status_code
        self.code = code
        self.descriptions = descriptions
        self.body = body
        self.retry_after = retry_after
        self.reference = reference


class AuthenticationError(GatewayError):
    """401: wrong credentials, no permission, or an address outside the allow-list; the gateway does not say which."""


class PermissionDeniedError(GatewayError):
    """403: the application may not do this; ask for the permission."""


class NotFoundError(GatewayError):
    """404: no such message, or a wrong or truncated base URL."""


class RateLimitError(GatewayError):
    """429: not processed; wait ``retry_after`` seconds."""


class RejectedError(GatewayError):
    """The gateway refused the request: sending the same again brings the same answer."""


class InvalidJSONError(RejectedError):
    """``invalid_json``: the gateway could not read the request. Report it: this package wrote that JSON."""


class MissingAttributeError(RejectedError):
    """``missing_attrib``: a value that the gateway needs is missing; ``descriptions`` says which."""


class InvalidAttributeError(RejectedError):
    """``invalid_attrib``: mostly the number, which is written with + and country code, like +64211234567.

    `modica_facade.text.normalise` writes ``"021 123 4567"`` so.
    """


class InvalidScheduleError(RejectedError):
    """The schedule was refused: not RFC 3339 (code ``400``), in the past (code ``422``) or too far ahead."""


class BroadcastLimitError(RejectedError):
    """``broadcast_limit``: too many destinations in one broadcast."""


class SendFailedError(GatewayError):
    """``send_failed``: the gateway could not queue the message. Unless ``may_have_been_sent``, call again later."""


class ServerError(GatewayError):
    """5xx. For a send ``may_have_been_sent`` is True: proxies answer 502, 503 and 504 after the gateway has acted."""


class UnexpectedResponseError(ModicaError):
    """A malformed or undocumented answer: HTML, a wrong shape, a success without an id, an odd status.

    Attributes:
        status_code: HTTP status.
        body: the answer's body as text, at most 16 KiB of it.
        outcomes: for a broadcast, the outcomes that are certain all the same; else ().
        reference: the reference given with the send, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int = 0,
        body: str = "",
        outcomes: tuple[Any, ...] = (),
        reference: str | None = None,
        may_have_been_sent: bool | None = None,
    ) -> None:
        super().__init__(message, may_have_been_sent=may_have_been_sent)
        self.status_code = status_code
        self.body = body
        self.outcomes = outcomes
        self.reference = reference


class BroadcastInterruptedError(ModicaError):
    """A bulk send stopped; everything already known was yielded before this was raised, and so it is each time after.

    Submitted, failed, ``batch`` and ``unsent`` together are exactly the input.

    Attributes:
        cause: the exception that stopped it; None if its iterator was closed.
        batch: the destinations whose outcome is not known from an answer, in input order; ``may_have_been_sent`` says
            whether any of them may have gone out.
        unsent: an iterator over what was never tried, in input order, ending with the rest of the input, untouched.
        submitted_count: how many destinations the gateway accepted.
    """

    def __init__(
        self,
        message: str = "",
        *,
        cause: BaseException | None = None,
        batch: tuple[str, ...] = (),
        unsent: Iterator[str] | None = None,
        submitted_count: int = 0,
        may_have_been_sent: bool | None = None,
    ) -> None:
        super().__init__(message, may_have_been_sent=may_have_been_sent)
        self.cause = cause
        self.batch = batch
        self.unsent: Iterator[str] = iter(()) if unsent is None else unsent
        self.submitted_count = submitted_count

    def __copy__(self) -> BroadcastInterruptedError:
        # Does not read the input, which may be endless; from here on both copies have all that is left of it.
        twin = type(self)(*self.args)
        twin.__dict__.update(self.__dict__)
        self.unsent, twin.unsent = itertools.tee(self.unsent)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        # An iterator cannot be pickled, but its destinations must not be lost: they are read, and kept here too.
        remaining = list(self.unsent)
        self.unsent = iter(remaining)
        cause = self.cause
        if cause is not None and not isinstance(cause, ModicaError):
            # The caller's own iterable failed; nobody knows whether its exception can be pickled, but its text can.
            cause = ModicaError(f"{type(cause).__name__}: {cause}")
        return type(self), self.args, {**self.__dict__, "cause": cause, "unsent": iter(list(remaining))}


class InvalidCallbackError(ModicaError, ValueError):
    """The body of a callback cannot be read.

    Attributes:
        key: the offending key, or None if the body as a whole is unreadable.
    """

    def __init__(self, message: str = "", *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key
