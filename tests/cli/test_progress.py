from __future__ import annotations

import re
from pathlib import Path

import pytest

from modica_facade.cli._progress import CampaignProgress, Progress
from modica_facade.simulator import Simulator

from .support import HERE, broadcast, on_terminal, screen_lines


class Clock:
    now = 1_000_000.0  # monotonic clocks begin anywhere

    def __call__(self) -> float:
        return self.now


def after(seconds: float, total: int = 5000, **outcomes: int) -> Progress:
    clock = Clock()
    progress = Progress(total, clock)
    clock.now += seconds
    for status, count in outcomes.items():
        for _ in range(count):
            progress.advance(status)
    return progress


def test_the_pace_is_that_of_this_run_so_far() -> None:
    progress = after(10, success=900, failure=80, unknown=20)
    assert progress.status(200) == "1,000 of 5,000: 900 submitted, 80 failed, 20 unknown  100/s  0:40 left"


@pytest.mark.parametrize(("seconds", "pace"), [(1000, "1.0/s  1:06:40 left"), (400, "2.5/s  26:40 left")])
def test_a_slow_pace_has_a_decimal_and_a_long_time_has_hours(seconds: float, pace: str) -> None:
    assert after(seconds, success=1000).status(200).endswith(pace)


def test_nothing_is_promised_before_the_first_answer() -> None:
    assert after(10).status(200) == "0 of 5,000: 0 submitted, 0 failed, 0 unknown  -/s  -:-- left"


@pytest.mark.parametrize("width", range(29, 200))
def test_submitted_failed_and_unknown_are_there_at_any_width(width: int) -> None:
    status = after(10, success=2288, failure=12, unknown=3).status(width)
    assert len(status) <= width
    assert [number for number in ("2,288", "2288") if number in status]
    assert "12 failed" in status
    assert "3 unknown" in status


def counts(**given: int) -> dict[str, int]:
    states = ("queued", "in_doubt", "submitted", "delivered", "failed", "refused", "cancelled")
    return dict.fromkeys(states, 0) | given


def campaign_after(seconds: float, before: dict[str, int], now: dict[str, int]) -> CampaignProgress:
    clock = Clock()
    progress = CampaignProgress(before, clock)
    clock.now += seconds
    progress.update(now)
    return progress


def test_the_pace_of_a_campaign_is_what_was_sent_since_one_began_to_look() -> None:
    before = counts(queued=5000, submitted=1000)
    now = counts(queued=4000, submitted=1500, delivered=400, failed=40, refused=10, in_doubt=50)
    assert campaign_after(10, before, now).status(200) == (
        "4,000 queued, 1,500 submitted, 400 delivered, 50 failed, 50 in doubt  100/s  0:40 left"
    )


def test_a_campaign_nobody_works_for_promises_nothing() -> None:
    before = counts(queued=5000, submitted=1000)
    assert campaign_after(10, before, before).status(200).endswith("0 in doubt  -/s  -:-- left")


@pytest.mark.parametrize("width", range(40, 200))
def test_queued_failed_and_in_doubt_are_there_at_any_width(width: int) -> None:
    now = counts(queued=4000, submitted=1500, delivered=400, failed=40, refused=10, in_doubt=51)
    status = campaign_after(10, counts(queued=6001), now).status(width)
    assert len(status) <= width
    assert status.startswith(("4,000 queued", "4000 queued"))
    assert "50 failed" in status
    assert "51 in doubt" in status


@pytest.fixture
def numbers(tmp_path: Path) -> str:
    file = tmp_path / "numbers.txt"
    file.write_text("\n".join(f"+6421{number}" for number in range(1_000_000, 1_000_060)))
    return str(file)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_bar_fits_the_terminal(gateway: Simulator, numbers: str, columns: int) -> None:
    command = ["broadcast", "--content", "Kia ora", "--file", numbers, "--batch-size", "20"]
    code, shown = on_terminal(*command, columns=columns)
    bars = [line for line in screen_lines(shown) if "━" in line]
    assert code == 0
    assert bars
    assert all(len(line) <= columns for line in bars)
    assert "60" in bars[-1]
    assert "0 failed" in bars[-1]
    assert (columns == 40) is ("submitted" not in bars[-1])
    assert HERE not in shown


@pytest.mark.slow
def test_rows_go_above_the_bar_when_they_are_asked_for(gateway: Simulator) -> None:
    for option in (["--verbose"], ["--format", "csv"], ["--json"]):
        code, shown = on_terminal("broadcast", "--content", "Kia ora", HERE, *option)
        assert code == 0
        assert HERE in shown
        assert "━" in screen_lines(shown)[-3]


def test_refused_and_unknown_ones_are_shown_where_no_rows_are(gateway: Simulator) -> None:
    code, shown = on_terminal("broadcast", "--content", "Kia ora", HERE, "X")
    assert code == 1
    assert "X                failure  -" in shown
    assert f"{HERE}   " not in shown


def test_no_colour_means_no_colour(gateway: Simulator) -> None:
    _, coloured = on_terminal("broadcast", "--content", "Kia ora", HERE)
    _, plain = on_terminal("broadcast", "--content", "Kia ora", HERE, NO_COLOR="1")
    colour = re.compile(r"\x1b\[[0-9;]*m")
    assert colour.search(coloured)
    assert not colour.search(plain)


def test_a_dumb_terminal_gets_lines(gateway: Simulator, numbers: str) -> None:
    code, shown = on_terminal("broadcast", "--content", "Kia ora", "--file", numbers, TERM="dumb")
    lines = shown.splitlines()
    assert code == 0
    assert "\x1b" not in shown
    assert [line.partition(":")[0] for line in lines] == [*(f"{n} of 60" for n in range(6, 61, 6)), "modica"]


def test_without_a_terminal_there_is_no_bar(gateway: Simulator) -> None:
    assert broadcast(HERE).stderr == "modica: 1 destination: 1 submitted, 0 failed, 0 unknown, 0 not sent\n"
