"""``modica listen``: receive callbacks and show them."""

from __future__ import annotations

import contextlib
import os
import threading

import click

from ..errors import ConfigurationError
from ..models import DeliveryReceipt, InboundMessage
from ..receiver import CallbackReceiver
from ._options import json_option
from ._output import echo, print_json, to_json_dict


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8026, show_default=True, help="0 for a free one.")
@click.option("--username", help="Ask for these Basic credentials, as the callback URL carries them.")
@click.option("--password-env", metavar="VARIABLE", help="The environment variable that holds their password.")
@json_option
def listen(port: int, username: str | None, password_env: str | None, as_json: bool) -> None:
    """Receive delivery receipts and inbound messages, and show them, until Ctrl-C.

    On 127.0.0.1, at any path. The gateway posts to public https addresses with a certificate it trusts: put a reverse
    proxy or a tunnel in front. Callbacks that cannot be read are answered 400 and reported on standard error.
    """
    from modica_facade.simulator import serve

    password = os.environ.get(password_env) if password_env is not None else None
    if password_env is not None and not password:
        raise click.UsageError(f"The variable {password_env} is not set.")
    ended = threading.Event()

    async def show(callback: DeliveryReceipt | InboundMessage) -> None:
        try:
            if as_json:
                kind = "receipt" if isinstance(callback, DeliveryReceipt) else "inbound"
                print_json({"callback": kind, **to_json_dict(callback)})
            else:
                echo(_line(callback))
        except OSError:
            ended.set()
            raise

    receiver = CallbackReceiver(on_receipt=show, on_inbound=show, username=username, password=password)
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(serve(receiver.asgi, port=port))
        except OSError as error:
            raise ConfigurationError(f"port {port} cannot be used: {error.strerror}") from error
        who = "with these credentials only" if username else "anyone may post here"
        click.echo(f"modica: listening on {url} ({who}); Ctrl-C ends", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            while not ended.wait(0.5):  # a wait without an end cannot be interrupted on Windows
                pass  # pragma: no cover - a test does not take that long
    if ended.is_set():
        raise BrokenPipeError


def _line(callback: DeliveryReceipt | InboundMessage) -> str:
    if isinstance(callback, DeliveryReceipt):
        parts = ["receipt", callback.message_id, callback.status, callback.detail]
    else:
        parts = ["inbound", callback.id, f"{callback.source} -> {callback.destination}: {callback.content}"]
        parts += [callback.reply_to and f"in reply to {callback.reply_to}", callback.encoding]
    parts.append(callback.reference and f"reference {callback.reference}")
    return "  ".join(part for part in parts if part)
