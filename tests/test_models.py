"""models: frozen models that compare, pickle and copy by value; statuses that compare with the gateway's own text."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade.models import (
    BroadcastOutcome,
    BroadcastResult,
    DeliveryReceipt,
    DeliveryStatus,
    InboundMessage,
    Message,
    SubmittedMessage,
)

ACCEPTED = BroadcastOutcome("+64211234567", "1234567890", "success")
REFUSED = BroadcastOutcome("X", None, "failure", "Invalid destination (X)")

MODELS = [
    SubmittedMessage("1", "+64211234567", "order-7", "2030-05-05T10:00:00+12:00", "accepted", "https://localhost/1"),
    Message("1", "2345", "+64211234567", "Kia ora", "order-7", "2", "Kōkako", "MT", "sent"),
    ACCEPTED,
    REFUSED,
    BroadcastResult([ACCEPTED, REFUSED]),
    DeliveryReceipt("1", "received", "order-7", "detail", {"more": [1]}),
    InboundMessage("1", "+64211234567", "2345", "QQ==", "Kōkako", "2", "order-7", "base64", b"A", {"more": [1]}),
]

FINAL = {"received", "rejected", "failed", "dead", "expired", "blocked", "deficient"}
NOT_FINAL = {"accepted", "queued", "submitted", "sent", "frozen"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_survives_pickling_and_copying(model: Any) -> None:
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert other == model
        assert hash(other) == hash(model)
        assert repr(other) == repr(model)
        assert getattr(other, "raw", None) == getattr(model, "raw", None)


@pytest.mark.parametrize(
    "model",
    [model for model in MODELS if not isinstance(model, BroadcastResult)],
    ids=lambda model: type(model).__name__,
)
def test_a_model_is_frozen_and_every_field_counts_but_raw(model: Any) -> None:
    for field in attrs.fields(type(model)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(model, field.name, "other")
        assert (attrs.evolve(model, **{field.name: "other"}) == model) == (field.name == "raw")


def test_two_models_of_a_kind_do_not_share_raw() -> None:
    assert DeliveryReceipt("1", "sent").raw is not DeliveryReceipt("1", "sent").raw
    assert InboundMessage("1", "2", "3", "4").raw == {}


# Statuses


def test_the_documented_statuses_are_known() -> None:
    assert {status.value for status in DeliveryStatus} == FINAL | NOT_FINAL


@pytest.mark.parametrize("text", sorted(FINAL | NOT_FINAL))
def test_a_receipt_and_its_status_agree_on_what_is_final(text: str) -> None:
    receipt, status = DeliveryReceipt("1", text), DeliveryStatus(text)
    assert receipt.status == status
    assert receipt.is_final == status.is_final == (text in FINAL)
    assert receipt.is_delivered == status.is_delivered == (text == "received")


@given(st.text())
def test_an_unknown_status_is_passed_through_and_is_not_final(text: str) -> None:
    receipt = DeliveryReceipt("1", text)
    assert receipt.status == text
    if text not in FINAL:
        assert not receipt.is_final
        assert not receipt.is_delivered


def test_the_case_of_a_status_does_not_matter_and_nothing_else_is_forgiven() -> None:
    receipt = DeliveryReceipt("1", "Received")
    assert (receipt.status, receipt.is_delivered, receipt.is_final) == ("Received", True, True)
    assert DeliveryStatus("RECEIVED") is DeliveryStatus.RECEIVED
    assert not DeliveryReceipt("1", "received ").is_final
    for value in ("received ", "parked", 7, None):
        with pytest.raises(ValueError, match="is not a valid DeliveryStatus"):
            DeliveryStatus(value)


def test_the_ranks_that_databases_keep_never_change() -> None:
    assert {status.value: status.rank for status in DeliveryStatus} == {
        "accepted": 10,
        "queued": 20,
        "frozen": 30,
        "submitted": 40,
        "sent": 50,
        "blocked": 60,
        "deficient": 70,
        "dead": 80,
        "failed": 90,
        "rejected": 100,
        "expired": 110,
        "received": 120,
    }
    assert [DeliveryReceipt("1", status).rank for status in ("parked", "", "SENT", "received")] == [0, 0, 50, 120]


# Broadcasts


def test_an_outcome_is_ok_if_it_has_an_id() -> None:
    assert ACCEPTED.ok
    assert not REFUSED.ok


def test_a_broadcast_result_is_a_sequence_of_its_outcomes() -> None:
    result = BroadcastResult([ACCEPTED, REFUSED, ACCEPTED])
    assert isinstance(result, Sequence)
    assert list(result) == [ACCEPTED, REFUSED, ACCEPTED]
    assert (len(result), result[1], result[-1], result[1:]) == (3, REFUSED, ACCEPTED, (REFUSED, ACCEPTED))
    assert REFUSED in result
    assert (result.index(REFUSED), result.count(ACCEPTED)) == (1, 2)
    with pytest.raises(IndexError):
        result[3]


def test_a_broadcast_result_tells_who_was_accepted_and_who_was_not() -> None:
    result = BroadcastResult([ACCEPTED, REFUSED])
    assert (result.submitted, result.failed, result.ok) == ((ACCEPTED,), (REFUSED,), False)
    assert BroadcastResult([ACCEPTED]).ok


def test_a_broadcast_result_compares_by_value_and_only_with_its_kind() -> None:
    assert BroadcastResult([ACCEPTED]) == BroadcastResult((ACCEPTED,))
    assert BroadcastResult([ACCEPTED]) != BroadcastResult([REFUSED])
    assert BroadcastResult([ACCEPTED]) != (ACCEPTED,)
    assert len({BroadcastResult([ACCEPTED]), BroadcastResult([ACCEPTED]), BroadcastResult([])}) == 2


def test_a_broadcast_result_keeps_what_it_was_given() -> None:
    outcomes = [ACCEPTED]
    result = BroadcastResult(outcomes)
    outcomes.append(REFUSED)
    assert list(result) == [ACCEPTED]


def test_the_repr_of_a_broadcast_result_counts_and_holds_no_numbers() -> None:
    assert repr(BroadcastResult([ACCEPTED, REFUSED, ACCEPTED])) == "BroadcastResult(submitted=2, failed=1)"


def test_a_broadcast_result_is_frozen_and_each_part_of_it_is_made_once() -> None:
    result = BroadcastResult(iter([ACCEPTED, REFUSED]))
    for name in ("submitted", "failed", "ok"):
        with pytest.raises(AttributeError):
            setattr(result, name, ())
    assert result[0] is result[0] is next(iter(result)) is result.submitted[0] is ACCEPTED
    assert result.submitted is result.submitted
    assert result.failed is result.failed
