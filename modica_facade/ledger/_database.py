"""Connections and transactions, on SQLite or PostgreSQL: everything in which the two drivers differ is here."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from attrs import frozen

from .. import _arguments  # pyright: ignore[reportPrivateUsage] - for its clock, see `_utc_now`
from ..errors import ConfigurationError, InvalidRequestError, TransportError
from ._statements import COLUMNS

DialectName = Literal["sqlite", "postgresql"]
Mode = Literal["durable", "single", "fast", "read"]
"""How a transaction is committed: on the disk when it returns; the same, for one statement that writes; soon (it
survives this process, perhaps not a power cut); or nothing is written."""

SCHEMA_VERSION: Final = 1
"""Number of the newest file in ``sql/``."""

BUSY_TIMEOUT: Final = 30.0
"""Seconds that a writer waits for another one on SQLite."""

_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,30}")
_NAME = re.compile(r"(?<!:):([a-z_]+)")
# What libpq reads, without the characters that would make it read a part of the password as host, port or database.
_POSTGRES_URL = re.compile(
    r"postgres(?:ql)?://(?:[^:@/?#\s]*(?::[^@/?#\s]*)?@)?(?:\[[0-9A-Fa-f:.]*\]|[^@/?#\s:\[\]]*)(?::\d+)?"
    r"(?:,(?:\[[0-9A-Fa-f:.]*\]|[^@/?#\s:\[\],]*)(?::\d+)?)*(?:/[^@/?#\s:]*)?(?:\?[^#\s]*)?"
)
_MIGRATE = "the ledger's tables are missing or older than this package: call migrate(), or apply ddl()"


@frozen(kw_only=True)
class Fragments:
    """SQL that the dialects write differently; `Transaction.run` puts it into a statement's braces."""

    id: str
    time: str
    skip_locked: str
    clock: str
    greatest: str
    each: str
    each_row: str
    text_of: str
    integer_of: str


class Dialect(Protocol):
    """A driver, as far as the ledger needs one."""

    name: DialectName
    is_remote: bool
    fragments: Fragments
    lock_receipts: str | None
    lock_schema: str | None
    table_exists: str

    @property
    def error(self) -> type[Exception]:
        """What the driver's exceptions have in common."""
        ...

    def connect(self) -> Any: ...
    def begin(self, cursor: Any, mode: Mode) -> None: ...
    def commit(self, cursor: Any) -> None: ...
    def cursor(self, connection: Any) -> Any: ...
    def owns(self, connection: object) -> bool: ...
    def translate(self, statement: str) -> str: ...
    def parameters(self, values: dict[str, Any]) -> dict[str, Any]: ...
    def explain(self, error: Exception) -> str: ...
    def is_missing_table(self, error: Exception) -> bool: ...


class _Connection(sqlite3.Connection):
    synchronous: str | None = None


