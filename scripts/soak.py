"""100,000 sends through an unreliable gateway: none twice, none lost, memory flat. ``make soak``, some minutes.

The gateway is the simulator in a process of its own, spoilt at random: connections cut before and after it acted, in
the head and in the body of its answer, errors, HTML, silence. Every send has a reference of its own; at the end its
outcome is held against what the gateway did. Half of the sends are blocking (threads), half asynchronous (tasks).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import logging
import random
import resource
import subprocess
import sys
import threading
import time
from array import array
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self

from modica_facade import AsyncModica, Modica, ModicaError, RetryPolicy, SubmittedMessage
from modica_facade.simulator import Simulator

NUMBER = "+64211234567"
RETRY = RetryPolicy(attempts=4, backoff=0.01, deadline=20)
TIMEOUT = 1.0
THREADS, TASKS = 16, 64
# Peak memory after a fifth of the sends, and at the end: what is allowed in between.
MOST_GROWTH_MIB = 8.0

# One request in a thousand, each
FAULTS: list[tuple[int, dict[str, Any]]] = [
    (5, {"cut": "before"}),
    (5, {"cut": "after"}),
    (3, {"cut": "head"}),
    (3, {"cut": "body"}),
    (10, {"status": 429, "headers": {"Retry-After": "0"}}),
    (3, {"status": 503, "acted": True, "headers": {"Retry-After": "0"}}),
    (3, {"status": 503}),
    (2, {"status": 502, "acted": True, "body": "<h1>Bad gateway</h1>", "headers": {"Content-Type": "text/html"}}),
    (2, {"status": 200, "acted": True, "body": "<h1>It works!</h1>", "headers": {"Content-Type": "text/html"}}),
    (2, {"error": "invalid_attrib"}),
    (1, {"delay": 2 * TIMEOUT}),
]

NOTHING, SENT, IN_DOUBT, NOT_SENT = range(4)


def serve() -> None:
    """Be the gateway until standard input ends; then say which references it acted on, how often, and their ids."""
    chance = random.Random(1)  # noqa: S311 - bad luck that repeats

    def unlucky(share: int, _: object) -> bool:
        return chance.randrange(1000) < share

    with Simulator() as sim:
        for share, fault in FAULTS:
            sim.fail(times=None, match=partial(unlucky, share), **fault)
        print(sim.base_url, flush=True)
        sys.stdin.read()
        acted = [[message.reference, int(message.id)] for message in sim.messages]
        json.dump({"acted": acted, "requests": len(sim.requests)}, sys.stdout)


class Gateway:
    """The other process."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__)), "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        return self

    def account(self) -> dict[str, Any]:
        """What it did; it ends with that."""
        report: dict[str, Any] = json.loads(self._process.communicate()[0])
        return report

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Ledger:
    """What every send came to, in arrays made beforehand, so that nothing here grows."""

    def __init__(self, sends: int) -> None:
        self.outcomes = array("b", bytes(sends))
        self.ids = array("q", bytes(8 * sends))
        self.errors: Counter[str] = Counter()
        self.early = 0
        self._lock = threading.Lock()

    def note(self, number: int, outcome: SubmittedMessage | ModicaError) -> None:
        """Write down what became of one send."""
        if isinstance(outcome, SubmittedMessage):
            self.outcomes[number] = SENT
            self.ids[number] = int(outcome.id)
        else:
            self.outcomes[number] = IN_DOUBT if outcome.may_have_been_sent else NOT_SENT
            with self._lock:
                self.errors[type(outcome).__name__] += 1
        if number == len(self.outcomes) // 5:
            self.early = peak()


