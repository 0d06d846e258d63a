"""Has something patched httpx, and so expects to see every request pass? Looked at without importing anything."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Final

# Where test libraries and instrumentation intervene; what is replaced elsewhere is not seen.
_METHODS: Final = (
    ("httpx", "Client", "send"),
    ("httpx", "Client", "_transport_for_url"),
    ("httpx", "HTTPTransport", "handle_request"),
    ("httpcore", "ConnectionPool", "handle_request"),
    ("httpcore", "HTTPConnection", "handle_request"),
)


def is_patched(*, is_async: bool) -> bool:
    """Has something put a function of its own in the place of one of httpx's or httpcore's?"""
    for library, name, method in _METHODS:
        module = sys.modules.get(library)
        if module is None:
            continue
        if is_async:
            name, method = f"Async{name}", method.replace("handle_", "handle_async_")
        # Another thread may be importing it: what is not there yet is not patched.
        function = getattr(getattr(module, name, None), method, None)
        # A wrapt proxy passes for a function in isinstance; a plain wrapper has other globals than what it wraps.
        if function is not None and (
            type(function) is not FunctionType
            or not function.__globals__.get("__name__", "").startswith(("httpx.", "httpcore."))
        ):
            return True
    return False
