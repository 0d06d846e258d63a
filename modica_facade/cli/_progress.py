"""A progress bar on standard error where that is a terminal. rich draws it; what it says is decided here."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from ._output import note

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SHORTEST_BAR = 5


class Bar:
    """A bar and a text beside it; where the cursor cannot be moved, a line at every tenth; nothing without a terminal.

    Args:
        total: what the bar is full at.
        status: the text, given how wide it may be.
    """

    def __init__(self, total: int, status: Callable[[int], str]) -> None:
        self._total = total
        self._status = status
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._plain_step = 0
        self._shown = 0

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
            self._plain_step = max(1, self._total // 10)
            return self

        class Status(ProgressColumn):
            def render(_self, task: Task) -> Text:  # noqa: ARG002, N805 - self is the bar around it
                return Text(self._status(console.width - _SHORTEST_BAR - 1))

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

    def show(self, done: int, total: int | None = None) -> None:
        """Draw it again."""
        self._total = self._total if total is None else total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=self._total)
        elif self._plain_step and done // self._plain_step > self._shown // self._plain_step:
            self._shown = done
            note(self._status(79), prefix="")


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
        self._bar = Bar(total, self.status)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    def advance(self, status: str) -> None:
        """Count an outcome."""
        self._counts[status] += 1
        self._bar.show(self._counts.total())

    def status(self, width: int) -> str:
        """The fullest account that fits into ``width`` columns."""
        done = self._counts.total()
        submitted, failed, unknown = (self._counts[each] for each in ("success", "failure", "unknown"))
        pace, end = _pace(done, self._total - done, self._clock() - self._started)
        counts = f"{submitted:,} submitted, {failed:,} failed, {unknown:,} unknown"
        forms = (
            f"{done:,} of {self._total:,}: {counts}  {pace}  {end} left",
            f"{done:,}/{self._total:,} {counts} {pace} {end}",
            f"{submitted} ok {failed} failed {unknown} unknown {end}",
            f"{submitted} ok {failed} failed {unknown} unknown",
        )
        return next((form for form in forms if len(form) <= width), forms[-1])


class CampaignProgress:
    """Where the destinations of a campaign stand, and how fast they are sent to, whoever does it.

    Args:
        counts: as ``Campaign.progress`` says them.
        clock: seconds, for tests to turn.
    """

    def __init__(self, counts: Mapping[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._counts = counts
        self._clock = clock
        self._started = clock()
        self._done_before = self._done
        self._bar = Bar(sum(counts.values()), self.status)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        self.update(self._counts)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    @property
    def _done(self) -> int:
        return sum(self._counts.values()) - self._counts["queued"]

    def update(self, counts: Mapping[str, int]) -> None:
        """Show where they stand now."""
        self._counts = counts
        self._bar.show(self._done, sum(counts.values()))

    def status(self, width: int) -> str:
        """The fullest account that fits into ``width`` columns."""
        queued, submitted, delivered, in_doubt = (
            self._counts[each] for each in ("queued", "submitted", "delivered", "in_doubt")
        )
        failed = self._counts["failed"] + self._counts["refused"]
        pace, end = _pace(self._done - self._done_before, queued, self._clock() - self._started)
        counts = f"{submitted:,} submitted, {delivered:,} delivered, {failed:,} failed, {in_doubt:,} in doubt"
        forms = (
            f"{queued:,} queued, {counts}  {pace}  {end} left",
            f"{queued:,} queued, {counts} {end}",
            f"{queued} queued {submitted + delivered} ok {failed} failed {in_doubt} in doubt {end}",
            f"{queued} queued {failed} failed {in_doubt} in doubt",
        )
        return next((form for form in forms if len(form) <= width), forms[-1])


def _pace(done: int, left: int, elapsed: float) -> tuple[str, str]:
    """Messages a second, and how long the rest takes; nothing is promised before the first answer."""
    if not done or elapsed <= 0:
        return "-/s", "-:--"
    rate = done / elapsed
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s", _duration(left / rate)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