class Sqlite:
    """The standard library's ``sqlite3``, one file."""

    name: DialectName = "sqlite"
    is_remote = False
    fragments = Fragments(
        id="INTEGER PRIMARY KEY",
        time="TEXT",
        skip_locked="",
        clock="((julianday('now') - 2440587.5) * 86400.0)",
        greatest="max",
        each="json_each(:each)",
        each_row="json_each(:each)",
        text_of="json_extract(value, '$.{}')",
        integer_of="json_extract(value, '$.{}')",
    )
    # Writers come one after the other anyway.
    lock_receipts: str | None = None
    lock_schema: str | None = None
    table_exists = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
    error = sqlite3.Error

    _ADVICE: Final[Mapping[str, str]] = {
        "SQLITE_READONLY": "let this process write to the file and its folder",
        "SQLITE_CANTOPEN": "check that the folder exists and that this process may write there",
        "SQLITE_FULL": "make room on the disk",
        "SQLITE_BUSY": f"somebody held the file's lock for {BUSY_TIMEOUT:g} s; end that transaction",
        "SQLITE_NOTADB": "that file is not an SQLite database; give another path",
    }

    def __init__(self, path: str) -> None:
        if sqlite3.sqlite_version_info < (3, 35):
            raise ConfigurationError(
                f"the ledger needs SQLite 3.35 or newer, not {sqlite3.sqlite_version}; use a newer Python or PostgreSQL"
            )
        if not path or path == ":memory:":
            raise ConfigurationError("give the path of a file: a ledger in memory forgets what was sent")
        # A program that changes its folder afterwards must not begin a second ledger there.
        self._path = str(Path(path).absolute())

    def connect(self) -> _Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        try:
            # Readers do not wait for writers, and a settling costs no fsync.
            connection.execute("PRAGMA journal_mode = WAL")
        except BaseException as error:
            # Where two begin with a new file, this does not wait as every other statement does. The mode is the file's:
            # it is enough that one of them sets it.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                connection.close()
                raise
        return connection

    _SYNCHRONOUS: Final[Mapping[Mode, str]] = {
        "durable": "PRAGMA synchronous = FULL",
        "single": "PRAGMA synchronous = FULL",
        "fast": "PRAGMA synchronous = NORMAL",
    }

    def begin(self, cursor: Any, mode: Mode) -> None:
        if mode == "read":
            cursor.execute("BEGIN")
            return
        connection, pragma = cursor.connection, self._SYNCHRONOUS[mode]
        if connection.synchronous != pragma:
            cursor.execute(pragma)
            connection.synchronous = pragma
        # A statement that writes outside of a transaction waits for others as BEGIN IMMEDIATE does, and commits itself.
        if mode != "single":
            # A deferred one fails at once, whatever the time-out, if another wrote since it began to read.
            cursor.execute("BEGIN IMMEDIATE")

    def commit(self, cursor: Any) -> None:
        if cursor.connection.in_transaction:
            cursor.execute("COMMIT")

    def cursor(self, connection: Any) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = connection.cursor()
        cursor.row_factory = None  # a caller's connection may have one
        return cursor

    def owns(self, connection: object) -> bool:
        return isinstance(connection, sqlite3.Connection)

    def translate(self, statement: str) -> str:
        return statement

    def parameters(self, values: dict[str, Any]) -> dict[str, Any]:
        for name, value in values.items():
            if isinstance(value, datetime):
                # In UTC and of one length, so that texts compare as the times do.
                values[name] = value.astimezone(UTC).isoformat(" ", "microseconds")
        return values

    def explain(self, error: Exception) -> str:
        code = getattr(error, "sqlite_errorname", None) or ""
        advice = next((advice for name, advice in self._ADVICE.items() if code.startswith(name)), "")
        return f"{error}; {advice}" if advice else str(error)

    def is_missing_table(self, error: Exception) -> bool:
        return str(error).startswith("no such table")


