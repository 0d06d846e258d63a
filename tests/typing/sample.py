"""A user's program, for the type checkers: `mypy --strict` and pyright must find nothing here but what is expected."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, closing
from datetime import datetime
from typing import assert_type
from uuid import UUID

import httpx

from modica_facade import (
    AsyncMessageClient,
    AsyncModica,
    AsyncModicaV2,
    BroadcastInterruptedError,
    BroadcastOutcome,
    BroadcastResult,
    CallbackReceiver,
    DeliveryReceipt,
    DeliveryStatus,
    DeliveryTracker,
    GatewayError,
    InboundMessage,
    Message,
    MessageClient,
    Modica,
    ModicaError,
    ModicaV2,
    RetryPolicy,
    SubmittedMessage,
    parse_callback,
)


def blocking(when: datetime) -> None:
    with Modica("application-name", "password", retry=RetryPolicy(attempts=2), http_client=httpx.Client()) as modica:
        assert_type(modica, Modica)
        assert_type(
            modica.send("+64211234567", "Kia ora", scheduled=when, expires="2030-01-01T00:00:00Z"), SubmittedMessage
        )
        assert_type(modica.get(1), Message)
        assert_type(modica.get("1").content, str)
        result = modica.broadcast(["+64211234567"], "Kia ora", sms_class=0)
        assert_type(result, BroadcastResult)
        assert_type(result[0], BroadcastOutcome)
        assert_type(result[:1], tuple[BroadcastOutcome, ...])
        assert_type(result.submitted[0].id, str)
        assert_type(result.failed[0].id, str | None)
        everybody: list[BroadcastOutcome] = [*result.submitted, *result.failed]
        assert_type(BroadcastResult(iter(everybody)).ok, bool)
        assert_type(modica.broadcast_many(iter(["+64211234567"]), "Kia ora"), Generator[BroadcastOutcome, None, None])
        with closing(modica.broadcast_many([], "Kia ora")) as outcomes:
            assert_type(next(outcomes).reason, str | None)
        assert_type(modica.with_options(timeout=5), Modica)


async def asynchronous() -> None:
    async with AsyncModica() as modica:
        assert_type(await modica.send("+64211234567", "Kia ora"), SubmittedMessage)
        assert_type(modica.broadcast_many([], "Kia ora", concurrency=2), AsyncGenerator[BroadcastOutcome, None])
        async for outcome in modica.broadcast_many([], "Kia ora"):
            assert_type(outcome.id, str | None)
        async with aclosing(modica.broadcast_many([], "Kia ora")) as outcomes:
            assert_type(await anext(outcomes), BroadcastOutcome)
    async with AsyncModicaV2() as v2:
        assert_type(await v2.get(UUID(int=1)), Message)


def version_two(modica: ModicaV2) -> None:
    assert_type(modica.send("+64211234567", "Kia ora", integration_id=UUID(int=1)), SubmittedMessage)
    assert_type(modica.send_many(["+64211234567"], "Kia ora"), Generator[BroadcastOutcome, None, None])
    modica.broadcast(["+64211234567"], "Kia ora")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    modica.send("+64211234567", "Kia ora", expires="2030-01-01T00:00:00Z")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def failures(error: ModicaError) -> None:
    assert_type(error.may_have_been_sent, bool)
    if isinstance(error, GatewayError):
        assert_type(error.descriptions, tuple[str, ...])
        assert_type(error.retry_after, float | None)
    if isinstance(error, BroadcastInterruptedError):
        assert_type(error.unsent, Iterator[str])


def callbacks(body: bytes) -> None:
    received = parse_callback(body)
    assert_type(received, DeliveryReceipt | InboundMessage)
    tracker = DeliveryTracker()
    if isinstance(received, DeliveryReceipt):
        assert_type(tracker.record(received), bool)
    else:
        assert_type(received.data, bytes | None)

    def on_receipt(receipt: DeliveryReceipt) -> None:
        tracker.record(receipt)

    async def on_inbound(message: InboundMessage) -> None:
        print(message.content)

    CallbackReceiver(on_receipt=on_receipt, on_inbound=on_inbound, username="u", password="p")


def either(number: int) -> Message:
    clients: dict[int, MessageClient] = {1: Modica(), 2: ModicaV2()}
    with clients[number].with_options(timeout=5) as client:
        assert_type(client.send("+64211234567", "Kia ora", reference="order-42"), SubmittedMessage)
        client.send("+64211234567", "Kia ora", expires="2030-01-01T00:00:00Z")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        return client.get("1")


async def either_async(number: int) -> Message:
    clients: dict[int, AsyncMessageClient] = {1: AsyncModica(), 2: AsyncModicaV2()}
    async with clients[number].with_options(timeout=5) as client:
        assert_type(await client.send("+64211234567", "Kia ora", reference="order-42"), SubmittedMessage)
        return await client.get("1")


def handlers() -> None:
    def report(error: BaseException) -> None:
        print(error)

    receiver = CallbackReceiver(on_receipt=print, on_error=report, debug=True)
    print(receiver.django)
    assert_type(DeliveryStatus.SENT.rank, int)
    assert_type(DeliveryReceipt("1", "sent").rank, int)
