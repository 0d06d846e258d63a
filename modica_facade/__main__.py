"""``python -m modica_facade`` and the command ``modica``: usable standard streams, and what to install if need be."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run the command line; without its extra, say which one that is, with exit code 2."""
    try:
        _open_closed_streams()
        from .cli import main as command
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name in ("click", "rich"):
            _exit("the command line is an extra: pip install '.[cli]' in a checkout of modica-facade")
        _exit(f"this installation is damaged, install it again: {error}")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    # The command says itself what the clients would log.
    logging.getLogger("modica_facade").addHandler(logging.NullHandler())
    # On Windows click would replace %NAME%, ~ and * in arguments, and so in the text of a message.
    command(prog_name="modica", windows_expand_args=False)


def _exit(message: str) -> NoReturn:
    print(f"modica: {message}", file=sys.stderr)
    raise SystemExit(2)


def _open_closed_streams() -> None:
    """Give each standard stream that was closed (``>&-``) something to stand for it.

    Otherwise Python has None there, and the next socket or file gets its descriptor: notes would be written into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # What is written to standard output must fail, not vanish: the id of a message may be among it.
            flags = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))


if __name__ == "__main__":
    main()
