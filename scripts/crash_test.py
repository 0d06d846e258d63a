"""Kill processes that use the ledger, a thousand times on each database, and hold the ledger against the gateway.

``make crash-test``. Children send, broadcast, queue, work and record receipts through a gateway that cuts connections
and errs; each is killed with -9, at a random moment or at a chosen one: before or after a request, or the beginning
or the end of a transaction. Whatever was interrupted is called again, as an engine would. PostgreSQL itself is killed
and started again as well.

Afterwards every recipient stands at exactly one state; none was sent to twice; none that went out is unlisted, or
listed as not sent; and receipts settle the rest, so that what is still in doubt then never went out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any, NamedTuple, Self

from postgres_server import PostgresServer

from modica_facade import DeliveryReceipt, Modica, ModicaError, RetryPolicy
from modica_facade.ledger import Ledger, _attempts
from modica_facade.ledger._database import Database
from modica_facade.simulator import Simulator

# One request in a thousand, each
FAULTS: list[tuple[int, dict[str, Any]]] = [
    (20, {"cut": "before"}),
    (20, {"cut": "after"}),
    (10, {"cut": "head"}),
    (10, {"cut": "body"}),
    (20, {"status": 429, "headers": {"Retry-After": "0"}}),
    (10, {"status": 503, "acted": True}),
    (10, {"status": 503}),
    (10, {"status": 401}),
    (10, {"error": "send_failed"}),
    (10, {"error": "invalid_attrib"}),
]
RETRY = RetryPolicy(attempts=2, backoff=0, deadline=5)
MOMENTS = 50
"""A child that is to be killed at a chosen moment is killed at one of so many beginnings and ends."""


class Recipient(NamedTuple):
    """Who was to get a message under which label."""

    label: str
    destination: str


class Message(NamedTuple):
    """What the gateway took."""

    id: str
    reference: str
    destination: str


# The gateway, in a process of its own


def serve() -> None:
    """Be the gateway; each line of input is answered with the messages since the last."""
    chance = random.Random(1)  # noqa: S311 - bad luck that repeats

    def unlucky(share: int, _: object) -> bool:
        return chance.randrange(1000) < share

    with Simulator() as simulator:
        for share, fault in FAULTS:
            simulator.fail(times=None, match=partial(unlucky, share), **fault)
        print(simulator.base_url, flush=True)
        told = 0
        for _ in sys.stdin:
            messages = simulator.messages[told:]
            told += len(messages)
            print(json.dumps([[each.id, each.reference, each.destination] for each in messages]), flush=True)


class Gateway:
    """The other process, and what it has taken so far."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__)), "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        self.messages: list[Message] = []
        return self

    def look(self) -> list[Message]:
        """Every message that it has taken."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.messages += [Message(*each) for each in json.loads(self._process.stdout.readline())]
        return self.messages

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


# What a child does, again and again, until it is killed or at its end


class Task(NamedTuple):
    """Something that was to be done, and who was to get it."""

    run: Callable[[Ledger, Modica], object]
    recipients: list[Recipient]


def numbers(first: int, count: int) -> list[str]:
    """Destinations that nobody else has."""
    return [f"+642{10_000_000 + number}" for number in range(first, first + count)]


def send(label: str, first: int) -> Task:
    """Ten sends of their own."""
    to = {f"{label}-{place}": number for place, number in enumerate(numbers(first, 10))}

    def run(ledger: Ledger, modica: Modica) -> None:
        for reference, number in to.items():
            attempt(lambda reference=reference, number=number: ledger.send(modica, number, "Text", reference=reference))  # type: ignore[misc]  # defaults for the loop's variables

    return Task(run, [Recipient(*each) for each in to.items()])


def broadcast(label: str, first: int) -> Task:
    """One broadcast."""
    to = numbers(first, 20)
    return Task(
        lambda ledger, modica: attempt(lambda: ledger.broadcast(modica, to, "Text", reference=label)),
        [Recipient(label, number) for number in to],
    )


def broadcast_many(label: str, first: int) -> Task:
    """Several batches."""
    to = numbers(first, 40)
    return Task(
        lambda ledger, modica: attempt(
            lambda: list(ledger.broadcast_many(modica, to, "Text", reference=label, batch_size=10))
        ),
        [Recipient(label, number) for number in to],
    )


def queue(label: str, first: int) -> Task:
    """Ten messages that are queued, and sent by whoever works."""
    to = {f"{label}-{place}": number for place, number in enumerate(numbers(first, 10))}

    def run(ledger: Ledger, modica: Modica) -> None:
        for reference, number in to.items():
            ledger.enqueue(number, "Text", reference=reference)
        attempt(lambda: ledger.work(modica))

    return Task(run, [Recipient(*each) for each in to.items()])


def campaign(label: str, first: int) -> Task:
    """A campaign, loaded again by everybody who works for it."""
    to = numbers(first, 40)

    def run(ledger: Ledger, modica: Modica) -> None:
        one = ledger.campaign(label, "Text")
        one.add(to)
        one.start()
        attempt(lambda: ledger.work(modica, campaign=label))

    return Task(run, [Recipient(label, number) for number in to])


KINDS = (send, broadcast, broadcast_many, queue, campaign)


def record(messages: list[Message], chance: random.Random) -> Task:
    """Receipts of messages that have gone out, some of them twice, in any order."""
    picked = chance.choices(messages, k=30) if messages else []

    def run(ledger: Ledger, _: Modica) -> None:
        for message in picked:
            status = chance.choice(["sent", "received"])
            ledger.record(DeliveryReceipt(message.id, status, message.reference))

    return Task(run, [])


def attempt(call: Callable[[], object]) -> None:
    """Whatever the gateway does, go on."""
    with contextlib.suppress(ModicaError):
        call()


# Killing


def die_at(moment: int) -> None:
    """Make this process kill itself at the beginning or end of a transaction or request, counted from now."""
    left = moment

    def pass_by() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            pass_by()
            result = function(*args, **kwargs)
            pass_by()
            return result

        return call

    # This process is about to die.
    for owner, name in (Database, "transaction"), (Database, "end"), (_attempts, "make_request"):
        setattr(owner, name, counted(getattr(owner, name)))


def run_child(task: Task, url: str, base_url: str, moment: int | None) -> int:
    """Fork a child that does the task; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        logging.disable()
        if moment is not None:
            die_at(moment)
        with Ledger(url) as ledger, Modica("crash", "test", base_url=base_url, timeout=2, retry=RETRY) as modica:
            task.run(ledger, modica)
    except ModicaError as error:
        print(f"  a child gave up: {error}", file=sys.stderr)
        os._exit(1)
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent
        import traceback

        traceback.print_exc()
        os._exit(2)
    os._exit(0)


