"""What people do with a ledger: look, settle by hand, count, purge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modica_facade import DeliveryReceipt, InvalidRequestError, OutcomeUnknownError
from modica_facade.ledger import Entry, _rows
from modica_facade.simulator import Simulator

Make = Callable[..., Any]
NUMBER = "+64211234567"
NUMBERS = [f"+6421123{number}" for number in range(4000, 4004)]


def later(ledger: Any, **by: float) -> None:
    ledger._database.now = lambda: datetime.now(UTC) + timedelta(**by)


def in_doubt(ledger: Any, modica: Any, simulator: Simulator, reference: str = "order-42", cut: Any = "before") -> None:
    simulator.fail(cut=cut)
    with pytest.raises(OutcomeUnknownError):
        ledger.send(modica, NUMBER, "Kia ora", reference=reference)


def test_what_is_not_known_is_none(ledger: Any) -> None:
    assert ledger.entry("order-42") is None
    assert ledger.entry("news", destination=NUMBER) is None


def test_an_entry_is_found_by_its_destination_too(ledger: Any) -> None:
    ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
    assert ledger.entry("order-42", destination=NUMBER) == ledger.entry("order-42")
    assert ledger.entry("order-42", destination=NUMBERS[0]) is None


def test_unresolved_is_oldest_first_and_by_age(ledger: Any, modica: Any, simulator: Simulator) -> None:
    in_doubt(ledger, modica, simulator, "old")
    later(ledger, hours=2)
    in_doubt(ledger, modica, simulator, "new")
    assert [entry.reference for entry in ledger.unresolved()] == ["old", "new"]
    assert [entry.reference for entry in ledger.unresolved(older_than=timedelta(hours=1))] == ["old"]
    assert ledger.unresolved(older_than=timedelta(hours=3)) == []


def test_a_person_says_that_it_was_sent(ledger: Any, modica: Any, simulator: Simulator) -> None:
    in_doubt(ledger, modica, simulator, cut="after")
    ledger.record(DeliveryReceipt(simulator.messages[0].id, "sent"))
    entry = ledger.settle("order-42", sent=True, message_id=simulator.messages[0].id)
    assert (entry.state, entry.message_id, entry.status) == ("submitted", simulator.messages[0].id, "sent")
    assert ledger.record(DeliveryReceipt(simulator.messages[0].id, "received", "order-42")).is_delivered
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"
    assert len(simulator.requests) == 1


def test_a_person_may_not_know_the_id(ledger: Any, modica: Any, simulator: Simulator) -> None:
    in_doubt(ledger, modica, simulator, cut="after")
    assert ledger.settle("order-42", sent=True).message_id is None
    moved = ledger.record(DeliveryReceipt(simulator.messages[0].id, "received", "order-42"))
    assert moved.message_id == simulator.messages[0].id


def test_a_person_says_that_a_send_was_not_sent(ledger: Any, modica: Any, simulator: Simulator) -> None:
    in_doubt(ledger, modica, simulator)
    assert ledger.settle("order-42", sent=False).state == "not_sent"
    assert ledger.work(modica) == 0
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"
    assert len(simulator.messages) == 1


def test_a_person_says_that_a_queued_message_was_not_sent(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
    simulator.fail(cut="before")
    ledger.work(modica)
    entry = ledger.settle("order-42", sent=False)
    assert (entry.state, entry.due_at is not None, entry.reason) == ("queued", True, None)
    assert ledger.work(modica) == 1
    assert [message.content for message in simulator.messages] == ["Kia ora"]


def test_a_recipient_is_settled_by_destination(ledger: Any, modica: Any, simulator: Simulator) -> None:
    simulator.fail(cut="after")
    with pytest.raises(OutcomeUnknownError):
        ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    with pytest.raises(InvalidRequestError, match="give destination"):
        ledger.settle("news", sent=True)
    assert ledger.settle("news", destination=NUMBERS[0], sent=True, message_id="7").message_id == "7"
    assert ledger.settle("news", destination=NUMBERS[1], sent=False).state == "not_sent"
    assert ledger.counts()["in_doubt"] == 2


def test_a_recipient_of_a_campaign_is_queued_again(ledger: Any, modica: Any, simulator: Simulator) -> None:
    campaign = ledger.campaign("news", "Kia ora")
    campaign.add(NUMBERS)
    campaign.start()
    simulator.fail(cut="before")
    ledger.work(modica, campaign="news")
    assert ledger.settle("news", destination=NUMBERS[1], sent=False).state == "queued"
    assert ledger.settle("news", destination=NUMBERS[2], sent=True).state == "submitted"
    assert campaign.progress()["queued"] == 1


def test_after_a_restore_a_person_settles_what_is_queued(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
    assert ledger.settle("order-42", sent=True).state == "submitted"
    assert ledger.work(modica) == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"reference": "unknown", "sent": True}, "reference"),
        ({"sent": "yes"}, "sent"),
        ({"sent": False, "message_id": "7"}, "message_id"),
    ],
)
def test_a_word_that_cannot_be_taken(
    ledger: Any, modica: Any, simulator: Simulator, arguments: dict[str, Any], field: str
) -> None:
    in_doubt(ledger, modica, simulator)
    with pytest.raises(InvalidRequestError) as caught:
        ledger.settle(**{"reference": "order-42", **arguments})
    assert caught.value.field == field
    assert ledger.counts()["in_doubt"] == 1


def test_a_person_who_is_overtaken_is_told_so(
    ledger: Any, modica: Any, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_doubt(ledger, modica, simulator)
    find = _rows._find

    def find_and_settle(transaction: Any, *args: Any) -> Any:
        found = find(transaction, *args)
        transaction.run("UPDATE {p}message SET state = 'submitted'")
        return found

    monkeypatch.setattr(_rows, "_find", find_and_settle)
    with pytest.raises(InvalidRequestError, match="settled at the same moment; look again"):
        ledger.settle("order-42", sent=False)


def test_what_is_settled_is_not_settled_again(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    ledger.enqueue(NUMBER, "Kia ora", reference="queued")
    for reference, sent in ("order-42", False), ("order-42", True), ("queued", False):
        with pytest.raises(InvalidRequestError, match="nothing to settle"):
            ledger.settle(reference, sent=sent)


def test_counts(ledger: Any, modica: Any, simulator: Simulator) -> None:
    nothing = dict.fromkeys(("queued", "in_doubt", "submitted", "refused", "not_sent", "cancelled", "receipts"), 0)
    assert ledger.counts() == nothing
    ledger.send(modica, NUMBER, "Kia ora", reference="order-1")
    in_doubt(ledger, modica, simulator)
    ledger.enqueue(NUMBER, "Kia ora", reference="order-3")
    ledger.record(DeliveryReceipt("7", "received", "unknown"))
    assert ledger.counts() == {**nothing, "submitted": 1, "in_doubt": 1, "queued": 1, "receipts": 1}


def test_purge_never_takes_what_is_queued_or_in_doubt(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.send(modica, NUMBER, "Kia ora", reference="order-1")
    in_doubt(ledger, modica, simulator)
    ledger.enqueue(NUMBER, "Kia ora", reference="order-3")
    ledger.enqueue(NUMBER, "Kia ora", reference="order-4")
    ledger.cancel(reference="order-4")
    assert ledger.purge(older_than=timedelta(days=30)) == 0
    later(ledger, days=31)
    assert ledger.purge(older_than=timedelta(days=30)) == 2
    assert {state: count for state, count in ledger.counts().items() if count} == {"in_doubt": 1, "queued": 1}
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-1").state == "submitted"
    assert len(simulator.messages) == 2


def test_an_entry_says_what_may_have_been_sent() -> None:
    states = {state: Entry(NUMBER, state).may_have_been_sent for state in ("queued", "in_doubt", "submitted")}  # type: ignore[arg-type]
    assert states == {"queued": False, "in_doubt": True, "submitted": True}
    assert not Entry(NUMBER, "refused").may_have_been_sent
    assert not Entry(NUMBER, "submitted", status="sent").is_delivered
