"""Compaction: who compacts a session, what summaries were made of, and the tokens they cover.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATES = "compaction_states"


def upgrade() -> None:
    op.create_table(
        _STATES,
        sa.Column("session_id", postgresql.UUID(as_uuid=True), nullable=False),
        _with("wanted", sa.Boolean(), "true"),
        _with("forced", sa.Boolean(), "false"),
        _with("run_at", sa.DateTime(timezone=True), "clock_timestamp()"),
        _with("epoch", sa.BigInteger(), "0"),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        _with("failures", sa.Integer(), "0"),
        _with("cooling", postgresql.JSONB(), "'{}'::jsonb"),
        sa.Column("relayed_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("session_id", name=op.f(f"pk_{_STATES}")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f(f"fk_{_STATES}_session_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(f"ix_{_STATES}_wanted", _STATES, ["run_at"], postgresql_where=sa.text("wanted"))
    op.add_column("compactions", _with("stays_here", sa.Boolean(), "false"))
    op.add_column("compactions", sa.Column("honcho_session", sa.Text()))
    op.add_column("sessions", _with("covered_tokens", sa.BigInteger(), "0"))


def downgrade() -> None:
    op.drop_column("sessions", "covered_tokens")
    op.drop_column("compactions", "honcho_session")
    op.drop_column("compactions", "stays_here")
    op.drop_table(_STATES)


def _with(name: str, kind: sa.types.TypeEngine[object], default: str) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False, server_default=sa.text(default))
