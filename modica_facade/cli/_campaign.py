"""``modica campaign``: one text to many destinations, from a ledger, at one pace, by any number of workers."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from attrs import frozen

from .._ids import parse_v1_id, parse_v2_id
from .._rfc3339 import parse_datetime
from ..errors import ConfigurationError, InvalidRequestError
from ._destinations import canonical, checked_destinations, read_standard_input
from ._options import Gateway, destination_options, gateway_options, json_option, local_time, sending_options
from ._output import echo, note, plural, print_json
from ._progress import CampaignProgress
from ._signals import stop_in_order

if TYPE_CHECKING:
    from ..ledger import Campaign, Entry, Ledger

_VARIABLE = "MODICA_LEDGER"
_LOOK_AGAIN = 1.0  # seconds
_LONGEST_REQUEST = timedelta(seconds=120)  # RetryPolicy.deadline, and some
_HEADING = f"{'campaign':<16} {'destination':<16} {'in doubt since':<20} reason"


@frozen
class Place:
    """Where the ledger is.

    Attributes:
        url_or_path: as `Ledger` takes it.
    """

    url_or_path: str

    def __repr__(self) -> str:
        return "Place()"  # a URL may have a password

    @property
    def is_postgresql(self) -> bool:
        """Is it a PostgreSQL database?"""
        return "://" in self.url_or_path

    def open(self, *, create: bool = False) -> Ledger:
        """The ledger; a file that is not there is made only by ``create``.

        Raises:
            ConfigurationError: there is no such file, or the URL cannot be used.
        """
        from ..ledger import Ledger

        if not create and not self.is_postgresql and not Path(self.url_or_path).exists():
            raise ConfigurationError(f"there is no ledger at {self.url_or_path}; modica campaign migrate makes one")
        return Ledger(self.url_or_path)


def _place(ctx: click.Context, param: click.Parameter, value: str | None) -> Place:
    if not value:
        raise click.UsageError(f"No ledger: give --ledger PATH_OR_URL, or set {_VARIABLE}.")
    typed = ctx.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE
    if typed and "://" in value and _has_password(value):
        raise click.UsageError(
            f"The URL has a password, which --ledger would show in the process list: set {_VARIABLE}, or keep the "
            "password in ~/.pgpass."
        )
    return Place(value)


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return parts.password is not None or "password=" in parts.query


_ledger = click.option(
    "--ledger",
    "place",
    metavar="PATH_OR_URL",
    envvar=_VARIABLE,
    callback=_place,
    help=f"An SQLite file or a postgresql:// URL; else {_VARIABLE}.",
)
_name = click.argument("name")


@click.group()
def campaign() -> None:
    """Send one text to many, at one pace, by any number of workers, and nobody twice.

    Where every destination stands is kept in a ledger: an SQLite file for one machine, or a PostgreSQL database for
    many. Destinations are in doubt from before their request until something proves the outcome, so a worker may be
    killed at any time.

    \b
      modica campaign migrate                              make the tables
      modica campaign create NAME --content TEXT --rate 50
      modica campaign add NAME --file customers.csv --column mobile
      modica campaign start NAME
      modica campaign work                                 on every machine that is to send
      modica campaign progress NAME --follow
    """  # noqa: D301 - \b is how click is told not to fill a paragraph


@campaign.command()
@_ledger
@json_option
def migrate(*, place: Place, as_json: bool) -> None:
    """Create the tables of the ledger, or bring them up to date; on PostgreSQL those of procrastinate as well."""
    with place.open(create=True) as ledger:
        ledger.migrate()
    engine = None
    if place.is_postgresql:
        from ._campaign_engine import is_installed, migrate_engine

        engine = is_installed()
        if engine:
            migrate_engine(place.url_or_path)
        else:
            note("procrastinate is not here (pip install '.[campaign]'): work loops without it")
    if as_json:
        print_json({"migrated": True, "engine": engine})
    else:
        echo(f"the tables of the ledger{' and of procrastinate' if engine else ''} are there")


@campaign.command()
@_name
@click.option("--content", required=True, help="The text; - is standard input.")
@click.option("--rate", type=float, metavar="NUMBER", help="Messages a second, over all workers.")
@click.option("--hours", metavar="HH:MM-HH:MM", help="When to send, such as 08:00-20:00; needs --zone.")
@click.option("--zone", help="Time zone of --hours, such as Pacific/Auckland.")
@click.option("--latest", metavar="TIME", callback=local_time, help="Nothing is begun from then on; as --scheduled.")
@sending_options
@_ledger
@json_option
def create(
    *,
    name: str,
    content: str,
    hours: str | None,
    latest: str | None,
    place: Place,
    as_json: bool,
    **options: Any,
) -> None:
    """Create the campaign NAME, which is also what receipts call it; doing it again with the same settings is fine."""
    if content == "-":
        content = read_standard_input().rstrip("\r\n")
    if hours is not None:
        options["hours"] = tuple(each.strip() for each in hours.split("-"))
    if latest is not None:
        try:
            options["latest"] = parse_datetime(latest)
        except ValueError as error:
            raise click.UsageError(f"--latest {latest!r}: {error}.") from None
    with place.open() as ledger:
        ledger.campaign(name, content, **options)
        _print_state(ledger, name, as_json=as_json)


@campaign.command()
@_name
@destination_options
@_ledger
@json_option
def add(
    *,
    name: str,
    destinations: tuple[str, ...],
    files: tuple[str, ...],
    column: str | None,
    country: str | None,
    skip_bad: bool,
    place: Place,
    as_json: bool,
) -> None:
    """Queue DESTINATIONS, or those of --file, each of them once in the campaign.

    All are read and checked before the first is queued. One that is there already is left alone, whatever became of it,
    so a load that broke off is repeated.
    """
    with place.open() as ledger:
        found = ledger.campaign(name)
        wanted = checked_destinations(destinations, files, column, country, skip_bad=skip_bad)
        added = found.add(canonical(each) for each in wanted)
    if as_json:
        print_json({"campaign": name, "added": added, "already_there": len(wanted) - added})
    else:
        echo(f"{name}: {added:,} added, {len(wanted) - added:,} there already")


@campaign.command()
@_name
@_ledger
@json_option
def start(*, name: str, place: Place, as_json: bool) -> None:
    """Let workers send."""
    _move(place, name, lambda found: found.start(), as_json=as_json)


@campaign.command()
@_name
@_ledger
@json_option
def pause(*, name: str, place: Place, as_json: bool) -> None:
    """Let workers begin nothing more; requests under way are finished."""
    _move(place, name, lambda found: found.pause(), as_json=as_json)


@campaign.command()
@_name
@_ledger
@json_option
def resume(*, name: str, place: Place, as_json: bool) -> None:
    """Go on after a pause."""
    _move(place, name, lambda found: found.resume(), as_json=as_json)


@campaign.command()
@_name
@_ledger
@json_option
def cancel(*, name: str, place: Place, as_json: bool) -> None:
    """End it for good: what is still queued is not sent."""
    _move(place, name, lambda found: {"cancelled": found.cancel()}, as_json=as_json)


def _move(place: Place, name: str, how: Callable[[Campaign], Mapping[str, int] | None], *, as_json: bool) -> None:
    with place.open() as ledger:
        counts = how(ledger.campaign(name))
        _print_state(ledger, name, counts or {}, as_json=as_json)


def _print_state(ledger: Ledger, name: str, counts: Mapping[str, int] | None = None, *, as_json: bool) -> None:
    state = ledger.campaigns()[name]
    counts = counts or {}
    if as_json:
        print_json({"campaign": name, "state": state, **counts})
    else:
        echo("".join([f"{name}: {state}", *(f", {count:,} were still queued" for count in counts.values())]))


# Where it stands


@campaign.command()
@click.argument("name", required=False)
@click.option("--follow", is_flag=True, help="Show a bar until nothing will be sent any more, or Ctrl-C.")
@_ledger
@json_option
def progress(*, name: str | None, follow: bool, place: Place, as_json: bool) -> None:
    """Show where the destinations of the campaign NAME stand, or those of every campaign.

    Submitted: the gateway accepted it, and no final receipt has come. Delivered and failed: what receipts say. In
    doubt: it may have been sent, see modica campaign unknown.
    """
    if follow and name is None:
        raise click.UsageError("--follow needs a NAME.")
    with place.open() as ledger:
        found = None if name is None else ledger.campaign(name)
        if found is not None and follow:
            _follow(ledger, found, as_json=as_json)
        for each, state in ledger.campaigns().items():
            if name in (None, each):
                _print_progress(each, state, ledger.campaign(each).progress(), as_json=as_json)


def _follow(ledger: Ledger, found: Campaign, *, as_json: bool) -> None:
    counts = found.progress()
    with CampaignProgress(counts) as bar:
        while not _is_over(ledger, found.name, counts):
            time.sleep(_LOOK_AGAIN)
            before, counts = counts, found.progress()
            bar.update(counts)
            if counts != before and not sys.stderr.isatty():
                _print_progress(found.name, ledger.campaigns()[found.name], counts, as_json=as_json)


def _is_over(ledger: Ledger, name: str, counts: Mapping[str, int]) -> bool:
    """Nothing more will be sent, and what is in doubt has been for longer than a request takes."""
    if counts["queued"] and ledger.campaigns()[name] not in ("expired", "cancelled"):
        return False
    if not counts["in_doubt"]:
        return True
    since = datetime.now(UTC) - _LONGEST_REQUEST
    return not any(entry.attempted_at is None or entry.attempted_at > since for entry in _in_doubt(ledger, name))


def _print_progress(name: str, state: str, counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({"campaign": name, "state": state, "destinations": sum(counts.values()), **counts})
        return
    shown = [f"{counts['queued']:,} queued, {counts['submitted']:,} submitted, {counts['delivered']:,} delivered"]
    shown += [f"{counts['failed'] + counts['refused']:,} failed, {counts['in_doubt']:,} in doubt"]
    shown += [f"{counts['cancelled']:,} cancelled"] if counts["cancelled"] else []
    echo(f"{name}: {state}, {plural(sum(counts.values()), 'destination')}: {', '.join(shown)}")


def _in_doubt(ledger: Ledger, name: str | None) -> list[Entry]:
    return [each for each in ledger.unresolved() if each.campaign is not None and name in (None, each.campaign)]


@campaign.command()
@click.argument("name", required=False)
@click.option(
    "--reconcile", is_flag=True, help="Settle what receipts prove first: ask the gateway whom they are about."
)
@_ledger
@gateway_options
def unknown(*, name: str | None, reconcile: bool, place: Place, gateway: Gateway, as_json: bool) -> None:
    """List the destinations that are in doubt, oldest first: they may have been sent to, and nobody sends again.

    Those of requests that are under way are among them. A receipt proves what did go out, but names a message and not
    its recipient: --reconcile gets those messages. What is left after a day or two is for a person to look into, and to
    settle.
    """
    with place.open() as ledger:
        if name is not None:
            ledger.campaign(name)
        if reconcile:
            with gateway.connect() as modica:
                note(f"settled by receipts: {plural(len(ledger.reconcile(modica)), 'destination')}")
        entries = _in_doubt(ledger, name)
    if not as_json:
        echo(_HEADING)
    for entry in entries:
        since = "-" if entry.attempted_at is None else f"{entry.attempted_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
        if as_json:
            about = {"campaign": entry.campaign, "destination": entry.destination, "since": since.replace(" ", "T")}
            print_json({**about, "account": entry.account, "reason": entry.reason})
        else:
            reason = entry.reason or "no answer was noted"
            echo(f"{entry.campaign:<16} {entry.destination:<16} {since:<20} {reason}")
    note(f"{plural(len(entries), 'destination')} in doubt")


@campaign.command()
@_name
@click.argument("destination")
@click.option("--sent/--not-sent", default=None, help="What became of it; not sent: the campaign sends to it again.")
@click.option("--id", "message_id", metavar="ID", help="With --sent: the id of the message, if it is known.")
@click.option("--yes", is_flag=True, help="Do not ask before --not-sent.")
@_ledger
@json_option
def settle(
    *,
    name: str,
    destination: str,
    sent: bool | None,
    message_id: str | None,
    yes: bool,
    place: Place,
    as_json: bool,
) -> None:
    """Write down what became of a DESTINATION that is in doubt, once a person is certain of it."""
    if sent is None:
        raise click.UsageError("settle needs either --sent or --not-sent.")
    if message_id is not None and parse_v1_id(message_id) is None and parse_v2_id(message_id) is None:
        raise click.UsageError(f"--id {message_id!r} is not a message id: digits, or on REST v2 a UUID.")
    with place.open() as ledger:
        ledger.campaign(name)
        written = [each for each in (destination, canonical(destination)) if ledger.entry(name, destination=each)]
        if not written:
            raise InvalidRequestError(f"{destination} is not in campaign {name!r}", field="destination")
        if not sent and not yes:
            _ask(written[0])
        entry = ledger.settle(name, sent=sent, message_id=message_id, destination=written[0])
    if as_json:
        print_json({"campaign": name, "destination": entry.destination, "state": entry.state, "id": entry.message_id})
    else:
        echo(f"{name}: {entry.destination} is {entry.state}")


def _ask(destination: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("--not-sent is a question: nobody is there to answer it, so say --yes.")
    click.confirm(
        f"The campaign sends to {destination} again, and if it did go out, that is a second SMS. "
        "Write down that it was not sent?",
        err=True,
        abort=True,
    )


# Sending


@campaign.command()
@click.argument("names", nargs=-1)
@click.option("--once", is_flag=True, help="End when nothing can be sent for now, instead of waiting for more.")
@_ledger
@gateway_options
def work(*, names: tuple[str, ...], once: bool, place: Place, gateway: Gateway, as_json: bool) -> None:
    """Send for all running campaigns, or only for NAMES, until Ctrl-C or SIGTERM.

    Any number of workers share the work and the pace. The first signal ends it when the requests in flight are
    answered, a second one at once: what was in flight is then in doubt, as after kill -9.

    On PostgreSQL with the extra campaign it is a procrastinate worker, except with --once or NAMES. A campaign whose
    text or options the gateway refuses is paused; a wrong password ends the worker.
    """
    from ._campaign_work import work_alone

    with place.open() as ledger, gateway.connect() as modica, stop_in_order() as stop:
        for name in names:
            ledger.campaign(name)
        tell = functools.partial(_print_tried, as_json=as_json)
        if place.is_postgresql and not once and not names:
            from ._campaign_engine import is_installed, work_by_engine

            if is_installed():
                work_by_engine(place.url_or_path, ledger, modica, stop, tell)
                return
        work_alone(ledger, modica, names, stop, tell, once=once)


def _print_tried(name: str, tried: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"campaign": name, "tried": tried, "pid": os.getpid()})
    else:
        echo(f"{name}: {plural(tried, 'destination')} tried")
