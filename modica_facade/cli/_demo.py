"""The whole story, step by step: send, broadcast, get, receipts, a reply matched by its reference.

On the embedded simulator, or (as far as that can be shown without a public address) on the real gateway. Nothing is
printed here: each step is lines for a reader and facts for a program.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from modica_facade.client import Modica
from modica_facade.models import BroadcastOutcome, DeliveryReceipt, InboundMessage
from modica_facade.receiver import CallbackReceiver

HANDSETS = ("+64211234567", "+64211234568", "+64211234569")
NOBODY = "X"
"""What the prose documentation shows as a destination that is refused: it costs nothing and reaches nobody."""

LIVE_MESSAGES = 2


@attrs.frozen
class Step:
    """One thing that happened.

    Attributes:
        name: one word.
        title: what it is about.
        lines: for a reader.
        facts: for a program; JSON can carry them.
    """

    name: str
    title: str
    lines: Sequence[str]
    facts: Mapping[str, Any]


def row(outcome: BroadcastOutcome) -> str:
    """An outcome as a line of a table."""
    return f"{outcome.destination:<16} {outcome.status:<8} {outcome.id or '-':<20} {outcome.reason or ''}".rstrip()


HEADING = f"{'destination':<16} {'status':<8} {'id':<20} reason"


def on_simulator() -> Iterator[Step]:
    """The story from the first request to the reply; nothing leaves this machine."""
    from modica_facade.simulator import Simulator, serve

    username, password, callback_password = "demo", secrets.token_hex(8), secrets.token_hex(8)
    receipts: list[DeliveryReceipt] = []
    inbound: list[InboundMessage] = []
    receiver = CallbackReceiver(
        on_receipt=receipts.append, on_inbound=inbound.append, username=username, password=callback_password
    )
    with (
        Simulator(username=username, password=password) as simulator,
        serve(receiver.asgi) as receiver_url,
        Modica(username, password, base_url=simulator.base_url) as modica,
    ):
        yield Step(
            "gateway",
            f"The gateway here is the embedded simulator, {simulator.base_url}",
            ("It follows the published documentation; nothing leaves this machine, no SMS is sent.",),
            {"simulator": True, "base_url": simulator.base_url, "sms": 0},
        )

        def request_line() -> str:
            request = simulator.requests[-1]
            return f"{request.method} {request.path} -> {request.status_code}"

        yield from _calls(modica, HANDSETS[0], HANDSETS[1:], request_line)

        callback_url = receiver_url.replace("//", f"//{username}:{callback_password}@") + "/callbacks"
        simulator.dlr_url = simulator.mo_url = callback_url
        simulator.deliver()
        yield Step(
            "receipts",
            f"Delivery receipts, posted to a CallbackReceiver mounted on {receiver_url}",
            [f"{receipt.message_id:<20} {receipt.status:<10} {receipt.reference}" for receipt in receipts],
            {"receipts": [_facts(receipt) for receipt in receipts]},
        )

        sent = {message.reference: message for message in simulator.messages}
        simulator.reply(HANDSETS[0], "Ka pai!")
        simulator.deliver()
        yield Step(
            "reply",
            "A reply comes in, and its reference says what it answers",
            [
                f"{reply.source}: {reply.content!r} answers reference {reply.reference}: "
                f"{sent[reply.reference].content!r} to {sent[reply.reference].destination}"
                for reply in inbound
            ],
            {"replies": [_facts(reply) for reply in inbound]},
        )


def on_gateway(modica: Modica, destination: str) -> Iterator[Step]:
    """Send, broadcast and get for real: two SMS, both to ``destination``."""
    yield Step(
        "gateway",
        f"This is the real thing: {modica!r}",
        (f"{LIVE_MESSAGES} SMS will be sent to {destination}, and charged: one alone, one by broadcast.",),
        {"simulator": False, "client": repr(modica), "sms": LIVE_MESSAGES},
    )
    yield from _calls(modica, destination, [destination], None)
    yield Step(
        "callbacks",
        "Receipts and replies are left out",
        ("The gateway posts them to a public https address that is set up in its platform; see `modica listen`.",),
        {"skipped": True},
    )


def _calls(
    modica: Modica, destination: str, others: Sequence[str], request_line: Callable[[], str] | None
) -> Iterator[Step]:
    """The three calls. ``request_line`` says what the gateway saw of the last one, if that can be known."""

    def seen(documented: str) -> str:
        return request_line() if request_line is not None else documented

    # Chosen before the send: whatever happens to the call, receipts and replies lead back to it.
    reference = f"demo-{secrets.token_hex(4)}"
    sent = modica.send(destination, "Kia ora from modica-facade", reference=reference)
    yield Step(
        "send",
        "Send one message",
        (seen("POST /messages"), f"id {sent.id}, reference {sent.reference}"),
        {"request": seen("POST /messages"), "submitted": _facts(sent)},
    )

    result = modica.broadcast([*others, NOBODY], "Kia ora koutou from modica-facade", reference=f"{reference}-all")
    request = seen("POST /messages/broadcast")
    yield Step(
        "broadcast",
        f"Broadcast to {len(result)} destinations: {len(result.submitted)} submitted, {len(result.failed)} failed",
        (request, HEADING, *map(row, result)),
        {"request": request, "outcomes": [_facts(outcome) for outcome in result]},
    )

    message = modica.get(sent.id)
    request = seen(f"GET /messages/{sent.id}")
    yield Step(
        "get",
        "Get the first message back",
        (request, *(f"{name:<12} {value}" for name, value in _facts(message).items() if value is not None)),
        {"request": request, "message": _facts(message)},
    )


def _facts(noun: attrs.AttrsInstance) -> dict[str, Any]:
    return attrs.asdict(noun, filter=lambda attribute, _: attribute.name not in ("raw", "data"))
