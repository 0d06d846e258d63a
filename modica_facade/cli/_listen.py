"""``modica listen``: receive callbacks, show them, and hand them on to an application that is being developed."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Generator

import click

from ..errors import ConfigurationError
from ..models import DeliveryReceipt, InboundMessage
from ..receiver import CallbackReceiver
from ._options import json_option, password_file_option, url_option
from ._output import echo, note, print_json, to_json_dict
from ._post import post
from ._signals import terminations_interrupt


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8026, show_default=True, help="0 for a free one.")
@click.option("--username", help="Ask for these Basic credentials, as the callback URL carries them.")
@click.option("--password-env", metavar="VARIABLE", help="The environment variable that holds their password.")
@password_file_option
@url_option("--forward-to", help="Post each callback on to this URL, and answer 500 if it does not take it.")
@json_option
def listen(
    *,
    port: int,
    username: str | None,
    password_env: str | None,
    password: str | None,
    forward_to: str | None,
    as_json: bool,
) -> None:
    """Receive delivery receipts and inbound messages, and show them, until Ctrl-C.

    On 127.0.0.1, at any path. The gateway posts to public https addresses with a certificate it trusts: put a reverse
    proxy or a tunnel in front. Callbacks that cannot be read are answered 400 and reported on standard error.
    """
    from ..simulator import serve

    if password_env is not None:
        password = os.environ.get(password_env)
        if not password:
            raise click.UsageError(f"The variable {password_env} is not set.")
    ended = threading.Event()

    def show(callback: DeliveryReceipt | InboundMessage) -> None:
        answer = None if forward_to is None else post(forward_to, callback.raw)
        try:
            if as_json:
                kind = "receipt" if isinstance(callback, DeliveryReceipt) else "inbound"
                forwarded = {} if answer is None else {"forwarded": to_json_dict(answer)}
                print_json({"callback": kind, **to_json_dict(callback), **forwarded})
            else:
                echo(_line(callback) if answer is None else f"{_line(callback)}  -> {answer}")
        except Exception:
            ended.set()
            raise
        if answer is not None and not answer.ok:
            raise _NotTakenError

    receiver = CallbackReceiver(on_receipt=show, on_inbound=show, username=username, password=password)
    with contextlib.suppress(KeyboardInterrupt), terminations_interrupt(), contextlib.ExitStack() as stack:
        stack.enter_context(_notes_of_receiver())
        try:
            url = stack.enter_context(serve(receiver.asgi, port=port))
        except OSError as error:
            raise ConfigurationError(f"port {port} cannot be used: {error.strerror}; choose another --port") from error
        who = "with these credentials only" if username else "anyone may post here"
        note(f"listening on {url} ({who}); Ctrl-C ends")
        while not ended.wait(0.5):  # a wait without an end cannot be interrupted on Windows
            pass  # pragma: no cover - a test does not take that long
    if ended.is_set():
        raise BrokenPipeError


@contextlib.contextmanager
def _notes_of_receiver() -> Generator[None]:
    """Print what the receiver logs: callbacks that it answers 400, for instance."""

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno < logging.ERROR:  # those are about our own handler, which has said more
                note(record.getMessage())

    logger, handler = logging.getLogger("modica_facade.receiver"), Notes()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _NotTakenError(Exception):
    """The application did not take a callback, so the gateway is not told that it was taken."""


def _line(callback: DeliveryReceipt | InboundMessage) -> str:
    if isinstance(callback, DeliveryReceipt):
        parts = ["receipt", callback.message_id, callback.status, callback.detail]
    else:
        parts = ["inbound", callback.id, f"{callback.source} -> {callback.destination}: {callback.content}"]
        parts += [callback.reply_to and f"in reply to {callback.reply_to}", callback.encoding]
    parts.append(callback.reference and f"reference {callback.reference}")
    return "  ".join(part for part in parts if part)
