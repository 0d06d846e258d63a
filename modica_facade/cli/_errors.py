"""Exit codes, and errors as one line on standard error, under --json one object on standard output as well."""

from __future__ import annotations

from typing import NoReturn

import click

from ..errors import (
    ConfigurationError,
    GatewayError,
    InvalidRequestError,
    ModicaError,
    UnexpectedResponseError,
)
from ._output import print_json, printable

OK, REFUSED, USAGE, NOT_SENT, UNKNOWN = range(5)
INTERRUPTED, BROKEN_PIPE = 128 + 2, 128 + 13  # as a shell counts a process that SIGINT or SIGPIPE ended


def exit_code(error: ModicaError) -> int:
    if error.may_have_been_sent:
        return UNKNOWN
    if isinstance(error, ConfigurationError | InvalidRequestError):
        return USAGE
    if isinstance(error, GatewayError | UnexpectedResponseError):
        return REFUSED
    return NOT_SENT


def fail(ctx: click.Context, code: int, error: Exception, message: str | None = None) -> NoReturn:
    message = printable(message or str(error))
    click.echo(f"modica: {message}", err=True)
    if ctx.meta.get(_AS_JSON):
        about = {name: getattr(error, name) for name in _ERROR_FIELDS if hasattr(error, name)}
        print_json({"error": {"type": type(error).__name__, "message": message, "exit_code": code, **about}})
    ctx.exit(code)


_ERROR_FIELDS = (
    "may_have_been_sent",
    "status_code",
    "code",
    "descriptions",
    "retry_after",
    "timed_out",
    "reference",
    "field",
)


_AS_JSON = f"{__name__}.as_json"


def note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_AS_JSON] = value
    return value
