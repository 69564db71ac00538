"""Rows that are mended or sent late, and re-sync parts that are leased like cursors.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DUE = "last_saved_index < due_index AND parked IS NULL"
_DUE_OR_LATE = "(last_saved_index < due_index OR late) AND parked IS NULL"
_STATES = "('running', 'done', 'cancelled')"
_FORMER_STATES = "('waiting', 'running', 'done', 'failed', 'cancelled')"


def upgrade() -> None:
    op.add_column("messages", _flag("mended"))
    op.add_column("messages", sa.Column("late", sa.Text()))
    op.create_check_constraint(op.f("ck_messages_late"), "messages", "late IN ('due', 'sent')")
    op.create_index(
        "ix_messages_late", "messages", ["session_id"], postgresql_where=sa.text("late = 'due'")
    )
    op.add_column("cursors", _flag("late"))
    op.add_column("cursors", sa.Column("narrowed_to", sa.SmallInteger()))
    _replace_due_index("cursors", _DUE_OR_LATE)
    op.drop_table("resync_parts")
    _create_parts()
    _allow_states("resync_jobs", _STATES, first="running")


def downgrade() -> None:
    _allow_states("resync_jobs", _FORMER_STATES, first="waiting")
    op.drop_table("resync_parts")
    _create_former_parts()
    _replace_due_index("cursors", _DUE)
    # Intents of late rows, which no former version knows.
    op.execute(
        "UPDATE cursors SET intent_first = NULL, intent_last = NULL, intent_rows = NULL,"
        " settle_at = NULL WHERE intent_last = 0"
    )
    op.drop_column("cursors", "narrowed_to")
    op.drop_column("cursors", "late")
    op.drop_index("ix_messages_late", "messages")
    op.drop_column("messages", "late")
    op.drop_column("messages", "mended")


def _replace_due_index(table: str, where: str) -> None:
    op.drop_index(f"ix_{table}_due", table)
    op.create_index(f"ix_{table}_due", table, ["run_at"], postgresql_where=sa.text(where))


def _allow_states(table: str, states: str, *, first: str) -> None:
    # No version before this one has made a job, so there is none in a state that goes.
    op.drop_constraint(op.f(f"ck_{table}_state"), table)
    op.create_check_constraint(op.f(f"ck_{table}_state"), table, f"state IN {states}")
    op.alter_column(table, "state", server_default=sa.text(f"'{first}'"))


def _create_parts() -> None:
    op.create_table(
        "resync_parts",
        *_keys(),
        _count("last_saved_index"),
        _count("due_index"),
        _stamped("run_at"),
        _count("epoch"),
        sa.Column("lease_owner", sa.Text()),
        _instant("lease_until"),
        sa.Column("intent_first", sa.BigInteger()),
        sa.Column("intent_last", sa.BigInteger()),
        sa.Column("intent_rows", postgresql.ARRAY(sa.UUID())),
        _instant("settle_at"),
        sa.Column("narrowed_to", sa.SmallInteger()),
        _count("attempts"),
        sa.Column("parked", sa.Text()),
        sa.Column("last_error", sa.Text()),
        _instant("last_error_at"),
        _instant("last_saved_at"),
        _instant("relayed_at"),
        _object("findings"),
        sa.CheckConstraint(
            "(intent_first IS NULL) = (intent_last IS NULL)", name=op.f("ck_resync_parts_intent")
        ),
    )
    op.create_index("ix_resync_parts_session_id", "resync_parts", ["session_id"])
    op.create_index(
        "ix_resync_parts_due", "resync_parts", ["run_at"], postgresql_where=sa.text(_DUE)
    )


def _create_former_parts() -> None:
    op.create_table(
        "resync_parts",
        *_keys(),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        _count("done_index"),
        _count("epoch"),
        _instant("lease_until"),
        _stamped("run_at"),
        _count("attempts"),
        _object("findings"),
        sa.CheckConstraint(f"state IN {_FORMER_STATES}", name=op.f("ck_resync_parts_state")),
    )
    op.create_index("ix_resync_parts_session_id", "resync_parts", ["session_id"])


def _keys() -> tuple[sa.Column[object] | sa.Constraint, ...]:
    return (
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("session_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "session_id", name="pk_resync_parts"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["resync_jobs.id"], name="fk_resync_parts_job_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_resync_parts_session_id", ondelete="CASCADE"
        ),
    )


def _flag(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _instant(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def _stamped(name: str) -> sa.Column[object]:
    now = sa.text("clock_timestamp()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _object(name: str) -> sa.Column[object]:
    empty = sa.text("'{}'::jsonb")
    return sa.Column(name, postgresql.JSONB(), server_default=empty, nullable=False)
