"""The command group: its commands, and the one place where an exception becomes a line and an exit code."""

from __future__ import annotations

import io
import sys
from typing import Any, NoReturn, cast

import click

from .._version import __version__
from . import _broadcast, _campaign, _demo, _listen, _parts, _results, _send, _simulate, _trigger
from ._errors import report


class _Commands(click.Group):
    def main(self, *args: Any, **options: Any) -> NoReturn:
        # A pipe or console that cannot show a macron gets an escape, not half an answer.
        cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except BaseException as error:
            if isinstance(error, SystemExit):  # shell completion
                raise
            code = report(error)
        sys.exit(code or 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - every end has its exit code
            ctx.exit(report(error, ctx))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="modica")
def main() -> None:
    """Send SMS through Modica's Mobile Gateway, and see what became of them.

    The application name comes from MODICA_USERNAME, the password from --password-file or MODICA_PASSWORD; on a terminal
    you are asked for what is missing. No option takes a password: it would show in the process list.

    \b
    Exit codes:
      0  done
      1  the gateway said no (broadcast: to at least one destination)
      2  the command line, the environment or a value is wrong; nothing was sent
      3  not sent, or not to all: safe to try again (broadcast: with --results)
      4  unknown: it may have been sent; do not send it again, wait for its receipt
    """  # noqa: D301 - \b is how click is told not to fill a paragraph


for _command in (
    _send.send,
    _broadcast.broadcast,
    _results.results,
    _campaign.campaign,
    _send.get,
    _parts.parts,
    _listen.listen,
    _trigger.trigger,
    _simulate.simulate,
    _demo.demo,
):
    main.add_command(_command)
