"""`enqueue`, `work` and `cancel`: what is queued goes out once, from any number of workers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import psycopg.rows
import pytest

from modica_facade import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    Modica,
    NotFoundError,
    PermissionDeniedError,
    RetryPolicy,
    UnexpectedResponseError,
)
from modica_facade.ledger import Ledger
from modica_facade.simulator import Simulator

Make = Callable[..., Any]
NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)


def later(ledger: Any, **by: float) -> None:
    """Let the ledger's clock be ahead."""
    ledger._database.now = lambda: datetime.now(UTC) + timedelta(**by)


def queue(ledger: Any, count: int) -> list[str]:
    references = [f"order-{number}" for number in range(count)]
    for number, reference in enumerate(references):
        ledger.enqueue(f"+6421123{4000 + number}", f"Text {number}", reference=reference)
    return references


def test_what_is_queued_goes_out_in_order_with_its_own_text_and_options(
    ledger: Any, modica: Any, simulator: Simulator
) -> None:
    queue(ledger, 2)
    scheduled = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    entry = ledger.enqueue(NUMBER, "Later", reference="order-2", scheduled=scheduled, mask="Shop", sms_class=1)
    assert (entry.state, entry.account) == ("queued", None)
    assert simulator.requests == []
    assert ledger.work(modica) == 3
    assert [message.content for message in simulator.messages] == ["Text 0", "Text 1", "Later"]
    assert [message.reference for message in simulator.messages] == ["order-0", "order-1", "order-2"]
    assert scheduled.isoformat().encode() in simulator.requests[2].body
    assert b'"mask":"Shop"' in simulator.requests[2].body
    assert ledger.work(modica) == 0


def test_a_limit_bounds_one_call(ledger: Any, modica: Any) -> None:
    queue(ledger, 3)
    assert [ledger.work(modica, limit=2) for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("limit", [0, -1, True, 1.5])
def test_a_wrong_limit_is_refused(ledger: Any, modica: Any, limit: Any) -> None:
    with pytest.raises(InvalidRequestError, match="limit"):
        ledger.work(modica, limit=limit)


def test_a_reference_is_queued_once(ledger: Any, modica: Any, simulator: Simulator) -> None:
    first = ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
    assert ledger.enqueue(NUMBER, "another", reference="order-42") == first
    with pytest.raises(InvalidRequestError, match="another destination"):
        ledger.enqueue("+64211234568", "Kia ora", reference="order-42")
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42") == first
    ledger.work(modica)
    assert ledger.enqueue(NUMBER, "Kia ora", reference="order-42").state == "submitted"
    assert [message.content for message in simulator.messages] == ["Kia ora"]


def test_a_text_is_kept_until_its_message_is_settled(ledger: Any, modica: Any, simulator: Simulator) -> None:
    simulator.fail(error="invalid_attrib", match=lambda request: b"4001" in request.body)
    queue(ledger, 3)
    ledger.cancel(reference="order-2")
    ledger.work(modica)
    with ledger._database.transaction("read") as transaction:
        rows = transaction.run("SELECT state, content, options FROM {p}message ORDER BY reference")
    assert rows == [("submitted", None, None), ("refused", None, None), ("cancelled", None, None)]


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"error": "send_failed"}, 60),
        ({"status": 429}, 60),
        ({"status": 425}, 60),
        ({"status": 429, "headers": {"Retry-After": "300"}}, 300),
    ],
    ids=str,
)
def test_what_passes_is_tried_again_later(
    ledger: Any, make_modica: Make, simulator: Simulator, fault: dict[str, Any], seconds: int
) -> None:
    modica = make_modica(retry=ONCE)
    queue(ledger, 1)
    simulator.fail(**fault)
    assert ledger.work(modica) == 1
    entry = ledger.entry("order-0")
    assert (entry.state, entry.settled_at) == ("queued", None)
    assert entry.reason
    assert entry.due_at - entry.attempted_at >= timedelta(seconds=seconds)
    later(ledger, seconds=seconds - 30)
    assert ledger.work(modica) == 0
    later(ledger, seconds=seconds + 30)
    assert ledger.work(modica) == 1
    assert ledger.entry("order-0").state == "submitted"


def test_work_ends_early_when_the_gateway_is_not_well(
    ledger: Any, make_modica: Make, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    queue(ledger, 3)
    simulator.fail(cut="after")
    assert ledger.work(make_modica(retry=ONCE)) == 1
    assert ledger.counts()["in_doubt"] == 1
    assert ledger.counts()["queued"] == 2
    assert "OutcomeUnknownError" in caplog.text
    assert "+64" not in caplog.text


def test_a_message_that_cannot_be_queued_holds_up_no_other(ledger: Any, modica: Any, simulator: Simulator) -> None:
    queue(ledger, 3)
    simulator.fail(error="send_failed")
    simulator.fail(error="invalid_attrib")
    assert ledger.work(modica) == 3
    assert [ledger.entry(f"order-{number}").state for number in range(3)] == ["queued", "refused", "submitted"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401}, AuthenticationError),
        ({"status": 403}, PermissionDeniedError),
        ({"status": 404}, NotFoundError),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, UnexpectedResponseError),
    ],
    ids=str,
)
def test_work_stops_on_what_a_person_must_put_right(
    ledger: Any, modica: Any, simulator: Simulator, fault: dict[str, Any], kind: type[Exception]
) -> None:
    queue(ledger, 3)
    simulator.fail(**fault)
    with pytest.raises(kind):
        ledger.work(modica)
    assert ledger.counts()["queued"] == 3
    assert ledger.work(modica) == 3


