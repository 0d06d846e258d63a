"""`Ledger.record` and `reconcile`: receipts in any order, for singles and broadcasts, on both REST versions."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modica_facade import (
    CallbackReceiver,
    DeliveryReceipt,
    InvalidRequestError,
    Modica,
    NotFoundError,
    OutcomeUnknownError,
    SubmittedMessage,
    parse_callback,
)
from modica_facade.ledger import Ledger
from modica_facade.simulator import Simulator, serve

Make = Callable[..., Any]
NUMBER = "+64211234567"
NUMBERS = [f"+6421123{number}" for number in range(4000, 4004)]


def lost_send(ledger: Any, modica: Any, simulator: Simulator, reference: str = "order-42") -> str:
    """A message that went out and whose answer was lost; its id."""
    simulator.fail(cut="after")
    with pytest.raises(OutcomeUnknownError):
        ledger.send(modica, NUMBER, "Kia ora", reference=reference)
    return simulator.messages[-1].id


def lost_broadcast(ledger: Any, modica: Any, simulator: Simulator) -> dict[str, str]:
    simulator.fail(cut="after")
    with pytest.raises(OutcomeUnknownError):
        ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    return {message.destination: message.id for message in simulator.messages}


def test_a_receipt_moves_its_message_forward_only(ledger: Any, modica: Any) -> None:
    message_id = ledger.send(modica, NUMBER, "Kia ora", reference="order-42").message_id
    moved = ledger.record(DeliveryReceipt(message_id, "sent", "order-42"))
    assert (moved.status, moved.status_at is not None) == ("sent", True)
    assert ledger.record(DeliveryReceipt(message_id, "received", "order-42")).is_delivered
    for status in "received", "sent", "expired", "submitted", "unheard-of":
        assert ledger.record(DeliveryReceipt(message_id, status, "order-42")) is None
    assert ledger.entry("order-42").status == "received"
    assert ledger.counts()["receipts"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "unheard-of", "expired", "another"])))
def test_the_order_of_receipts_cannot_show(blocking: Ledger, order: tuple[str, ...]) -> None:
    blocking.enqueue(NUMBER, "Kia ora", reference="order-42")
    for status in order:
        blocking.record(DeliveryReceipt("7", status, "order-42"))
    entry = blocking.entry("order-42")
    assert entry is not None
    assert entry.status == "expired"


def test_a_receipt_settles_a_lost_answer_by_its_reference(ledger: Any, modica: Any, simulator: Simulator) -> None:
    message_id = lost_send(ledger, modica, simulator)
    entry = ledger.record(DeliveryReceipt(message_id, "rejected", "order-42"))
    assert (entry.state, entry.message_id, entry.status) == ("submitted", message_id, "rejected")
    assert entry.reason is None
    assert ledger.unresolved() == []


def test_receipts_arrive_through_the_receiver(blocking: Ledger, simulator: Simulator) -> None:
    receiver = CallbackReceiver(on_receipt=blocking.record, username="modica", password="a secret")
    with serve(receiver.asgi) as address, Modica("u", "p", base_url=simulator.base_url) as modica:
        simulator.dlr_url = address.replace("://", "://modica:a%20secret@")
        lost_send(blocking, modica, simulator)
        simulator.deliver()
        assert [delivery.status_code for delivery in simulator.deliveries] == [200, 200]
    entry = blocking.entry("order-42")
    assert entry is not None
    assert (entry.state, entry.status) == ("submitted", "received")


def test_an_asynchronous_receiver_takes_an_asynchronous_ledger(ledger: Any, modica: Any) -> None:
    """`record` is the handler, in both flavours."""
    message_id = ledger.send(modica, NUMBER, "Kia ora", reference="order-42").message_id
    receipt = parse_callback(f'{{"message_id": "{message_id}", "status": "received", "reference": "order-42"}}')
    assert ledger.record(receipt).status == "received"


@pytest.mark.parametrize(
    "body",
    [
        '{"id": "26AC66CB-60c1-4f77-8bf6-00f3b4b3c4a0", "status": "received", "detail": "on the handset"}',
        '{"message_id": "26ac66cb-60c1-4f77-8bf6-00f3b4b3c4a0", "status": "received", "reference": "order-42"}',
    ],
    ids=["specification", "prose"],
)
@pytest.mark.parametrize("early", [True, False])
def test_both_shapes_of_v2_find_their_message(blocking: Ledger, body: str, early: bool) -> None:
    """The published one has no reference: before the answer it is kept, and matched by its id afterwards."""
    receipt = parse_callback(body)
    assert isinstance(receipt, DeliveryReceipt)

    class Client:
        def send(self, destination: str, content: str, *, reference: str) -> SubmittedMessage:
            if early:
                blocking.record(receipt)
            return SubmittedMessage("26ac66cb-60c1-4f77-8bf6-00f3b4b3c4a0", destination, reference, status="accepted")

        def get(self, message_id: str) -> None: ...

    blocking.send(Client(), NUMBER, "Kia ora", reference="order-42")  # type: ignore[arg-type]
    if not early:
        blocking.record(receipt)
    entry = blocking.entry("order-42")
    assert entry is not None
    assert (entry.state, entry.status) == ("submitted", "received")
    assert blocking.counts()["receipts"] == 0


def test_a_receipt_of_a_broadcast_never_settles_by_its_reference(
    ledger: Any, modica: Any, simulator: Simulator
) -> None:
    """It names a message, not a recipient: it is kept."""
    ids = lost_broadcast(ledger, modica, simulator)
    for message_id in ids.values():
        assert ledger.record(DeliveryReceipt(message_id, "received", "news")) is None
    assert ledger.counts()["in_doubt"] == 4
    assert ledger.counts()["receipts"] == 4


def test_reconcile_asks_which_recipient_a_receipt_is_about(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ids = lost_broadcast(ledger, modica, simulator)
    for number in NUMBERS[:3]:
        ledger.record(DeliveryReceipt(ids[number], "sent", "news"))
        ledger.record(DeliveryReceipt(ids[number], "received", "news"))
    before = len(simulator.requests)
    moved = ledger.reconcile(modica)
    assert [(entry.destination, entry.message_id, entry.status) for entry in moved] == [
        (number, ids[number], "received") for number in NUMBERS[:3]
    ]
    assert {request.method for request in simulator.requests[before:]} == {"GET"}
    assert [entry.destination for entry in ledger.unresolved()] == NUMBERS[3:]
    assert ledger.counts()["receipts"] == 0
    assert ledger.reconcile(modica) == []


def test_receipts_of_a_broadcast_before_its_answer_count(blocking: Ledger, simulator: Simulator) -> None:
    class Slow(Modica):
        def broadcast(self, *args: Any, **kwargs: Any) -> Any:
            result = super().broadcast(*args, **kwargs)
            for outcome in result.submitted[:2]:
                blocking.record(DeliveryReceipt(outcome.id, "received", "news"))
                blocking.record(DeliveryReceipt(outcome.id, "sent", "news"))
            return result

    with Slow("application", "password", base_url=simulator.base_url) as slow:
        entries = blocking.broadcast(slow, NUMBERS, "Kia ora", reference="news")
    assert [entry.status for entry in entries] == ["received", "received", None, None]
    assert blocking.counts()["receipts"] == 0


def test_reconcile_settles_v2_without_references(ledger: Any, make_modica: Make, simulator: Simulator) -> None:
    v2 = make_modica(version=2)
    message_id = lost_send(ledger, v2, simulator)
    ledger.record(DeliveryReceipt(message_id, "sent"))
    assert [entry.message_id for entry in ledger.reconcile(v2)] == [message_id]
    assert ledger.entry("order-42").status in {"sent", "received"}


def test_reconcile_leaves_alone_what_another_account_sent(
    ledger: Any, modica: Any, make_modica: Make, simulator: Simulator
) -> None:
    ids = lost_broadcast(ledger, modica, simulator)
    ledger.record(DeliveryReceipt(ids[NUMBERS[0]], "received", "news"))
    assert ledger.reconcile(make_modica(username="somebody-else")) == []
    assert ledger.reconcile(make_modica(version=2)) == []
    assert len(ledger.reconcile(modica)) == 1


def test_reconcile_passes_over_ids_that_the_gateway_does_not_know(
    ledger: Any, modica: Any, simulator: Simulator
) -> None:
    ids = lost_broadcast(ledger, modica, simulator)
    ledger.record(DeliveryReceipt("1", "received", "news"))
    ledger.record(DeliveryReceipt("26ac66cb-60c1-4f77-8bf6-00f3b4b3c4a0", "received"))
    ledger.record(DeliveryReceipt(ids[NUMBERS[1]], "received", "news"))
    assert [entry.destination for entry in ledger.reconcile(modica)] == [NUMBERS[1]]
    assert ledger.counts()["receipts"] == 2


@pytest.mark.parametrize("written", ["64211234000", "021 123 4000", "0064 21 123-4000"])
def test_reconcile_knows_a_number_that_the_gateway_writes_in_its_own_way(
    ledger: Any, modica: Any, simulator: Simulator, written: str
) -> None:
    ids = lost_broadcast(ledger, modica, simulator)
    ledger.record(DeliveryReceipt(ids[NUMBERS[0]], "received", "news"))
    body = {"id": int(ids[NUMBERS[0]]), "destination": written, "content": "Kia ora", "reference": "news"}
    simulator.fail(status=200, body=json.dumps(body).encode(), match=lambda request: request.method == "GET")
    assert [entry.destination for entry in ledger.reconcile(modica)] == [NUMBERS[0]]


@pytest.mark.parametrize("written", ["+64211239999", "1234000", "somewhere"])
def test_reconcile_settles_nothing_for_another_number(
    ledger: Any, modica: Any, simulator: Simulator, written: str
) -> None:
    ids = lost_broadcast(ledger, modica, simulator)
    ledger.record(DeliveryReceipt(ids[NUMBERS[0]], "received", "news"))
    body = {"id": int(ids[NUMBERS[0]]), "destination": written, "content": "Kia ora", "reference": "news"}
    simulator.fail(status=200, body=json.dumps(body).encode(), match=lambda request: request.method == "GET")
    assert ledger.reconcile(modica) == []
    assert len(ledger.unresolved()) == 4


def test_reconcile_goes_on_after_an_answer_that_it_cannot_read(
    ledger: Any, modica: Any, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    ids = lost_broadcast(ledger, modica, simulator)
    for number in NUMBERS[:3]:
        ledger.record(DeliveryReceipt(ids[number], "received", "news"))
    simulator.fail(status=200, body=b"<html>", match=lambda request: request.method == "GET")
    assert len(ledger.reconcile(modica)) == 2
    assert "reconcile could not read 1 answers" in caplog.text
    assert len(ledger.reconcile(modica)) == 1


@pytest.mark.parametrize(
    "receipt",
    [
        DeliveryReceipt("1" * 5000, "sent"),
        DeliveryReceipt("1", "s" * 5000),
        DeliveryReceipt("1", "sent", "\u00e9" * 5000),
        DeliveryReceipt("1", "sent", "r" * 506),
    ],
    ids=["id", "status", "reference", "one too many"],
)
def test_a_receipt_that_no_index_can_hold_is_not_kept(
    ledger: Any, receipt: DeliveryReceipt, caplog: pytest.LogCaptureFixture
) -> None:
    assert ledger.record(receipt) is None
    assert ledger.counts()["receipts"] == 0
    assert "a receipt was not kept" in caplog.text


def test_a_receipt_as_long_as_an_index_can_hold_is_kept(ledger: Any) -> None:
    characters = random.Random(7).choices([chr(code) for code in range(0x1F300, 0x1F600)], k=508)
    ledger.record(DeliveryReceipt("12", "".join(characters[:254]), "".join(characters[254:])))
    assert ledger.counts()["receipts"] == 1


def test_reconcile_raises_what_keeps_it_from_asking(
    ledger: Any, modica: Any, make_modica: Make, simulator: Simulator
) -> None:
    ids = lost_broadcast(ledger, modica, simulator)
    ledger.record(DeliveryReceipt(ids[NUMBERS[0]], "received", "news"))
    simulator.fail(status=401)
    with pytest.raises(Exception, match="401"):
        ledger.reconcile(modica)
    assert len(ledger.reconcile(modica)) == 1


def test_foreign_receipts_are_not_asked_for(ledger: Any, modica: Any, simulator: Simulator) -> None:
    """The same URL may serve messages that are not in this ledger."""
    ledger.record(DeliveryReceipt("1", "received", "somebody-else-s"))
    assert ledger.reconcile(modica) == []
    assert simulator.requests == []


def test_two_gateways_may_give_out_the_same_id(blocking: Ledger) -> None:
    """Their messages stand side by side, and a receipt moves neither unless its reference says which."""

    class Gateway:
        def send(self, destination: str, content: str, *, reference: str) -> SubmittedMessage:
            return SubmittedMessage("7", destination, reference)

        def get(self, message_id: str) -> None:
            raise NotFoundError

    for reference in "one", "two":
        assert blocking.send(Gateway(), NUMBER, "Kia ora", reference=reference).state == "submitted"  # type: ignore[arg-type]
    assert blocking.record(DeliveryReceipt("7", "received")) is None
    assert blocking.counts()["receipts"] == 1
    moved = blocking.record(DeliveryReceipt("7", "received", "two"))
    assert moved is not None
    assert moved.reference == "two"
    one = blocking.entry("one")
    assert one is not None
    assert one.status is None


def test_a_receipt_proves_that_a_restored_row_was_sent(ledger: Any, modica: Any, simulator: Simulator) -> None:
    """A backup from before the send calls it queued: nobody may send it again."""
    ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
    assert ledger.record(DeliveryReceipt("7", "received", "order-42")).state == "submitted"
    assert ledger.work(modica) == 0
    assert simulator.requests == []


def test_a_receipt_with_another_id_for_a_known_message_is_kept(ledger: Any, modica: Any) -> None:
    """Evidence of a second message under the same reference is not thrown away."""
    ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    assert ledger.record(DeliveryReceipt("7", "received", "order-42")) is None
    assert ledger.counts()["receipts"] == 1
    assert ledger.entry("order-42").status is None


def test_a_receipt_that_comes_again_is_kept_once(ledger: Any) -> None:
    for _ in range(3):
        ledger.record(DeliveryReceipt("7", "received", "unknown"))
        ledger.record(DeliveryReceipt("7", "sent", "unknown"))
    assert ledger.counts()["receipts"] == 2


def test_kept_receipts_are_purged_after_a_week(ledger: Any) -> None:
    ledger.record(DeliveryReceipt("7", "received", "unknown"))
    ledger.purge(older_than=timedelta(days=365))
    assert ledger.counts()["receipts"] == 1
    later = datetime.now(UTC) + timedelta(days=8)
    ledger._database.now = lambda: later
    ledger.purge(older_than=timedelta(days=365))
    assert ledger.counts()["receipts"] == 0


@pytest.mark.parametrize(
    ("status", "reference", "detail"),
    [("re\x00ceived", "order-42", None), ("received", "\x00", "a\x00b"), ("received", None, "\ud83d")],
)
def test_what_a_database_cannot_store_does_not_stop_a_receipt(
    ledger: Any, status: str, reference: str | None, detail: str | None
) -> None:
    ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
    ledger.record(DeliveryReceipt("7", status, reference, detail))
    assert ledger.counts()["receipts"] + ledger.counts()["submitted"] == 1


def test_record_takes_receipts_only(ledger: Any) -> None:
    with pytest.raises(InvalidRequestError, match="DeliveryReceipt"):
        ledger.record({"message_id": "7", "status": "received"})


RACES = 100


def test_no_receipt_is_lost_that_races_the_answer(blocking: Ledger, url: str) -> None:
    """Each message's final receipt is recorded at the moment its answer is settled.

    Under READ COMMITTED "update by id; nothing there? look again" loses some of them.
    """
    start = threading.Barrier(2)

    class Gateway:
        def send(self, destination: str, content: str, *, reference: str) -> SubmittedMessage:
            start.wait()
            return SubmittedMessage(reference.removeprefix("order-"), destination, reference)

        def get(self, message_id: str) -> None: ...

    def answer() -> None:
        for number in range(1, RACES):
            blocking.send(Gateway(), NUMBER, "Kia ora", reference=f"order-{number}")  # type: ignore[arg-type]

    def receive() -> None:
        with Ledger(url) as other:
            for number in range(1, RACES):
                start.wait()
                # Half of them as the published v2 document has them: without a reference.
                other.record(DeliveryReceipt(str(number), "received", f"order-{number}" if number % 2 else None))

    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(answer), threads.submit(receive)]:
            future.result()
    entries = [blocking.entry(f"order-{number}") for number in range(1, RACES)]
    assert [entry.status if entry else None for entry in entries] == ["received"] * (RACES - 1)
    assert blocking.counts()["receipts"] == 0
