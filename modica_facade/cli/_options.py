"""The options that several commands have, and the client they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..client import Modica, ModicaV2
from ._errors import note_json

_Function = TypeVar("_Function", bound=Callable[..., Any])

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,  # an error in another option is to be told in JSON too
    callback=note_json,
    help="Print JSON, one object a line, errors included.",
)


def _all(*options: Callable[[_Function], _Function]) -> Callable[[_Function], _Function]:
    def decorate(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


gateway_options = _all(
    click.option("--v2", is_flag=True, help="Speak REST v2 instead of v1."),
    click.option(
        "--base-url", metavar="URL", help="The gateway, if not Modica's own; else MODICA_BASE_URL, MODICA_V2_BASE_URL."
    ),
    json_option,
)
message_options = _all(
    click.option("--reference", help="Your label; receipts and replies repeat it. Choose one, and store it first."),
    click.option("--scheduled", metavar="TIME", help="When to send, such as 2030-05-05T10:00:00+12:00."),
    click.option("--expires", metavar="TIME", help="When to give up delivering; REST v1 only."),
    click.option("--source", help="Short code to send from; not together with --class."),
    click.option("--class", "class_", help="Application class; the gateway's default is mt_message."),
    click.option("--mask", help="Source mask, at most 20 characters."),
    click.option("--sms-class", type=click.IntRange(0, 3)),
    click.option("--integration-id", metavar="UUID", help="REST v2 only."),
)


def make_client(v2: bool, base_url: str | None) -> Modica | ModicaV2:
    return (ModicaV2 if v2 else Modica)(base_url=base_url)


def given_options(v2: bool, options: dict[str, Any]) -> dict[str, Any]:
    """The message options that were given; refused if the version does not have them."""
    given = {name: value for name, value in options.items() if value is not None}
    foreign = "expires" if v2 else "integration_id"
    if foreign in given:
        raise click.UsageError(f"--{foreign.replace('_', '-')} is not there on REST {'v2' if v2 else 'v1'}.")
    return given