class Postgres:
    """PostgreSQL through psycopg 3, which is imported here and only when it is wanted."""

    name: DialectName = "postgresql"
    is_remote = True
    fragments = Fragments(
        id="BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        time="TIMESTAMPTZ",
        skip_locked="FOR UPDATE SKIP LOCKED",
        clock="EXTRACT(EPOCH FROM clock_timestamp())",
        greatest="greatest",
        each="json_array_elements_text(CAST(:each AS json)) AS each (value)",
        each_row="json_array_elements(CAST(:each AS json)) AS each (value)",
        text_of="value ->> '{}'",
        integer_of="CAST(value ->> '{}' AS bigint)",
    )
    lock_receipts: str | None = "LOCK TABLE {p}receipt IN SHARE ROW EXCLUSIVE MODE"
    lock_schema: str | None = "SELECT pg_advisory_xact_lock(hashtext('{p}schema'))"
    table_exists = "SELECT 1 WHERE to_regclass(:name) IS NOT NULL"

    def __init__(self, url: str) -> None:
        if not _POSTGRES_URL.fullmatch(url):
            raise ConfigurationError(
                "the ledger's URL cannot be read: write postgresql://user:password@host:port/database, "
                "special characters in it percent-encoded"
            )
        try:
            import psycopg
            import psycopg.rows
        except ImportError as error:
            raise ConfigurationError(
                "a ledger on PostgreSQL needs psycopg: pip install '.[postgres]' in a checkout of modica-facade"
            ) from error
        self._psycopg = psycopg
        self.__url = url

    @property
    def error(self) -> type[Exception]:
        return self._psycopg.Error

    def connect(self) -> Any:
        try:
            return self._psycopg.connect(self.__url, autocommit=True, application_name="modica-facade ledger")
        except self._psycopg.Error as error:
            # Its frames have the password among their locals.
            failure = type(error)(str(error))
        raise failure

    _BEGIN: Final[Mapping[Mode, str]] = {
        "durable": "BEGIN ISOLATION LEVEL READ COMMITTED",
        "single": "BEGIN ISOLATION LEVEL READ COMMITTED",
        "fast": "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit TO off",
        "read": "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
    }

    def begin(self, cursor: Any, mode: Mode) -> None:
        cursor.execute(self._BEGIN[mode])

    def commit(self, cursor: Any) -> None:
        cursor.execute("COMMIT")

    def cursor(self, connection: Any) -> Any:
        return connection.cursor(row_factory=self._psycopg.rows.tuple_row)

    def owns(self, connection: object) -> bool:
        return isinstance(connection, self._psycopg.Connection)

    def translate(self, statement: str) -> str:
        return _NAME.sub(r"%(\1)s", statement)

    def parameters(self, values: dict[str, Any]) -> dict[str, Any]:
        return values

    def explain(self, error: Exception) -> str:
        # The details behind the first line may hold numbers.
        return str(error).partition("\n")[0] or type(error).__name__

    def is_missing_table(self, error: Exception) -> bool:
        return isinstance(error, self._psycopg.errors.UndefinedTable)


_DIALECTS: Final[Mapping[str, type[Dialect]]] = {"sqlite": Sqlite, "postgresql": Postgres}


def dialect_for(url_or_path: str | os.PathLike[str]) -> Dialect:
    """The dialect that a URL or a path asks for.

    Raises:
        ConfigurationError: neither; or a URL of something else.
    """
    target = os.fspath(url_or_path) if isinstance(url_or_path, str | os.PathLike) else None
    if not isinstance(target, str):
        raise ConfigurationError("give the ledger the path of an SQLite file, or a postgresql:// URL, as str")
    scheme, separator, _ = target.partition("://")
    if not separator:
        return Sqlite(target)
    if scheme in {"postgresql", "postgres"}:
        return Postgres(target)
    raise ConfigurationError(
        f"a ledger cannot be kept in {scheme}://: give the path of an SQLite file, or a postgresql:// URL"
    )


def _utc_now() -> datetime:
    """The client's clock, looked up at each call: a test that replaces it replaces that of the ledger too."""
    return _arguments.utc_now()


