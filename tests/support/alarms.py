"""Exceptions wherever CPython may run a signal handler: after a call, as a function begins, as a loop goes round."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any


class Alarm(BaseException):
    """What a signal handler of the application raises."""


class Points:
    """Counts the points that are passed in the given files, and raises `Alarm` at one of them.

    Attributes:
        passed: how many points were passed.
    """

    def __init__(self, at: int, *files: str) -> None:
        self.at = at
        self.files = files
        self.passed = 0
        self._operations: dict[CodeType, dict[int, str]] = {}
        self._before: dict[FrameType, str] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """In this thread, for the code that is run inside."""
        sys._getframe().f_trace_opcodes = True  # Python 3.12 looks at it when tracing begins
        before = sys.gettrace()  # a debugger's, or what counts the lines
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            self._before.clear()

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        # A destructor has nobody to raise to.
        if frame.f_code.co_filename not in self.files or frame.f_code.co_name == "__del__":
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event != "opcode":
            return self._step
        code = frame.f_code
        if code not in self._operations:
            self._operations[code] = {each.offset: each.opname for each in dis.get_instructions(code)}
        before = self._before.get(frame, "")
        self._before[frame] = self._operations[code].get(frame.f_lasti, "")
        if before.startswith(("CALL", "RESUME", "JUMP_BACKWARD")):
            self.passed += 1
            if self.passed == self.at:
                raise Alarm(f"{code.co_qualname}, line {frame.f_lineno}, after {before}")
        return self._step
