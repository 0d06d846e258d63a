"""The command group: registers the commands, and turns every exception into one line and one exit code."""

from __future__ import annotations

import io
import sys
from typing import Any, cast

import click

from .._version import __version__
from ..errors import ModicaError
from . import _broadcast, _demo, _listen, _parts, _send, _simulate
from ._errors import BROKEN_PIPE, INTERRUPTED, USAGE, exit_code, fail
from ._output import detach_stdout


class _Commands(click.Group):
    """Every exception ends here: one line on stderr, one exit code, and under --json the same on stdout."""

    def invoke(self, ctx: click.Context) -> Any:
        # A pipe or console that cannot show a macron gets an escape, not half an answer.
        cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except ModicaError as error:
            fail(ctx, exit_code(error), error)
        except click.UsageError as error:
            command = ctx.command_path if error.ctx is None else error.ctx.command_path
            fail(ctx, USAGE, error, f"{error.format_message()} See {command} --help.")
        except ImportError as error:
            if error.name is not None:  # only our own, which say what to install, have none
                raise
            fail(ctx, USAGE, error)
        except BrokenPipeError:
            detach_stdout()
            ctx.exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="modica")
def main() -> None:
    """Send SMS through Modica's Mobile Gateway, and see what became of them.

    Credentials come from MODICA_USERNAME and MODICA_PASSWORD only: an argument would show in the process list.

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
    _send.get,
    _listen.listen,
    _simulate.simulate,
    _demo.demo,
    _parts.parts,
):
    main.add_command(_command)
