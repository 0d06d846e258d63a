"""Exit codes, and errors as one line on standard error, under --json one object on standard output as well."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import click

from ..errors import ConfigurationError, GatewayError, InvalidRequestError, ModicaError, UnexpectedResponseError
from ._output import OutputError, detach_stdout, note, print_json, printable

OK, REFUSED, USAGE, NOT_SENT, UNKNOWN = range(5)
INTERRUPTED, BROKEN_PIPE = 128 + 2, 128 + 13  # as a shell counts a process that SIGINT or SIGPIPE ended

_AS_JSON = f"{__name__}.as_json"
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


class FailedError(Exception):
    """The end of a command that has an exit code of its own; its cause is what went wrong.

    Args:
        code: the exit code.
        message: one line for the reader.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click calls it so
    """Remember, as the callback of --json, that errors are to be printed as JSON too."""
    ctx.meta[_AS_JSON] = value
    return value


def exit_code(error: ModicaError) -> int:
    """What a script is told about an error of the library."""
    if error.may_have_been_sent:
        return UNKNOWN
    if isinstance(error, ConfigurationError | InvalidRequestError):
        return USAGE
    if isinstance(error, GatewayError | UnexpectedResponseError):
        return REFUSED
    return NOT_SENT


def report(error: BaseException, ctx: click.Context | None = None) -> int:
    """Print what went wrong and return the exit code."""
    if isinstance(error, BrokenPipeError):
        detach_stdout()
        return BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return USAGE
    code, message = _describe(error)
    note(message)
    if ctx is not None and ctx.meta.get(_AS_JSON) and not isinstance(error, OutputError):
        cause = error.__cause__ if isinstance(error, FailedError) and error.__cause__ is not None else error
        about = {name: getattr(cause, name) for name in _ERROR_FIELDS if hasattr(cause, name)}
        try:
            print_json(
                {"error": {"type": type(cause).__name__, "message": printable(message), "exit_code": code, **about}}
            )
        except (OutputError, BrokenPipeError):  # the line on standard error and the exit code stay
            detach_stdout()
    return code


def _describe(error: BaseException) -> tuple[int, str]:
    match error:
        case FailedError():
            return error.code, str(error)
        case ModicaError():
            return exit_code(error), in_terms_of_options(str(error))
        case click.UsageError():
            command = "modica" if error.ctx is None else error.ctx.command_path
            message = error.format_message()
            return USAGE, f"{message}{'' if message.endswith(('.', '?')) else '.'} See {command} --help."
        case click.ClickException():
            return USAGE, error.format_message()
        case ImportError(name=None):  # only our own, which say what to install, have no name
            return USAGE, str(error)
        case OutputError():
            return USAGE, str(error)
        case _:
            [*_, frame] = traceback.extract_tb(error.__traceback__)
            file = Path(frame.filename)
            if isinstance(error, OSError) and file.parent.name == "click":  # printing --help
                detach_stdout()
                return USAGE, f"standard output cannot be written: {error.strerror}"
            # A bug. Where it struck is unknown here, so nothing is called unsent.
            where = f"{file.name}:{frame.lineno}"
            return UNKNOWN, (
                f"internal error, please report it: {type(error).__name__}: {error} ({where}); "
                "a message that was being sent may have been sent"
            )


# What the library calls by the names of its arguments, a person at a terminal knows by other names.
_OPTIONS = (
    (r"\bpass username and password, or set\b", "set"),
    (r"; pass username and password instead", "; set MODICA_USERNAME and MODICA_PASSWORD instead"),
    (r"check username and password,", "check MODICA_USERNAME and the password,"),
    (r"pass http_client=httpx\.Client\(proxy=\.\.\.\) to use it", "the command can use http and https proxies only"),
    (r"\(give a reference next time, receipts repeat it\)", "(give --reference next time, receipts repeat it)"),
    (r"send fewer destinations at once, or use broadcast_many", "lower --batch-size"),
    (r"\bmessage_id must be\b", "MESSAGE_ID must be"),
    (r"\bgive source or class_, not both", "give --source or --class, not both"),
    (r"call migrate\(\), or apply ddl\(\)", "run modica campaign migrate"),
    (r"; create it with content=", "; modica campaign create makes one"),
    (r'hours must be two times like \("08:00", "20:00"\)', "--hours must be two times like 08:00-20:00"),
    (r"\bbase_url\b", "--base-url"),
    (r"\bsms_class\b", "--sms-class"),
    (r"\bintegration_id\b", "--integration-id"),
    (r"\bclass_(?!\w)", "--class"),
)


def in_terms_of_options(message: str) -> str:
    """A message of the library, with its advice in terms of what can be typed."""
    for pattern, replacement in _OPTIONS:
        message = re.sub(pattern, replacement, message)
    return message
