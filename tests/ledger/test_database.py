"""Connections and transactions: migration, forks, failures, what a send costs, and what an error may not show."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer

from modica_facade import (
    ConfigurationError,
    DeliveryReceipt,
    Modica,
    ModicaError,
    NotSentError,
    OutcomeUnknownError,
    TransportError,
)
from modica_facade.ledger import AsyncLedger, Ledger, _database, _rows
from modica_facade.ledger import _statements as sql
from modica_facade.simulator import Simulator

NUMBER = "+64211234567"
SECRET = "s3cret-pa55"


@pytest.fixture
def modica(simulator: Simulator) -> Any:
    with Modica("application", "password", base_url=simulator.base_url) as modica:
        yield modica


# Tables


def test_two_processes_may_migrate_at_once(url: str) -> None:
    start = threading.Barrier(4)

    def migrate(_: int) -> None:
        with Ledger(url) as ledger:
            start.wait()
            ledger.migrate()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, range(4)))
    with Ledger(url) as ledger:
        assert ledger.counts()["queued"] == 0


def test_a_new_file_that_another_process_is_at_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To set the journal mode SQLite may need a lock that it does not wait for; a transaction waits."""
    monkeypatch.setattr(_database, "BUSY_TIMEOUT", 0.0)
    other = sqlite3.connect(tmp_path / "sms.db", isolation_level=None)
    begin = _database.Sqlite.begin

    def begin_after_the_other(dialect: _database.Sqlite, connection: Any, mode: _database.Mode) -> None:
        other.close()
        begin(dialect, connection, mode)

    monkeypatch.setattr(_database.Sqlite, "begin", begin_after_the_other)
    other.execute("BEGIN EXCLUSIVE")
    with Ledger(tmp_path / "sms.db") as ledger:
        ledger.migrate()
        assert ledger.counts()["queued"] == 0


def test_every_call_on_an_empty_database_says_what_to_do(url: str, modica: Modica) -> None:
    ledger = Ledger(url)
    calls: list[Callable[[], object]] = [
        lambda: ledger.send(modica, NUMBER, "Kia ora", reference="order-42"),
        lambda: ledger.broadcast(modica, [NUMBER], "Kia ora", reference="news"),
        lambda: ledger.enqueue(NUMBER, "Kia ora", reference="order-42"),
        lambda: ledger.work(modica),
        lambda: ledger.record(DeliveryReceipt("7", "received")),
        lambda: ledger.entry("order-42"),
        lambda: ledger.unresolved(),
        lambda: ledger.reconcile(modica),
        lambda: ledger.counts(),
        lambda: ledger.campaign("news", "Kia ora"),
    ]
    with ledger:
        for call in calls:
            with pytest.raises(ConfigurationError, match=r"call migrate\(\)"):
                call()


def test_the_ddl_makes_the_same_tables(url: str, modica: Modica, dialect: str) -> None:
    connection: Any = sqlite3.connect(url) if dialect == "sqlite" else psycopg.connect(url)
    assert Ledger.ddl(dialect) == AsyncLedger.ddl(dialect)
    for statement in Ledger.ddl(dialect):
        connection.execute(statement)
    connection.commit()
    connection.close()
    with Ledger(url) as ledger:
        assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"
        ledger.migrate()
        assert ledger.counts()["submitted"] == 1
    assert Ledger.ddl(dialect, after=_database.SCHEMA_VERSION) == []


def test_tables_of_a_newer_version_are_refused(blocking: Ledger, url: str, dialect: str) -> None:
    connection: Any = sqlite3.connect(url) if dialect == "sqlite" else psycopg.connect(url)
    connection.execute("UPDATE modica_schema SET version = 99")
    connection.commit()
    connection.close()
    with Ledger(url) as ledger:
        for call in ledger.counts, ledger.migrate:
            with pytest.raises(ConfigurationError, match=r"version 99.*upgrade modica-facade"):
                call()


def test_ledgers_with_different_prefixes_know_nothing_of_each_other(url: str, modica: Modica) -> None:
    with Ledger(url, prefix="one_") as one, Ledger(url, prefix="two_") as two:
        one.migrate()
        with pytest.raises(ConfigurationError):
            two.counts()
        two.migrate()
        one.send(modica, NUMBER, "Kia ora", reference="order-42")
        assert two.entry("order-42") is None


