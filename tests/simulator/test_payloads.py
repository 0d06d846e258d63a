"""Payloads in hand are those the simulator posts, and what the callback parser reads."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from modica_facade import DeliveryReceipt, InboundMessage, parse_callback
from modica_facade.simulator import Simulator, inbound, receipt

from ..support.documents import Document
from .support import FIRST, MESSAGE, NUMBER

if TYPE_CHECKING:
    import httpx

    from ..support.callback_receiver import Receiver

UUID = str(uuid.UUID(int=10))


def test_they_are_what_the_simulator_posts(
    sim: Simulator, v1: httpx.Client, v2: httpx.Client, receiver: Receiver
) -> None:
    sim.plan_receipts("sent")
    v1.post("/messages", json={**MESSAGE, "reference": "order-1"})
    sim.reply(NUMBER, b"\x00\xff")
    message_id = v2.post("/messages", json=MESSAGE).json()["id"]
    answer = sim.reply(NUMBER, "Yes")
    sim.deliver()
    sim.v2_receipts = "specification"
    sim.send_receipt(message_id, "failed", "no such subscriber")
    assert receiver.payloads == [
        inbound(NUMBER, b"\x00\xff", id=FIRST + 1, reply_to=FIRST, reference="order-1"),
        inbound(NUMBER, "Yes", id=answer.id),
        receipt(FIRST, "sent", reference="order-1"),
        receipt(message_id, "sent"),
        receipt(message_id, "failed", detail="no such subscriber", shape="specification"),
    ]


def test_they_are_read_by_the_parser() -> None:
    parsed = parse_callback(json.dumps(receipt(FIRST, reference="order-1")))
    assert isinstance(parsed, DeliveryReceipt)
    assert (parsed.message_id, parsed.status, parsed.reference) == (str(FIRST), "received", "order-1")
    parsed = parse_callback(inbound(NUMBER, "Yes please", reply_to=str(FIRST)))
    assert isinstance(parsed, InboundMessage)
    assert (parsed.source, parsed.content, parsed.reply_to) == (NUMBER, "Yes please", str(FIRST))


def test_they_are_as_documented() -> None:
    v1, v2 = Document("gateway-v1.openapi.yaml"), Document("sms-v2.openapi.yaml")
    v1.check_callback("status", receipt("1"))
    v1.check_callback("reply", inbound(NUMBER, b"x", reply_to=1, reference="a"))
    v2.check_callback("status", receipt(uuid.UUID(int=10)))
    v2.check_callback("status", receipt(UUID, shape="specification"))
    v2.check_callback("reply", inbound(NUMBER, "x", id=UUID))


@pytest.mark.parametrize(
    "arguments",
    [
        {"message_id": ""},
        {"message_id": "x"},
        {"message_id": UUID.upper()},
        {"message_id": True},
        {"message_id": 1, "status": ""},
        {"message_id": 1, "status": ["sent"]},
        {"message_id": 1, "detail": "x"},
        {"message_id": 1, "reference": 7},
        {"message_id": 1, "shape": "specification"},
        {"message_id": UUID, "shape": "specification", "reference": "x"},
        {"message_id": UUID, "shape": "sideways"},
    ],
    ids=str,
)
def test_a_receipt_that_cannot_be_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"id|status|detail|reference|shape"):
        receipt(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": ""},
        {"content": None},
        {"id": "x"},
        {"destination": ""},
        {"operator": ""},
        {"reply_to": "x"},
        {"reference": "order-1"},
        {"id": UUID, "reply_to": 1},
    ],
    ids=str,
)
def test_an_inbound_message_that_cannot_be_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"source|content|id|destination|operator|reply_to"):
        inbound(**{"source": NUMBER, "content": "x", **arguments})
