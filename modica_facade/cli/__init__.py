"""The command ``modica``: the client for people and shell scripts (extra ``cli``)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import click

from modica_facade import __version__
from modica_facade._parts import count_parts
from modica_facade.client import Modica, ModicaV2
from modica_facade.errors import (
    BroadcastInterruptedError,
    ConfigurationError,
    GatewayError,
    InvalidRequestError,
    ModicaError,
    NotSentError,
    OutcomeUnknownError,
    UnexpectedResponseError,
)
from modica_facade.models import BroadcastOutcome, DeliveryReceipt, InboundMessage
from modica_facade.receiver import CallbackReceiver

from . import _demo
from ._journal import Journal
from ._output import Format, OutcomePrinter, abandon, facts, print_json, printable, say

__all__ = ["main"]

_OK, _REFUSED, _USAGE, _NOT_SENT, _UNKNOWN = range(5)
_INTERRUPTED, _NOBODY_READS = 128 + 2, 128 + 13  # as a shell counts a process that SIGINT or SIGPIPE ended
_IN_FLIGHT = 16  # of send_many

_Function = TypeVar("_Function", bound=Callable[..., Any])


# Errors


class _Commands(click.Group):
    """Every exception ends here: one line on stderr, one exit code, and under --json the same on stdout."""

    def invoke(self, ctx: click.Context) -> Any:
        # A pipe or console that cannot show a macron gets an escape, not half an answer.
        cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except ModicaError as error:
            _fail(ctx, _exit_code(error), error)
        except click.UsageError as error:
            command = ctx.command_path if error.ctx is None else error.ctx.command_path
            _fail(ctx, _USAGE, error, f"{error.format_message()} See {command} --help.")
        except ImportError as error:
            if error.name is not None:  # only our own, which say what to install, have none
                raise
            _fail(ctx, _USAGE, error)
        except BrokenPipeError:
            abandon()
            ctx.exit(_NOBODY_READS)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


def _exit_code(error: ModicaError) -> int:
    if error.may_have_been_sent:
        return _UNKNOWN
    if isinstance(error, ConfigurationError | InvalidRequestError):
        return _USAGE
    if isinstance(error, GatewayError | UnexpectedResponseError):
        return _REFUSED
    return _NOT_SENT


def _fail(ctx: click.Context, code: int, error: Exception, message: str | None = None) -> NoReturn:
    message = printable(message or str(error))
    click.echo(f"modica: {message}", err=True)
    if ctx.meta.get(_AS_JSON):
        about = {name: getattr(error, name) for name in _TOLD if hasattr(error, name)}
        print_json({"error": {"type": type(error).__name__, "message": message, "exit_code": code, **about}})
    ctx.exit(code)


_TOLD = (
    "may_have_been_sent",
    "status_code",
    "code",
    "descriptions",
    "retry_after",
    "timed_out",
    "reference",
    "field",
)


# Options that several commands have

_AS_JSON = f"{__name__}.as_json"


def _note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_AS_JSON] = value
    return value


_json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,  # an error in another option is to be told in JSON too
    callback=_note_json,
    help="Print JSON, one object a line, errors included.",
)


def _all(*options: Callable[[_Function], _Function]) -> Callable[[_Function], _Function]:
    def decorate(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_gateway_options = _all(
    click.option("--v2", is_flag=True, help="Speak REST v2 instead of v1."),
    click.option(
        "--base-url", metavar="URL", help="The gateway, if not Modica's own; else MODICA_BASE_URL, MODICA_V2_BASE_URL."
    ),
    _json_option,
)
_message_options = _all(
    click.option("--reference", help="Your label; receipts and replies repeat it. Choose one, and store it first."),
    click.option("--scheduled", metavar="TIME", help="When to send, such as 2030-05-05T10:00:00+12:00."),
    click.option("--expires", metavar="TIME", help="When to give up delivering; REST v1 only."),
    click.option("--source", help="Short code to send from; not together with --class."),
    click.option("--class", "class_", help="Application class; the gateway's default is mt_message."),
    click.option("--mask", help="Source mask, at most 20 characters."),
    click.option("--sms-class", type=click.IntRange(0, 3)),
    click.option("--integration-id", metavar="UUID", help="REST v2 only."),
)


def _client(v2: bool, base_url: str | None) -> Modica | ModicaV2:
    return (ModicaV2 if v2 else Modica)(base_url=base_url)


def _given(v2: bool, options: dict[str, Any]) -> dict[str, Any]:
    """The message options that were given; refused if the version does not have them."""
    given = {name: value for name, value in options.items() if value is not None}
    foreign = "expires" if v2 else "integration_id"
    if foreign in given:
        raise click.UsageError(f"--{foreign.replace('_', '-')} is not there on REST {'v2' if v2 else 'v1'}.")
    return given


# Commands


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="modica")
def main() -> None:
    """Send SMS through Modica's Mobile Gateway, and see what became of them.

    Credentials come from MODICA_USERNAME and MODICA_PASSWORD only: an argument would show in the process list.

    \b
    Exit codes:
      0  done
      1  the gateway said no (broadcast: to at least one destination)
      2  the command line, the environment or a value is wrong; nothing was sent
      3  not sent, or not to all: safe to try again (broadcast: with --results)
      4  unknown: it may have been sent; do not send it again, wait for its receipt
    """  # noqa: D301 - \b is how click is told not to fill a paragraph


@main.command()
@click.argument("destination")
@click.argument("content")
@_message_options
@_gateway_options
def send(destination: str, content: str, v2: bool, base_url: str | None, as_json: bool, **options: Any) -> None:
    """Send CONTENT to one DESTINATION: one SMS, never two.

    DESTINATION is a number in international format, such as +64211234567; the gateway judges it. Prints the id.
    """
    given = _given(v2, options)
    with _client(v2, base_url) as modica:
        try:
            sent = modica.send(destination, content, **given)
        except KeyboardInterrupt:
            raise OutcomeUnknownError(
                "interrupted: the message may have been sent; do not send it again, look for its receipt",
                reference=given.get("reference"),
            ) from None
    try:
        if as_json:
            print_json(facts(sent))
        else:
            say(f"id {sent.id}")
    except OSError as error:
        abandon()
        raise OutcomeUnknownError(
            f"sent, with id {sent.id}, but that could not be printed ({error.strerror}); do not send it again",
            reference=sent.reference,
        ) from error


@main.command()
@click.argument("message_id")
@_gateway_options
def get(message_id: str, v2: bool, base_url: str | None, as_json: bool) -> None:
    """Fetch a stored message by its id."""
    with _client(v2, base_url) as modica:
        message = facts(modica.get(message_id))
    if as_json:
        print_json(message)
        return
    for name, value in message.items():
        if value is not None:
            say(f"{name:<12} {value}")


@main.command()
@click.argument("destinations", nargs=-1)
@click.option("--content", required=True, help="The text.")
@click.option(
    "--file",
    "file",
    type=click.File("r", encoding="utf-8-sig"),
    help="Read destinations from here, one a line; - is standard input.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    show_default=True,
    help="Of the outcomes on standard output; --json is jsonl.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the account of this broadcast in this file, and go on from there.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1000),
    default=1000,
    show_default=True,
    help="Destinations in one request (REST v1).",
)
@_message_options
@_gateway_options
@click.pass_context
def broadcast(
    ctx: click.Context,
    /,
    destinations: tuple[str, ...],
    content: str,
    file: Iterable[str] | None,
    format_: Format,
    results: Path | None,
    batch_size: int,
    v2: bool,
    base_url: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Send one text to any number of DESTINATIONS, each of them once.

    They are read and counted before the first is sent to; one that is given twice is sent to once. REST v1 takes them
    in broadcasts, v2 one request each. Outcomes are printed as they come: success, failure (the gateway refused this
    one) or unknown (it may have been sent).

    With --results an interrupted broadcast is resumed by the same command: destinations that have an outcome are left
    alone, and so are unknown ones, whatever interrupted it, kill -9 and power cuts included. Settle those by their
    receipts. The file is JSON lines, the last one about a destination counts, and a person may add one: its status is
    success, failure, unknown or unsent (to be sent to again).

    Ctrl-C stops when the requests in flight are answered, a second one at once. Destinations without a row were not
    sent to. Exit code 4 if any is unknown, otherwise that of what stopped it, otherwise 1 if any was refused.
    """
    given = _given(v2, options)
    wanted = _destinations(destinations, file)
    identity = json.dumps([content, given], sort_keys=True).encode()
    with _client(v2, base_url) as modica, _stopping() as stop:
        about = {"client": repr(modica), "message": hashlib.sha256(identity).hexdigest()}
        with Journal(results, about) as journal:
            left = [each for each in wanted if journal.statuses.get(each, "unsent") == "unsent"]
            if isinstance(modica, Modica):
                batches = journal.batches(left, batch_size, stop.is_set)
                outcomes = modica.broadcast_many(batches, content, batch_size=batch_size, **given)
            else:
                batches = journal.batches(left, _IN_FLIGHT, stop.is_set)
                outcomes = modica.send_many(batches, content, concurrency=_IN_FLIGHT, **given)
            printer = OutcomePrinter("jsonl" if as_json else format_, stop.set)
            # Where the rows go to the terminal, they are the progress.
            hidden = not sys.stderr.isatty() or sys.stdout.isatty()
            steps = max(1, len(wanted) // 100)
            with click.progressbar(
                length=len(wanted), label="sending", file=sys.stderr, hidden=hidden, update_min_steps=steps
            ) as bar:
                bar.update(len(wanted) - len(left))
                problem = _follow(outcomes, journal, printer, bar.update)
            account = Counter(journal.statuses.get(each, "unsent") for each in wanted)
    click.echo(
        f"modica: {len(wanted)} destinations: {account['success']} submitted, {account['failure']} failed, "
        f"{account['unknown']} unknown, {account['unsent']} not sent",
        err=True,
    )
    problem = problem or _what_is_left(account, journal.failure or (None if results else printer.failure))
    if problem is None:
        ctx.exit(_REFUSED if account["failure"] else _OK)
    code = _UNKNOWN if account["unknown"] else _exit_code(problem)
    _fail(ctx, code, problem, f"{problem}{_advice(account, results)}")


def _destinations(arguments: Iterable[str], file: Iterable[str] | None) -> list[str]:
    """All of them, each once, in order."""
    try:
        stripped = (line.strip() for line in [*arguments, *(file or ())])
        given = [each for each in stripped if each]
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--file must be UTF-8 text: {error}.") from None
    if not given:
        raise click.UsageError("No destinations: give some, or --file with one a line.")
    wanted = list(dict.fromkeys(given))
    if len(wanted) < len(given):
        click.echo(f"modica: {len(given) - len(wanted)} repeated destinations are left out", err=True)
    return wanted


@contextlib.contextmanager
def _stopping() -> Generator[threading.Event]:
    """The first SIGINT or SIGTERM sets the event, the next one is a KeyboardInterrupt."""
    stop = threading.Event()

    def handle(_signal: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nmodica: stopping when the requests in flight are answered; once more to stop at once\n")

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as a shell leaves SIGINT to a job in the background
                signal.signal(number, handle)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(
    outcomes: Iterable[BroadcastOutcome], journal: Journal, printer: OutcomePrinter, advance: Callable[[int], None]
) -> ModicaError | None:
    """Note and print every outcome, to the end or to what stopped it, which is returned."""
    problem: ModicaError
    try:
        for outcome in outcomes:
            printer.print(journal.settle(outcome))
            advance(1)
    except BroadcastInterruptedError as error:
        problem = error.cause if isinstance(error.cause, ModicaError) else error
        lost = journal.give_up(error.batch if error.may_have_been_sent else (), str(problem))
    except KeyboardInterrupt:
        problem = NotSentError("interrupted before everything was sent")
        lost = journal.give_up(None, "interrupted")
    else:
        return None
    for outcome in lost:
        printer.print(outcome)
    return problem


def _what_is_left(account: Counter[str], failure: OSError | None) -> ModicaError | None:
    """Nothing went wrong on the way to the gateway; is there still something to say?"""
    if failure is not None:
        kind = NotSentError if account.total() == account["unsent"] else OutcomeUnknownError
        return kind(f"stopped, the outcomes cannot be written: {failure.strerror}")
    if account["unknown"]:
        return OutcomeUnknownError("some destinations may have been sent to in an earlier run; wait for their receipts")
    return NotSentError("stopped before the end") if account["unsent"] else None


def _advice(account: Counter[str], results: Path | None) -> str:
    """What the exception of one request cannot know: the whole command is safe to repeat only with a results file."""
    if not account["unsent"]:
        return ""
    if results is not None:
        return "; run the same command again to send to the rest"
    if account.total() == account["unsent"]:
        return ""
    return "; do not repeat the whole command: destinations with a row above are done (--results would keep count)"


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8026, show_default=True, help="0 for a free one.")
@click.option("--username", help="Ask for these Basic credentials, as the callback URL carries them.")
@click.option("--password-env", metavar="VARIABLE", help="The environment variable that holds their password.")
@_json_option
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
                print_json({"callback": kind, **facts(callback)})
            else:
                say(_line(callback))
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


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """Run the simulator until Ctrl-C; its options are those of python -m modica_facade.simulator."""
    from modica_facade.simulator.__main__ import main as run

    try:
        run(arguments)
    except OSError as error:
        raise ConfigurationError(f"the simulator cannot be started: {error.strerror}") from error


@main.command()
@click.option("--live", is_flag=True, help="On the real gateway, with your credentials. Costs two SMS.")
@click.option("--destination", metavar="NUMBER", help="Where the two SMS of --live go, such as +64211234567.")
@click.option("--v2", is_flag=True, help="Speak REST v2 instead of v1.")
@_json_option
def demo(live: bool, destination: str | None, v2: bool, as_json: bool) -> None:
    """Show the whole story: send, broadcast, get, receipts, a reply.

    On a simulator started for the purpose, unless --live and --destination say otherwise.
    """
    if live and not destination:
        raise click.UsageError("--live needs --destination: it sends two SMS there.")
    if destination and not live:
        raise click.UsageError("--destination needs --live: the simulator sends no SMS anywhere.")
    if destination:
        with _client(v2, None) as modica:
            _tell(_demo.on_gateway(modica, destination), as_json)
    else:
        _tell(_demo.on_simulator(v2=v2), as_json)


def _tell(steps: Iterable[_demo.Step], as_json: bool) -> None:
    for number, step in enumerate(steps):
        if as_json:
            print_json({"step": step.name, **step.facts})
            continue
        say(f"{number}. {step.title}" if number else step.title)
        for line in step.lines:
            say(f"   {line}")


@main.command()
@click.argument("text")
@_json_option
def parts(text: str, as_json: bool) -> None:
    """How many SMS a TEXT makes, and which characters force the dearer encoding.

    GSM-7 has room for 160 characters (153 in each of several SMS), UCS-2 for 70 (67). One character that GSM-7 does
    not have, a macron for instance, makes the whole text UCS-2. This is arithmetic, the gateway is not asked.
    """
    counted = count_parts(text)
    if as_json:
        print_json(facts(counted))
        return
    unit = "septets" if counted.encoding == "GSM-7" else "UTF-16 units"
    say(f"{counted.encoding}, {counted.count} SMS, {counted.units} {unit}, {counted.free} free in the last SMS")
    for character in counted.forcing:
        say(f"not in GSM-7: {character} (U+{ord(character):04X} {unicodedata.name(character, 'without a name')})")
