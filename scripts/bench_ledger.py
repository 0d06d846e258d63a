"""What the ledger costs and how fast it works: ``make bench-ledger``, some minutes with a million recipients.

The gateway is that of ``make bench``, a process of its own and much cheaper than any client. Times of PostgreSQL depend
on the disk as it is: its server is started with fsync on. CPU is that of the client's process. "Without the disk" is
the time outside of the kernel, which does nothing for SQLite's writes but to read, write and lock files.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import frozen
from postgres_server import PostgresServer

from modica_facade import DeliveryReceipt, Modica, SubmittedMessage
from modica_facade.ledger import Ledger, _attempts
from modica_facade.ledger import _statements as sql
from modica_facade.ledger._database import Database

NUMBER, TEXT = "+64211234567", "Kia ora"
GOAL = 0.5
SENDS, REPETITIONS = 3000, 5
WORKERS = (1, 2, 4)
SINGLES = 2000
RAM_DISK = Path("/dev/shm")  # noqa: S108 - a temporary folder is made in it


class Nowhere:
    """A client that costs nothing."""

    def send(self, destination: str, _content: str, *, reference: str) -> SubmittedMessage:
        """As if it had been sent."""
        return SubmittedMessage("12345", destination, reference)

    def get(self, message_id: str) -> None:
        """There is nothing to get."""


@contextlib.contextmanager
def tables(url: str) -> Iterator[Database]:
    """The tables of a ledger, for what no user does."""
    with contextlib.closing(Database(url, "modica_")) as database:
        yield database


@contextlib.contextmanager
def gateway() -> Iterator[str]:
    """The cheap gateway; its base URL."""
    server = Path(__file__).with_name("bench_server.py")
    with subprocess.Popen([sys.executable, str(server)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/rest/gateway"
        finally:
            process.kill()


@frozen
class Cost:
    """Microseconds that one call takes: of CPU, of CPU outside of the kernel, and in all."""

    cpu: float
    user: float
    wall: float


def cost(function: Callable[[int], object], calls: int) -> Cost:
    """What one call takes."""
    cpu, user, wall = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_utime, time.perf_counter()
    for number in range(calls):
        function(number)
    return Cost(
        (time.process_time() - cpu) / calls * 1e6,
        (resource.getrusage(resource.RUSAGE_SELF).ru_utime - user) / calls * 1e6,
        (time.perf_counter() - wall) / calls * 1e6,
    )


def sends(name: str, url: str, base_url: str, goal: float | None = None) -> bool:
    """What the two writes of a send cost beside the send itself; they take turns."""
    with Ledger(url) as ledger, Modica("bench", "bench", base_url=base_url) as modica:
        ledger.migrate()
        nowhere: Any = Nowhere()
        turns: list[tuple[Cost, Cost]] = []
        for turn in range(REPETITIONS + 1):
            writes = cost(
                lambda number, turn=turn: ledger.send(nowhere, NUMBER, TEXT, reference=f"{turn}-{number}"),  # type: ignore[misc]  # a default for the loop's variable
                SENDS,
            )
            turns.append((writes, cost(lambda _: modica.send(NUMBER, TEXT), SENDS)))
    turns = turns[1:]  # the first warms up
    both = statistics.median(writes.cpu / plain.cpu for writes, plain in turns)
    without_disk = statistics.median(writes.user / plain.cpu for writes, plain in turns)
    cpu, user, wall = (
        statistics.median(getattr(writes, which) for writes, _ in turns) for which in ("cpu", "user", "wall")
    )
    plain_cpu, plain_wall = (
        statistics.median(getattr(plain, which) for _, plain in turns) for which in ("cpu", "wall")
    )
    met = goal is None or without_disk <= goal
    print(
        f"{name}: the two writes of a send {cpu:.0f} us CPU, {user:.0f} of them outside of the kernel, {wall:.0f} us "
        f"in all; the send itself {plain_cpu:.0f} us CPU, {plain_wall:.0f} us; ratio of CPU {both:.2f}"
        + (f", without the disk {without_disk:.2f} (goal {goal}: {'met' if met else 'MISSED'})" if goal else "")
    )
    return met


def _work(url: str, base_url: str, campaign: str | None, batch: int, start: Any) -> None:
    _attempts.BATCH = batch  # type: ignore[misc]  # only here
    with Ledger(url) as ledger, Modica("bench", "bench", base_url=base_url) as modica:
        ledger.send(modica, NUMBER, TEXT, reference=f"warm-up-{os.getpid()}-{campaign}")
        start.wait()
        while ledger.work(modica, campaign=campaign):
            pass


def work(name: str, url: str, base_url: str, size: int) -> None:
    """Messages a second, with several workers at once; each a process."""
    for batch in (100, 1000):
        speeds = []
        for workers in WORKERS:
            campaign = f"{batch}-{workers}"
            with Ledger(url) as ledger:
                one = ledger.campaign(campaign, TEXT)
                one.add(f"+64{200_000_000 + number}" for number in range(size))
                one.start()
            speeds.append(size / _run_workers(workers, url, base_url, campaign, batch))
        print(
            f"{name}: batches of {batch}, {_slashed(WORKERS)} workers: {_slashed(map(round, speeds))} messages a second"
        )
    speeds = []
    for workers in WORKERS:
        with tables(url) as database, database.transaction() as transaction:
            # As `enqueue` does, in one transaction.
            transaction.run(
                "INSERT INTO {p}message (reference, destination, content, options, state, due_at, queued_at) "
                "SELECT :name || value, '+64211234567', 'Kia ora', '{{}}', 'queued', :now, :now FROM {each}",
                name=f"single-{workers}-",
                now=transaction.now(),
                each=str(list(range(SINGLES))),
            )
        speeds.append(SINGLES / _run_workers(workers, url, base_url, None, 1))
    print(f"{name}: single messages, {_slashed(WORKERS)} workers: {_slashed(map(round, speeds))} messages a second")


def _slashed(values: Any) -> str:
    return " / ".join(f"{value:,}" for value in values)


def _run_workers(workers: int, url: str, base_url: str, campaign: str | None, batch: int) -> float:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(workers + 1)
    processes = [context.Process(target=_work, args=(url, base_url, campaign, batch, start)) for _ in range(workers)]
    for process in processes:
        process.start()
    start.wait()
    started = time.perf_counter()
    for process in processes:
        process.join()
    return time.perf_counter() - started


def peak_mib() -> float:
    """The most memory that this process had so far (Linux: in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(what: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def many(name: str, url: str, base_url: str, size: int) -> None:
    """Load, work and report a large campaign in one process, and watch its memory."""
    with tables(url) as database, Ledger(url) as ledger, Modica("bench", "bench", base_url=base_url) as modica:
        ledger.migrate()
        campaign = ledger.campaign("many", TEXT)
        numbers = (f"+64{300_000_000 + number}" for number in range(size))
        campaign.add(next(numbers) for _ in range(size // 10))
        loading = timed(lambda: campaign.add(numbers))
        print(f"{name}: {size * 9 // 10:,} of {size:,} recipients loaded in {loading:.1f} s")
        if name == "postgresql":
            copying = timed(lambda: copy(database, (f"+64{300_000_000 + number}" for number in range(size * 9 // 10))))
            print(f"{name}: as many by COPY into a temporary table and INSERT from there, {copying:.1f} s")
        campaign.start()
        ledger.work(modica, campaign="many", limit=size // 100)
        early = peak_mib()
        with database.transaction() as transaction:
            # Some are in doubt, as after crashes.
            transaction.run(
                "UPDATE {p}message SET state = 'in_doubt', attempted_at = :now WHERE campaign = 'many' "
                "AND state = 'queued' AND id / 1000 * 1000 = id",
                now=transaction.now() - timedelta(days=1),
            )
        unresolved = timed(lambda: ledger.unresolved(older_than=timedelta(hours=1)))
        print(f"{name}: unresolved() {unresolved * 1000:.1f} ms, {len(ledger.unresolved())} in doubt")
        print(f"{name}: progress() {timed(campaign.progress):.2f} s, counts() {timed(ledger.counts):.2f} s")
        steps = _attempts.work(database, modica, campaign="many", limit=100)
        claiming = timed(lambda: next(steps))
        steps.close()
        print(f"{name}: one claim of 100 with its turn {claiming * 1000:.1f} ms")
        entry = ledger.entry("many", destination="+64300000000")
        assert entry is not None
        assert entry.message_id is not None
        receipt = DeliveryReceipt(entry.message_id, "received", "many")
        print(f"{name}: record() {timed(lambda: ledger.record(receipt)) * 1000:.1f} ms")
        working = timed(lambda: ledger.work(modica, campaign="many"))
        growth = peak_mib() - early
        print(f"{name}: the rest worked in {working:.0f} s by one worker, {size / working:,.0f} messages a second")
        print(f"{name}: peak memory {peak_mib():.0f} MiB, {growth:+.1f} since the first hundredth was worked")
        rows, size_on_disk = sum(ledger.counts().values()), _size(name, database, url) / 2**20
        print(f"{name}: {size_on_disk:,.0f} MiB on the disk with {rows:,} rows")
        print(f"{name}: the hottest query, a claim:")
        print(_plan(name, database))
        print(f"{name}: purged in {timed(lambda: ledger.purge(older_than=timedelta(seconds=-1))):.1f} s")


def copy(database: Database, destinations: Iterator[str]) -> None:
    """What `add` does, in PostgreSQL's own way: COPY alone cannot pass over what is there already."""
    with database.transaction() as transaction:
        transaction.run("CREATE TEMPORARY TABLE load (destination TEXT) ON COMMIT DELETE ROWS")
    while chunk := list(islice(destinations, 10_000)):
        with database.transaction() as transaction:
            with transaction.cursor.copy("COPY load FROM STDIN") as rows:
                rows.write("\n".join(chunk))
            transaction.run(
                "INSERT INTO {p}message (campaign, destination, state, due_at, queued_at) "
                "SELECT 'copied', destination, 'queued', :now, :now FROM load ON CONFLICT DO NOTHING",
                now=transaction.now(),
            )


def _size(name: str, database: Database, url: str) -> int:
    if name == "sqlite":
        return Path(url).stat().st_size
    with database.transaction("read") as transaction:
        ((size,),) = transaction.run("SELECT pg_total_relation_size('{p}message')")
    return int(size)


def _plan(name: str, database: Database) -> str:
    explain = "EXPLAIN QUERY PLAN " if name == "sqlite" else "EXPLAIN (COSTS OFF) "
    with database.transaction() as transaction:
        rows = transaction.run(
            explain + sql.CLAIM_IN_CAMPAIGN, now=transaction.now(), account="v1", room=100, campaign="many"
        )
    return "\n".join(f"    {row[-1]}" for row in rows)


def main() -> int:
    """Measure both databases; 0 if the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="recipients of the large campaign")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="only this one")
    arguments = parser.parse_args()
    met = True
    with gateway() as base_url:
        for name in [arguments.database] if arguments.database else ["sqlite", "postgresql"]:
            with contextlib.ExitStack() as stack:
                if name == "sqlite":
                    # In memory if there is a place for that: what the disk costs the processor is not the ledger's.
                    place = str(RAM_DISK) if RAM_DISK.is_dir() else None
                    with tempfile.TemporaryDirectory(dir=place) as folder:
                        met &= sends(f"{name} ({place or 'on the disk'})", f"{folder}/ledger.db", base_url, goal=GOAL)
                    url = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ledger.db")
                else:
                    url = stack.enter_context(PostgresServer(fsync=True)).url
                sends(name, url, base_url)
                work(name, url, base_url, max(1000, arguments.size // 20))
                many(name, url, base_url, arguments.size)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
