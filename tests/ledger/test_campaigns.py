"""Campaigns: one text to many destinations at one pace, which pause, end and report."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modica_facade import (
    AuthenticationError,
    ConfigurationError,
    DeliveryReceipt,
    InvalidRequestError,
    Modica,
    RejectedError,
    RetryPolicy,
)
from modica_facade.ledger import Ledger, _attempts
from modica_facade.simulator import Simulator

Make = Callable[..., Any]
ONCE = RetryPolicy(attempts=1)


def numbers(count: int) -> list[str]:
    return [f"+64211{number}" for number in range(100_000, 100_000 + count)]


def test_a_campaign_goes_out_in_batches(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora", mask="Shop")
    assert campaign.add(iter(numbers(250))) == 250
    assert ledger.work(modica, campaign="news-9") == 0
    campaign.start()
    assert ledger.work(modica, campaign="news-9", limit=150) == 150
    assert campaign.progress() == {
        "queued": 100, "in_doubt": 0, "submitted": 150, "delivered": 0, "failed": 0, "refused": 0, "cancelled": 0,
    }  # fmt: skip
    assert ledger.work(modica, campaign="news-9") == 100
    assert [request.body.count(b"+64") for request in simulator.requests] == [100, 50, 100]
    assert sorted(message.destination for message in simulator.messages) == numbers(250)
    assert {message.reference for message in simulator.messages} == {"news-9"}
    assert b'"mask":"Shop"' in simulator.requests[0].body
    entry = ledger.entry("news-9", destination=numbers(1)[0])
    assert (entry.campaign, entry.state, entry.reference) == ("news-9", "submitted", None)


def test_adding_twice_loads_nothing_twice(ledger: Any, modica: Any) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    assert campaign.add([*numbers(5), *numbers(3)]) == 5
    campaign.start()
    ledger.work(modica, campaign="news-9")
    assert campaign.add(numbers(7)) == 2
    assert campaign.progress()["submitted"] == 5


@pytest.mark.slow
def test_a_load_that_broke_off_goes_on(ledger: Any) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    with pytest.raises(InvalidRequestError, match="empty"):
        campaign.add([*numbers(10_000), ""])
    assert campaign.progress()["queued"] == 10_000
    assert campaign.add(numbers(10_001)) == 1


@pytest.mark.parametrize("destinations", ["+64211234567", None, [7]])
def test_wrong_destinations_are_refused(ledger: Any, destinations: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ledger.campaign("news-9", "Kia ora").add(destinations)
    assert caught.value.field == "destinations"


def test_a_campaign_is_found_by_its_name(ledger: Any) -> None:
    latest = datetime.now(UTC) + timedelta(days=3)
    settings: dict[str, Any] = {"rate": 5, "hours": ("08:00", "20:00"), "zone": "Pacific/Auckland", "latest": latest}
    ledger.campaign("news-9", "Kia ora", **settings).add(numbers(3))
    assert ledger.campaign("news-9").progress()["queued"] == 3
    assert ledger.campaign("news-9", content="Kia ora", **settings).progress()["queued"] == 3
    for name, value in [("rate", 6), ("hours", ("08:00", "21:00")), ("latest", latest + timedelta(hours=1))]:
        with pytest.raises(InvalidRequestError, match="other settings"):
            ledger.campaign("news-9", "Kia ora", **{**settings, name: value})
    with pytest.raises(InvalidRequestError, match="other settings"):
        ledger.campaign("news-9", "Kia ora!", **settings)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"content": None}, "name"),
        ({"content": None, "rate": 1}, "content"),
        ({"content": ""}, "content"),
        ({"name": ""}, "name"),
        ({"rate": 0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"rate": True}, "rate"),
        ({"latest": datetime(2999, 1, 1)}, "latest"),  # noqa: DTZ001 - naive, which is what is tried
        ({"hours": ("08:00",), "zone": "UTC"}, "hours"),
        ({"hours": ("8", "25:00"), "zone": "UTC"}, "hours"),
        ({"hours": ("08:00", "08:00"), "zone": "UTC"}, "hours"),
        ({"hours": ("08:00", "20:00")}, "zone"),
        ({"hours": ("08:00", "20:00"), "zone": "Pacific/Aukland"}, "zone"),
        ({"zone": "UTC"}, "zone"),
        ({"mask": "m" * 21}, "mask"),
    ],
)
def test_wrong_settings_are_refused(ledger: Any, arguments: dict[str, Any], field: str) -> None:
    good: dict[str, Any] = {"name": "news-9", "content": "Kia ora"}
    with pytest.raises(InvalidRequestError) as caught:
        ledger.campaign(**{**good, **arguments})
    assert caught.value.field == field


def test_there_is_no_work_for_a_campaign_that_is_not_there(ledger: Any, modica: Any) -> None:
    with pytest.raises(InvalidRequestError, match="no campaign 'news-9'"):
        ledger.work(modica, campaign="news-9")


def test_pause_resume_cancel(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add(numbers(30))
    with pytest.raises(InvalidRequestError, match="stands at new"):
        campaign.pause()
    campaign.start()
    campaign.start()
    ledger.work(modica, campaign="news-9", limit=10)
    campaign.pause()
    assert ledger.work(modica, campaign="news-9") == 0
    campaign.resume()
    assert ledger.work(modica, campaign="news-9", limit=5) == 5
    assert campaign.cancel() == 15
    assert campaign.cancel() == 0
    assert ledger.work(modica, campaign="news-9") == 0
    progress = campaign.progress()
    assert (progress["submitted"], progress["cancelled"], progress["queued"]) == (15, 15, 0)
    for refused in campaign.start, campaign.resume, campaign.pause, lambda: campaign.add(numbers(1)):
        with pytest.raises(InvalidRequestError, match="cancelled"):
            refused()
    assert len(simulator.messages) == 15


def test_progress_counts_each_destination_once(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add([*numbers(5), "X"])
    campaign.start()
    simulator.fail(cut="after", match=lambda request: request.body.count(b"+64") == 1)
    ledger.work(modica, campaign="news-9", limit=1)
    ledger._database.now = lambda: datetime.now(UTC) + timedelta(minutes=5)
    with ledger._database.transaction() as transaction:
        transaction.run("UPDATE {p}campaign SET next_at = 0")
    ledger.work(modica, campaign="news-9")
    for number, status in zip(numbers(5)[1:], ["received", "expired", "sent"], strict=False):
        entry = ledger.entry("news-9", destination=number)
        ledger.record(DeliveryReceipt(entry.message_id, status, "news-9"))
    assert campaign.progress() == {
        "queued": 0, "in_doubt": 1, "submitted": 2, "delivered": 1, "failed": 1, "refused": 1, "cancelled": 0,
    }  # fmt: skip


def test_a_wrong_password_burns_no_campaign(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add(numbers(120))
    campaign.start()
    simulator.fail(status=401)
    with pytest.raises(AuthenticationError):
        ledger.work(modica, campaign="news-9")
    assert campaign.progress()["queued"] == 120


def test_settings_that_are_refused_here_burn_nobody(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add(numbers(120))
    campaign.start()
    with ledger._database.transaction() as transaction:
        transaction.run("""UPDATE {p}campaign SET options = '{{"scheduled": "2020-01-01T00:00:00Z"}}'""")
    with pytest.raises(InvalidRequestError, match="in the past"):
        ledger.work(modica, campaign="news-9")
    assert campaign.progress()["queued"] == 120
    assert simulator.requests == []


def test_a_refused_text_stops_a_campaign_at_once(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add(numbers(220))
    campaign.start()
    simulator.fail(error="invalid_attrib", times=None)
    with pytest.raises(RejectedError):
        ledger.work(modica, campaign="news-9")
    assert (campaign.progress()["refused"], campaign.progress()["queued"]) == (100, 120)


def test_an_unwell_gateway_holds_every_worker(ledger: Any, make_modica: Make, simulator: Simulator) -> None:
    """Otherwise a dead gateway behind a proxy would have the whole campaign in doubt within minutes."""
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add(numbers(300))
    campaign.start()
    simulator.fail(status=503, times=None)
    assert ledger.work(make_modica(retry=ONCE), campaign="news-9") == 100
    with ledger._database.transaction() as transaction:
        ((wait,),) = transaction.run("SELECT next_at - {clock} FROM {p}campaign")
    assert 0 < wait <= _attempts.HOLD.total_seconds()
    assert campaign.progress()["in_doubt"] == 100


def test_a_batch_that_was_not_sent_is_queued_again(ledger: Any, make_modica: Make, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add(numbers(20))
    campaign.start()
    simulator.fail(status=429)
    assert ledger.work(make_modica(retry=ONCE), campaign="news-9") == 20
    assert campaign.progress()["queued"] == 20
    assert ledger.entry("news-9", destination=numbers(1)[0]).due_at > datetime.now(UTC) + timedelta(seconds=30)


def test_nothing_is_claimed_from_latest_on(ledger: Any, modica: Any) -> None:
    latest = datetime.now(UTC) + timedelta(hours=1)
    campaign = ledger.campaign("news-9", "Kia ora", latest=latest)
    campaign.add(numbers(5))
    campaign.start()
    ledger._database.now = lambda: latest
    assert ledger.work(modica, campaign="news-9") == 0
    ledger._database.now = lambda: latest - timedelta(minutes=30)
    assert ledger.work(modica, campaign="news-9") == 5


def test_a_claim_that_had_to_wait_for_another_writer_looks_at_the_clock_afterwards(
    ledger: Any, modica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = ledger.campaign("news-9", "Kia ora", latest=datetime.now(UTC) + timedelta(hours=1))
    campaign.add(numbers(3))
    campaign.start()
    database = ledger._database
    begin = database.dialect.begin

    def begin_late(connection: Any, mode: str) -> None:
        begin(connection, mode)
        if mode == "durable":
            database.now = lambda: datetime.now(UTC) + timedelta(hours=2)

    monkeypatch.setattr(database.dialect, "begin", begin_late)
    assert ledger.work(modica, campaign="news-9") == 0
    assert campaign.progress()["queued"] == 3


def test_v1_is_told_when_to_give_up(ledger: Any, modica: Any, make_modica: Make, simulator: Simulator) -> None:
    latest = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    campaign = ledger.campaign("news-9", "Kia ora", latest=latest)
    campaign.add(numbers(2))
    campaign.start()
    ledger.work(modica, campaign="news-9", limit=1)
    assert latest.isoformat().encode() in simulator.requests[0].body
    ledger.work(make_modica(version=2), campaign="news-9", limit=1)
    assert b"expires" not in simulator.requests[1].body


@pytest.mark.parametrize(("left", "deadline"), [(20, 20), (0.0005, 0.001)])
def test_the_deadline_of_a_request_ends_with_the_campaign(
    blocking: Ledger, simulator: Simulator, left: float, deadline: float
) -> None:
    seen: list[float] = []

    class Looking(Modica):
        def broadcast(self, *args: Any, **kwargs: Any) -> Any:
            seen.append(self._retry.deadline)
            return super().broadcast(*args, **kwargs)

    latest = datetime.now(UTC) + timedelta(hours=1)
    campaign = blocking.campaign("news-9", "Kia ora", latest=latest)
    campaign.add(numbers(1))
    campaign.start()
    blocking._database.now = lambda: latest - timedelta(seconds=left)
    with Looking("u", "p", base_url=simulator.base_url) as looking:
        blocking.work(looking, campaign="news-9")
        assert looking._retry.deadline == 90
    assert seen == [deadline]


def test_nothing_is_claimed_outside_hours(ledger: Any, modica: Any) -> None:
    campaign = ledger.campaign("news-9", "Kia ora", hours=("08:00", "20:00"), zone="Pacific/Auckland")
    campaign.add(numbers(5))
    campaign.start()
    today = datetime.now(UTC).date()
    noon_in_auckland = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)
    ledger._database.now = lambda: noon_in_auckland + timedelta(hours=12)
    assert ledger.work(modica, campaign="news-9") == 0
    ledger._database.now = lambda: noon_in_auckland
    assert ledger.work(modica, campaign="news-9") == 5


def test_an_option_of_the_other_version_stops_work(ledger: Any, make_modica: Make) -> None:
    campaign = ledger.campaign("news-9", "Kia ora", expires=datetime.now(UTC) + timedelta(days=1))
    campaign.add(numbers(1))
    campaign.start()
    with pytest.raises(ConfigurationError, match="expires"):
        ledger.work(make_modica(version=2), campaign="news-9")
    assert campaign.progress()["queued"] == 1


@pytest.mark.slow
def test_the_pace_is_one_for_all_workers(blocking: Ledger, url: str, simulator: Simulator) -> None:
    """Time is taken, never waited for: the last request begins no sooner than the pace allows."""
    rate, count = 150, 90
    campaign = blocking.campaign("news-9", "Kia ora", rate=rate)
    campaign.add(numbers(count))
    campaign.start()
    begun: list[tuple[float, int]] = []

    class Timed(Modica):
        def broadcast(self, destinations: Any, *args: Any, **kwargs: Any) -> Any:
            begun.append((time.monotonic(), len(destinations)))
            return super().broadcast(destinations, *args, **kwargs)

    def work(_: int) -> int:
        with Ledger(url) as ledger, Timed("u", "p", base_url=simulator.base_url) as modica:
            return sum(iter(lambda: ledger.work(modica, campaign="news-9", limit=15), 0))

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(work, range(3))) == count
    begun.sort()
    sent_before_last = sum(size for _, size in begun[:-1])
    assert begun[-1][0] - begun[0][0] >= (sent_before_last - 15) / rate * 0.9


def test_a_request_takes_no_more_than_a_second_of_the_pace(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora", rate=3)
    campaign.add(numbers(3))
    campaign.start()
    ledger.work(modica, campaign="news-9")
    assert [request.body.count(b"+64") for request in simulator.requests] == [3]


def test_nothing_to_send_takes_no_time_of_the_pace(ledger: Any, modica: Any) -> None:
    campaign = ledger.campaign("news-9", "Kia ora", rate=0.001)
    campaign.start()
    for _ in range(3):
        assert ledger.work(modica, campaign="news-9") == 0
    campaign.add(numbers(1))
    assert ledger.work(modica, campaign="news-9") == 1


@pytest.mark.slow
def test_a_turn_that_is_not_near_is_not_taken(ledger: Any, modica: Any) -> None:
    """A worker that ends while it waits would leave a hole in the pace."""
    campaign = ledger.campaign("news-9", "Kia ora", rate=0.001)
    campaign.add(numbers(2))
    campaign.start()
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 4

    # Before the first request, after its turn was taken, before the second, and after a second of waiting for that.
    assert ledger.work(modica, campaign="news-9", stop=stop) == 1
    with ledger._database.transaction() as transaction:
        ((ahead,),) = transaction.run("SELECT next_at - {clock} FROM {p}campaign")
    assert 900 < ahead <= 1000
    assert campaign.progress()["queued"] == 1


def test_work_is_stopped_between_two_requests(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news-9", "Kia ora")
    campaign.add(numbers(250))
    campaign.start()
    assert ledger.work(modica, campaign="news-9", stop=lambda: bool(simulator.requests)) == 100
    assert ledger.work(modica, campaign="news-9", stop=lambda: True) == 0
    assert campaign.progress()["queued"] == 150
    ledger.enqueue("+64211234567", "Kia ora", reference="single")
    assert ledger.work(modica, stop=lambda: True) == 0


def test_where_each_campaign_stands(ledger: Any, modica: Any) -> None:
    noon = datetime(2030, 5, 5, 12, tzinfo=UTC)
    ledger._database.now = lambda: noon
    settings: dict[str, dict[str, Any]] = {
        "at-night": {"hours": ("22:00", "06:00"), "zone": "UTC"},
        "late": {"latest": noon},
        "paused": {},
        "running": {"latest": noon + timedelta(hours=1), "hours": ("08:00", "20:00"), "zone": "UTC"},
        "cancelled": {},
        "empty": {},
        "new": {},
    }
    for name, given in settings.items():
        campaign = ledger.campaign(name, "Kia ora", **given)
        if name != "empty":
            campaign.add(numbers(1))
        if name != "new":
            campaign.start()
        if name == "paused":
            campaign.pause()
        elif name == "cancelled":
            campaign.cancel()
    assert ledger.campaigns() == {
        "at-night": "waiting",
        "cancelled": "cancelled",
        "empty": "finished",
        "late": "expired",
        "new": "new",
        "paused": "paused",
        "running": "running",
    }
    assert list(ledger.campaigns()) == sorted(settings)
