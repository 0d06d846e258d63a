"""Exceptions where CPython would run a signal handler: after a call, at the start of a function, and of a loop."""

from __future__ import annotations

import dis
import sys
from collections.abc import Collection, Generator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, Self

_AFTER = ("CALL", "RESUME", "JUMP_BACKWARD")


class Alarm(BaseException):
    """What a signal handler of the application raises."""


class Points:
    """Such points of these files, in this thread, while the context lasts; at one of them an exception may be raised.

    Python 3.13 traces some instructions of a function from its second run on only: let all of it run once first.

    Attributes:
        point: where the last exception was raised: function, line; None: there were not so many points.
    """

    def __init__(self, files: Collection[str]) -> None:
        self.point: tuple[str, int] | None = None
        self._files = files
        self._left = 0
        self._error: BaseException = Alarm()
        self._before: dict[int, tuple[str, list[int]]] = {}
        self._codes: dict[CodeType, tuple[bytes, list[Any]]] = {}

    def __enter__(self) -> Self:
        self._tracer = sys.gettrace()  # a debugger's, or what counts the lines
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._tracer)

    @contextmanager
    def alarm(self, number: int, error: BaseException) -> Generator[None]:
        """Raise it once, at the n-th point that is passed from here on, from a frame of its own as a handler does."""
        self.point, self._left, self._error = None, number, error
        try:
            yield
        finally:
            self._left = 0
            self._error = Alarm()
            self._before.clear()
            self._begin()  # a tracer that raises is dropped

    def _begin(self) -> None:
        # From Python 3.12 on, instructions are traced only if a frame asks for it before tracing begins.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        # A destructor has nobody to raise to.
        if code.co_filename not in self._files or code.co_name == "__del__":
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode" and self._left:
            if code not in self._codes:
                self._codes[code] = code.co_code, dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
            instructions, handlers = self._codes[code]
            at = frame.f_lasti
            # The handler's exception belongs to the instruction that was just executed: the same one must catch it.
            caught_by = [each.target for each in handlers if each.start <= at < each.end]
            name, formerly_caught_by = self._before.get(id(frame), ("", []))
            self._before[id(frame)] = dis.opname[instructions[at]], caught_by
            if name.startswith(_AFTER) and caught_by == formerly_caught_by:
                self._left -= 1
                if not self._left:
                    self.point = code.co_name, frame.f_lineno
                    raise self._error
        elif event == "return":
            self._before.pop(id(frame), None)
        return self._trace
