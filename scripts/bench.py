"""What the facade costs: each figure beside what it stands on, measured in the same run. `make bench`.

The server is a process of its own and much cheaper than any client. Ours and the other take turns, several times, after
a warm-up; a figure is the median over the turns, a ratio the median of the turns' ratios with the lowest and highest
beside it, so that a noisy machine disturbs both sides alike. Instructions are counted by valgrind (callgrind), where it
is installed: those of N + M calls less those of N calls, divided by M. A missed goal is marked, never an error.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import compileall
import gc
import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import bench_peers
import httpx
from bench_server import NUMBER, TEXT

from modica_facade import AsyncModica, CallbackReceiver, Modica, ModicaV2, parse_callback
from modica_facade._calls import Response, to_result
from modica_facade._v1 import broadcast

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
BODY = {"destination": NUMBER, "content": TEXT}
V2_ID = "26ac66cb-60c1-4f77-8bf6-00f3b4b3c4a0"
NO_GATEWAY = "https://gateway.invalid/rest/gateway"
RECEIPT = b'{"message_id": "12345", "status": "received", "reference": "order-42"}'
USER, PASSWORD = "application", "password"
V1, V2 = "/rest/gateway", "/rest/sms/v2"


@attrs.frozen
class Size:
    """How much of everything."""

    repetitions: int = 7
    calls: int = 1000
    instruction_calls: int = 200
    callbacks: int = 2500
    bulk: int = 1_000_000
    many_sends: int = 100_000


SMOKE = Size(repetitions=1, calls=50, instruction_calls=0, callbacks=100, bulk=5_000, many_sends=400)


@attrs.frozen
class Row:
    """One line of the table.

    Attributes:
        measure: what was done.
        unit: of ``ours`` and ``other``.
        ours: the facade's figure.
        other: the figure it is held against, or None.
        goal: the most that the ratio may be, without ``other`` the most that ``ours`` may be; None: only shown.
        spread: the lowest and the highest ratio of a turn, where there are turns.
    """

    measure: str
    unit: str
    ours: float
    other: float | None = None
    goal: float | None = None
    spread: tuple[float, float] | None = None
    median_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours to the other's: the median over the turns."""
        if self.median_ratio is not None or self.other is None:
            return self.median_ratio
        return self.ours / self.other

    @property
    def met(self) -> bool | None:
        """Is the goal met? None without a goal."""
        if self.goal is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) <= self.goal

    def as_json(self) -> dict[str, object]:
        """As bench.json has it."""
        return {
            "measure": self.measure,
            "unit": self.unit,
            "ours": self.ours,
            "other": self.other,
            "ratio": self.ratio,
            "spread": self.spread,
            "goal": self.goal,
            "met": self.met,
        }


# Taking turns


class Cost(NamedTuple):
    """Microseconds for one call."""

    cpu: float
    wall: float


Turn = Callable[[], Cost]


