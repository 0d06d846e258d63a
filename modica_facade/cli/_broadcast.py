"""``modica broadcast``: one text to any number of destinations, each of them once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import click

from ..client import Modica
from ..errors import BroadcastInterruptedError, ModicaError, NotSentError, OutcomeUnknownError
from ..models import BroadcastOutcome
from ._errors import OK, REFUSED, UNKNOWN, exit_code, fail
from ._options import gateway_options, given_options, make_client, message_options
from ._output import Format, OutcomePrinter
from ._results_file import ResultsFile

_IN_FLIGHT = 16  # of send_many


@click.command()
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
@message_options
@gateway_options
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
    given = given_options(v2, options)
    wanted = _destinations(destinations, file)
    identity = json.dumps([content, given], sort_keys=True).encode()
    with make_client(v2, base_url) as modica, _stopping() as stop:
        about = {"client": repr(modica), "message": hashlib.sha256(identity).hexdigest()}
        with ResultsFile(results, about) as record:
            left = [each for each in wanted if record.statuses.get(each, "unsent") == "unsent"]
            if isinstance(modica, Modica):
                batches = record.batches(left, batch_size, stop.is_set)
                outcomes = modica.broadcast_many(batches, content, batch_size=batch_size, **given)
            else:
                batches = record.batches(left, _IN_FLIGHT, stop.is_set)
                outcomes = modica.send_many(batches, content, concurrency=_IN_FLIGHT, **given)
            printer = OutcomePrinter("jsonl" if as_json else format_, stop.set)
            # Where the rows go to the terminal, they are the progress.
            hidden = not sys.stderr.isatty() or sys.stdout.isatty()
            steps = max(1, len(wanted) // 100)
            with click.progressbar(
                length=len(wanted), label="sending", file=sys.stderr, hidden=hidden, update_min_steps=steps
            ) as bar:
                bar.update(len(wanted) - len(left))
                problem = _follow(outcomes, record, printer, bar.update)
            account = Counter(record.statuses.get(each, "unsent") for each in wanted)
    click.echo(
        f"modica: {len(wanted)} destinations: {account['success']} submitted, {account['failure']} failed, "
        f"{account['unknown']} unknown, {account['unsent']} not sent",
        err=True,
    )
    problem = problem or _what_is_left(account, record.failure or (None if results else printer.failure))
    if problem is None:
        ctx.exit(REFUSED if account["failure"] else OK)
    code = UNKNOWN if account["unknown"] else exit_code(problem)
    fail(ctx, code, problem, f"{problem}{_advice(account, results)}")


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
    outcomes: Iterable[BroadcastOutcome],
    record: ResultsFile,
    printer: OutcomePrinter,
    advance: Callable[[int], None],
) -> ModicaError | None:
    """Note and print every outcome, to the end or to what stopped it, which is returned."""
    problem: ModicaError
    try:
        for outcome in outcomes:
            printer.print(record.settle(outcome))
            advance(1)
    except BroadcastInterruptedError as error:
        problem = error.cause if isinstance(error.cause, ModicaError) else error
        lost = record.give_up(error.batch if error.may_have_been_sent else (), str(problem))
    except KeyboardInterrupt:
        problem = NotSentError("interrupted before everything was sent")
        lost = record.give_up(None, "interrupted")
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
