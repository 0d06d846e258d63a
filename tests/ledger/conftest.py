"""The ledger on SQLite and on a real PostgreSQL: every test runs on both, on tables of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from modica_facade import Modica
from modica_facade.ledger import Ledger
from modica_facade.simulator import Simulator
from scripts.postgres_server import NoPostgresError, PostgresServer

_SCHEMAS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except NoPostgresError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger can be made: a new file, or an empty schema of the session's server."""
    if dialect == "sqlite":
        return str(tmp_path / "ledger.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    schema = f"test_{next(_SCHEMAS)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
    return f"{server.url}?options=-csearch_path%3D{schema}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as ledger:
        ledger.migrate()
        yield ledger


@pytest.fixture
def make_ledger(url: str) -> Iterator[Callable[..., Ledger]]:
    """Further ledgers on the same tables, as other processes have them."""
    made: list[Ledger] = []

    def make() -> Ledger:
        made.append(Ledger(url))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def modica(simulator: Simulator) -> Iterator[Modica]:
    with Modica("application", "password", base_url=simulator.base_url) as modica:
        yield modica