def cost(function: Callable[[], object], calls: int) -> Cost:
    """What one call of a function costs."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        function()
    return Cost((time.process_time() - cpu) / calls * 1e6, (time.perf_counter() - wall) / calls * 1e6)


def compare(measure: str, goal: float | None, repetitions: int, ours: Turn, other: Turn) -> Iterator[Row]:
    """Let two take turns: a row for CPU time, which has the goal, and one for wall time."""
    ours()
    other()
    turns = [(ours(), other()) for _ in range(repetitions)]
    yield _row(f"{measure}, CPU", "us", [(one.cpu, two.cpu) for one, two in turns], goal)
    yield _row(f"{measure}, wall", "us", [(one.wall, two.wall) for one, two in turns], None)


def _row(measure: str, unit: str, turns: Sequence[tuple[float, float]], goal: float | None) -> Row:
    ratios = [one / two for one, two in turns]
    ours, other = (statistics.median(side) for side in zip(*turns, strict=True))
    return Row(measure, unit, ours, other, goal, (min(ratios), max(ratios)), statistics.median(ratios))


# Blocking


def operations(url: str) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """What is measured call by call: the facade's way and bare httpx's, each on a client of its own."""
    modica, v2 = Modica(USER, PASSWORD, base_url=url + V1), ModicaV2(USER, PASSWORD, base_url=url + V2)
    bare = httpx.Client(auth=(USER, PASSWORD))
    return {
        "send": (lambda: modica.send(NUMBER, TEXT), lambda: bare.post(f"{url}{V1}/messages", json=BODY).json()),
        "get": (lambda: modica.get("12345"), lambda: bare.get(f"{url}{V1}/messages/12345").json()),
        "v2 send": (lambda: v2.send(NUMBER, TEXT), lambda: bare.post(f"{url}{V2}/messages", json=BODY).json()),
    }


def blocking(url: str, size: Size, *, tls: bool) -> Iterator[Row]:
    """One call after another."""
    for name, (ours, other) in operations(url).items():
        if not tls or name == "send":
            measure = f"{name} over TLS" if tls else name
            yield from compare(
                measure,
                None,
                size.repetitions,
                lambda call=ours: cost(call, size.calls),  # type: ignore[misc]  # a default for the loop's variable
                lambda call=other: cost(call, size.calls),  # type: ignore[misc]
            )


def handshakes(url: str, size: Size) -> Row:
    """Connections, each of which is a handshake, that a run of sends needs."""

    def needed(call: Callable[[], object]) -> int:
        before = _counts(url)
        cost(call, size.calls)
        return _counts(url) - before

    ours, other = operations(url)["send"]
    # Asking for the counts takes a connection too, both times; only one of them falls between.
    return Row(f"TLS handshakes for {size.calls:,} sends", "", needed(ours) - 1, needed(other) - 1, 1.0)


def _counts(url: str) -> int:
    return int(httpx.get(f"{url}/counts").json()["connections"])


# Asynchronous


async def _flight(one: Callable[[], Awaitable[object]], in_flight: int, calls: int) -> Cost:
    numbers = iter(range(calls))

    async def worker() -> None:
        for _ in numbers:
            await one()

    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return Cost((time.process_time() - cpu) / calls * 1e6, (time.perf_counter() - wall) / calls * 1e6)


def asynchronous(url: str, size: Size, in_flight: int, measure: str, goal: float | None) -> Iterator[Row]:
    """So many sends in flight on one client."""
    # A turn is more than one send a task.
    calls = max(size.calls, 2 * in_flight)
    with asyncio.Runner() as runner:

        async def clients() -> tuple[AsyncModica, httpx.AsyncClient]:
            limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
            modica = AsyncModica(USER, PASSWORD, base_url=url + V1)
            return modica, httpx.AsyncClient(auth=(USER, PASSWORD), limits=limits)

        modica, bare = runner.run(clients())

        async def other() -> object:
            return (await bare.post(f"{url}{V1}/messages", json=BODY)).json()

        yield from compare(
            measure,
            goal,
            size.repetitions,
            lambda: runner.run(_flight(lambda: modica.send(NUMBER, TEXT), in_flight, calls)),
            lambda: runner.run(_flight(other, in_flight, calls)),
        )
        runner.run(modica.aclose())
        runner.run(bare.aclose())


def flat(rows: Sequence[Row]) -> Row:
    """Does the cost of a send grow with the number in flight?"""
    costs = [row.ours for row in rows if row.measure.endswith("in flight, CPU")]
    return Row("async send, dearest of these against 1 in flight, CPU", "us", max(costs), costs[0], 1.3)


# Instructions, and fresh interpreters


def user_environment(folder: Path, *more: str) -> None:
    """Copy what `pip install modica-facade` brings and nothing else: httpx imports rich and click if it finds them."""
    from packaging.requirements import Requirement

    wanted, done = [*map(Requirement, ("modica-facade", *more))], set[str]()
    while wanted:
        requirement = wanted.pop()
        if requirement.name in done or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        done.add(requirement.name)
        distribution = importlib.metadata.distribution(requirement.name)
        wanted += map(Requirement, distribution.requires or [])
        for file in distribution.files or []:
            if file.suffix != ".pyc" and ".." not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), folder / file)
    for package in (ROOT / "modica_facade", ROOT / "generated/modica_gateway_v1", ROOT / "generated/modica_sms_v2"):
        shutil.copytree(
            package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
    compileall.compile_dir(folder, quiet=2)


def _fresh(folder: Path, code: str, *tool: str) -> subprocess.CompletedProcess[str]:
    """Run code where there is nothing but this folder, the standard library and this script."""
    variables = {"PYTHONPATH": f"{folder}{os.pathsep}{SCRIPTS}", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    variables["SSL_CERT_FILE"] = os.environ["SSL_CERT_FILE"]
    command = [*tool, sys.executable, "-S", "-P", "-c", code]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=True)


def _instructions(folder: Path, code: str) -> int:
    done = _fresh(folder, code, "valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}")
    counted = re.search(r"Collected *: *(\d+)", done.stderr)
    assert counted is not None, done.stderr
    return int(counted[1])


def repeat(url: str, name: str, side: int, calls: int) -> None:
    """The child that is counted: one operation, so often."""
    call = operations(url)[name][side]
    for _ in range(calls):
        call()


def repeat_peer(url: str, name: str, calls: int) -> None:
    """The child that is counted: a send of another client, so often."""
    send = getattr(bench_peers, name)(url)
    for _ in range(calls):
        send()


def repeat_async(url: str, name: str, calls: int) -> None:
    """The child that is counted: so many asynchronous sends of ours or of another client, 50 in flight."""

    async def sends() -> None:
        if name == "modica":
            async with AsyncModica(USER, PASSWORD, base_url=url + V1) as modica:
                await _flight(lambda: modica.send(NUMBER, TEXT), 50, calls)
        else:
            async with getattr(bench_peers, name)(url) as send:
                await _flight(send, 50, calls)

    asyncio.run(sends())


def _of_one(folder: Path, few: int, more: int, code: str) -> float:
    """Thousands of instructions of one call: those of many calls less those of fewer."""
    return (_instructions(folder, code.format(more)) - _instructions(folder, code.format(few))) / (more - few) / 1000


def instructions(url: str, folder: Path, size: Size, name: str, measure: str, goal: float) -> Row:
    """Instructions of one blocking call."""
    ours, other = (
        _of_one(folder, 60, 60 + size.instruction_calls, f"import bench; bench.repeat({url!r}, {name!r}, {side}, {{}})")
        for side in (0, 1)
    )
    return Row(f"{measure}, instructions", "k", ours, other, goal)


def peers(url: str, folder: Path, size: Size) -> Iterator[Row]:
    """Instructions of a send with other SMS clients, in the same run: blocking, and asynchronous with 50 in flight."""

    def of_one(function: str, name: str) -> float:
        # Every connection is open, and every module imported, before what is counted.
        few, more = 200, 200 + 3 * size.instruction_calls
        return _of_one(folder, few, more, f"import bench; bench.{function}({url!r}, {name!r}, {{}})")

    blocking_send = _of_one(
        folder, 60, 60 + size.instruction_calls, f"import bench; bench.repeat({url!r}, 'send', 0, {{}})"
    )
    for name in ("infobip", "twilio"):
        yield Row(f"send ({name}), instructions", "k", blocking_send, of_one("repeat_peer", name))
    asynchronous_send = of_one("repeat_async", "modica")
    yield Row("async send, 50 in flight, instructions", "k", asynchronous_send, goal=800.0)
    for name, measure, goal in (("twilio_async", "twilio", 0.80), ("aiohttp", "a bare aiohttp session", 1.7)):
        other = of_one("repeat_async", name)
        yield Row(f"async send, 50 in flight ({measure}), instructions", "k", asynchronous_send, other, goal)


IMPORT = "import modica_facade", "import httpx"
FIRST_CLIENT = (
    f"import modica_facade; modica_facade.Modica('u', 'p', base_url={NO_GATEWAY!r})",
    "import httpx; httpx.Client(auth=('u', 'p'))",
)


def imports(folder: Path, size: Size, *, count: bool) -> Iterator[Row]:
    """The cost of a fresh interpreter's first line, and of the first client."""

    def seconds(code: str) -> float:
        timed = f"import time; begun = time.process_time(); {code}; print(time.process_time() - begun)"
        return float(_fresh(folder, timed).stdout)

    for measure, (ours, other), goal in (
        ("import modica_facade (import httpx)", IMPORT, 1.15),
        ("the same and the first client", FIRST_CLIENT, None),
    ):
        turns = [(seconds(ours) * 1000, seconds(other) * 1000) for _ in range(size.repetitions + 1)]
        yield _row(f"{measure}, CPU", "ms", turns[1:], goal)
        if count:
            nothing = _instructions(folder, "pass")
            ours_count, other_count = (_instructions(folder, code) - nothing for code in (ours, other))
            yield Row(f"{measure}, instructions", "M", ours_count / 1e6, other_count / 1e6, goal)


