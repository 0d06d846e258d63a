"""The options that several commands have, and the client they make."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import frozen

from ..client import Modica, ModicaV2
from ._errors import note_json
from ._local_time import to_rfc3339
from ._post import check_url

_Function = TypeVar("_Function", bound=Callable[..., Any])


def json_option(function: _Function) -> _Function:
    """Add --json."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        is_eager=True,  # an error in another option is to be printed as JSON too
        callback=note_json,
        help="Print JSON, one object a line, errors included.",
    )(function)


def password_file_option(function: _Function) -> _Function:
    """Add --password-file; the command gets the password as ``password``."""
    return click.option(
        "--password-file",
        "password",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_read_password,
        help="Read the password from the first line of this file.",
    )(function)


def _read_password(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8") as file:
            password = file.readline().rstrip("\r\n")
    except OSError as error:
        raise click.UsageError(f"--password-file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        # Without the cause: it holds the bytes of the file.
        raise click.UsageError(f"--password-file {path} is not UTF-8 text.") from None
    if not password:
        raise click.UsageError(f"The first line of --password-file {path} is empty.")
    return password


def url_option(name: str, **attributes: Any) -> Callable[[_Function], _Function]:
    """Add an option for the URL of an application."""
    return click.option(name, metavar="URL", callback=_check_url, **attributes)


def _check_url(_ctx: click.Context, param: click.Parameter, url: str | None) -> str | None:
    if url is not None:
        try:
            check_url(url)
        except ValueError:
            # Not quoted: it may hold a password.
            advice = "give a URL like http://localhost:8000/modica, in ASCII, everything else percent-encoded"
            raise click.BadParameter(advice, param=param) from None
    return url


@frozen
class Gateway:
    """The gateway that a command line means.

    Attributes:
        v2: REST v2 instead of v1.
        base_url: None for what the environment or the library says.
        password: from --password-file, or None.
    """

    v2: bool
    base_url: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Gateway(v2={self.v2!r}, base_url={self.base_url!r})"

    def connect(self) -> Modica | ModicaV2:
        """A client; on a terminal, the credentials that are missing are asked for.

        Raises:
            UsageError: one is missing, and there is nobody to ask.
            ConfigurationError: one of the settings cannot work.
        """
        username = os.environ.get("MODICA_USERNAME") or _ask("Application name")
        password = self.password or os.environ.get("MODICA_PASSWORD") or _ask("Password", hide_input=True)
        if not username:
            raise click.UsageError("No application name: set MODICA_USERNAME.")
        if not password:
            raise click.UsageError("No password: set MODICA_PASSWORD, or give --password-file.")
        return (ModicaV2 if self.v2 else Modica)(username, password, base_url=self.base_url)


def _ask(what: str, *, hide_input: bool = False) -> str | None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    answer: str = click.prompt(what, hide_input=hide_input, err=True)
    return answer


def gateway_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which gateway, and --json; the command gets a `Gateway` as ``gateway``."""

    @functools.wraps(function)
    def command(*args: Any, v2: bool, base_url: str | None, password: str | None, **options: Any) -> Any:
        return function(*args, gateway=Gateway(v2, base_url, password), **options)

    for option in (
        json_option,
        password_file_option,
        click.option(
            "--base-url",
            metavar="URL",
            help="The gateway, if not Modica's own; else MODICA_BASE_URL, MODICA_V2_BASE_URL.",
        ),
        click.option("--v2", is_flag=True, help="Speak REST v2 instead of v1."),
    ):
        command = option(command)
    return command


def destination_options(function: _Function) -> _Function:
    """Add the options, and the argument, that say where destinations are read from."""
    for option in (
        click.option("--skip-bad", is_flag=True, help="Go on without the rows that are not numbers."),
        click.option(
            "--country", metavar="CODE", help="Write local numbers such as 021 123 4567 in international form: NZ, AU."
        ),
        click.option(
            "--column", metavar="HEADING", help="The files are tables (comma, semicolon, tab): the numbers stand here."
        ),
        click.option(
            "--file",
            "files",
            multiple=True,
            metavar="FILE",
            help="Read destinations from here; - is standard input. May be repeated.",
        ),
        click.argument("destinations", nargs=-1),
    ):
        function = option(function)
    return function


def local_time(_ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """A local time with its zone, as the callback of an option; the command gets RFC 3339 text."""
    try:
        return None if text is None else to_rfc3339(text)
    except ValueError as error:
        raise click.UsageError(f"--{param.name} {text!r}: {error}.") from None


def message_options(function: _Function) -> _Function:
    """Add the options of a message."""
    return click.option(
        "--reference", help="Your label; receipts and replies repeat it. Choose one, and store it first."
    )(sending_options(function))


def sending_options(function: _Function) -> _Function:
    """Add the options of a message, except its reference."""
    for option in (
        click.option("--integration-id", metavar="UUID", help="REST v2 only."),
        click.option("--sms-class", type=click.IntRange(0, 3)),
        click.option("--mask", help="Source mask, at most 20 characters."),
        click.option("--class", "class_", help="Application class; the gateway's default is mt_message."),
        click.option("--source", help="Short code to send from; not together with --class."),
        click.option(
            "--expires", metavar="TIME", callback=local_time, help="When to give up delivering; REST v1 only."
        ),
        click.option(
            "--scheduled",
            metavar="TIME",
            callback=local_time,
            help="When to send: '2030-05-05 10:00 Pacific/Auckland', 'tomorrow 9:00 Pacific/Auckland' or "
            "2030-05-05T10:00:00+12:00.",
        ),
    ):
        function = option(function)
    return function


def given_options(options: dict[str, Any], *, v2: bool) -> dict[str, Any]:
    """The message options that were given; refused if the version does not have them."""
    given = {name: value for name, value in options.items() if value is not None}
    foreign = "expires" if v2 else "integration_id"
    if foreign in given:
        raise click.UsageError(f"--{foreign.replace('_', '-')} does not exist on REST {'v2' if v2 else 'v1'}.")
    return given