def kill_many(kills: int, url: str, gateway: Gateway, chance: random.Random, server: PostgresServer | None) -> Report:
    """Run tasks in children, several at a time, until so many were killed."""
    report = Report()
    used = 0
    while report.kills < kills:
        if chance.random() < 0.2:
            task = record(gateway.look(), chance)
        elif chance.random() < 0.5 or not report.tasks:
            kind = chance.choice(KINDS)
            task = kind(f"{kind.__name__}-{used}", used)
            used += 100
            report.tasks.append(task)
        else:
            task = chance.choice(report.tasks[-20:])  # called again, as an engine would
        kill_server = server is not None and chance.random() < 0.01
        moments = [
            chance.randrange(MOMENTS) if chance.random() < 0.7 else None for _ in range(chance.choice([1, 1, 2]))
        ]
        children = [run_child(task, url, gateway.base_url, moment) for moment in moments]
        if kill_server and server is not None:
            time.sleep(chance.random() * 0.02)
            server.kill()
            report.server_kills += 1
        if None in moments:
            time.sleep(chance.random() * 0.05)
            for child, moment in zip(children, moments, strict=True):
                if moment is None:
                    os.kill(child, signal.SIGKILL)
        for child in children:
            status = os.waitpid(child, 0)[1]
            report.kills += os.WIFSIGNALED(status)
            # Without its database a child may give up.
            report.broken += os.WIFEXITED(status) and os.WEXITSTATUS(status) > kill_server
        if kill_server and server is not None:
            server.start()
    return report


class Report:
    """What was done, and what was found."""

    def __init__(self) -> None:
        self.kills = 0
        self.server_kills = 0
        self.broken = 0
        self.tasks: list[Task] = []


# Afterwards


