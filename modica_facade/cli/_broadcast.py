"""``modica broadcast``: one text to any number of destinations, each of them once."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..client import Modica, ModicaV2
from ..errors import BroadcastInterruptedError, ModicaError, NotSentError, OutcomeUnknownError
from ..models import BroadcastOutcome
from ._destinations import checked_destinations, number_key, read_standard_input
from ._errors import NOT_SENT, OK, REFUSED, UNKNOWN, FailedError, exit_code, in_terms_of_options
from ._options import Gateway, destination_options, gateway_options, given_options, message_options
from ._output import Format, OutcomePrinter, echo, note, print_json, row, summary
from ._plan import Plan
from ._progress import Progress
from ._results_file import Account, ResultsFile
from ._signals import stop_requested

_IN_FLIGHT = 16  # of send_many
_ASK_ABOVE = 100
_SHOWN = 10


@click.command()
@click.option("--content", required=True, help="The text; - is standard input.")
@destination_options
@click.option("--dry-run", is_flag=True, help="Read and check everything, say what would be sent, send nothing.")
@click.option("--yes", is_flag=True, help=f"Do not ask before sending to more than {_ASK_ABOVE}.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "jsonl"]),
    help="Of the outcomes on standard output; --json is jsonl. Default: table; on a terminal, none.",
)
@click.option("--verbose", is_flag=True, help="Print each outcome on a terminal too.")
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
def broadcast(
    *,
    destinations: tuple[str, ...],
    content: str,
    files: tuple[str, ...],
    column: str | None,
    country: str | None,
    skip_bad: bool,
    dry_run: bool,
    yes: bool,
    format_: Format | None,
    verbose: bool,
    results: Path | None,
    batch_size: int,
    gateway: Gateway,
    as_json: bool,
    **options: Any,
) -> None:
    """Send one text to any number of DESTINATIONS, each of them once.

    All are read and checked before the first is sent to; a number that is given twice is sent to once. A file has one
    number a line, or is a table with a heading and --column; blank lines and those that begin with # are left out. REST
    v1 takes destinations in broadcasts, v2 one request each. Outcomes are printed as they come: success, failure (the
    gateway refused this one) or unknown (it may have been sent).

    With --results an interrupted broadcast is resumed by the same command: destinations that have an outcome are left
    alone, and so are unknown ones, whatever interrupted it, kill -9 and power cuts included. See modica results.

    Ctrl-C stops when the requests in flight are answered, a second one at once. Exit code 4 if any destination is
    unknown, otherwise that of what stopped it, otherwise 1 if any was refused.
    """
    given = given_options(options, v2=gateway.v2)
    if content == "-":
        if "-" in (*files, *destinations):
            raise click.UsageError("Standard input can be the text or the destinations, not both.")
        content = read_standard_input().rstrip("\r\n")
    wanted = checked_destinations(destinations, files, column, country, skip_bad=skip_bad)
    about = {"message": hashlib.sha256(json.dumps([content, given], sort_keys=True).encode()).hexdigest()}
    if country is not None:
        about["country"] = country.upper()
    with gateway.connect() as modica:
        # Without destinations this checks the text and the options, and sends nothing.
        list(_send_all(modica, (), content, given, batch_size))
        with ResultsFile(results, {"client": repr(modica), **about}, read_only=dry_run) as record:
            left = [each for each in wanted if record.account.status(each) == "unsent"]
            plan = Plan(left, content, repr(modica), given, len(wanted) - len(left))
            if results is not None:
                _report_account(record.account, results, wanted, given)
            if dry_run:
                _print_plan(plan, as_json=as_json)
                return
            if len(left) > _ASK_ABOVE and not yes:
                _ask(plan, results)
            rows: Format | None = "jsonl" if as_json else format_
            if rows is None and (verbose or not sys.stdout.isatty()):
                rows = "table"
            record.plan(wanted)
            try:
                with stop_requested() as stop, Progress(len(left)) as progress:
                    printer = OutcomePrinter(rows, stop.set)
                    size = batch_size if isinstance(modica, Modica) else _IN_FLIGHT
                    batches = record.batches(left, size, stop.is_set)
                    outcomes = _send_all(modica, batches, content, given, batch_size)
                    problem = _follow(outcomes, record, printer, progress)
            except KeyboardInterrupt as error:
                raise FailedError(UNKNOWN, "interrupted; what was in flight may have been sent") from error
    if rows is None:
        _report_problems(record.account, wanted, results)
    _finish(record, wanted, problem, printer, results)


def _send_all(
    modica: Modica | ModicaV2, destinations: Iterable[str], content: str, given: Mapping[str, Any], batch_size: int
) -> Iterable[BroadcastOutcome]:
    if isinstance(modica, Modica):
        return modica.broadcast_many(destinations, content, batch_size=batch_size, **given)
    return modica.send_many(destinations, content, concurrency=_IN_FLIGHT, **given)


def _report_account(account: Account, results: Path, wanted: Sequence[str], given: Mapping[str, Any]) -> None:
    """What the results file already says, and what it will not be able to."""
    if account.left_out is not None:
        note(f"line {account.left_out} of {results} was cut off by a crash and is left out")
    unknown = [account.entries[key] for each in wanted if (key := number_key(each)) in account.entries]
    unknown = [entry for entry in unknown if entry.outcome.status == "unknown"]
    for entry in unknown[:_SHOWN]:
        note(f"{entry.outcome.destination} is unknown from an earlier run (line {entry.line} of {results})")
    if len(unknown) > _SHOWN:
        note(f"unknown as well: {len(unknown) - _SHOWN:,} more")
    if unknown:
        note(f"settle unknown ones by their receipts: modica results {results} --settle NUMBER")
    if "reference" not in given:
        note("without --reference no receipt will tell what became of a destination whose outcome is unknown")


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(plan.to_json_dict())
        return
    for line in plan.lines():
        echo(line)
    echo("dry run: nothing was sent")


def _ask(plan: Plan, results: Path | None) -> None:
    """Let a person at a terminal have a look first.

    Raises:
        UsageError: there is a terminal, but its keyboard is not standard input.
        FailedError: the answer was no.
    """
    if not sys.stderr.isatty():
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{len(plan.destinations):,} destinations: say --yes, or look first with --dry-run.")
    for line in plan.lines():
        note(line, prefix="")
    if results is None:
        note("results    nowhere: give --results to be able to resume after an interruption", prefix="")
    if not click.confirm(f"Send to {len(plan.destinations):,} destinations?", err=True):
        raise FailedError(NOT_SENT, "nothing was sent")


def _follow(
    outcomes: Iterable[BroadcastOutcome], record: ResultsFile, printer: OutcomePrinter, progress: Progress
) -> ModicaError | None:
    """Note and print every outcome, to the end or to what stopped it, which is returned."""
    problem: ModicaError | None = None
    outcome: BroadcastOutcome | None = None
    unsent: Sequence[str] = ()
    reason = "the answer of the gateway does not name it"
    while True:
        try:
            for outcome in outcomes:
                printer.print(record.record(outcome))
                progress.advance(outcome.status)
        except KeyboardInterrupt:
            # The iterator goes on with what is known already, and ends with the account of the rest.
            problem = NotSentError("interrupted before everything was sent")
            if outcome is not None:
                record.record(outcome)  # once more: the interrupt may have come before it was written
            continue
        except BroadcastInterruptedError as error:
            if problem is None:
                problem = error.cause if isinstance(error.cause, ModicaError) else error
            tried = {number_key(each) for each in error.batch} if error.may_have_been_sent else set[str]()
            unsent = [each for each in record.in_flight if number_key(each) not in tried]
            reason = in_terms_of_options(str(problem))
        break
    for unknown in record.end(unsent, reason):
        printer.print(unknown)
        progress.advance(unknown.status)
    return problem


def _report_problems(account: Account, wanted: Iterable[str], results: Path | None) -> None:
    """Where no rows were printed: which were refused or are unknown."""
    entries = [account.entries[key] for each in wanted if (key := number_key(each)) in account.entries]
    problems = [entry.outcome for entry in entries if entry.outcome.status in ("failure", "unknown")]
    # Without a file these lines are the only account there is.
    for outcome in problems if results is None else problems[:_SHOWN]:
        note(row(outcome), prefix="")
    if results is not None and len(problems) > _SHOWN:
        note(f"{len(problems) - _SHOWN} more: modica results {results}")


def _finish(
    record: ResultsFile,
    wanted: Sequence[str],
    problem: ModicaError | None,
    printer: OutcomePrinter,
    results: Path | None,
) -> None:
    """Say how it ended.

    Raises:
        FailedError: not with success for all.
    """
    statuses = [record.account.status(each) for each in wanted]
    counts = Counter(statuses)
    note(summary(counts))
    problem = problem or _unfinished(counts, record.failure or (None if results else printer.failure))
    if problem is None:
        raise click.exceptions.Exit(REFUSED if counts["failure"] else OK)
    code = UNKNOWN if counts["unknown"] else exit_code(problem)
    raise FailedError(code, in_terms_of_options(str(problem)) + _advice(wanted, statuses, results)) from problem


def _unfinished(counts: Counter[str], failure: str | None) -> ModicaError | None:
    """Nothing went wrong on the way to the gateway; is there still something to say?"""
    if failure is not None:
        kind = NotSentError if counts.total() == counts["unsent"] else OutcomeUnknownError
        return kind(f"stopped: {failure}")
    if counts["unknown"]:
        return OutcomeUnknownError("some destinations may have been sent to; wait for their receipts")
    return NotSentError("stopped before the end") if counts["unsent"] else None


def _advice(wanted: Sequence[str], statuses: Sequence[str], results: Path | None) -> str:
    """What the exception of one request cannot know: the whole command is safe to repeat only with a results file."""
    if "unsent" not in statuses:
        return ""
    if results is not None:
        return "; run the same command again to send to the rest"
    done = max((index for index, status in enumerate(statuses) if status != "unsent"), default=None)
    if done is None:
        return ""
    # Outcomes come in the order of the destinations.
    return f"; do not repeat the whole command: it is done down to {wanted[done]} (--results would keep count)"