def peak() -> int:
    """The most memory that this process had so far, in KiB on Linux."""
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def blocking(base_url: str, ledger: Ledger) -> None:
    """Threads that share one client."""
    numbers = iter(range(len(ledger.outcomes)))
    taking = threading.Lock()

    def work(modica: Modica) -> None:
        while True:
            with taking:
                number = next(numbers, None)
            if number is None:
                return
            try:
                ledger.note(number, modica.send(NUMBER, "Kia ora", reference=str(number)))
            except ModicaError as error:
                ledger.note(number, error)

    modica = Modica("soak", "soak", base_url=base_url, timeout=TIMEOUT, retry=RETRY)
    with modica, ThreadPoolExecutor(THREADS) as threads:
        for ended in [threads.submit(work, modica) for _ in range(THREADS)]:
            ended.result()


def asynchronous(base_url: str, ledger: Ledger) -> None:
    """Tasks that share one client."""

    async def work(modica: AsyncModica, numbers: itertools.count[int]) -> None:
        while (number := next(numbers)) < len(ledger.outcomes):
            try:
                ledger.note(number, await modica.send(NUMBER, "Kia ora", reference=str(number)))
            except ModicaError as error:
                ledger.note(number, error)

    async def run() -> None:
        numbers = itertools.count()
        async with AsyncModica("soak", "soak", base_url=base_url, timeout=TIMEOUT, retry=RETRY) as modica:
            await asyncio.gather(*(work(modica, numbers) for _ in range(TASKS)))

    asyncio.run(run())


def descriptors() -> int:
    """How many files and sockets this process has open (Linux; elsewhere 0)."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def soak(client: str, sends: int) -> bool:
    """One client; prints its figures and says whether all of them are as they must be."""
    ledger = Ledger(sends)
    with Gateway() as gateway:
        started, before = time.monotonic(), descriptors()
        (asynchronous if client == "asynchronous" else blocking)(gateway.base_url, ledger)
        seconds, late = time.monotonic() - started, peak()
        left_open = descriptors() - before
        account = gateway.account()
    acted = Counter(int(reference) for reference, _ in account["acted"])
    ids = {int(reference): message_id for reference, message_id in account["acted"]}
    outcomes = Counter(ledger.outcomes)
    growth = (late - ledger.early) / 1024
    wrong = {
        "sent twice": sum(1 for times in acted.values() if times > 1),
        "without an outcome": outcomes[NOTHING],
        "called sent, but not sent": sum(
            1 for number, outcome in enumerate(ledger.outcomes) if outcome == SENT and number not in acted
        ),
        "with the id of another": sum(
            1
            for number, outcome in enumerate(ledger.outcomes)
            if outcome == SENT and ids.get(number) != ledger.ids[number]
        ),
        "called not sent, but sent": sum(
            1 for number, outcome in enumerate(ledger.outcomes) if outcome == NOT_SENT and number in acted
        ),
        "connections left open": left_open,
        "MiB of growth beyond what is allowed": max(0, round(growth - MOST_GROWTH_MIB)),
    }
    went_out = sum(1 for number, outcome in enumerate(ledger.outcomes) if outcome == IN_DOUBT and number in acted)
    print(f"{client}: {sends} sends, {account['requests']} requests, {seconds:.0f} s, {sends / seconds:.0f} a second")
    print(
        f"  sent {outcomes[SENT]}, not sent {outcomes[NOT_SENT]}, in doubt {outcomes[IN_DOUBT]} ({went_out} went out)"
    )
    print(f"  errors: {', '.join(f'{name} {count}' for name, count in ledger.errors.most_common())}")
    print(f"  peak memory {late / 1024:.1f} MiB, {growth:+.1f} since the first fifth")
    print("  " + ", ".join(f"{count} {what}" for what, count in wrong.items()))
    return not any(wrong.values())


def main() -> int:
    """Soak the blocking and the asynchronous client; 0 if every figure is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sends", type=int, default=100_000, help="in all, half of them with each client")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return 0
    logging.getLogger("modica_facade").setLevel(logging.ERROR)
    good = [soak(client, arguments.sends // 2) for client in ("blocking", "asynchronous")]
    print("all as it must be" if all(good) else "NOT as it must be")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
