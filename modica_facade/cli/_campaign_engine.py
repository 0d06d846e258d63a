"""Campaigns on many machines: procrastinate (extra ``campaign``) hands out units of work; the ledger stays the truth.

A job carries the name of a campaign and nothing else. It has a ``queueing_lock``, so that one of each campaign waits,
and never a ``lock``: the job of a worker that was killed keeps that, and nobody could go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from ..client import Modica, ModicaV2
from ..errors import ConfigurationError, TransportError
from ..ledger import Ledger
from ._campaign_work import Stop, Tell, running, work_unit
from ._errors import FailedError

if TYPE_CHECKING:
    from procrastinate import App

_QUEUE: Final = "modica-campaigns"  # for these jobs alone: the database may serve another procrastinate application
_JOBS: Final = 4  # units that one process works on at once
_CONNECT_SECONDS: Final = 5.0  # without its database for so long, a worker ends
_OBJECT: Final = re.compile(r"^CREATE (?:TABLE|FUNCTION) (procrastinate_\w+)", re.MULTILINE)
_MISSING: Final = (
    "SELECT name FROM unnest(%(names)s::text[]) AS name WHERE to_regclass(name) IS NULL AND to_regproc(name) IS NULL"
)


def is_installed() -> bool:
    """Is the extra ``campaign`` there?"""
    return importlib.util.find_spec("procrastinate") is not None


def migrate_engine(url: str) -> None:
    """Create procrastinate's tables, unless they are there.

    Raises:
        ConfigurationError: they are, and of another version than the package.
        TransportError: the database failed.
    """
    _run(url, _migrate)


def work_by_engine(url: str, ledger: Ledger, modica: Modica | ModicaV2, stop: Stop, tell: Tell) -> None:
    """Be one of the workers, until stopped.

    Raises:
        ConfigurationError: procrastinate's tables are not there, or of another version.
        ModicaError: what ended it.
    """
    running(ledger)  # says what is wrong with the database, if anything is
    failures: list[Exception] = []

    def unit(campaign: str) -> int:
        try:
            return work_unit(ledger, modica, campaign, stop, tell)
        except FailedError:
            return 0  # this campaign is paused
        except Exception as error:  # noqa: BLE001 - raised where the command can report it
            failures.append(error)
            stop.set()
            return 0

    _run(url, functools.partial(_work, unit=unit, campaigns=functools.partial(running, ledger), stop=stop))
    if failures:
        raise failures[0]


def _run(url: str, main: Callable[[App], Coroutine[Any, Any, None]]) -> None:
    import psycopg
    from procrastinate import App, PsycopgConnector
    from procrastinate.exceptions import ConnectorException

    async def run() -> None:
        settings = {"application_name": "modica-facade campaigns"}
        app = App(connector=PsycopgConnector(conninfo=url, kwargs=settings, timeout=_CONNECT_SECONDS))
        async with app.open_async():
            await main(app)

    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # on Windows psycopg takes no other
            runner.run(run())
    except (ConnectorException, psycopg.Error) as error:
        cause = error.__cause__ or error
        raise TransportError(f"the database failed: {str(cause).partition(chr(10))[0]}; call again later") from error


async def _missing(app: App) -> list[str]:
    """What the package needs and the database has not; the names of functions carry a version."""
    names = _OBJECT.findall(app.schema_manager.get_schema())
    return [row["name"] for row in await app.connector.execute_query_all_async(_MISSING, names=names)]


async def _migrate(app: App) -> None:
    from procrastinate.exceptions import ConnectorException

    missing = await _missing(app)
    if "procrastinate_jobs" in missing:
        try:
            await app.schema_manager.apply_schema_async()
        except ConnectorException:
            if await _missing(app):  # otherwise somebody else did it at the same moment
                raise
    elif missing:
        raise ConfigurationError(
            f"the tables of procrastinate are of another version than the package (there is no {missing[0]}): apply "
            "the migrations that procrastinate's documentation names, or install the version that made them"
        )


async def _work(app: App, *, unit: Callable[[str], int], campaigns: Callable[[], list[str]], stop: Stop) -> None:
    if await _missing(app):
        raise ConfigurationError("the tables of procrastinate are missing or old: run modica campaign migrate")
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_JOBS))
    _add_tasks(app, unit, campaigns, stop)
    worker = asyncio.create_task(
        app.run_worker_async(
            queues=[_QUEUE],
            concurrency=_JOBS,
            delete_jobs="always",
            install_signal_handlers=False,  # the first signal sets `stop`, which units look at as well
        )
    )
    while not stop.is_set() and not worker.done():
        await asyncio.wait([worker], timeout=0.1)
    if not stop.is_set():
        await worker
        raise TransportError("the worker lost its database; start it again")
    worker.cancel()  # it waits for the units
    with contextlib.suppress(asyncio.CancelledError):
        await worker


def _add_tasks(app: App, unit: Callable[[str], int], campaigns: Callable[[], list[str]], stop: Stop) -> None:
    from procrastinate.exceptions import AlreadyEnqueued, UniqueViolation
    from procrastinate.jobs import Status

    @app.task(name="modica_campaign", queue=_QUEUE)
    async def work(campaign: str) -> None:
        if await asyncio.to_thread(unit, campaign) and not stop.is_set():
            await defer(campaign)

    async def defer(campaign: str) -> None:
        with contextlib.suppress(AlreadyEnqueued):
            await work.configure(queueing_lock=f"modica-campaign {campaign!r}").defer_async(campaign=campaign)

    @app.periodic(cron="* * * * * *")
    @app.task(name="modica_campaigns", queue=_QUEUE, queueing_lock="modica-campaigns", priority=1)
    async def tick(timestamp: int) -> None:  # noqa: ARG001 - procrastinate gives it
        for job in await app.job_manager.get_stalled_jobs(queue=_QUEUE):
            try:
                await app.job_manager.retry_job(job)
            except UniqueViolation:  # another of its campaign waits already
                await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)
        for campaign in await asyncio.to_thread(campaigns):
            await defer(campaign)
