"""`Ledger.send`: one message for one reference, whatever happens and however often it is called."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modica_facade import (
    AuthenticationError,
    ConfigurationError,
    DeliveryReceipt,
    InvalidRequestError,
    Modica,
    ModicaError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    RetryPolicy,
    ServerError,
)
from modica_facade.ledger import Entry, Ledger
from modica_facade.simulator import Simulator

Make = Callable[..., Any]
NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)


def test_a_send_is_submitted_under_its_id(ledger: Any, modica: Any, simulator: Simulator) -> None:
    entry = ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    assert (entry.state, entry.destination, entry.reference) == ("submitted", NUMBER, "order-42")
    assert [message.id for message in simulator.messages] == [entry.message_id]
    assert simulator.messages[0].reference == "order-42"
    assert entry == ledger.entry("order-42")
    assert entry.attempted_at is not None
    assert entry.settled_at is not None
    assert entry.attempted_at <= entry.settled_at
    assert entry.may_have_been_sent


def test_options_reach_the_gateway(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.send(modica, NUMBER, "Kia ora", reference="order-42", source="2345", mask="Shop", sms_class=1)
    assert b'"source":"2345"' in simulator.requests[0].body
    assert b'"mask":"Shop"' in simulator.requests[0].body


def test_a_second_call_sends_nothing_and_says_what_is_known(ledger: Any, modica: Any, simulator: Simulator) -> None:
    first = ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    assert ledger.send(modica, NUMBER, "another text is not noticed", reference="order-42") == first
    assert len(simulator.requests) == 1


def test_a_reference_is_unique_across_rest_versions(
    ledger: Any, modica: Any, make_modica: Make, simulator: Simulator
) -> None:
    first = ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    v2 = make_modica(version=2, username="another-application")
    assert ledger.send(v2, NUMBER, "Kia ora", reference="order-42") == first
    assert len(simulator.messages) == 1
    second = ledger.send(v2, NUMBER, "Kia ora", reference="order-43")
    assert (second.state, second.status) == ("submitted", "accepted")
    assert second.account == f"v2 another-application {simulator.v2_base_url}"


def test_a_reference_of_another_destination_is_refused(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    with pytest.raises(InvalidRequestError, match="another destination; nothing was sent") as caught:
        ledger.send(modica, "+64211234568", "Kia ora", reference="order-42")
    assert caught.value.field == "reference"
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("cut", ["before", "after", "head"])
def test_an_unknown_outcome_stays_in_doubt(ledger: Any, modica: Any, simulator: Simulator, cut: Any) -> None:
    simulator.fail(cut=cut)
    with pytest.raises(OutcomeUnknownError) as caught:
        ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    assert caught.value.reference == "order-42"
    entry = ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    assert (entry.state, entry.message_id) == ("in_doubt", None)
    assert entry.reason == str(caught.value)
    assert len(simulator.requests) == 1
    assert ledger.unresolved() == [entry]


NOT_SENT: list[tuple[dict[str, Any], type[ModicaError]]] = [
    ({"status": 401}, AuthenticationError),
    ({"status": 403}, ModicaError),
    ({"status": 404}, ModicaError),
    ({"status": 425}, ModicaError),
    ({"status": 429}, ModicaError),
    ({"status": 302, "headers": {"Location": "/elsewhere"}}, ModicaError),
    ({"error": "send_failed"}, ModicaError),
]


@pytest.mark.parametrize(("fault", "kind"), NOT_SENT, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_what_was_not_sent_is_sent_by_the_same_reference(
    ledger: Any, make_modica: Make, simulator: Simulator, fault: dict[str, Any], kind: type[ModicaError]
) -> None:
    simulator.fail(**fault)
    modica = make_modica(retry=ONCE)
    with pytest.raises(kind) as caught:
        ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    entry = ledger.entry("order-42")
    assert (entry.state, entry.reason) == ("not_sent", str(caught.value))
    assert simulator.messages == []
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"
    assert len(simulator.messages) == 1


def test_an_unreachable_gateway_burns_no_reference(ledger: Any, modica: Any, make_modica: Make) -> None:
    nowhere = make_modica(base_url="http://127.0.0.1:1/rest/gateway", retry=ONCE)
    for _ in range(2):
        with pytest.raises(NotSentError):
            ledger.send(nowhere, NUMBER, "Kia ora", reference="order-42")
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"


def test_a_closed_client_burns_no_reference(blocking: Ledger, simulator: Simulator) -> None:
    modica = Modica("application", "password", base_url=simulator.base_url)
    modica.close()
    with pytest.raises(ConfigurationError):
        blocking.send(modica, NUMBER, "Kia ora", reference="order-42")
    with Modica("application", "password", base_url=simulator.base_url) as modica:
        assert blocking.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"


@pytest.mark.parametrize("fault", [{"error": "invalid_attrib"}, {"status": 422}, {"error": "422"}], ids=str)
def test_what_the_gateway_refuses_is_not_tried_again(
    ledger: Any, modica: Any, simulator: Simulator, fault: dict[str, Any]
) -> None:
    simulator.fail(**fault)
    with pytest.raises(RejectedError):
        ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "refused"
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("acted", [True, False])
def test_a_server_error_proves_nothing(ledger: Any, modica: Any, simulator: Simulator, acted: bool) -> None:
    simulator.fail(status=503, headers={"Retry-After": "0"}, acted=acted)
    with pytest.raises(ServerError):
        ledger.send(modica, NUMBER, "Kia ora", reference="order-42")
    assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "in_doubt"
    assert len(simulator.requests) == 1


class Killed(BaseException):
    """Stands for whatever ends a thread between the act and its noting."""


def test_any_other_end_leaves_the_message_in_doubt(blocking: Ledger, simulator: Simulator) -> None:
    class Interrupted(Modica):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            super().send(*args, **kwargs)
            raise Killed

    with Interrupted("application", "password", base_url=simulator.base_url) as interrupted:
        with pytest.raises(Killed):
            blocking.send(interrupted, NUMBER, "Kia ora", reference="order-42")
        assert blocking.send(interrupted, NUMBER, "Kia ora", reference="order-42").state == "in_doubt"
    assert len(simulator.messages) == 1


def test_the_row_is_there_in_doubt_before_the_request(blocking: Ledger, url: str, simulator: Simulator) -> None:
    seen: list[Entry | None] = []

    class Looking(Modica):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            with Ledger(url) as other:
                seen.append(other.entry("order-42"))
            return super().send(*args, **kwargs)

    with Looking("application", "password", base_url=simulator.base_url) as looking:
        blocking.send(looking, NUMBER, "Kia ora", reference="order-42")
    assert [entry and entry.state for entry in seen] == ["in_doubt"]


def test_threads_that_send_one_reference_send_one_message(blocking: Ledger, simulator: Simulator) -> None:
    start = threading.Barrier(8)

    def send(_: int) -> Entry:
        start.wait()
        return blocking.send(modica, NUMBER, "Kia ora", reference="order-42")

    modica = Modica("application", "password", base_url=simulator.base_url)
    with modica, ThreadPoolExecutor(8) as threads:
        states = {entry.state for entry in threads.map(send, range(8))}
    assert len(simulator.messages) == 1
    assert states <= {"submitted", "in_doubt"}
    entry = blocking.entry("order-42")
    assert entry is not None
    assert entry.state == "submitted"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"destination": ""}, "destination"),
        ({"destination": 64211234567}, "destination"),
        ({"destination": "+6421\x00"}, "destination"),
        ({"content": " "}, "content"),
        ({"content": "half \ud83d"}, "content"),
        ({"reference": ""}, "reference"),
        ({"reference": None}, "reference"),
        ({"reference": "r" * 256}, "reference"),
        ({"destination": "6" * 256}, "destination"),
        ({"mask": "m" * 21}, "mask"),
        ({"sms_class": 4}, "sms_class"),
        ({"integration_id": "26ac66cb-60c1-4f77-8bf6-00f3b4b3c4a0"}, "integration_id"),
    ],
)
def test_a_wrong_argument_leaves_neither_a_row_nor_a_request(
    ledger: Any, modica: Any, simulator: Simulator, arguments: dict[str, Any], field: str
) -> None:
    good: dict[str, Any] = {"destination": NUMBER, "content": "Kia ora", "reference": "order-42"}
    with pytest.raises(InvalidRequestError) as caught:
        ledger.send(modica, **{**good, **arguments})
    assert caught.value.field == field
    assert simulator.requests == []
    assert ledger.counts()["in_doubt"] == 0
    assert ledger.entry("order-42") is None


def test_labels_as_long_as_they_may_be_are_kept(ledger: Any, modica: Any) -> None:
    characters = random.Random(7).choices([chr(code) for code in range(0x1F300, 0x1F600)], k=510)
    reference, name = "".join(characters[:255]), "".join(characters[255:])
    assert ledger.send(modica, NUMBER, "x" * 5000, reference=reference).state == "submitted"
    assert ledger.broadcast(modica, [NUMBER], "Kia ora", reference=name)[0].state == "submitted"
    assert ledger.campaign(name, "Kia ora").add(["6" * 255]) == 1


def test_an_option_of_the_other_version_is_refused(ledger: Any, make_modica: Make, simulator: Simulator) -> None:
    with pytest.raises(InvalidRequestError, match="expires is not an option"):
        ledger.send(make_modica(version=2), NUMBER, "Kia ora", reference="order-42", expires="2999-01-01T00:00:00Z")
    assert simulator.requests == []


def test_a_client_in_a_wrapper_is_given_the_options(blocking: Ledger, simulator: Simulator) -> None:
    class Wrapper:
        def send(self, destination: str, content: str, **options: Any) -> Any:
            return modica.send(destination, content, **options)

        def get(self, message_id: str) -> Any:
            return modica.get(message_id)

    wrapper: Any = Wrapper()
    with Modica("application", "password", base_url=simulator.base_url) as modica:
        entry = blocking.send(wrapper, NUMBER, "Kia ora", reference="order-42", mask="Shop")
    assert entry.account == Wrapper.__qualname__
    assert b'"mask":"Shop"' in simulator.requests[0].body


def test_something_else_than_a_client_is_refused(ledger: Any) -> None:
    with pytest.raises(InvalidRequestError, match="client must be"):
        ledger.send("+64211234567", "Kia ora", "order-42", reference="order-42")  # type: ignore[arg-type]


def test_a_text_is_never_stored(ledger: Any, modica: Any, simulator: Simulator) -> None:
    simulator.fail(cut="after")
    with pytest.raises(OutcomeUnknownError):
        ledger.send(modica, NUMBER, "the secret code is in here", reference="order-42")
    with ledger._database.transaction("read") as transaction:
        assert "order-42" in str(transaction.run("SELECT * FROM {p}message"))
        assert "secret code" not in str(transaction.run("SELECT * FROM {p}message"))


def test_a_receipt_that_is_faster_than_the_answer_counts(blocking: Ledger, simulator: Simulator) -> None:
    """Whichever comes first, the id and the furthest status are there in the end."""

    class Slow(Modica):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            sent = super().send(*args, **kwargs)
            blocking.record(DeliveryReceipt(sent.id, "received", "order-42"))
            return sent

    with Slow("application", "password", base_url=simulator.base_url) as slow:
        entry = blocking.send(slow, NUMBER, "Kia ora", reference="order-42")
    assert (entry.state, entry.status) == ("submitted", "received")
    assert entry.is_delivered
    assert entry.message_id == simulator.messages[0].id


def test_a_second_id_for_one_row_does_not_replace_the_first(blocking: Ledger, simulator: Simulator) -> None:
    """Somebody else used the same reference with the gateway, and that receipt came before our answer."""

    class Slow(Modica):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            sent = super().send(*args, **kwargs)
            blocking.record(DeliveryReceipt("999", "received", "order-42"))
            return sent

    with Slow("application", "password", base_url=simulator.base_url) as slow:
        assert blocking.send(slow, NUMBER, "Kia ora", reference="order-42").message_id == "999"
