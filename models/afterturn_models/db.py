"""Postgres for one process: the engine, its transactions, and errors in our own words."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from afterturn_models.errors import ConfigurationError, SchemaError, StoreUnavailableError
from afterturn_models.silence import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import PoolProxiedConnection

_UNDEFINED_TABLE = "42P01"
_UNDEFINED_COLUMN = "42703"
_NO_PRIVILEGE = "42501"
# InternalError: a standby that takes no writes, for the moments of a fail-over.
_AWAY = (OperationalError, InternalError, psycopg.OperationalError, psycopg.InternalError)
_UNREADABLE = (
    "the database URL cannot be read; it has the form postgresql://user:password@host:5432/name,"
    " with special characters of the password %-encoded"
)
# What libpq may put between the words of an error, none of which may reach a log.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")


def postgres_url(url: str) -> URL:
    """Parse `url` for SQLAlchemy with psycopg; raises ConfigurationError where it is none."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(_UNREADABLE) from None  # the cause may quote the password
    # What stands behind an @ that was not encoded is a piece of the password too.
    if "@" in f"{parsed.host}{parsed.database}":
        raise ConfigurationError(_UNREADABLE)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError(
            f"the database URL is for {parsed.get_backend_name()}; afterturn keeps its truth in Postgres: postgresql://…"
        )
    return parsed.set(drivername="postgresql+psycopg")


class Database:
    """A lazy pool of connections to one Postgres.

    Every statement of ours is atomic by itself or in `transaction`; the owner of the transaction
    is whoever opens it, the store only runs statements on the connection it is given.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 5,
        name: str = "afterturn",
        patience: float = 35.0,
        planned_once: bool = False,
    ) -> None:
        """`patience`: seconds without a byte after which a statement counts as failed.

        By default more than `statement_timeout`, so that the server's own word comes first.
        `planned_once`: a statement's plan serves for all that is ever asked by it, as is right
        where each looks up by key; planning takes the capture of a turn longer than running it.
        """
        self.url = postgres_url(url)
        self._engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=5,
            hide_parameters=True,  # they are captured text, which belongs in no log
            pool_use_lifo=True,  # idle connections age out instead of taking turns
            connect_args=_connect_args(name, planned_once=planned_once),
            # One statement that is a transaction by itself needs one round trip, not three; and
            # nothing is to be rolled back, or set back, when its connection is returned.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_reset_on_return=None,
        )
        kind = patient(patience)
        event.listen(
            self._engine,
            "do_connect",
            lambda _dialect, _record, args, options: kind.connect(*args, **options),
        )
        self._single = self._engine
        self._transactions = self._engine.execution_options(isolation_level="READ COMMITTED")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a connection and one transaction: committed at the end, rolled back on error.

        Raises StoreUnavailableError or SchemaError, with the cause chained.
        """
        with _our_errors(), self._transactions.begin() as connection:
            yield connection

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """Open a connection on which each statement commits by itself.

        Raises StoreUnavailableError or SchemaError, with the cause chained.
        """
        with _our_errors(), self._single.connect() as connection:
            yield connection

    @contextmanager
    def direct(self) -> Iterator[psycopg.Connection[Any]]:
        """Open a pooled connection as the driver has it; each statement commits by itself.

        For the one statement that a reply waits for: what SQLAlchemy makes around a statement
        takes longer than the driver does for it. Raises StoreUnavailableError or SchemaError, with
        the cause chained; other errors are psycopg's own.
        """
        with _our_errors():
            pooled = self._engine.raw_connection()
            driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
            try:
                yield driver
            except BaseException as error:
                self._unless_idle(pooled, driver, error)
                raise
            finally:
                pooled.close()

    def _unless_idle(
        self,
        pooled: PoolProxiedConnection,
        driver: psycopg.Connection[Any],
        error: BaseException,
    ) -> None:
        """Keep a connection out of the pool that was lost, or interrupted within a statement."""
        lost = driver.closed
        if lost or driver.info.transaction_status is not TransactionStatus.IDLE:
            pooled.invalidate(error)
        if lost:
            self._engine.dispose()  # what ended one has likely ended all that lie idle
            if isinstance(error, psycopg.Error):
                raise StoreUnavailableError(f"Postgres: {first_line(error)}") from error

    def forked(self) -> None:
        """Let go of the parent's connections in a forked child, without closing them for it."""
        self._engine.dispose(close=False)

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


def _connect_args(name: str, *, planned_once: bool) -> dict[str, Any]:
    plans = " -c plan_cache_mode=force_generic_plan" if planned_once else ""
    return {
        "application_name": name,
        "connect_timeout": 3,
        # A server that vanished is noticed in seconds, not after the kernel's quarter of an hour.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 5000,
        "options": "-c timezone=UTC -c lock_timeout=5s -c statement_timeout=30s -c jit=off" + plans,
    }


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreUnavailableError("Postgres: every pooled connection is in use") from error
    except (DBAPIError, psycopg.Error) as error:
        ours = _as_ours(error)
        if ours is None:
            raise
        raise ours from error


def _as_ours(error: DBAPIError | psycopg.Error) -> StoreUnavailableError | SchemaError | None:
    """Say it in our words, whoever raised it; None for an error of the statement itself."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    if state in {_UNDEFINED_TABLE, _UNDEFINED_COLUMN}:
        return SchemaError(
            "the database has no afterturn schema of this version; run: afterturn migrate"
        )
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or state == _NO_PRIVILEGE or isinstance(error, _AWAY):
        return StoreUnavailableError(f"Postgres: {first_line(error)}")
    return None


def first_line(error: DBAPIError | psycopg.Error) -> str:
    """Give what Postgres said in one line, and no password in it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).strip().splitlines()
    return _PASSWORD.sub(r"\1***@", lines[0]) if lines else type(cause).__name__
