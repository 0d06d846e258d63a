"""The whole story, step by step: send, broadcast, get, receipts, a reply and what it answers.

On the embedded simulator, or (as far as that can be shown without a public address) on the real gateway. Nothing is
printed here: each step is lines for a reader and facts for a program.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from attrs import frozen

from ..client import Modica, ModicaV2
from ..models import DeliveryReceipt, InboundMessage
from ..receiver import CallbackReceiver
from ._options import Gateway, json_option, password_file_option
from ._output import HEADING, echo, print_json, row, to_json_dict

LIVE_MESSAGES = 2

_HANDSETS = ("+64211234567", "+64211234568", "+64211234569")
# What the prose documentation shows as a destination that is refused: it costs nothing and reaches nobody.
_NOBODY = "X"
_TEXT, _TEXT_TO_ALL = "Kia ora from modica-facade", "Kia ora koutou from modica-facade"


@frozen
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


def on_simulator(*, v2: bool) -> Iterator[Step]:
    """The story from the first request to the reply; nothing leaves this machine."""
    from ..simulator import Simulator, serve

    username, password, callback_password = "demo", secrets.token_hex(8), secrets.token_hex(8)
    receipts: list[DeliveryReceipt] = []
    inbound: list[InboundMessage] = []
    receiver = CallbackReceiver(
        on_receipt=receipts.append, on_inbound=inbound.append, username=username, password=callback_password
    )
    with Simulator(username=username, password=password) as simulator, serve(receiver.asgi) as receiver_url:
        base_url = simulator.v2_base_url if v2 else simulator.base_url
        yield Step(
            "gateway",
            f"The gateway here is the embedded simulator, {base_url}",
            ("It follows the published documentation; nothing leaves this machine, no SMS is sent.",),
            {"simulator": True, "base_url": base_url, "sms": 0},
        )

        def seen(_documented: str) -> str:
            request = simulator.requests[-1]
            target = f"{request.path}?{request.query}" if request.query else request.path
            return f"{request.method} {target} -> {request.status_code}"

        reference = _new_reference()
        with (ModicaV2 if v2 else Modica)(username, password, base_url=base_url) as modica:
            yield from _calls(modica, _HANDSETS[0], _HANDSETS[1:], reference, seen)

        callback_url = receiver_url.replace("//", f"//{username}:{callback_password}@") + "/callbacks"
        simulator.dlr_url = simulator.mo_url = callback_url
        simulator.deliver()
        yield Step(
            "receipts",
            f"Delivery receipts, posted to a CallbackReceiver mounted on {receiver_url}",
            [f"{receipt.message_id:<36} {receipt.status:<10} {receipt.reference}" for receipt in receipts],
            {"receipts": [to_json_dict(receipt) for receipt in receipts]},
        )

        simulator.reply(_HANDSETS[0], "Ka pai!")
        simulator.deliver()
        [reply] = inbound
        # REST v2 documents no reference in a reply: all there is to match it by is the number it comes from.
        store, key = {reference: _TEXT, _HANDSETS[0]: _TEXT}, reply.reference or reply.source
        yield Step(
            "reply",
            f"A reply comes in, and its {'number' if v2 else 'reference'} says what it answers",
            (f"{reply.source}: {reply.content!r}", f"answers {key}: {store[key]!r}"),
            {"reply": to_json_dict(reply), "matched_by": key, "answers": store[key]},
        )


def on_gateway(modica: Modica | ModicaV2, destination: str) -> Iterator[Step]:
    """Send, broadcast and get for real: two SMS, both to ``destination``."""
    yield Step(
        "gateway",
        f"This is the real thing: {modica!r}",
        (f"{LIVE_MESSAGES} SMS will be sent to {destination}, and charged.",),
        {"simulator": False, "client": repr(modica), "sms": LIVE_MESSAGES},
    )
    yield from _calls(modica, destination, [destination], _new_reference(), str)
    yield Step(
        "callbacks",
        "Receipts and replies are left out",
        ("The gateway posts them to a public https address that is set up in its platform; see `modica listen`.",),
        {"skipped": True},
    )


def _new_reference() -> str:
    return f"demo-{secrets.token_hex(4)}"


def _calls(
    modica: Modica | ModicaV2, destination: str, others: Sequence[str], reference: str, seen: Callable[[str], str]
) -> Iterator[Step]:
    """The three calls; ``seen`` turns the request line of the documents into what the gateway saw, if that is known."""
    # The reference was chosen before the send: whatever happens to the call, receipts lead back to it.
    sent = modica.send(destination, _TEXT, reference=reference)
    request = seen("POST /messages")
    yield Step(
        "send",
        "Send one message",
        (request, f"id {sent.id}, reference {sent.reference}"),
        {"request": request, "submitted": to_json_dict(sent)},
    )

    everyone = [*others, _NOBODY]
    if isinstance(modica, Modica):
        outcomes = list(modica.broadcast(everyone, _TEXT_TO_ALL, reference=f"{reference}-all"))
        title, request = "Broadcast", seen("POST /messages/broadcast")
    else:
        # REST v2 has no broadcast; this is one request a destination.
        outcomes = list(modica.send_many(everyone, _TEXT_TO_ALL, reference=f"{reference}-all", concurrency=1))
        title, request = "Send one by one", f"{seen('POST /messages')}, the last of {len(everyone)}"
    submitted = sum(outcome.ok for outcome in outcomes)
    yield Step(
        "broadcast",
        f"{title} to {len(outcomes)} destinations: {submitted} submitted, {len(outcomes) - submitted} failed",
        (request, HEADING, *map(row, outcomes)),
        {"request": request, "outcomes": [to_json_dict(outcome) for outcome in outcomes]},
    )

    message = modica.get(sent.id)
    request = seen(f"GET /messages/{sent.id}" if isinstance(modica, Modica) else f"GET /messages?id={sent.id}")
    yield Step(
        "get",
        "Get the first message back",
        (request, *(f"{name:<12} {value}" for name, value in to_json_dict(message).items() if value is not None)),
        {"request": request, "message": to_json_dict(message)},
    )


@click.command()
@click.option("--live", is_flag=True, help="On the real gateway, with your credentials. Costs two SMS.")
@click.option("--destination", metavar="NUMBER", help="Where the two SMS of --live go, such as +64211234567.")
@click.option("--v2", is_flag=True, help="Speak REST v2 instead of v1.")
@password_file_option
@json_option
def demo(*, live: bool, destination: str | None, v2: bool, password: str | None, as_json: bool) -> None:
    """Show the whole story: send, broadcast, get, receipts, a reply.

    On a simulator started for the purpose, unless --live and --destination say otherwise.
    """
    if live and not destination:
        raise click.UsageError("--live needs --destination: it sends two SMS there.")
    if destination and not live:
        raise click.UsageError("--destination needs --live: the simulator sends no SMS anywhere.")
    if destination:
        with Gateway(v2, None, password).connect() as modica:
            _show(on_gateway(modica, destination), as_json=as_json)
    else:
        _show(on_simulator(v2=v2), as_json=as_json)


def _show(steps: Iterable[Step], *, as_json: bool) -> None:
    for number, step in enumerate(steps):
        if as_json:
            print_json({"step": step.name, **step.facts})
            continue
        echo(f"{number}. {step.title}" if number else step.title)
        for line in step.lines:
            echo(f"   {line}")
