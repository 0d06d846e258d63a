from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from modica_facade import DeliveryReceipt, Modica
from modica_facade.ledger import Ledger
from modica_facade.simulator import Simulator

from .support import HERE, PASSWORD, THERE, modica, on_terminal, process, rows, screen_lines, sent_to
from .test_signals import SIGNALS


def campaign(*arguments: str, stdin: bytes | None = None) -> Result:
    return modica("campaign", *arguments, stdin=stdin)


def numbers(count: int) -> list[str]:
    return [f"+64211{number}" for number in range(100_000, 100_000 + count)]


def until(gateway: Simulator, condition: Callable[[], object]) -> None:
    """Wait for something that becomes true at the gateway."""
    news = threading.Event()
    with gateway.events.listening(news.set):
        while not condition():
            assert news.wait(60)
            news.clear()


def gateway_client(gateway: Simulator) -> Modica:
    return Modica("application", PASSWORD, base_url=gateway.base_url)


@pytest.fixture
def place(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the environment says that the ledger is: an empty database."""
    monkeypatch.setenv("MODICA_LEDGER", url)
    return url


@pytest.fixture
def ledger(gateway: Simulator, place: str) -> Iterator[Ledger]:
    """Its tables, and a running campaign for 250 people."""
    assert campaign("migrate").exit_code == 0
    with Ledger(place) as ledger:
        news = ledger.campaign("news-9", "Kia ora")
        news.add(numbers(250))
        news.start()
        yield ledger


def standing(result: Result) -> tuple[int, dict[str, Any]]:
    [row] = rows(result)
    return result.exit_code, row


# From its tables to its end


@pytest.mark.slow
def test_a_campaign_from_its_tables_to_its_end(gateway: Simulator, place: str, tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text(f"name;mobile\nA;{HERE}\nB;{THERE}\nC;X1\n")
    for _ in range(2):
        migrated = campaign("migrate", "--json")
        assert standing(migrated) == (0, {"migrated": True, "engine": True if "://" in place else None})
        created = campaign("create", "news-9", "--content", "-", "--mask", "Shop", stdin=b"Kia ora\n")
        assert (created.exit_code, created.stdout) == (0, "news-9: new\n")
    file = ["--file", str(tmp_path / "customers.csv"), "--column", "mobile"]
    assert "X1" in (refused := campaign("add", "news-9", *file)).stderr
    assert refused.exit_code == 2
    assert campaign("add", "news-9", *file, "--skip-bad").stdout == "news-9: 2 added, 0 there already\n"
    assert campaign("add", "news-9", HERE, "--json").stdout == (
        '{"campaign": "news-9", "added": 0, "already_there": 1}\n'
    )
    assert campaign("work", "--once").stdout == ""
    assert campaign("start", "news-9").stdout == "news-9: running\n"
    worked = campaign("work", "--once", "--json")
    assert standing(worked) == (0, {"campaign": "news-9", "tried": 2, "pid": os.getpid()})
    assert sent_to(gateway) == {HERE: 1, THERE: 1}
    [request] = gateway.requests
    assert json.loads(request.body)["content"] == "Kia ora"
    assert (gateway.messages[0].reference, gateway.messages[0].mask) == ("news-9", "Shop")
    with Ledger(place) as ledger:
        ledger.record(DeliveryReceipt(gateway.messages[0].id, "received", "news-9"))
    shown = campaign("progress").stdout
    assert shown == ("news-9: finished, 2 destinations: 0 queued, 1 submitted, 1 delivered, 0 failed, 0 in doubt\n")
    assert standing(campaign("progress", "news-9", "--json"))[1]["delivered"] == 1


def test_a_number_that_is_written_in_another_way_is_the_same_recipient(gateway: Simulator, ledger: Ledger) -> None:
    campaign("create", "two", "--content", "Kia ora")
    for written in ["+64 21 123-4567", "0064211234567", HERE, "+64 (21) 1234567"]:
        campaign("add", "two", written)
    assert ledger.campaign("two").progress()["queued"] == 1
    assert ledger.entry("two", destination=HERE) is not None


def test_its_settings_reach_the_ledger(gateway: Simulator, ledger: Ledger) -> None:
    latest = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    options = ["--rate", "5", "--hours", "08:00-20:00", "--zone", "Pacific/Auckland", "--latest", latest.isoformat()]
    assert campaign("create", "two", "--content", "Kia ora", "--class", "c", *options).exit_code == 0
    settings: dict[str, Any] = {"rate": 5, "hours": ("08:00", "20:00"), "zone": "Pacific/Auckland", "latest": latest}
    assert ledger.campaign("two", "Kia ora", class_="c", **settings).name == "two"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rate", "0"], "rate must be messages a second"),
        (["--rate", "fast"], "not a valid float"),
        (["--hours", "08:00"], "--hours must be two times like 08:00-20:00"),
        (["--hours", "8-20"], "--hours must be two times like 08:00-20:00"),
        (["--hours", "08:00-20:00"], "hours need a zone"),
        (["--hours", "08:00-20:00", "--zone", "Pacific/Aukland"], "not a time zone"),
        (["--latest", "Friday"], "write it like"),
        (["--latest", "2030-05-05T10:00:00"], "--latest"),
        (["--latest", "2030-13-05T10:00:00Z"], "--latest '2030-13-05T10:00:00Z': "),
        (["--mask", "m" * 21], "mask"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    ledger: Ledger, dialect: str, arguments: list[str], complaint: str
) -> None:
    refused = campaign("create", "two", "--content", "Kia ora", *arguments)
    assert refused.exit_code == 2
    assert complaint in refused.stderr
    assert "two" not in ledger.campaigns()


def test_other_settings_under_the_same_name_are_refused(ledger: Ledger) -> None:
    refused = campaign("create", "news-9", "--content", "Kia ora!")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "modica: campaign 'news-9' is there with other settings; give the new one another name\n",
    )


def test_pause_resume_cancel(gateway: Simulator, ledger: Ledger) -> None:
    assert campaign("pause", "news-9").stdout == "news-9: paused\n"
    assert campaign("work", "--once").stdout == ""
    assert standing(campaign("resume", "news-9", "--json")) == (0, {"campaign": "news-9", "state": "running"})
    assert campaign("cancel", "news-9").stdout == "news-9: cancelled, 250 were still queued\n"
    assert standing(campaign("cancel", "news-9", "--json"))[1]["cancelled"] == 0
    refused = campaign("resume", "news-9")
    assert (refused.exit_code, refused.stderr) == (2, "modica: campaign 'news-9' stands at cancelled\n")
    assert "250 cancelled" in campaign("progress", "news-9").stdout
    assert campaign("add", "news-9", HERE).exit_code == 2
    assert gateway.requests == []


@pytest.mark.parametrize(
    "command",
    [
        ["add", HERE], ["start"], ["pause"], ["resume"], ["cancel"], ["progress"], ["progress", "--follow"],
        ["unknown"], ["settle", HERE, "--sent"], ["work"],
    ],
)  # fmt: skip
def test_a_campaign_that_is_not_there_is_named(gateway: Simulator, ledger: Ledger, command: list[str]) -> None:
    refused = campaign(command[0], "nobody", *command[1:])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "modica: there is no campaign 'nobody'; modica campaign create makes one\n"


# The ledger


def test_a_ledger_has_to_be_named() -> None:
    refused = campaign("progress")
    assert refused.exit_code == 2
    assert "No ledger: give --ledger PATH_OR_URL, or set MODICA_LEDGER." in refused.stderr


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    refused = campaign("progress", "--ledger", str(tmp_path / "typo.db"))
    assert refused.exit_code == 2
    assert "there is no ledger at" in refused.stderr
    assert not (tmp_path / "typo.db").exists()


def test_tables_that_are_not_there_say_what_to_do(place: str, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    refused = campaign("progress")
    assert refused.exit_code == 2
    assert "run modica campaign migrate" in refused.stderr


@pytest.mark.parametrize(
    "secret",
    [
        "postgresql://me:canary-hunter2@h/d",
        "postgresql://h/d?password=canary-hunter2",
        "postgresql://[me:canary-hunter2@h/d",
    ],
)
def test_a_password_in_the_process_list_is_refused(secret: str) -> None:
    refused = campaign("progress", "--ledger", secret, "--json")
    assert refused.exit_code == 2
    assert "MODICA_LEDGER" in refused.stderr
    assert PASSWORD not in refused.output


@pytest.mark.parametrize("command", ["migrate", "progress", "work"])
def test_a_database_that_cannot_be_reached_is_one_line(
    gateway: Simulator, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MODICA_LEDGER", f"postgresql://me:{PASSWORD}@127.0.0.1:1/d")
    refused = campaign(command)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert len(refused.stderr.splitlines()) == 1
    assert PASSWORD not in refused.stderr


# What is in doubt


@pytest.fixture
def in_doubt(gateway: Simulator, ledger: Ledger) -> list[str]:
    """The numbers of one request whose answer was lost."""
    gateway.fail(cut="after")
    with gateway_client(gateway) as client:
        assert ledger.work(client, campaign="news-9", limit=100) == 100
    return [entry.destination for entry in ledger.unresolved()]


def test_what_is_in_doubt_is_listed(gateway: Simulator, ledger: Ledger, in_doubt: list[str]) -> None:
    shown = campaign("unknown", "news-9", "--json")
    assert [row["destination"] for row in rows(shown)] == in_doubt
    assert shown.stderr == "modica: 100 destinations in doubt\n"
    first = rows(shown)[0]
    assert datetime.fromisoformat(first["since"]) > datetime.now(UTC) - timedelta(minutes=5)
    assert (first["campaign"], "may have been" in first["reason"]) == ("news-9", True)
    heading, *lines = campaign("unknown").stdout.splitlines()
    assert heading.split() == ["campaign", "destination", "in", "doubt", "since", "reason"]
    assert [line.split()[:2] for line in lines] == [["news-9", number] for number in in_doubt]
    ledger.campaign("two", "Kia ora")
    assert rows(campaign("unknown", "two", "--json")) == []


def test_a_person_settles_what_is_in_doubt(ledger: Ledger, in_doubt: list[str]) -> None:
    first, second, third, *_ = in_doubt
    assert campaign("settle", "news-9", first, "--sent", "--id", "12").stdout == f"news-9: {first} is submitted\n"
    spaced = f"{second[:3]} {second[3:]}"
    assert standing(campaign("settle", "news-9", spaced, "--sent", "--json"))[1] == {
        "campaign": "news-9", "destination": second, "state": "submitted", "id": None,
    }  # fmt: skip
    assert "say --yes" in campaign("settle", "news-9", third, "--not-sent").stderr
    assert campaign("settle", "news-9", third, "--not-sent", "--yes").stdout == f"news-9: {third} is queued\n"
    states = [ledger.entry("news-9", destination=each) for each in (first, second, third)]
    assert [(each.state, each.message_id) for each in states if each] == [
        ("submitted", "12"), ("submitted", None), ("queued", None),
    ]  # fmt: skip


def test_a_terminal_asks_before_something_may_be_sent_twice(ledger: Ledger, in_doubt: list[str], place: str) -> None:
    command = ["campaign", "settle", "news-9", in_doubt[0], "--not-sent"]
    code, shown = on_terminal(*command, answers={"[y/N]: ": "n"})
    assert (code, "a second SMS" in " ".join(shown.split())) == (130, True)
    code, _ = on_terminal(*command, answers={"[y/N]: ": "y"})
    entry = ledger.entry("news-9", destination=in_doubt[0])
    assert entry is not None
    assert (code, entry.state) == (0, "queued")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([numbers(1)[0]], "needs either --sent or --not-sent"),
        ([numbers(1)[0], "--sent", "--id", "x"], "not a message id"),
        ([numbers(1)[0], "--sent", "--id", "12"], ""),
        ([numbers(250)[-1], "--not-sent", "--yes"], "nothing to settle"),
        ([HERE, "--sent"], "is not in campaign 'news-9'"),
    ],
)
def test_what_cannot_be_settled_is_refused(in_doubt: list[str], arguments: list[str], complaint: str) -> None:
    settled = campaign("settle", "news-9", *arguments)
    assert settled.exit_code == (2 if complaint else 0)
    assert complaint in settled.stderr


# Progress


def test_every_campaign_is_listed(ledger: Ledger) -> None:
    ledger.campaign("another", "Kia ora")
    assert campaign("progress").stdout.splitlines() == [
        "another: new, 0 destinations: 0 queued, 0 submitted, 0 delivered, 0 failed, 0 in doubt",
        "news-9: running, 250 destinations: 250 queued, 0 submitted, 0 delivered, 0 failed, 0 in doubt",
    ]
    assert [row["campaign"] for row in rows(campaign("progress", "--json"))] == ["another", "news-9"]
    assert campaign("progress", "--follow").exit_code == 2


@pytest.mark.slow
def test_a_bar_follows_to_the_end(gateway: Simulator, ledger: Ledger) -> None:
    with process("campaign", "work") as worker:
        code, shown = on_terminal("campaign", "progress", "news-9", "--follow", columns=120)
        worker.terminate()
        worker.communicate()
    assert code == 0
    bars = [line for line in screen_lines(shown) if "in doubt" in line]
    assert "0 queued, 250 submitted, 0 delivered, 0 failed, 0 in doubt" in bars[-2]
    assert bars[-2].endswith("left")
    assert bars[-1].startswith("news-9: finished, 250 destinations")


@pytest.mark.slow
def test_without_a_terminal_every_change_is_a_line(gateway: Simulator, ledger: Ledger) -> None:
    with process("campaign", "progress", "news-9", "--follow", "--json") as following:
        campaign("work", "--once")
        shown, _ = following.communicate()
    *_, last = map(json.loads, shown.splitlines())
    assert (last["state"], last["submitted"]) == ("finished", 250)


def test_nobody_waits_for_what_is_queued_in_a_campaign_that_has_expired(ledger: Ledger) -> None:
    late = ledger.campaign("late", "Kia ora", latest=datetime.now(UTC) - timedelta(hours=1))
    late.add([HERE])
    late.start()
    code, counts = standing(campaign("progress", "late", "--follow", "--json"))
    assert (code, counts["state"], counts["queued"]) == (0, "expired", 1)


def test_what_is_in_doubt_is_waited_for_only_as_long_as_a_request_takes(
    ledger: Ledger, in_doubt: list[str], place: str
) -> None:
    with ledger._database.transaction() as transaction:
        transaction.run("UPDATE {p}message SET state = 'cancelled' WHERE state = 'queued'")
        transaction.run("UPDATE {p}message SET attempted_at = :then", then=datetime.now(UTC) - timedelta(minutes=5))
    assert standing(campaign("progress", "news-9", "--follow", "--json"))[1]["in_doubt"] == 100


# Workers


def test_a_campaign_whose_text_is_refused_is_paused_and_others_go_on(gateway: Simulator, ledger: Ledger) -> None:
    ledger.campaign("two", "Tena koutou").add([HERE])
    ledger.campaign("two").start()
    gateway.fail(error="invalid_attrib", times=None, match=lambda request: b"Kia ora" in request.body)
    worked = campaign("work", "--once")
    assert worked.exit_code == 1
    assert "modica: campaign news-9 is paused: " in worked.stderr
    assert ledger.campaigns() == {"news-9": "paused", "two": "finished"}
    assert (ledger.campaign("news-9").progress()["refused"], sent_to(gateway)) == (100, {HERE: 1})


def test_only_the_campaigns_that_are_named_are_worked_for(gateway: Simulator, ledger: Ledger) -> None:
    ledger.campaign("two", "Kia ora").add([HERE])
    ledger.campaign("two").start()
    assert campaign("work", "two", "--once").exit_code == 0
    assert sent_to(gateway) == {HERE: 1}


@pytest.mark.parametrize("once", [["--once"], []], ids=["once", "until stopped"])
def test_a_wrong_password_ends_a_worker_and_burns_nobody(gateway: Simulator, ledger: Ledger, once: list[str]) -> None:
    gateway.fail(status=401, times=None)
    worked = campaign("work", *once)
    assert (worked.exit_code, worked.stdout) == (1, "")
    assert "check MODICA_USERNAME and the password" in worked.stderr
    assert ledger.campaign("news-9").progress()["queued"] == 250
    assert len(gateway.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("signal_", SIGNALS)
def test_a_worker_ends_in_order(gateway: Simulator, ledger: Ledger, signal_: int) -> None:
    handlers = [*map(signal.getsignal, SIGNALS)]
    gateway.fail(match=lambda _: os.kill(os.getpid(), signal_) is None)
    worked = campaign("work")
    assert worked.exit_code == 0
    assert ledger.campaign("news-9").progress()["submitted"] == len(gateway.messages)
    assert len(gateway.messages) in {100, 200}  # with procrastinate two units may be under way
    assert [*map(signal.getsignal, SIGNALS)] == handlers
    assert ledger.unresolved() == []


@pytest.mark.slow
def test_a_worker_that_waits_for_a_slow_pace_ends_at_once(gateway: Simulator, ledger: Ledger) -> None:
    slow = ledger.campaign("slow", "Kia ora", rate=0.001)
    slow.add([HERE, THERE])
    slow.start()
    ledger.campaign("news-9").pause()
    with process("campaign", "work") as worker:
        until(gateway, lambda: gateway.messages)
        worker.terminate()
        worker.communicate()
    assert worker.returncode == 0
    assert (len(gateway.messages), slow.progress()["queued"]) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_ends_a_worker_at_once(gateway: Simulator, ledger: Ledger, second: signal.Signals) -> None:
    gateway.fail(delay=60, times=None)
    with process("campaign", "work") as worker:
        until(gateway, lambda: gateway.messages)
        worker.terminate()
        assert worker.stderr is not None
        assert worker.stderr.readline() == "\n"
        assert "once more to stop at once" in worker.stderr.readline()
        worker.send_signal(second)
        worker.communicate()
    assert worker.returncode == -second
    assert {entry.destination for entry in ledger.unresolved()} >= sent_to(gateway).keys()


@pytest.mark.slow
def test_workers_share_what_is_to_be_done(gateway: Simulator, ledger: Ledger) -> None:
    ledger.campaign("news-9").add(numbers(1500))
    with process("campaign", "work") as first, process("campaign", "work") as second:
        until(gateway, lambda: len(gateway.messages) == 1500)
        for worker in first, second:
            worker.terminate()
            assert worker.wait() in (0, -signal.SIGTERM)  # the second may not have begun when all is done
    assert sent_to(gateway) == dict.fromkeys(numbers(1500), 1)
    assert ledger.campaign("news-9").progress()["submitted"] == 1500


@pytest.mark.slow
def test_a_killed_worker_sends_nothing_twice_and_its_people_are_listed(gateway: Simulator, ledger: Ledger) -> None:
    ledger.campaign("news-9").add(numbers(600))  # one worker may have four requests of 100 under way
    gateway.fail(delay=60, times=None)  # each request is acted on, and not answered
    with process("campaign", "work") as worker:
        until(gateway, lambda: gateway.messages)
        worker.kill()
        worker.wait()
    gateway.remove_fault(gateway.faults[0])
    listed = {row["destination"] for row in rows(campaign("unknown", "--json"))}
    assert listed >= sent_to(gateway).keys()
    with process("campaign", "work") as worker:
        until(gateway, lambda: len(listed | sent_to(gateway).keys()) == 600)
        worker.terminate()
        assert worker.wait() == 0
    assert max(sent_to(gateway).values()) == 1
    assert {row["destination"] for row in rows(campaign("unknown", "--json"))} == listed
    for message in gateway.messages:
        ledger.record(DeliveryReceipt(message.id, "received", message.reference))
    reconciled = campaign("unknown", "--json", "--reconcile")
    settled = len(listed & sent_to(gateway).keys())
    assert reconciled.stderr.startswith(f"modica: settled by receipts: {settled} destinations\n")
    assert {row["destination"] for row in rows(reconciled)} == listed - sent_to(gateway).keys()
