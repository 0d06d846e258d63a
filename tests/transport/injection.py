"""Exceptions where CPython would run a signal handler: after a call, at the start of a function, and of a loop."""

from __future__ import annotations

import dis
import sys
from collections.abc import Collection, Generator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

_AFTER = ("CALL", "RESUME", "JUMP_BACKWARD")


class Injection:
    """Raises an exception once, at the n-th such point in these files, from a frame of its own as a handler does.

    Attributes:
        point: where that was: function, line; None: there are not so many points.
    """

    def __init__(self, number: int, error: BaseException, files: Collection[str]) -> None:
        self.point: tuple[str, int] | None = None
        self._left = number
        self._error = error
        self._files = files
        self._before: dict[int, tuple[str, list[int]]] = {}
        self._codes: dict[CodeType, tuple[bytes, list[Any]]] = {}

    @contextmanager
    def running(self) -> Generator[None]:
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)
            self._before.clear()

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        if code.co_filename not in self._files:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode" and self.point is None:
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
