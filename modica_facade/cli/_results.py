"""``modica results``: what a results file says, and a person's word on what is unknown."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click

from .._ids import parse_v1_id, parse_v2_id
from ..errors import ConfigurationError
from ..models import BroadcastOutcome
from ._destinations import number_key
from ._options import json_option
from ._output import Format, OutcomePrinter, OutputError, note, summary
from ._results_file import STATUSES, Account, append_outcome, read_account


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option(
    "--format", "format_", type=click.Choice(["table", "csv", "jsonl"]), default="table", help="--json is jsonl."
)
@click.option("--settle", metavar="NUMBER", help="Say what became of an unknown one, as its receipt does.")
@click.option("--sent", metavar="ID", help="With --settle: it went out, with this message id.")
@click.option("--not-sent", is_flag=True, help="With --settle: it did not go out, a resume may send it.")
@click.option("--yes", is_flag=True, help="Do not ask before --not-sent.")
@json_option
def results(
    *,
    file: Path,
    status: str | None,
    format_: Format,
    settle: str | None,
    sent: str | None,
    not_sent: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show the results FILE of a broadcast: who got it, who did not, and why.

    Those that are unknown may have been sent to, and are not sent to again. Once it is certain what became of one,
    --settle writes that down: with --sent and its id it is done, with --not-sent the next run of the broadcast sends to
    it.
    """
    account = read_account(file)
    if settle is not None:
        _settle(file, account, settle, sent, not_sent=not_sent, yes=yes)
        return
    if sent is not None or not_sent:
        raise click.UsageError("--sent and --not-sent need --settle NUMBER.")
    printer = OutcomePrinter("jsonl" if as_json else format_)
    for entry in account.entries.values():
        if status in (None, entry.outcome.status):
            printer.print(entry.outcome)
    if printer.failure is not None:
        raise OutputError(printer.failure)
    counts = Counter(entry.outcome.status for entry in account.entries.values())
    note(summary(counts))
    if account.left_out is not None:
        note(f"line {account.left_out} of {file} was cut off by a crash and is left out")


def _settle(file: Path, account: Account, number: str, sent: str | None, *, not_sent: bool, yes: bool) -> None:
    if (sent is not None) is not_sent:
        raise click.UsageError("--settle needs either --sent ID or --not-sent.")
    entry = account.entries.get(number_key(number))
    if entry is None:
        raise ConfigurationError(f"{number} is not in {file}")
    destination = entry.outcome.destination
    if entry.outcome.status != "unknown":
        status = entry.outcome.status
        raise ConfigurationError(f"{destination} is not unknown but {status} (line {entry.line} of {file})")
    if sent is not None and parse_v1_id(sent) is None and parse_v2_id(sent) is None:
        raise click.UsageError(f"--sent {sent!r} is not a message id: digits, or on REST v2 a UUID.")
    if not_sent and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("--not-sent is a question: nobody is there to answer it, so say --yes.")
        click.confirm(
            f"The next run of the broadcast sends to {destination} again, and if it did go out, that is a second SMS. "
            "Write down that it was not sent?",
            err=True,
            abort=True,
        )
    append_outcome(file, BroadcastOutcome(destination, sent, "unsent" if not_sent else "success", "settled by hand"))
    note(f"{destination} is {'not sent' if not_sent else f'submitted, with id {sent}'}: written to {file}")
