"""``modica simulate``: the simulator as a server of its own, its requests and callbacks on the terminal."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigurationError
from ._options import json_option, password_file_option, url_option
from ._output import echo, print_json
from ._signals import stop_requested, terminations_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..simulator import Simulator
    from ..simulator._events import Event, EventLog

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NUMBER = re.compile(r"\+?[0-9]{3,15}")

_BANNER = """\
A simulator of Modica's Mobile Gateway that follows the published documentation. It is not the real gateway, and no
SMS leaves this machine.

  page      {url}/
  REST v1   {v1}
  REST v2   {v2}
  control   {url}/_modica/v1

{credentials} Point a client at it:

  Modica("application-name", "password", base_url="{v1}")
  export MODICA_BASE_URL={v1} MODICA_V2_BASE_URL={v2}
"""
_ANY = "Any application name and password that are not empty are accepted."
_HELP = "Type a number and a text, such as '+64211234567 Yes please', to let that handset answer its last message."


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8024, show_default=True, help="0 for a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--tls", is_flag=True, help="Serve https with a certificate made for this run, whose CA is in a file.")
@click.option("--ca-file", type=click.Path(path_type=Path), help="The file, with --tls; a temporary one if not given.")
@click.option("--username", help="Accept these credentials only.")
@click.option("--password-env", metavar="VARIABLE", help="The environment variable that holds their password.")
@password_file_option
@url_option("--dlr-url", help="Post delivery receipts here.")
@url_option("--mo-url", help="Post inbound messages here.")
@click.option(
    "--keep", type=click.IntRange(1), default=10_000, show_default=True, help="Remember so many of each kind."
)
@click.option("--small-ids", is_flag=True, help="Ids that JavaScript reads without loss.")
@click.option("--replies", is_flag=True, help="Read replies of handsets from the terminal: a number, then a text.")
@click.option("--quiet", is_flag=True, help="Do not print requests and callbacks.")
@json_option
def simulate(
    *,
    replies: bool,
    quiet: bool,
    as_json: bool,
    tls: bool,
    ca_file: Path | None,
    password_env: str | None,
    **options: Any,
) -> None:
    """Run a simulator of the gateway until Ctrl-C, on a clock that runs with real time.

    It prints every request with its answer and every callback with the receiver's. The page it serves shows the
    handsets; programs in any language drive it by the control API below /_modica/v1. What is still under way is never
    forgotten, of everything else the last --keep.
    """
    from ..simulator import Simulator
    from ..simulator._tls import throw_away_certificate

    if password_env is not None:
        options["password"] = os.environ.get(password_env)
        if not options["password"]:
            raise click.UsageError(f"The variable {password_env} is not set.")
    if ca_file is not None and not tls:
        raise click.UsageError("--ca-file needs --tls: without it there is no certificate.")
    if options["host"] not in _LOOPBACK:
        warning = "anyone who can reach this machine can read the messages here and drive the simulator"
        click.echo(f"modica: listening on {options['host']}: {warning}", err=True)
    with contextlib.suppress(KeyboardInterrupt), terminations_interrupt(), contextlib.ExitStack() as stack:
        if tls:
            ca_file = ca_file or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "modica-simulator-ca.pem"
            context, authority = throw_away_certificate(options["host"])
            try:
                ca_file.write_bytes(authority)
            except OSError as error:
                raise click.UsageError(f"--ca-file {ca_file} cannot be written: {error.strerror}.") from error
            options["tls"] = context
        try:
            simulator = stack.enter_context(Simulator(real_time=True, control=True, **options))
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
        except OSError as error:
            where = f"{options['host']} port {options['port']}"
            raise ConfigurationError(f"{where} cannot be used: {error.strerror}") from error

        def begin() -> None:
            _introduce(simulator, options, ca_file if tls else None, as_json=as_json)
            if replies:
                _start_reading_replies(simulator)

        if quiet:
            begin()
            _wait()
        _follow(simulator.events, _print_json if as_json else _print_line, begin)


def _introduce(simulator: Simulator, options: dict[str, Any], ca_file: Path | None, *, as_json: bool) -> None:
    urls = {"url": simulator.url, "v1": simulator.base_url, "v2": simulator.v2_base_url}
    if as_json:
        print_json({"event": "ready", **urls, "ca_file": None if ca_file is None else str(ca_file)})
        return
    any_will_do = options["username"] is None and options["password"] is None
    credentials = _ANY if any_will_do else "Only the credentials given are accepted."
    click.echo(_BANNER.format(**urls, credentials=credentials))
    if ca_file is not None:
        click.echo(f"  export SSL_CERT_FILE={ca_file}  # the certificate authority of this run\n")


def _wait() -> None:
    """Until interrupted."""
    while True:
        threading.Event().wait(0.5)  # a wait without an end cannot be interrupted on Windows


def _follow(events: EventLog, show: Callable[[Event], None], begin: Callable[[], None]) -> None:
    """Begin, and print requests and callbacks until interrupted, those that are there by then included."""
    # Unlike an Event, the queue may be used by a signal handler, whatever that interrupts.
    news: queue.SimpleQueue[None] = queue.SimpleQueue()
    number = 0

    def look() -> None:
        news.put(None)

    with events.listening(look), stop_requested(look) as stop:
        begin()  # from then on somebody may send, and interrupt
        stopping = False
        while not stopping:
            with contextlib.suppress(queue.Empty):
                news.get(timeout=0.5)  # a wait without an end cannot be interrupted on Windows
            # Asked before the last look, so that this finds whatever was there when the signal came.
            stopping = stop.is_set()
            new = events.since(number)
            number = events.last if new is None else number + len(new)
            if new is None:
                click.echo("modica: too much at once: some requests and callbacks are not printed", err=True)
            for event in new or ():
                if event.kind in ("request", "delivery"):
                    show(event)


def _print_json(event: Event) -> None:
    from ..simulator._json import event_json

    print_json({"event": event.kind, **(event_json(event) or {})})


def _print_line(event: Event) -> None:
    subject: Any = event.subject
    at = f"{subject.at:%H:%M:%S}"
    if event.kind == "request":
        query = f"?{subject.query}" if subject.query else ""
        made = f"{len(subject.accepted)} messages" if len(subject.accepted) > 1 else " ".join(subject.accepted)
        result = "connection cut" if subject.status_code is None else subject.status_code
        echo(f"{at} {subject.method} {subject.path}{query} {subject.username or '-'} {result} {made}".rstrip())
    else:
        what = subject.payload["status"] if subject.kind == "receipt" else "reply"
        echo(
            f"{at} {subject.kind} {what} {subject.message_id} -> {subject.url} {subject.status_code or subject.problem}"
        )


# Replies from the terminal


def _start_reading_replies(simulator: Simulator) -> None:
    # In the background a read would stop the process; with the signal ignored it fails, and the rest goes on.
    if hasattr(signal, "SIGTTIN"):
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    echo(_HELP)
    threading.Thread(target=_read_replies, args=(simulator,), daemon=True).start()


def _read_replies(simulator: Simulator) -> None:
    # Unbuffered: the lock of sys.stdin, held by a daemon thread, would break the end of the process.
    try:
        with open(0, "rb", buffering=0, closefd=False) as lines:
            for line in lines:
                if text := line.decode("utf-8", "replace").strip():
                    echo(_reply(simulator, text))
    except OSError:
        click.echo("modica: not in the foreground, so no replies are read", err=True)


def _reply(simulator: Simulator, line: str) -> str:
    number, _, content = line.partition(" ")
    if not _NUMBER.fullmatch(number) or not content:
        return _HELP
    try:
        message = simulator.reply(number, content)
    except LookupError:
        message = simulator.receive(number, content)
        return f"inbound message {message.id} from {number}, which no message has reached yet"
    return f"inbound message {message.id} from {number}, in reply to {message.reply_to}"
