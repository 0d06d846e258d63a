"""The command ``modica``: the client for people and shell scripts (extra ``cli``)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

import click

from modica_facade import __version__
from modica_facade.client import Modica
from modica_facade.errors import (
    ConfigurationError,
    GatewayError,
    InvalidRequestError,
    ModicaError,
    UnexpectedResponseError,
)

from . import _demo

__all__ = ["main"]

_OK, _REFUSED, _USAGE, _NOT_SENT, _UNKNOWN = range(5)
_INTERRUPTED = 130


class _Commands(click.Group):
    """Every exception of the tree ends here: one line on stderr, one exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        # A pipe or console that cannot show a macron gets an escape, not half an answer.
        cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except ModicaError as error:
            code = _exit_code(error)
            click.echo(f"modica: {error}", err=True)
            if ctx.meta.get(_AS_JSON):
                _print_json({"error": {"type": type(error).__name__, "exit_code": code, **_error_facts(error)}})
            ctx.exit(code)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


def _exit_code(error: ModicaError) -> int:
    if error.may_have_been_sent:
        return _UNKNOWN
    if isinstance(error, ConfigurationError | InvalidRequestError):
        return _USAGE
    if isinstance(error, GatewayError | UnexpectedResponseError):
        return _REFUSED
    return _NOT_SENT


def _error_facts(error: ModicaError) -> dict[str, Any]:
    names = ("status_code", "code", "descriptions", "retry_after", "timed_out", "reference", "field")
    facts = {name: getattr(error, name) for name in names if hasattr(error, name)}
    return {"message": str(error), "may_have_been_sent": error.may_have_been_sent, **facts}


_AS_JSON = f"{__name__}.as_json"


def _note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_AS_JSON] = value
    return value


_json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_note_json, help="Print JSON, one object a line, errors included."
)


def _print_json(facts: Mapping[str, Any]) -> None:
    click.echo(json.dumps(facts))


def _say(line: str) -> None:
    """Print a line; what strangers wrote in it can neither break it nor steer a terminal."""
    click.echo("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="modica")
def main() -> None:
    r"""Send SMS through Modica's Mobile Gateway, and see what became of them.

    Credentials come from MODICA_USERNAME and MODICA_PASSWORD only: an argument would show in the process list.

    \b
    Exit codes:
      0  done
      1  the gateway said no (broadcast: at least one destination was refused)
      2  the command line, the environment or an argument is wrong; nothing was sent
      3  not sent: the gateway was not reached, trying again is safe
      4  unknown: it may have been sent; do not send it again, wait for its receipt
    """


@main.command()
@click.option("--live", is_flag=True, help="On the real gateway, with your credentials. Costs two SMS.")
@click.option("--destination", metavar="NUMBER", help="Where the two SMS of --live go, such as +64211234567.")
@_json_option
def demo(live: bool, destination: str | None, as_json: bool) -> None:
    """Show the whole story: send, broadcast, get, receipts, a reply.

    On a simulator started for the purpose, unless --live and --destination say otherwise.
    """
    if live and not destination:
        raise click.UsageError("--live needs --destination: it sends two SMS there.")
    if destination and not live:
        raise click.UsageError("--destination needs --live: the simulator sends no SMS anywhere.")
    if destination:
        with Modica() as modica:
            _tell(_demo.on_gateway(modica, destination), as_json)
    else:
        _tell(_demo.on_simulator(), as_json)


def _tell(steps: Iterable[_demo.Step], as_json: bool) -> None:
    for number, step in enumerate(steps):
        if as_json:
            _print_json({"step": step.name, **step.facts})
            continue
        _say(f"{number}. {step.title}" if number else step.title)
        for line in step.lines:
            _say(f"   {line}")
