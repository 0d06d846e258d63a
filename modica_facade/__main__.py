"""``python -m modica_facade`` and the command ``modica``: the way in, which says what to install if there is none."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without its extra, say which one that is, with exit code 2."""
    try:
        from .cli import main as command
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("modica: the command line is an extra: pip install 'modica-facade[cli]'", file=sys.stderr)
        raise SystemExit(2) from None
    # On Windows click would replace %NAME%, ~ and * in arguments, and so in the text of a message.
    command(prog_name="modica", windows_expand_args=False)


if __name__ == "__main__":
    main()
