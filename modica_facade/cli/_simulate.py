"""``modica simulate``: the simulator in the foreground."""

from __future__ import annotations

import click

from ..errors import ConfigurationError


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """Run the simulator until Ctrl-C; its options are those of python -m modica_facade.simulator."""
    from modica_facade.simulator.__main__ import main as run

    try:
        run(arguments)
    except OSError as error:
        raise ConfigurationError(f"the simulator cannot be started: {error.strerror}") from error
