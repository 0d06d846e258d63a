"""`Ledger.broadcast` and `broadcast_many`: a row a recipient, whatever becomes of the request."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from modica_facade import AuthenticationError, InvalidRequestError, OutcomeUnknownError, UnexpectedResponseError
from modica_facade.simulator import Simulator

Make = Callable[..., Any]
NUMBERS = [f"+6421123{number}" for number in range(4000, 4010)]


def states(ledger: Any, numbers: list[str], reference: str = "news") -> list[str]:
    entries = [ledger.entry(reference, destination=number) for number in numbers]
    return [entry.state if entry else "unknown" for entry in entries]


def test_each_recipient_has_a_row_with_its_id(ledger: Any, modica: Any, simulator: Simulator) -> None:
    entries = ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    assert [(entry.destination, entry.state, entry.batch) for entry in entries] == [
        (number, "submitted", "news") for number in NUMBERS
    ]
    assert {entry.destination: entry.message_id for entry in entries} == {
        message.destination: message.id for message in simulator.messages
    }
    assert len(simulator.requests) == 1


def test_a_refused_recipient_is_an_entry_not_an_exception(ledger: Any, modica: Any) -> None:
    good, bad = ledger.broadcast(modica, [NUMBERS[0], "X"], "Kia ora", reference="news")
    assert good.state == "submitted"
    assert (bad.destination, bad.state) == ("X", "refused")
    assert bad.reason


def test_a_second_call_sends_to_those_only_that_were_not_tried(ledger: Any, modica: Any, simulator: Simulator) -> None:
    ledger.broadcast(modica, NUMBERS[:6], "Kia ora", reference="news")
    entries = ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    assert [entry.state for entry in entries] == ["submitted"] * 10
    assert sorted(message.destination for message in simulator.messages) == NUMBERS
    ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    assert len(simulator.requests) == 2


def test_a_lost_answer_leaves_all_of_them_in_doubt(ledger: Any, modica: Any, simulator: Simulator) -> None:
    simulator.fail(cut="after")
    with pytest.raises(OutcomeUnknownError):
        ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    entries = ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    assert {entry.state for entry in entries} == {"in_doubt"}
    assert len(simulator.requests) == 1


def test_an_answer_that_can_be_read_in_part_settles_that_part(ledger: Any, modica: Any, simulator: Simulator) -> None:
    row = {"status": "success", "message": None, "destination": NUMBERS[3], "id": 7}
    failure = {"status": "failure", "message": "no such number", "destination": NUMBERS[5], "id": None}
    simulator.fail(status=201, body=b"[" + b",".join(json_of(each) for each in (row, failure, {})) + b"]", acted=True)
    with pytest.raises(UnexpectedResponseError):
        ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    expected = ["in_doubt"] * 10
    expected[3], expected[5] = "submitted", "refused"
    assert states(ledger, NUMBERS) == expected
    assert ledger.entry("news", destination=NUMBERS[3]).message_id == "7"
    assert ledger.entry("news", destination=NUMBERS[5]).reason == "no such number"


def json_of(row: dict[str, Any]) -> bytes:
    import json

    return json.dumps(row).encode()


def test_a_wrong_password_burns_nobody(ledger: Any, modica: Any, simulator: Simulator) -> None:
    simulator.fail(status=401)
    with pytest.raises(AuthenticationError):
        ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    assert states(ledger, NUMBERS) == ["not_sent"] * 10
    ledger.broadcast(modica, NUMBERS, "Kia ora", reference="news")
    assert states(ledger, NUMBERS) == ["submitted"] * 10


@pytest.mark.parametrize(
    ("destinations", "match"),
    [
        ([NUMBERS[0], NUMBERS[1], NUMBERS[0]], "there twice"),
        ([], "1 to 1000"),
        ([f"+6421{number}" for number in range(1001)], "1 to 1000"),
        (NUMBERS[0], "not one text"),
        ([NUMBERS[0], ""], "empty"),
        ([NUMBERS[0], 7], "must be a str"),
    ],
)
def test_wrong_destinations_are_refused_before_there_is_a_row(
    ledger: Any, modica: Any, simulator: Simulator, destinations: Any, match: str
) -> None:
    with pytest.raises(InvalidRequestError, match=match) as caught:
        ledger.broadcast(modica, destinations, "Kia ora", reference="news")
    assert caught.value.field == "destinations"
    assert simulator.requests == []
    assert sum(ledger.counts().values()) == 0


def test_rest_v2_has_no_broadcast(ledger: Any, make_modica: Make) -> None:
    with pytest.raises(InvalidRequestError, match="use broadcast_many"):
        ledger.broadcast(make_modica(version=2), NUMBERS, "Kia ora", reference="news")


def test_many_go_out_in_batches_and_in_order(ledger: Any, modica: Any, simulator: Simulator) -> None:
    entries = list(ledger.broadcast_many(modica, iter(NUMBERS), "Kia ora", reference="news", batch_size=4))
    assert [entry.destination for entry in entries] == NUMBERS
    assert [request.body.count(b"+64") for request in simulator.requests] == [4, 4, 2]


def test_many_are_a_hundred_to_a_request_by_default(ledger: Any, modica: Any, simulator: Simulator) -> None:
    """A crash puts those of one request in doubt."""
    numbers = [f"+64211{number}" for number in range(10000, 10250)]
    assert len(list(ledger.broadcast_many(modica, numbers, "Kia ora", reference="news"))) == 250
    assert [request.body.count(b"+64") for request in simulator.requests] == [100, 100, 50]


def test_many_are_pulled_lazily(ledger: Any, modica: Any) -> None:
    endless = (f"+64{number}" for number in itertools.count(211000000))
    entries = ledger.broadcast_many(modica, endless, "Kia ora", reference="news", batch_size=3)
    assert [next(entries).state for _ in range(4)] == ["submitted"] * 4
    assert ledger.counts()["submitted"] == 6


def test_many_go_on_where_they_stopped(ledger: Any, modica: Any, simulator: Simulator) -> None:
    simulator.fail(cut="after", match=lambda request: NUMBERS[5].encode() in request.body)
    with pytest.raises(OutcomeUnknownError):
        list(ledger.broadcast_many(modica, NUMBERS, "Kia ora", reference="news", batch_size=4))
    assert states(ledger, NUMBERS) == ["submitted"] * 4 + ["in_doubt"] * 4 + ["unknown"] * 2
    entries = list(ledger.broadcast_many(modica, NUMBERS, "Kia ora", reference="news", batch_size=4))
    assert [entry.state for entry in entries] == ["submitted"] * 4 + ["in_doubt"] * 4 + ["submitted"] * 2
    assert len({message.destination for message in simulator.messages}) == len(simulator.messages) == 10


def test_a_destination_that_is_among_many_twice_gets_one_message(
    ledger: Any, modica: Any, simulator: Simulator
) -> None:
    twice = [*NUMBERS, *NUMBERS[:5], NUMBERS[9]]
    assert {entry.state for entry in ledger.broadcast_many(modica, twice, "Kia ora", reference="news", batch_size=3)}
    assert sorted(message.destination for message in simulator.messages) == NUMBERS


@pytest.mark.slow
def test_many_on_rest_v2_take_a_request_each(ledger: Any, make_modica: Make, simulator: Simulator) -> None:
    entries = list(ledger.broadcast_many(make_modica(version=2), NUMBERS, "Kia ora", reference="news"))
    assert [entry.state for entry in entries] == ["submitted"] * 10
    assert len(simulator.requests) == 10


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"batch_size": 1001}, {"content": ""}, {"reference": ""}])
def test_wrong_arguments_are_refused_at_once(ledger: Any, modica: Any, arguments: dict[str, Any]) -> None:
    good: dict[str, Any] = {"content": "Kia ora", "reference": "news"}
    with pytest.raises(InvalidRequestError):
        ledger.broadcast_many(modica, NUMBERS, **{**good, **arguments})
