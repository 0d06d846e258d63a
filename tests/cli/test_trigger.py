from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modica_facade import CallbackReceiver, DeliveryReceipt, DeliveryStatus, InboundMessage
from modica_facade.simulator import serve

from .support import HERE, modica, rows

UUID = "11111111-1111-4111-8111-111111111111"


class Application:
    """An application with a `CallbackReceiver`, as people mount it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.url = ""


@pytest.fixture
def application() -> Iterator[Application]:
    made = Application()
    receiver = CallbackReceiver(
        on_receipt=made.seen.append, on_inbound=made.seen.append, username="gateway", password="a-secret"
    )
    with serve(receiver.asgi) as url:
        made.url = url.replace("//", "//gateway:a-secret@")
        yield made


@pytest.mark.parametrize("status", [*DeliveryStatus])
def test_a_receipt_of_each_status_is_one_that_the_library_reads(application: Application, status: str) -> None:
    result = modica("trigger", "receipt", "--to", application.url, "--status", str(status), "--reference", "order-42")
    assert (result.exit_code, result.stdout) == (0, "-> 200\n")
    [receipt] = application.seen
    assert isinstance(receipt, DeliveryReceipt)
    assert (receipt.status, receipt.reference, receipt.message_id.isdecimal()) == (status, "order-42", True)
    assert set(receipt.raw) == {"message_id", "status", "reference"}


def test_a_receipt_of_v2_has_the_published_shape(application: Application) -> None:
    options = ["--id", UUID, "--status", "blocked", "--detail", "Opted out"]
    [printed] = rows(modica("trigger", "receipt", "--v2", "--to", application.url, *options, "--json"))
    payload = {"id": UUID, "status": "blocked", "detail": "Opted out"}
    assert printed == {"payload": payload, "status_code": 200, "problem": None}
    [receipt] = application.seen
    assert (receipt.raw, receipt.message_id, receipt.detail) == (payload, UUID, "Opted out")


def test_an_inbound_message_is_one_that_the_library_reads(application: Application) -> None:
    options = ["--from", HERE, "--content", "Yes – āe", "--reply-to", "12", "--reference", "order-42"]
    assert modica("trigger", "inbound", "--to", application.url, *options).exit_code == 0
    [message] = application.seen
    assert isinstance(message, InboundMessage)
    assert (message.source, message.content, message.reply_to) == (HERE, "Yes – āe", "12")
    assert (message.reference, message.operator, type(message.raw["id"])) == ("order-42", "Operator", int)


def test_an_inbound_message_of_v2_has_a_uuid(application: Application) -> None:
    assert modica("trigger", "inbound", "--v2", "--to", application.url, "--id", UUID).exit_code == 0
    assert application.seen[0].id == UUID


def test_two_triggers_are_two_messages(application: Application) -> None:
    for version in ([], [], ["--v2"], ["--v2"]):
        modica("trigger", "inbound", *version, "--to", application.url)
        modica("trigger", "receipt", *version, "--to", application.url)
    ids = [getattr(each, "message_id", None) or each.id for each in application.seen]
    assert len(set(ids)) == 8


def test_an_application_that_does_not_take_it_is_a_no(application: Application) -> None:
    result = modica("trigger", "receipt", "--to", application.url.replace("a-secret", "wrong"))
    assert (result.exit_code, result.stdout) == (1, "-> 401\n")
    assert "did not take it: 401" in result.stderr
    assert "wrong" not in result.output


def test_an_application_that_is_not_there_was_sent_nothing() -> None:
    result = modica("trigger", "receipt", "--to", "http://127.0.0.1:1/")
    assert (result.exit_code, "ConnectionRefused" in result.stderr) == (3, True)


@pytest.mark.parametrize(
    "arguments", [[], ["receipt"], ["receipt", "--to", "x"], ["receipt", "--to", "http://x", "--status", "lost"]]
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str]) -> None:
    assert modica("trigger", *arguments).exit_code == 2