# Pure work


def pure(size: Size) -> Iterator[Row]:
    """What needs no server: another client, a broadcast without its transport, a callback."""
    builds = [cost(lambda: Modica(USER, PASSWORD, base_url=NO_GATEWAY), 20).cpu / 1000 for _ in range(size.repetitions)]
    yield Row("another client", "ms", statistics.median(builds), goal=2.0)

    numbers = [f"+6421{number:07}" for number in range(1000)]
    body = {"destination": numbers, "content": TEXT}
    rows = [
        {"status": "success", "message": None, "destination": to, "id": 10**9 + at} for at, to in enumerate(numbers)
    ]
    answer = json.dumps(rows).encode()

    options = dict.fromkeys(("scheduled", "expires", "source", "reference", "class_", "mask", "sms_class"))

    def ours() -> object:
        return to_result(broadcast(numbers, TEXT, **options), Response(201, answer))

    def other() -> object:
        return json.dumps(body), json.loads(answer)

    calls = max(size.calls // 50, 2)
    for name, goal, one, two, times in (
        ("broadcast of 1,000 without transport (json.dumps + json.loads)", 3.0, ours, other, calls),
        (
            "parse_callback (json.loads)",
            8.0,
            lambda: parse_callback(RECEIPT),
            lambda: json.loads(RECEIPT),
            size.calls * 5,
        ),
    ):
        yield from compare(
            name,
            goal,
            size.repetitions,
            lambda call=one, times=times: cost(call, times),  # type: ignore[misc]
            lambda call=two, times=times: cost(call, times),  # type: ignore[misc]
        )


# Memory, each measure in a process of its own


def _status(field: str) -> float:
    """MB, from what Linux tells about this process."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


def bulk(pipe: Connection, url: str, count: int) -> None:
    """A child: one broadcast to very many; sends the growth of its peak memory and the seconds it took."""
    with Modica(USER, PASSWORD, base_url=url + V1) as modica:
        modica.broadcast([NUMBER], TEXT)
        before, begun = _status("VmHWM"), time.perf_counter()
        numbers = (f"+6421{number:07}" for number in range(count))
        submitted = sum(outcome.ok for outcome in modica.broadcast_many(numbers, TEXT))
        assert submitted == count
        pipe.send((_status("VmHWM") - before, time.perf_counter() - begun))


def sends(pipe: Connection, url: str, count: int) -> None:
    """A child: very many sends, half of them asynchronous; sends the growth of its memory after the first tenth."""
    tenth = count // 20
    with Modica(USER, PASSWORD, base_url=url + V1) as modica, asyncio.Runner() as runner:
        asynchronous_one = AsyncModica(USER, PASSWORD, base_url=url + V1)

        def some(calls: int) -> None:
            cost(lambda: modica.send(NUMBER, TEXT), calls)
            runner.run(_flight(lambda: asynchronous_one.send(NUMBER, TEXT), 50, calls))

        some(tenth)
        before = _status("VmRSS")
        some(count // 2 - tenth)
        pipe.send((_status("VmRSS") - before, 0.0))
        runner.run(asynchronous_one.aclose())


def memory(url: str, size: Size) -> Iterator[Row]:
    """Does anything grow with the number of messages?"""

    def child(function: Callable[[Connection, str, int], None], count: int) -> tuple[float, float]:
        here, there = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=function, args=(there, url, count))
        process.start()
        there.close()
        growth, seconds = here.recv()
        process.join()
        return growth, seconds

    growth, seconds = child(bulk, size.bulk)
    yield Row(f"broadcast_many of {size.bulk:,}, growth of peak memory", "MB", growth, goal=16.0)
    yield Row(f"broadcast_many of {size.bulk:,}, numbers per second", "/s", size.bulk / seconds)
    growth, _ = child(sends, size.many_sends)
    yield Row(f"{size.many_sends:,} sends, growth of memory after the first tenth", "MB", growth, goal=2.0)


# The receiver behind a real server


async def _bare_app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _handler(_receipt: object) -> None:
    pass


def callback_server(pipe: Connection, *, ours: bool) -> None:
    """A child: uvicorn with one application."""
    import uvicorn

    receiver = CallbackReceiver(on_receipt=_handler, username=USER, password=PASSWORD)
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)
    pipe.send(listening.getsockname()[1])
    app: Any = receiver.asgi if ours else _bare_app

    async def counted(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] != "/cpu":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": str(time.process_time()).encode()})

    uvicorn.Server(uvicorn.Config(counted, log_level="error", access_log=False, lifespan="off")).run([listening])


class _Caller(asyncio.Protocol):
    """One connection of the platform: the next callback when the last is answered."""

    def __init__(self, left: Iterator[int], done: asyncio.Future[None]) -> None:
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode())
        head = b"POST / HTTP/1.1\r\nHost: callbacks\r\nAuthorization: Basic %b\r\nContent-Length: %d\r\n\r\n"
        self._request = head % (token, len(RECEIPT)) + RECEIPT
        self._left, self._done, self._answer = left, done, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.endswith(b"\r\n\r\n"):
            assert self._answer.startswith(b"HTTP/1.1 200"), self._answer
            self._answer = b""
            self._next()

    def _next(self) -> None:
        if next(self._left, None) is None:
            self._transport.close()
            self._done.set_result(None)
        else:
            self._transport.write(self._request)


async def _call_back(port: int, count: int) -> None:
    loop, left = asyncio.get_running_loop(), iter(range(count))
    done = [loop.create_future() for _ in range(8)]
    for future in done:
        await loop.create_connection(lambda future=future: _Caller(left, future), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*done)


def receiver(size: Size) -> Iterator[Row]:
    """Callbacks a second, as time for one: the receiver against an application that reads the body and answers 200."""
    spawn, ports, processes = multiprocessing.get_context("spawn"), list[int](), list[Any]()
    for ours in (True, False):
        here, there = spawn.Pipe()
        processes.append(spawn.Process(target=callback_server, args=(there,), kwargs={"ours": ours}))
        processes[-1].start()
        ports.append(here.recv())

    def turn(port: int) -> Cost:
        cpu, wall = float(httpx.get(f"http://127.0.0.1:{port}/cpu").text), time.perf_counter()
        asyncio.run(_call_back(port, size.callbacks))
        wall = time.perf_counter() - wall
        cpu = float(httpx.get(f"http://127.0.0.1:{port}/cpu").text) - cpu
        return Cost(cpu / size.callbacks * 1e6, wall / size.callbacks * 1e6)

    try:
        # Within 25 % of its callbacks a second.
        measure, goal = "a callback received behind uvicorn (bare ASGI app)", 1 / 0.75
        yield from compare(measure, goal, size.repetitions, lambda: turn(ports[0]), lambda: turn(ports[1]))
    finally:
        for process in processes:
            process.kill()
            process.join()


# All of it


@contextmanager
def gateway(*certificate: str) -> Generator[str]:
    """The server in its own process; gives its URL."""
    command = [sys.executable, str(SCRIPTS / "bench_server.py"), *certificate]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _certificate(folder: Path) -> tuple[str, str]:
    """A certificate for the loopback address; every client of this run trusts its authority, by SSL_CERT_FILE."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    os.environ["SSL_CERT_FILE"] = str(folder / "authority.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    with (folder / "chain.pem").open("wb") as file:
        file.writelines(part.bytes() for part in issued.cert_chain_pems)
    return str(folder / "chain.pem"), str(folder / "key.pem")


def measured(size: Size, skipped: list[str]) -> Iterator[Row]:
    """Every row; what cannot be measured here goes to ``skipped``, with the reason."""
    count = size.instruction_calls > 0 and shutil.which("valgrind") is not None
    if not count:
        skipped.append("instructions: valgrind is not installed, or this is a smoke run")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificate = _certificate(folder)
        http, https = stack.enter_context(gateway()), stack.enter_context(gateway(*certificate))
        environment = folder / "environment"
        user_environment(environment)

        if count:
            yield instructions(http, environment, size, "send", "send", 0.40)
            yield instructions(http, environment, size, "get", "get", 0.40)
            yield instructions(https, environment, size, "send", "send over TLS", 0.45)
            try:
                user_environment(folder / "peers", *bench_peers.PACKAGES)
            except importlib.metadata.PackageNotFoundError as missing:
                skipped.append(f"other SMS clients: {missing.name} is not installed (pip install --group bench)")
            else:
                yield from peers(http, folder / "peers", size)
        yield from blocking(http, size, tls=False)
        yield from blocking(https, size, tls=True)
        yield handshakes(https, size)
        rows: list[Row] = []
        for in_flight in (1, 50, 200):
            rows += asynchronous(http, size, in_flight, f"async send, {in_flight} in flight", None)
        yield from rows
        yield flat(rows)
        yield from asynchronous(https, size, 50, "async send over TLS, 50 in flight", None)
        yield from imports(environment, size, count=count)
        yield from pure(size)
        yield from receiver(size)
        if Path("/proc/self/status").exists():
            yield from memory(http, size)
        else:
            skipped.append("memory: this system has no /proc/self/status")


def line(row: Row) -> str:
    """A row of the table."""

    def figure(value: float | None) -> str:
        return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    spread = "" if row.spread is None else f"{row.spread[0]:.2f}-{row.spread[1]:.2f}"
    goal = "" if row.goal is None else f"<= {row.goal:.3g}"
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    cells = f"{figure(row.ours):>9} {figure(row.other):>9} {row.unit:<3} {ratio:>5} {spread:>10}  {goal:<8} {verdict}"
    return f"{row.measure:<70} {cells}".rstrip()


def machine() -> dict[str, object]:
    """Where the figures come from."""
    packages = ("httpx", "httpcore", "h11", "anyio", "attrs", "uvicorn")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "sniffio": any(True for _ in importlib.metadata.Distribution.discover(name="sniffio")),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the JSON file."""
    parser = argparse.ArgumentParser(description="What the facade costs, as ratios to what it stands on.")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go")
    parser.add_argument("--smoke", action="store_true", help="a few calls of everything: does it run?")
    chosen = parser.parse_args(arguments)
    about, skipped, rows = machine(), list[str](), list[Row]()
    begun = time.perf_counter()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(f"{'':<70} {'ours':>9} {'other':>9} {'':<3} {'ratio':>5} {'spread':>10}  goal")
    for row in measured(SMOKE if chosen.smoke else Size(), skipped):
        rows.append(row)
        print(line(row), flush=True)
    for reason in skipped:
        print(f"not measured: {reason}")
    missed = [row.measure for row in rows if row.met is False]
    print(f"{len(rows)} measures in {time.perf_counter() - begun:.0f} s; goals missed: {', '.join(missed) or 'none'}")
    report = {"machine": about, "rows": [row.as_json() for row in rows], "skipped": skipped}
    chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
