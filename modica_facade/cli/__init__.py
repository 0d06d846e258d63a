"""The command ``modica``: the client for people and shell scripts (extra ``cli``)."""

from ._app import main

__all__ = ["main"]
