"""Migrations' environment: one at a time, and never waiting long for a lock that agents need."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, text

from afterturn_models.db import postgres_url
from afterturn_models.tables import metadata

# Any number that is ours alone: two `afterturn migrate` at once take turns on it.
ADVISORY_LOCK = 6_111_202_600_001
_SET = text("SELECT set_config(:name, :value, false)")


def _url() -> str:
    given = context.config.get_main_option("sqlalchemy.url") or os.environ.get(
        "AFTERTURN_DATABASE_URL"
    )
    if not given:
        raise SystemExit("no database: set AFTERTURN_DATABASE_URL or run: afterturn migrate")
    return given


def run_offline() -> None:
    """Write the migration as SQL, for those who run it by other means."""
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Migrate in one transaction, behind an advisory lock and short lock timeouts."""
    # The advisory lock is the connection's: one that went back to a pool after a failure would
    # keep it, and lock out the next try of this very process.
    engine = create_engine(
        postgres_url(_url()), poolclass=NullPool, connect_args={"connect_timeout": 10}
    )
    with engine.connect() as connection:
        _take_turn(connection)
        context.configure(
            connection=connection, target_metadata=metadata, compare_server_default=True
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


def _take_turn(connection: Connection) -> None:
    """Wait for other migrations, then set how long a statement may wait for agents' locks."""
    connection.execute(_SET, {"name": "lock_timeout", "value": "60s"})
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
    patience = context.config.get_main_option("lock_timeout") or "5s"
    connection.execute(_SET, {"name": "lock_timeout", "value": patience})
    connection.execute(_SET, {"name": "statement_timeout", "value": "10min"})
    connection.commit()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
