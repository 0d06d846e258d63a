"""The samples of docs/engines.md, under real workers that are killed between the gateway's act and the settling."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import celery
import procrastinate
import pytest

from modica_facade.cli._campaign_engine import migrate_engine
from modica_facade.ledger import Ledger
from modica_facade.simulator import Simulator

PAGE = (Path(__file__).parents[2] / "docs" / "engines.md").read_text("utf-8")
CELERY, PROCRASTINATE = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MESSAGE = {"destination": "+64211234567", "content": "Your order is ready", "reference": "ready-42"}

# The table of the page: what the body calls, and how many messages come of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize(("body", "messages"), [("modica.send", 2), ("ledger.send", 1)]),
]


@pytest.fixture(autouse=True)
def _environment(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODICA_USERNAME", "application-name")
    monkeypatch.setenv("MODICA_PASSWORD", "password")
    monkeypatch.setenv("MODICA_BASE_URL", simulator.base_url)
    monkeypatch.chdir(tmp_path)


def write_module(sample: str, body: str, replacements: Mapping[str, str]) -> None:
    """The sample as the module ``shop``, with another body and other addresses."""
    if body == "modica.send":
        replacements = {**replacements, "ledger.send(modica, ": "modica.send(", ").state": ").id"}
    for written, needed in replacements.items():
        assert written in sample
        sample = sample.replace(written, needed)
    Path("shop.py").write_text(sample)


@contextlib.contextmanager
def worker(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with Path("worker.log").open("ab") as log:
        running = subprocess.Popen([sys.executable, "-m", *arguments], stdout=log, stderr=log)
        try:
            yield running
        finally:
            running.terminate()
            running.wait()


def until_acted(simulator: Simulator) -> None:
    """Wait until the gateway has acted on the request that it does not answer."""
    news = threading.Event()
    with simulator.events.listening(news.set):
        while not simulator.messages:
            assert news.wait(60), Path("worker.log").read_text()
            news.clear()


def children(parent: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def check(simulator: Simulator, ledger: Ledger, messages: int) -> None:
    assert len(simulator.messages) == messages
    assert len(simulator.requests) == messages
    if messages == 1:
        entry = ledger.entry(MESSAGE["reference"])
        assert entry is not None
        assert entry.state == "in_doubt"


def test_celery(simulator: Simulator, tmp_path: Path, body: str, messages: int) -> None:
    settings: dict[str, Any] = {
        "broker_transport_options": {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path)},
        "result_backend": f"file://{tmp_path}",
        "worker_lost_wait": 0.1,
    }
    more = f"app.conf.update({settings!r})\n"
    write_module(CELERY, body, {"amqp://localhost": "filesystem://", "modica, ledger =": f"{more}modica, ledger ="})
    simulator.fail(delay=60)
    with Ledger("sms.db") as ledger, celery.Celery("shop", broker="filesystem://") as app:
        ledger.migrate()
        app.conf.update(settings)
        options = ["--concurrency", "1", "--without-gossip", "--without-mingle"]
        with worker("celery", "-A", "shop", "worker", *options) as parent:
            result = app.send_task("shop.send_sms", kwargs=MESSAGE)
            until_acted(simulator)
            for child in children(parent.pid):
                os.kill(child, signal.SIGKILL)
            result.get(timeout=60)  # the job was given back, and has run again
        check(simulator, ledger, messages)


def test_procrastinate(simulator: Simulator, postgres_url: str, body: str, messages: int) -> None:
    migrate_engine(postgres_url)
    write_module(PROCRASTINATE, body, {"postgresql://localhost/shop": postgres_url})
    simulator.fail(delay=60)
    run = ["procrastinate", "--app", "shop.app"]
    with Ledger(postgres_url) as ledger:
        ledger.migrate()
        subprocess.run([sys.executable, "-m", *run, "defer", "shop.send_sms", json.dumps(MESSAGE)], check=True)
        with worker(*run, "worker") as running:
            until_acted(simulator)
            running.kill()
            running.wait()
        asyncio.run(retry_stalled_jobs(postgres_url))
        subprocess.run([sys.executable, "-m", *run, "worker", "--one-shot"], check=True, timeout=60)
        check(simulator, ledger, messages)


async def retry_stalled_jobs(url: str) -> None:
    async with procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url)).open_async() as app:
        [job] = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=0)
        await app.job_manager.retry_job(job)
