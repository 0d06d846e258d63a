"""A progress bar on standard error, where that is a terminal; rich draws it, what it says is decided here."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from ._output import note

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SHORTEST_BAR = 5


class Progress:
    """Counts the outcomes of this run.

    Args:
        total: how many there will be, without those of earlier runs.
        clock: seconds, for tests to turn.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._started = clock()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._plain_steps = 0

    def __enter__(self) -> Self:
        if not sys.stderr.isatty():
            return self
        # Imported late: it takes longer than a send, and scripts never see it.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, Task
        from rich.table import Column
        from rich.text import Text

        console = Console(stderr=True)
        if console.is_dumb_terminal:
            self._plain_steps = max(1, self._total // 10)
            return self

        class Status(ProgressColumn):
            def render(_self, task: Task) -> Text:  # noqa: ARG002, N805 - self is the progress around it
                return Text(self.status(console.width - _SHORTEST_BAR - 1))

        self._bar = Progress(
            BarColumn(None, table_column=Column(ratio=1)),
            Status(table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
            # Rows go above the bar where both share the terminal.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
        )
        self._task = self._bar.add_task("", total=self._total)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError):  # the terminal hung up
                self._bar.stop()

    def advance(self, status: str) -> None:
        """Count an outcome."""
        self._counts[status] += 1
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._counts.total())
        elif self._plain_steps and self._counts.total() % self._plain_steps == 0:
            note(self.status(79), prefix="")

    def status(self, width: int) -> str:
        """The fullest account that fits into ``width`` columns."""
        done = self._counts.total()
        submitted, failed, unknown = (self._counts[each] for each in ("success", "failure", "unknown"))
        elapsed = self._clock() - self._started
        rate = done / elapsed if done and elapsed > 0 else None
        # Nothing is promised before the first answer.
        pace = "-/s" if rate is None else f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        end = "-:--" if rate is None else _duration((self._total - done) / rate)
        counts = f"{submitted:,} submitted, {failed:,} failed, {unknown:,} unknown"
        forms = (
            f"{done:,} of {self._total:,}: {counts}  {pace}  {end} left",
            f"{done:,}/{self._total:,} {counts} {pace} {end}",
            f"{submitted} ok {failed} failed {unknown} unknown {end}",
            f"{submitted} ok {failed} failed {unknown} unknown",
        )
        return next((form for form in forms if len(form) <= width), forms[-1])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
