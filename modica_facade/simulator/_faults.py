"""Rules that make requests fail: what a rule may say, which requests it is for, and the answer it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

import attrs

from ._checks import check_bool, check_choice, check_integer, check_number, check_optional_text
from ._records import Answer, Cut, Fault, ReceivedRequest, RequestMatch
from ._submission import ERRORS

_MAX_DELAY = 3600.0
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_WITHOUT_BODY = (204, 304)


def make_fault(
    *,
    error: str | None,
    status: int | None,
    body: bytes | str | Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    acted: bool,
    cut: Cut | None,
    delay: float,
    times: int | None,
    match: Callable[[ReceivedRequest], bool] | Mapping[str, str | None] | None,
) -> Fault:
    """Make a rule; the arguments are those of `Simulator.fail`.

    Raises:
        ValueError: an argument, or several together, make no rule; the text names them.
    """
    if error is not None and (not isinstance(error, str) or error not in ERRORS):
        raise ValueError(f"{error!r} is no documented error code; these are: {', '.join(ERRORS)}")
    if status is not None:
        check_integer("status", status, 200, 599)
    if cut is not None:
        check_choice("cut", cut, get_args(Cut))
    if times is not None:
        check_integer("times", times, 1, 10**9)
    check_bool("acted", acted)
    check_number("delay", delay, 0, _MAX_DELAY)
    answer = None
    if error is not None or status is not None:
        if cut in ("before", "after"):
            raise ValueError(f"cut={cut!r} closes the connection before any answer: give no error or status with it")
        if error is not None and body is not None:
            raise ValueError("error has a body of its own: give error or body, not both")
        answer = _answer(status or 400, body, headers)
    elif acted or body is not None or headers is not None:
        raise ValueError("acted, body and headers belong to an answer: give status as well")
    elif cut is None and not delay and not callable(match):  # a match function may only want to see the requests
        raise ValueError("the rule says nothing to do: give error, status, cut or delay")
    return Fault(error, answer, acted, cut, delay, times, match if match is None or callable(match) else _match(match))


def _answer(status: int, body: object, headers: object) -> Answer:
    fields = _headers(headers)
    names = {name.lower(): name for name in fields}
    match body:
        case None:
            content = b""
        case bytes():
            content = body
        case str():
            content = body.encode()
        case Mapping():
            content = json.dumps(dict(body)).encode()  # pyright: ignore[reportUnknownArgumentType] - whatever JSON takes
            if "content-type" not in names:
                fields["Content-Type"] = "application/json"
        case _:
            raise ValueError(f"body must be bytes, a str or a mapping, not {body!r}")
    if content and status in _WITHOUT_BODY:
        raise ValueError(f"an answer with status {status} has no body")
    if "content-length" in names and fields[names["content-length"]] != str(len(content)):
        raise ValueError(f"the body has {len(content)} bytes; for an answer that breaks off use cut='body'")
    return Answer(status, content, fields)


def _headers(headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ValueError(f"headers must be a mapping of names to values, not {headers!r}")
    fields: dict[str, str] = {}
    for name, value in headers.items():  # pyright: ignore[reportUnknownVariableType] - looked at right here
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name.lower() == "transfer-encoding":
            raise ValueError(f"{name!r} is no name of a header that can be set here")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {name} must be a str without line breaks, of Latin-1, not {value!r}")
        fields[name] = value
    return fields


def _match(match: object) -> RequestMatch:
    names = [field.name for field in attrs.fields(RequestMatch)]
    if not isinstance(match, Mapping) or not set(match) <= set(names):  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(
            f"match must be a function of a request, or a mapping of some of {', '.join(names)}: {match!r}"
        )
    return RequestMatch(**{name: check_optional_text(f"match: {name}", value) for name, value in match.items()})  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