@pytest.mark.parametrize("prefix", ["", "Modica_", "a;b", 'a"b', "1_", "a.b_", "x" * 40, None])
def test_a_prefix_is_a_plain_name(prefix: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        Ledger(tmp_path / "sms.db", prefix=prefix)
    with pytest.raises(ConfigurationError, match="prefix"):
        Ledger.ddl("sqlite", prefix=prefix)


def test_the_numbered_files_are_those_that_the_code_knows() -> None:
    files = sorted(path.name for path in (Path(_database.__file__).parent / "sql").iterdir())
    assert files == [f"{number:04}.sql" for number in range(1, _database.SCHEMA_VERSION + 1)]


def test_nothing_is_unique_that_a_gateway_gives_out(blocking: Ledger) -> None:
    """A unique index on message_id fails after the SMS went out."""
    assert not [statement for statement in Ledger.ddl("sqlite") if "UNIQUE" in statement and "(message_id" in statement]


# What it takes


@pytest.mark.parametrize("kind", [Ledger, AsyncLedger])
@pytest.mark.parametrize("target", ["mysql://host/db", "sqlite:///sms.db", "postgresql+psycopg://host/db", "http://x"])
def test_another_scheme_is_refused_without_repeating_the_rest(kind: type[Any], target: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{target.partition(':')[0].replace('+', '.')}://: give"):
        kind(target)


def test_there_is_ddl_for_two_dialects() -> None:
    with pytest.raises(ConfigurationError, match="must be one of sqlite, postgresql"):
        Ledger.ddl("mysql")


@pytest.mark.parametrize("target", [None, 7, b"sms.db", "", ":memory:"])
def test_what_is_no_place_is_refused(target: Any) -> None:
    with pytest.raises(ConfigurationError):
        Ledger(target)


def test_a_relative_path_is_one_file_wherever_the_program_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Ledger("sms.db") as ledger:
        ledger.migrate()
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert ledger.enqueue(NUMBER, "Kia ora", reference="order-42").state == "queued"
    assert list(Path().iterdir()) == []


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no RETURNING."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(ConfigurationError, match=r"SQLite 3\.35 or newer"):
        Ledger("sms.db")


def test_psycopg_is_asked_for_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install '.*\[postgres\]'"):
        Ledger("postgresql://localhost/sms")


def test_importing_the_package_does_not_notice_the_ledger() -> None:
    code = (
        # What was there before: counting the lines of a subprocess brings sqlite3 along.
        "import sys; before = set(sys.modules); import modica_facade; new = set(sys.modules) - before; "
        "assert not [name for name in new if 'ledger' in name or name in ('sqlite3', 'psycopg')]; "
        "import modica_facade.ledger; assert 'psycopg' not in sys.modules and 'httpx' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_closed_ledger_says_so(blocking: Ledger) -> None:
    blocking.counts()
    blocking.close()
    blocking.close()
    with pytest.raises(ConfigurationError, match="closed"):
        blocking.counts()


def test_a_ledger_is_neither_pickled_nor_copied(blocking: Ledger) -> None:
    for each in blocking, AsyncLedger("sms.db"):
        with pytest.raises(TypeError, match="make one where it is needed"):
            pickle.dumps(each)
        with pytest.raises(TypeError, match="make one where it is needed"):
            copy.copy(each)


# Secrets


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@127.0.0.1:1/sms",
        f"postgresql://user@127.0.0.1:1/sms?password={SECRET}",
        f"postgresql://user:{SECRET}/x@127.0.0.1:1/sms",
        f"postgresql://user:{SECRET}",
        f"postgresql://user:a@{SECRET}@127.0.0.1/sms",
        f"postgres://user:{SECRET}@127.0.0.1:port/sms",
        f"mysql://user:{SECRET}@127.0.0.1/sms",
    ],
)
def test_the_password_of_a_url_is_never_shown(url: str) -> None:
    shown: list[str] = []
    try:
        ledger = Ledger(url)
        shown += [repr(ledger), str(ledger), repr(AsyncLedger(url)), repr(ledger._database)]
        ledger.counts()
    except ModicaError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        for frame in report.stack:
            # The caller's own frame has the URL, of course.
            if frame.name == "test_the_password_of_a_url_is_never_shown":
                frame.locals = None
        shown += [repr(error), *report.format()]
    assert SECRET not in "".join(shown)
    assert any("Error" in line for line in shown)


def test_a_ledger_shows_where_it_is_kept_in_general(blocking: Ledger, dialect: str) -> None:
    assert repr(blocking) == f"Ledger({dialect}, prefix='modica_')"


# Failures


class Unreachable(Modica):
    """Nothing may be asked of it."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the gateway was asked")


@pytest.fixture
def unreachable() -> Any:
    with Unreachable("application", "password") as unreachable:
        yield unreachable


def test_a_file_that_cannot_be_written_sends_nothing(
    tmp_path: Path, unreachable: Modica, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sms.db"
    with Ledger(path) as ledger:
        ledger.migrate()

    connect = _database.Sqlite.connect

    def read_only(self: _database.Sqlite) -> Any:
        connection = connect(self)
        connection.execute("PRAGMA query_only = ON")
        return connection

    monkeypatch.setattr(_database.Sqlite, "connect", read_only)
    with Ledger(path) as ledger, pytest.raises(NotSentError, match="readonly database; let this process write"):
        ledger.send(unreachable, NUMBER, "Kia ora", reference="order-42")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="file modes mean nothing to root")
def test_a_read_only_file_sends_nothing(tmp_path: Path, unreachable: Modica) -> None:
    path = tmp_path / "sms.db"
    with Ledger(path) as ledger:
        ledger.migrate()
    path.chmod(0o444)
    with Ledger(path) as ledger, pytest.raises(NotSentError):
        ledger.send(unreachable, NUMBER, "Kia ora", reference="order-42")


def test_a_full_disk_sends_nothing(tmp_path: Path, unreachable: Modica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rows, "MAX_LABEL", 100_000)  # one row that certainly needs another page
    with Ledger(tmp_path / "sms.db") as ledger:
        ledger.migrate()
        ledger.counts()
        (idle,) = ledger._database._idle
        ((pages,),) = idle.run("PRAGMA page_count")
        idle.run(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(NotSentError, match="disk is full; make room"):
            ledger.send(unreachable, NUMBER, "Kia ora", reference="x" * 100_000)


def test_a_failed_transaction_lets_go_of_the_file_while_its_error_is_kept(
    tmp_path: Path, modica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames of the error refer to the cursor: SQLite takes a connection with one for not wholly closed."""
    monkeypatch.setattr(_rows, "MAX_LABEL", 100_000)
    monkeypatch.setattr(_database, "BUSY_TIMEOUT", 0.0)
    with Ledger(tmp_path / "sms.db") as ledger, Ledger(tmp_path / "sms.db") as other:
        ledger.migrate()
        with ledger._database.transaction() as idle:
            ((pages,),) = idle.run("PRAGMA page_count")
            idle.run(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(NotSentError) as kept:
            ledger.send(modica, NUMBER, "Kia ora", reference="o" * 100_000)
        assert kept.tb is not None
        assert other.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"


def test_an_interrupt_before_the_intent_is_committed_sends_nothing_and_keeps_no_lock(
    tmp_path: Path, modica: Any, unreachable: Modica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement that writes and commits by itself is half executed then."""

    class Interrupted(sqlite3.Cursor):
        def execute(self, statement: str, *parameters: Any) -> Any:
            self.statement = statement
            return super().execute(statement, *parameters)

        def fetchall(self) -> Any:
            if "INSERT" in self.statement:
                raise KeyboardInterrupt
            return super().fetchall()

    monkeypatch.setattr(_database, "BUSY_TIMEOUT", 0.0)
    with Ledger(tmp_path / "sms.db") as ledger, Ledger(tmp_path / "sms.db") as other:
        ledger.migrate()
        with monkeypatch.context() as patch:
            patch.setattr(_database.Sqlite, "cursor", lambda _self, connection: connection.cursor(Interrupted))
            with pytest.raises(KeyboardInterrupt) as kept:
                ledger.send(unreachable, NUMBER, "Kia ora", reference="order-42")
        assert kept.tb is not None
        assert other.send(modica, NUMBER, "Kia ora", reference="order-43").state == "submitted"


@pytest.mark.parametrize(
    ("path", "match"), [("no/such/folder/sms.db", "check that the folder exists"), (__file__, "not an SQLite database")]
)
def test_a_path_that_is_no_database_says_so(
    path: str, match: str, tmp_path: Path, unreachable: Modica, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[sqlite3.Connection] = []
    original = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **options: made.append(original(*args, **options)) or made[-1]
    )
    with Ledger(tmp_path / path) as ledger:
        with pytest.raises(NotSentError, match=match):
            ledger.send(unreachable, NUMBER, "Kia ora", reference="order-42")
        with pytest.raises(TransportError, match=match):
            ledger.counts()
    assert len(made) == (2 if path == __file__ else 0)
    for each in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            each.execute("SELECT 1")


def test_a_locked_file_sends_nothing(tmp_path: Path, unreachable: Modica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_database, "BUSY_TIMEOUT", 0.01)
    with Ledger(tmp_path / "sms.db") as ledger:
        ledger.migrate()
        holder = sqlite3.connect(tmp_path / "sms.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotSentError, match="is locked; somebody held"):
            ledger.send(unreachable, NUMBER, "Kia ora", reference="order-42")
        holder.close()


def test_a_connection_that_could_not_begin_is_not_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_database, "BUSY_TIMEOUT", 0.01)
    with Ledger(tmp_path / "sms.db") as ledger, sqlite3.connect(tmp_path / "sms.db", isolation_level=None) as holder:
        ledger.migrate()
        ledger.counts()
        (idle,) = ledger._database._idle
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransportError, match="is locked; somebody held"):
            ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            idle.connection.execute("SELECT 1")
        holder.execute("ROLLBACK")
        assert ledger.enqueue(NUMBER, "Kia ora", reference="order-42").state == "queued"
    holder.close()


@pytest.mark.slow
def test_a_database_that_is_gone_before_the_request_sends_nothing(unreachable: Modica) -> None:
    with PostgresServer() as server, Ledger(server.url) as ledger:
        ledger.migrate()
        server.stop()
        with pytest.raises(NotSentError, match="nothing was sent"):
            ledger.send(unreachable, NUMBER, "Kia ora", reference="order-42")
        with pytest.raises(TransportError):
            ledger.counts()
        server.start()
        assert ledger.counts()["in_doubt"] == 0


@pytest.mark.slow
def test_a_server_that_came_back_is_not_noticed(modica: Modica) -> None:
    with PostgresServer() as server, Ledger(server.url) as ledger:
        ledger.migrate()
        ledger.counts()
        server.kill()
        server.start()
        assert ledger.send(modica, NUMBER, "Kia ora", reference="order-42").state == "submitted"


@pytest.mark.slow
def test_a_database_that_goes_away_during_a_request_leaves_the_message_in_doubt(simulator: Simulator) -> None:
    with PostgresServer() as server, Ledger(server.url) as ledger:
        ledger.migrate()

        class Stopping(Modica):
            def send(self, *args: Any, **kwargs: Any) -> Any:
                sent = super().send(*args, **kwargs)
                server.kill()
                return sent

        with Stopping("application", "password", base_url=simulator.base_url) as stopping:
            with pytest.raises(OutcomeUnknownError, match="do not send it again") as caught:
                ledger.send(stopping, NUMBER, "Kia ora", reference="order-42")
            assert caught.value.reference == "order-42"
            server.start()
            assert ledger.send(stopping, NUMBER, "Kia ora", reference="order-42").state == "in_doubt"
        assert len(simulator.messages) == 1
        moved = ledger.record(DeliveryReceipt(simulator.messages[0].id, "received", "order-42"))
        assert moved is not None
        assert moved.state == "submitted"


@pytest.mark.slow
def test_a_failure_to_note_a_failure_does_not_hide_it(simulator: Simulator) -> None:
    with PostgresServer() as server, Ledger(server.url) as ledger:
        ledger.migrate()

        class Stopping(Modica):
            def send(self, *args: Any, **kwargs: Any) -> Any:
                server.kill()
                return super().send(*args, **kwargs)

        simulator.fail(status=401)
        stopping = Stopping("application", "password", base_url=simulator.base_url)
        with stopping, pytest.raises(ModicaError, match="401") as caught:
            ledger.send(stopping, NUMBER, "Kia ora", reference="order-42")
        assert "stays in doubt" in "".join(caught.value.__notes__)
        server.start()
        assert ledger.counts()["in_doubt"] == 1


def test_an_exception_in_a_transaction_rolls_it_back(blocking: Ledger) -> None:
    def fail() -> None:
        with blocking._database.transaction() as transaction:
            transaction.run("INSERT INTO {p}message (destination, state) VALUES ('+64211234567', 'queued')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert blocking.counts()["queued"] == 0


def test_an_exception_is_not_hidden_by_a_connection_that_cannot_roll_back(blocking: Ledger) -> None:
    def fail() -> None:
        with blocking._database.transaction() as transaction:
            transaction.connection.close()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert blocking.counts()["queued"] == 0


def test_a_transaction_that_outlives_its_ledger_ends_with_its_connection(blocking: Ledger) -> None:
    with blocking._database.transaction("read") as transaction:
        blocking.close()
        assert transaction.run("SELECT 7") == [(7,)]
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        transaction.connection.execute("SELECT 7")


# Processes and threads


def _send_in_child(ledger: Ledger, base_url: str) -> None:
    with Modica("application", "password", base_url=base_url) as modica:
        ledger.send(modica, NUMBER, "Kia ora", reference="child")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_connections_of_its_own(blocking: Ledger, simulator: Simulator) -> None:
    blocking.counts()
    child = multiprocessing.get_context("fork").Process(target=_send_in_child, args=(blocking, simulator.base_url))
    child.start()
    child.join()
    assert child.exitcode == 0
    entry = blocking.entry("child")
    assert entry is not None
    assert entry.state == "submitted"


def test_writers_wait_for_each_other(blocking: Ledger, url: str) -> None:
    """With a deferred BEGIN most of these fail at once, whatever the time-out."""
    start = threading.Barrier(8)

    def queue(worker: int) -> None:
        with Ledger(url) as ledger:
            start.wait()
            for number in range(25):
                ledger.enqueue(NUMBER, "Kia ora", reference=f"{worker}-{number}")
                ledger.cancel(reference=f"{worker}-{number}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(queue, range(8)))
    assert blocking.counts()["cancelled"] == 200


# What a send costs


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that the drivers are given, with the transactions around them."""
    statements: list[str] = []

    class Recording:
        def __init__(self, target: Any) -> None:
            self._target = target

        def __getattr__(self, name: str) -> Any:
            return getattr(self._target, name)

        def execute(self, statement: str, *arguments: Any) -> Any:
            statements.append(statement)
            return self._target.execute(statement, *arguments)

        def cursor(self, **options: Any) -> Any:
            return Recording(self._target.cursor(**options))

    for kind in _database.Sqlite, _database.Postgres:
        connect, cursor = kind.connect, kind.cursor
        monkeypatch.setattr(kind, "connect", lambda self, connect=connect: Recording(connect(self)))
        if kind is _database.Sqlite:
            monkeypatch.setattr(kind, "cursor", lambda self, connection: connection.cursor())
        assert cursor
    return statements


def test_a_send_is_two_transactions_of_at_most_two_statements(
    executed: list[str], url: str, modica: Modica, dialect: str
) -> None:
    with Ledger(url) as ledger:
        ledger.migrate()
        ledger.send(modica, NUMBER, "Kia ora", reference="order-1")
        executed.clear()
        ledger.send(modica, NUMBER, "Kia ora", reference="order-2")
    statements = [each.split()[0] for each in executed if not each.startswith("PRAGMA")]
    # SQLite commits a statement outside of a transaction by itself, and it is as durable.
    intent = ["INSERT"] if dialect == "sqlite" else ["BEGIN", "INSERT", "COMMIT"]
    assert statements == [*intent, "BEGIN", "DELETE", "UPDATE", "COMMIT"]
    # The intent is on the disk before the request; the settling may be lost, which leaves the message in doubt.
    if dialect == "sqlite":
        assert [each for each in executed if "synchronous" in each] == [
            "PRAGMA synchronous = FULL",
            "PRAGMA synchronous = NORMAL",
        ]
    else:
        assert ["synchronous_commit" in each for each in executed if each.startswith("BEGIN")] == [False, True]


_SENDS = """
import sys
from modica_facade import SubmittedMessage
from modica_facade.ledger import Ledger

class Nowhere:
    def send(self, destination, content, *, reference):
        return SubmittedMessage("12345", destination, reference)

    def get(self, message_id):
        pass

with Ledger(sys.argv[1]) as ledger:
    for number in range(int(sys.argv[2])):
        ledger.send(Nowhere(), "+64211234567", "Kia ora", reference=f"{sys.argv[2]}-{number}")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace counts the calls, and is not here")
def test_a_send_is_one_fsync_on_sqlite(tmp_path: Path) -> None:
    with Ledger(tmp_path / "sms.db") as ledger:
        ledger.migrate()

    def syncs(sends: int) -> int:
        calls = tmp_path / "calls"
        strace = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", calls]
        done = subprocess.run([*strace, sys.executable, "-c", _SENDS, tmp_path / "sms.db", str(sends)], check=False)
        if done.returncode and not calls.read_text():
            pytest.skip("strace may not trace a process here")
        return calls.read_text().count("sync(")

    # Whatever opening and closing the file takes is in both.
    assert syncs(30) - syncs(10) == 20


@pytest.mark.slow
def test_a_send_is_one_fsync_on_postgresql(modica: Modica) -> None:
    # The server's own processes hardly sync: what waits for no disk is written by the commit after it.
    with PostgresServer(fsync=True, settings=["wal_writer_delay=10000", "autovacuum=off"]) as server:
        with Ledger(server.url) as ledger:
            ledger.migrate()

        def syncs() -> int:
            with psycopg.connect(server.url, autocommit=True) as connection:
                ledgers = "SELECT FROM pg_stat_activity WHERE application_name = 'modica-facade ledger'"
                while connection.execute(ledgers).fetchone() is not None:
                    pass  # it says what it did as it ends
                found = connection.execute(
                    "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"
                    if connection.info.server_version >= 180000
                    else "SELECT wal_sync FROM pg_stat_wal"
                ).fetchone()
                assert found is not None
                return int(found[0])

        before = syncs()
        with Ledger(server.url) as ledger:
            for number in range(50):
                ledger.send(modica, NUMBER, "Kia ora", reference=f"order-{number}")
        assert 50 <= syncs() - before < 60


def test_sqlite_writers_begin_immediately(executed: list[str], tmp_path: Path) -> None:
    with Ledger(tmp_path / "sms.db") as ledger:
        ledger.migrate()
        ledger.enqueue(NUMBER, "Kia ora", reference="order-42")
        ledger.counts()
    begun = [statement for statement in executed if statement.startswith("BEGIN")]
    assert begun == ["BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN"]


# Which index a claim takes


@pytest.mark.parametrize("campaign", [None, "news"])
def test_a_claim_reads_the_index_in_its_order(blocking: Ledger, dialect: str, campaign: str | None) -> None:
    """Any other order sorts everything that is queued, for each claim."""
    database = blocking._database
    blocking.campaign("news", "Kia ora").add(f"+64211{number}" for number in range(100_000, 102_000))
    claim = sql.CLAIM_SINGLE if campaign is None else sql.CLAIM_IN_CAMPAIGN
    explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
    values: dict[str, Any] = {"now": database.now(), "account": "v1", "room": 100}
    if campaign is not None:
        values["campaign"] = campaign
    with database.transaction() as transaction:
        if dialect == "postgresql":
            transaction.run("ANALYZE {p}message")
        plan = "\n".join(str(line) for line in transaction.run(explain + claim, **values))
    assert "modica_message_queued" in plan
    assert "sort" not in plan.lower().replace("sorted", "")
    assert "temp b-tree" not in plan.lower()