def test_an_option_of_the_other_version_stays_queued(ledger: Any, modica: Any, make_modica: Make) -> None:
    ledger.enqueue(NUMBER, "Kia ora", reference="order-42", expires=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(ConfigurationError, match="expires"):
        ledger.work(make_modica(version=2))
    assert ledger.entry("order-42").state == "queued"
    assert ledger.work(modica) == 1


def test_what_has_become_impossible_while_queued_is_refused(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
    with ledger._database.transaction() as transaction:
        transaction.run("""UPDATE {p}message SET options = '{{"scheduled": "2020-01-01T00:00:00Z"}}'""")
    ledger.work(modica)
    entry = ledger.entry("order-42")
    assert (entry.state, "in the past" in entry.reason) == ("refused", True)
    assert simulator.requests == []


def test_many_workers_send_everything_once(blocking: Ledger, url: str, simulator: Simulator) -> None:
    queue(blocking, 60)
    start = threading.Barrier(4)

    def work(_: int) -> int:
        with Ledger(url) as ledger, Modica("u", "p", base_url=simulator.base_url) as modica:
            start.wait()
            return ledger.work(modica)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 60
    assert sorted(message.reference or "" for message in simulator.messages) == sorted(f"order-{n}" for n in range(60))


def test_a_worker_holds_one_message_at_a_time(blocking: Ledger, simulator: Simulator) -> None:
    """A crash of a worker puts one message of the queue in doubt, not those it would have come to."""
    counts: list[int] = []

    class Looking(Modica):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            counts.append(blocking.counts()["in_doubt"])
            return super().send(*args, **kwargs)

    queue(blocking, 3)
    with Looking("u", "p", base_url=simulator.base_url) as looking:
        blocking.work(looking)
    assert counts == [1, 1, 1]


def test_only_the_attempt_that_holds_a_row_gives_it_back(blocking: Ledger, simulator: Simulator) -> None:
    """A person has settled it meanwhile, and another worker has taken it: the first one's failure is not its."""
    queue(blocking, 1)

    class Overtaken(Modica):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            blocking.settle("order-0", sent=False)
            with blocking._database.transaction() as transaction:
                transaction.run("UPDATE {p}message SET state = 'in_doubt', attempted_at = :now", now=datetime.now(UTC))
            return super().send(*args, **kwargs)

    simulator.fail(error="send_failed")
    with Overtaken("u", "p", base_url=simulator.base_url) as overtaken:
        blocking.work(overtaken)
    entry = blocking.entry("order-0")
    assert entry is not None
    assert entry.state == "in_doubt"


def test_cancel_stops_what_is_queued(ledger: Any, modica: Any, simulator: Simulator) -> None:
    queue(ledger, 3)
    ledger.enqueue("+64211234000", "Kia ora", reference="another")
    for name in "one", "two":
        ledger.campaign(name, "Kia ora").add(["+64211234000", "+64211234001"])
    assert ledger.cancel(reference="order-1") == 1
    assert ledger.cancel(reference="order-1") == 0
    assert ledger.cancel(destination="+64211234000") == 4
    assert ledger.work(modica) == 1
    assert ledger.cancel(reference="order-2") == 0
    assert [message.reference for message in simulator.messages] == ["order-2"]
    assert ledger.enqueue("+64211234000", "Kia ora", reference="later").state == "queued"


@pytest.mark.parametrize("arguments", [{}, {"reference": "a", "destination": "b"}])
def test_cancel_wants_one_of_both(ledger: Any, arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError, match="either"):
        ledger.cancel(**arguments)


@pytest.mark.parametrize("reference", ["order-\ud83d", "order-\0", "", 7, "r" * 256])
def test_what_no_database_keeps_is_refused_wherever_it_is_asked_for(ledger: Any, reference: Any) -> None:
    for ask in (
        lambda: ledger.entry(reference),
        lambda: ledger.entry("order-1", destination=reference),
        lambda: ledger.settle(reference, sent=True),
        lambda: ledger.cancel(reference=reference),
        lambda: ledger.cancel(destination=reference),
    ):
        with pytest.raises(InvalidRequestError) as error:
            ask()
        assert error.value.field in ("reference", "destination")


def open_connection(url: str) -> Any:
    if url.startswith("postgresql"):
        return psycopg.connect(url, row_factory=psycopg.rows.dict_row)
    connection = sqlite3.connect(url, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN IMMEDIATE")
    return connection


@pytest.mark.parametrize("commits", [True, False])
def test_a_message_commits_or_rolls_back_with_the_callers_transaction(
    blocking: Ledger, url: str, commits: bool
) -> None:
    connection = open_connection(url)
    try:
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.execute("INSERT INTO orders VALUES (42)")
        entry = blocking.enqueue(NUMBER, "Kia ora", reference="order-42", connection=connection)
        assert entry.state == "queued"
        assert blocking.entry("order-42") is None
        connection.commit() if commits else connection.rollback()
    finally:
        connection.close()
    assert blocking.entry("order-42") == (entry if commits else None)


def test_a_connection_of_something_else_is_refused(blocking: Ledger, url: str) -> None:
    other = object() if url.startswith("postgresql") else "sms.db"
    with pytest.raises(InvalidRequestError, match=r"connection\.driver_connection") as caught:
        blocking.enqueue(NUMBER, "Kia ora", reference="order-42", connection=other)
    assert caught.value.field == "connection"


def test_a_callers_connection_to_another_database_is_told_to_migrate(
    blocking: Ledger, dialect: str, tmp_path: Any, request: pytest.FixtureRequest
) -> None:
    other = (
        sqlite3.connect(tmp_path / "other.db")
        if dialect == "sqlite"
        else psycopg.connect(request.getfixturevalue("postgres_server").url)
    )
    try:
        with pytest.raises(ConfigurationError, match=r"migrate\(\)"):
            blocking.enqueue(NUMBER, "Kia ora", reference="order-42", connection=other)
    finally:
        other.close()
