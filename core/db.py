"""The database: SQLite in WAL mode for one machine, PostgreSQL for many, behind the same sessions.

Leases and events are timed by the database's own clock, so that machines need not agree on theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, ColumnElement, Engine, Float, cast, create_engine, event, extract, func, literal, make_url, select
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from core.errors import InvalidRequest, RftError, StorageFull, Unavailable

BUSY_SECONDS = 30.0
"""How long a writer waits for SQLite's one write lock."""
MOVED = "moved"
"""Under this name a session's `info` keeps the jobs that its transaction moves: their statuses by their ids."""
_POSTGRES_DISK_FULL = "53100"
_POSTGRES_SILENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_POSTGRES_IDLE_SECONDS = 60
_POSTGRES_NOT_NOW = frozenset({"53300", "25006"})
"""Too many connections, and a transaction that may only read."""
_SQLITE_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


class Database:
    """Sessions over one database. Safe to share between threads, not between processes.

    `clock` replaces the database's clock (unix seconds) where a test needs to turn it. `moved` is called after each commit that
    has moved jobs, with their statuses by their ids.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        moved: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self.url = normalised(url)
        self._clock = clock
        self._moved = moved
        self.engine = _engine(self.url)
        self._writer = self.engine.execution_options(write=True)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A session in one write transaction: committed at the end of the block, rolled back where it raises.

        Raises `StorageFull` where the disk is full, `Unavailable` where the database does not answer or stays locked,
        `InvalidRequest` for text that it cannot hold.
        """
        with _translated(), Session(self._writer, expire_on_commit=False) as session:
            with session.begin():
                yield session
            moved: Mapping[str, str] | None = session.info.get(MOVED)
        if moved and self._moved:
            self._moved(moved)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; nothing of it is kept. Raises as `begin` does."""
        with _translated(), Session(self.engine) as session:
            yield session

    @property
    def now(self) -> ColumnElement[float]:
        """The present in unix seconds, as an expression that the database evaluates."""
        if self._clock is not None:
            return literal(self._clock(), Float)
        if self.engine.dialect.name == "postgresql":
            return cast(extract("epoch", func.clock_timestamp()), Float(53))
        return (func.julianday("now", type_=Float) - 2440587.5) * 86400.0

    def time(self, session: Session) -> float:
        """The value of `now` at this moment of the session."""
        return float(session.scalars(select(self.now)).one())

    @property
    def embedded(self) -> bool:
        """Whether the database lives in this process and its files (SQLite), not behind a network."""
        return self.engine.dialect.name == "sqlite"

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def normalised(url: str) -> URL:
    """The URL with psycopg 3 as PostgreSQL's driver, whichever spelling of the scheme it came with."""
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: URL) -> Engine:
    # NaN is no JSON: PostgreSQL refuses it, so SQLite must not swallow it. Errors hide their parameters: they are logged.
    serializer = partial(json.dumps, allow_nan=False)
    if url.get_backend_name() != "sqlite":
        engine = create_engine(
            url, json_serializer=serializer, pool_pre_ping=True, hide_parameters=True, connect_args=_given_up(url)
        )
        event.listen(engine, "connect", _configure_postgres)
        return engine
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, json_serializer=serializer, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _given_up(url: URL) -> Mapping[str, int]:
    """When a connection to a machine that has gone silently is given up; what the URL says comes first."""
    if not url.get_backend_name().startswith("postgresql"):
        return {}
    return {name: value for name, value in _POSTGRES_SILENCE.items() if name not in url.query}


def _configure_postgres(connection: Any, _record: object) -> None:
    # A process that is frozen in the midst of a transaction, with its machine or without, must not keep its locks for ever.
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {_POSTGRES_IDLE_SECONDS * 1000}")
    connection.commit()


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions of its own: `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit survives a loss of power, at one fsync each. Commits are few.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A writer takes the lock at its start: a reader that turns writer half-way could not wait for it.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the failures that a caller can tell apart into our own errors."""
    try:
        yield
    except DataError as error:
        raise InvalidRequest("A value of the request holds characters or a size that cannot be stored.") from error
    except DBAPIError as error:
        known = _known(error)
        if known is None:
            raise
        raise known from error


def _known(error: DBAPIError) -> RftError | None:
    if _sqlite_code(error) == "SQLITE_FULL" or _sqlstate(error) == _POSTGRES_DISK_FULL:
        return StorageFull("The disk of the database is full; nothing was changed.")
    if error.connection_invalidated or _sqlite_code(error).startswith(_SQLITE_BUSY) or _is_unreachable(error):
        return Unavailable("The database does not answer at the moment. Please try again.")
    return None


def _sqlite_code(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", ""))


def _sqlstate(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _is_unreachable(error: DBAPIError) -> bool:
    """Errors of the connection itself carry no SQLSTATE, or one of class 08 (connection) or 57P (shutdown).

    So do a server that has no connection left, and one that only reads: a standby during a fail-over.
    """
    if not hasattr(error.orig, "sqlstate"):
        return False
    state = _sqlstate(error)
    if state is None:
        return isinstance(error, OperationalError)
    return state.startswith(("08", "57P")) or state in _POSTGRES_NOT_NOW