class Transaction:
    """A connection in a transaction, and its cursor; afterwards it waits for the next one.

    In a ``with`` statement it commits at the end of the block. If that raises it rolls back, and the connection is
    closed.
    """

    def __init__(self, database: Database, connection: Any) -> None:
        self.connection = connection
        self.cursor = database.dialect.cursor(connection)
        self.failure: type[TransportError] = TransportError
        self.consequence = "call again later"
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.end(self, error)

    def close(self) -> None:
        """Close the connection, whatever it is doing."""
        # SQLite would not let go of the file while anybody refers to a cursor, as the frames of an exception do.
        for end in self.cursor.close, self.connection.rollback, self.connection.close:
            with contextlib.suppress(self._database.dialect.error):
                end()

    def now(self) -> datetime:
        """The time by the ledger's clock."""
        return self._database.now()

    def run(self, template: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Execute one statement and return its rows, if it has any."""
        cursor = self.cursor
        cursor.execute(self._database.statement(template), self._database.dialect.parameters(parameters))
        return cursor.fetchall() if cursor.description else []

    def change(self, template: str, **parameters: Any) -> int:
        """Execute one statement that has no rows, and return how many it changed."""
        self.run(template, **parameters)
        return int(self.cursor.rowcount)

    def lock_receipts(self) -> None:
        """Wait for every transaction that looks at kept receipts, and keep others from beginning to."""
        if self._database.dialect.lock_receipts:
            self.run(self._database.dialect.lock_receipts)


class Database:
    """The tables of one ledger. Each transaction has a connection for itself; idle ones are kept.

    Args:
        url_or_path: where.
        prefix: what the names of its tables begin with.

    Raises:
        ConfigurationError: one of them cannot be used.
    """

    def __init__(self, url_or_path: str | os.PathLike[str], prefix: str) -> None:
        self.prefix = _check_prefix(prefix)
        self.dialect = dialect_for(url_or_path)
        self.statement = functools.cache(self._statement)
        self._idle: list[Transaction] = []
        self._process = os.getpid()
        self._inherited: list[list[Transaction]] = []
        self._closed = False
        self.now: Callable[[], datetime] = _utc_now

    def transaction(
        self,
        mode: Mode = "durable",
        *,
        failure: type[TransportError] = TransportError,
        consequence: str = "call again later",
    ) -> Transaction:
        """A transaction that has begun.

        Args:
            mode: `Mode`.
            failure: what is raised if the database fails, now or later.
            consequence: what that means for the caller.
        """
        try:
            transaction = self._begin(mode)
        except self.dialect.error as error:
            raise self._failure(error, failure, consequence) from error
        transaction.failure, transaction.consequence = failure, consequence
        return transaction

    def end(self, transaction: Transaction, error: BaseException | None) -> None:
        """Commit, or roll back because of an error."""
        if error is None:
            try:
                self.dialect.commit(transaction.cursor)
            except BaseException as failure:
                self._abandon(transaction, failure)
                raise
            self._release(transaction)
        else:
            self._abandon(transaction, error)

    @contextlib.contextmanager
    def caller_transaction(self, connection: object) -> Generator[Transaction]:
        """A transaction of the caller's, which neither commits nor rolls back here.

        Raises:
            InvalidRequestError: that is not a connection of this dialect's driver.
        """
        if not self.dialect.owns(connection):
            driver = "sqlite3.Connection" if self.dialect.name == "sqlite" else "psycopg.Connection"
            raise InvalidRequestError(
                f"connection must be a {driver}, not {type(connection).__name__}; "
                "SQLAlchemy has it as connection.driver_connection, Django as connection.connection",
                field="connection",
            )
        try:
            yield Transaction(self, connection)
        except self.dialect.error as error:
            raise self._failure(error, TransportError, "nothing was queued; roll back and call again") from error

    def migrate(self) -> None:
        """Bring the tables to `SCHEMA_VERSION`, in one transaction; two processes may do it at once."""
        tables = None
        try:
            tables = Transaction(self, self.dialect.connect())
            self.dialect.begin(tables.cursor, "durable")
            if self.dialect.lock_schema:
                tables.run(self.dialect.lock_schema)
            for statement in ddl(self.dialect.name, self.prefix, after=self._version(tables)):
                tables.run(statement)
            self.dialect.commit(tables.cursor)
        except self.dialect.error as error:
            raise self._failure(error, TransportError, "call migrate() again") from error
        finally:
            if tables is not None:
                tables.close()

    def close(self) -> None:
        """Close the idle connections; those in use close when their transaction ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _statement(self, template: str) -> str:
        return self.dialect.translate(_fill(template, self.dialect, self.prefix))

    def _begin(self, mode: Mode) -> Transaction:
        if self._closed:
            raise ConfigurationError("the ledger is closed; make another one")
        if self._process != os.getpid():
            # After a fork the connections are the parent's: used here they would mix two conversations, closed here
            # they would end the parent's.
            self._inherited.append(self._idle)
            self._idle, self._process = [], os.getpid()
        while True:
            try:
                transaction = self._idle.pop()
            except IndexError:
                break
            try:
                self.dialect.begin(transaction.cursor, mode)
            except self.dialect.error:
                transaction.close()
                if not self.dialect.is_remote:
                    raise
                # The server may have gone and come back since; nothing has happened yet in this transaction.
            else:
                return transaction
        transaction = Transaction(self, self.dialect.connect())
        try:
            if self._version(transaction) < SCHEMA_VERSION:
                raise ConfigurationError(_MIGRATE)  # noqa: TRY301 - closes the connection like everything else
            self.dialect.begin(transaction.cursor, mode)
        except BaseException:
            transaction.close()
            raise
        return transaction

    def _version(self, transaction: Transaction) -> int:
        table = f"{self.prefix}schema"
        if not transaction.run(self.dialect.table_exists, name=table):
            return 0
        ((version,),) = transaction.run("SELECT max(version) FROM {p}schema")
        if version > SCHEMA_VERSION:
            raise ConfigurationError(
                f"the ledger's tables are of version {version}, this package knows {SCHEMA_VERSION}: "
                "upgrade modica-facade"
            )
        return int(version)

    def _release(self, transaction: Transaction) -> None:
        if self._closed:
            transaction.close()
        else:
            self._idle.append(transaction)

    def _abandon(self, transaction: Transaction, error: BaseException) -> None:
        transaction.close()
        if isinstance(error, self.dialect.error):
            raise self._failure(error, transaction.failure, transaction.consequence) from error

    def _failure(self, error: Exception, kind: type[TransportError], consequence: str) -> Exception:
        if self.dialect.is_missing_table(error):
            return ConfigurationError(_MIGRATE)
        return kind(f"the ledger's database failed: {self.dialect.explain(error)}; {consequence}")


def _check_prefix(prefix: object) -> str:
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ConfigurationError("prefix must be lower-case letters, digits and underscores, like modica_")
    return prefix


def _fill(template: str, dialect: Dialect | type[Dialect], prefix: str) -> str:
    """A statement with the dialect's SQL and the table prefix in place of its braces."""
    fragments = dialect.fragments
    return template.format(
        p=prefix,
        id=fragments.id,
        time=fragments.time,
        skip_locked=fragments.skip_locked,
        clock=fragments.clock,
        greatest=fragments.greatest,
        columns=COLUMNS,
        each=fragments.each,
        each_row=fragments.each_row,
        text=_Column(fragments.text_of),
        integer=_Column(fragments.integer_of),
    )


class _Column:
    """``{text[name]}`` in a statement: a member of the JSON objects that it is given."""

    def __init__(self, template: str) -> None:
        self._template = template

    def __getitem__(self, name: str) -> str:
        return self._template.format(name)


def ddl(dialect: str, prefix: str, *, after: int = 0) -> list[str]:
    """The statements that bring the tables from version ``after`` to `SCHEMA_VERSION`.

    Raises:
        ConfigurationError: another dialect, or an impossible prefix.
    """
    if dialect not in _DIALECTS:
        raise ConfigurationError(f"dialect must be one of {', '.join(_DIALECTS)}")
    _check_prefix(prefix)
    statements: list[str] = []
    for version in range(after + 1, SCHEMA_VERSION + 1):
        text = resources.files("modica_facade.ledger").joinpath("sql", f"{version:04}.sql").read_text("utf-8")
        statements += [_fill(part.strip(), _DIALECTS[dialect], prefix) for part in text.split(";") if part.strip()]
    return statements