def check(
    ledger: Ledger, database: Database, modica: Modica, gateway: Gateway, report: Report, chance: random.Random
) -> dict[str, int]:
    """Hold the ledger against the gateway; every figure has to be 0."""
    sent = Counter(Recipient(each.reference, each.destination) for each in gateway.look())
    ids = {Recipient(each.reference, each.destination): each.id for each in gateway.messages}
    recipients = {recipient for task in report.tasks for recipient in task.recipients}
    listed = rows(database)
    wrong = {
        "children that broke": report.broken,
        "sent twice": sum(1 for count in sent.values() if count > 1),
        "sent to somebody who was not asked for": len(sent.keys() - recipients),
        "listed twice": sum(1 for entries in listed.values() if len(entries) > 1),
        "went out unlisted": sum(1 for each in sent if each not in listed),
        "went out, listed as not sent": sum(
            1 for each in sent if each in listed and listed[each][0][0] not in {"submitted", "in_doubt"}
        ),
        "submitted, but did not go out": sum(
            1 for each, entries in listed.items() if entries[0][0] == "submitted" and each not in sent
        ),
        "with the id of another": sum(
            1 for each, entries in listed.items() if entries[0][1] is not None and entries[0][1] != ids.get(each)
        ),
    }
    report_states("before the receipts", listed)
    receipts = [*gateway.messages, *chance.sample(gateway.messages, len(gateway.messages) // 10)]
    chance.shuffle(receipts)
    for message in receipts:
        ledger.record(DeliveryReceipt(message.id, "received", message.reference))
    for _ in range(100):
        # The gateway errs here as well; each call goes on where the last one stopped.
        if kept(ledger):
            attempt(lambda: ledger.reconcile(modica))
    listed = rows(database)
    report_states("after the receipts", listed)
    return {
        **wrong,
        "receipts that found no row": kept(ledger),
        "in doubt after its receipt": sum(1 for each in sent if listed[each][0][0] != "submitted"),
        "without the status of its receipt": sum(1 for each in sent if listed[each][0][2] != "received"),
        "called sent by nothing": sum(
            1 for each, entries in listed.items() if entries[0][0] == "submitted" and each not in sent
        ),
    }


def kept(ledger: Ledger) -> int:
    """How many receipts are kept."""
    return ledger.counts()["receipts"]


def rows(database: Database) -> dict[Recipient, list[tuple[str, str | None, str | None]]]:
    """State, message id and status of every row, by recipient."""
    found: dict[Recipient, list[tuple[str, str | None, str | None]]] = {}
    with database.transaction("read") as transaction:
        for label, destination, *rest in transaction.run(
            "SELECT COALESCE(reference, batch, campaign), destination, state, message_id, status FROM {p}message"
        ):
            state, message_id, status = rest
            found.setdefault(Recipient(label, destination), []).append((state, message_id, status))
    return found


def report_states(when: str, listed: dict[Recipient, list[tuple[str, str | None, str | None]]]) -> None:
    """Print how many stand where."""
    states = Counter(entries[0][0] for entries in listed.values())
    print(f"  {when}: {len(listed)} recipients, " + ", ".join(f"{count} {state}" for state, count in states.items()))


def crash(database: str, kills: int, seed: int) -> bool:
    """Kill so many on one database; prints its figures and says whether all of them are as they must be."""
    chance = random.Random(seed)  # noqa: S311 - chosen moments that repeat
    # What passes is tried again at once, so that it is tried again at all.
    _attempts.HOLD = timedelta()  # type: ignore[misc]  # only here
    _attempts.RETRY_DELAY = timedelta()  # type: ignore[misc]  # only here
    _attempts.BATCH = 10  # type: ignore[misc]  # only here
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway())
        server = None
        if database == "postgresql":
            server = stack.enter_context(PostgresServer())
            url = server.url
        else:
            url = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ledger.db")
        # Made here, so that the children do not each import what the first client and ledger do.
        modica = stack.enter_context(Modica("crash", "test", base_url=gateway.base_url, retry=RETRY))
        with Ledger(url) as ledger:
            ledger.migrate()
        started = time.monotonic()
        report = kill_many(kills, url, gateway, chance, server)
        seconds = time.monotonic() - started
        print(
            f"{database}: {report.kills} processes killed in {seconds:.0f} s"
            + (f", and the server {report.server_kills} times" if server else "")
        )
        ledger = stack.enter_context(Ledger(url))
        tables = stack.enter_context(contextlib.closing(Database(url, "modica_")))
        wrong = check(ledger, tables, modica, gateway, report, chance)
        print(f"  {len(gateway.messages)} messages went out: " + ", ".join(f"{n} {what}" for what, n in wrong.items()))
    return not any(wrong.values())


def main() -> int:
    """Crash on both databases; 0 if every figure is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000, help="on each database")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return 0
    databases = [arguments.database] if arguments.database else ["sqlite", "postgresql"]
    good = [crash(database, arguments.kills, arguments.seed) for database in databases]
    print("all as it must be" if all(good) else "NOT as it must be")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
