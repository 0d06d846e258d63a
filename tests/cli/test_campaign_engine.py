from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer

from modica_facade.cli._campaign_engine import is_installed, migrate_engine
from modica_facade.ledger import Ledger
from modica_facade.simulator import Simulator

from .support import HERE, modica, process, sent_to
from .test_campaign import numbers, until

pytestmark = pytest.mark.slow


@pytest.fixture
def place(postgres_url: str, gateway: Simulator, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MODICA_LEDGER", postgres_url)
    return postgres_url


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    with Ledger(place) as ledger:
        ledger.migrate()
        ledger.campaign("news-9", "Kia ora").add(numbers(250))
        ledger.campaign("news-9").start()
        yield ledger


def execute(place: str, statement: str) -> list[Any]:
    with psycopg.connect(place, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


def test_two_processes_may_make_the_tables_at_once(place: str) -> None:
    ready = threading.Barrier(4)

    def migrate(_: int) -> None:
        ready.wait()
        migrate_engine(place)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, range(4)))
    migrate_engine(place)
    assert execute(place, "SELECT count(*) FROM procrastinate_jobs") == [(0,)]


def test_tables_of_another_version_are_refused(place: str, ledger: Ledger) -> None:
    migrate_engine(place)
    execute(place, "DROP FUNCTION procrastinate_register_worker_v1")
    for command in "migrate", "work":
        refused = modica("campaign", command)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "procrastinate" in refused.stderr
    assert "procrastinate_register_worker_v1" in modica("campaign", "migrate").stderr


def test_a_worker_without_its_tables_says_what_to_do(gateway: Simulator, ledger: Ledger) -> None:
    refused = modica("campaign", "work")
    assert refused.exit_code == 2
    assert refused.stderr == "modica: the tables of procrastinate are missing or old: run modica campaign migrate\n"
    assert gateway.requests == []


def test_without_the_extra_a_worker_loops(
    gateway: Simulator, place: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_installed()
    monkeypatch.setattr("modica_facade.cli._campaign_engine.is_installed", lambda: False)
    assert "pip install '.[campaign]'" in modica("campaign", "migrate").stderr
    gateway.fail(status=401)
    assert modica("campaign", "work").exit_code == 1
    assert execute(place, "SELECT to_regclass('procrastinate_jobs')") == [(None,)]


def test_a_campaign_whose_text_is_refused_is_paused_and_others_go_on(
    gateway: Simulator, place: str, ledger: Ledger
) -> None:
    def stop_when_both_were_tried(_: object) -> bool:
        if len({request.body for request in gateway.requests}) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    migrate_engine(place)
    gateway.fail(match=stop_when_both_were_tried)
    gateway.fail(error="invalid_attrib", times=None, match=lambda request: b"Kia ora" in request.body)
    ledger.campaign("two", "Tena koutou").add([HERE])
    ledger.campaign("two").start()
    worked = modica("campaign", "work")
    assert worked.exit_code == 0
    assert "modica: campaign news-9 is paused: " in worked.stderr
    assert (ledger.campaigns(), sent_to(gateway)) == ({"news-9": "paused", "two": "finished"}, {HERE: 1})
    assert ledger.campaign("news-9").progress()["refused"] in {100, 200}  # two units may have been under way


def test_jobs_carry_a_name_and_no_lock_and_are_not_kept(gateway: Simulator, place: str, ledger: Ledger) -> None:
    migrate_engine(place)
    execute(place, "CREATE TABLE seen (args jsonb, lock text)")
    execute(
        place,
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO seen VALUES (NEW.args, NEW.lock); RETURN NEW; END';"
        "CREATE TRIGGER see BEFORE INSERT ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION see()",
    )
    gateway.fail(status=401)
    assert modica("campaign", "work").exit_code == 1
    seen = execute(place, "SELECT DISTINCT args, lock FROM seen WHERE NOT args ? 'timestamp'")
    assert seen == [({"campaign": "news-9"}, None)]
    assert execute(place, "SELECT count(*) FROM procrastinate_jobs WHERE status <> 'todo'") == [(0,)]


def test_a_job_of_a_worker_that_was_killed_is_given_back(gateway: Simulator, place: str, ledger: Ledger) -> None:
    def stuck() -> list[Any]:
        first = "worker_id = 1 OR worker_id IS NULL"
        return execute(place, f"SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND ({first})")

    migrate_engine(place)
    gateway.fail(delay=60, times=None)
    with process("campaign", "work") as worker:
        until(gateway, lambda: gateway.messages)
        worker.kill()
        worker.wait()
    assert stuck()
    gateway.remove_fault(gateway.faults[0])
    execute(place, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
    end = time.monotonic() + 60
    with process("campaign", "work") as worker:
        while stuck():
            assert time.monotonic() < end
        worker.terminate()
        assert worker.wait() == 0


def test_a_worker_that_loses_its_database_ends(gateway: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresServer() as server, Ledger(server.url) as ledger:
        monkeypatch.setenv("MODICA_LEDGER", server.url)
        assert modica("campaign", "migrate").exit_code == 0
        ledger.campaign("news-9", "Kia ora", rate=1).add(numbers(100))
        ledger.campaign("news-9").start()
        with process("campaign", "work") as worker:
            until(gateway, lambda: gateway.messages)
            server.kill()
            _, complaint = worker.communicate()
    assert worker.returncode in {3, 4}, complaint
    assert "database" in complaint.splitlines()[-1]
