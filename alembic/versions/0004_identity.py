"""Identity seeding: the ledger holds a seed's text until it is captured, and what is to be done.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLE = "identity_seeds"


def upgrade() -> None:
    for name in ("kind", "agent", "owner"):
        op.add_column(_TABLE, sa.Column(name, sa.Text()))
    op.add_column(
        _TABLE,
        sa.Column(
            "profile",
            postgresql.JSONB(),
            nullable=False,
            server_default=sa.text("'{}'::jsonb"),
        ),
    )
    op.add_column(_TABLE, sa.Column("content", sa.Text()))
    op.add_column(_TABLE, sa.Column("done_at", sa.DateTime(timezone=True)))
    op.add_column(_TABLE, _now("run_at"))
    op.add_column(_TABLE, sa.Column("relayed_at", sa.DateTime(timezone=True)))
    op.add_column(
        _TABLE, sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column(_TABLE, sa.Column("last_error", sa.Text()))
    # A row of the former ledger was written when its text was captured.
    op.execute(
        "UPDATE identity_seeds SET done_at = created_at, agent = peer, owner = peer,"
        " kind = CASE source WHEN 'USER.md' THEN 'user' ELSE 'agent' END"
    )
    for name in ("kind", "agent", "owner"):
        op.alter_column(_TABLE, name, nullable=False)
    op.create_check_constraint(
        op.f("ck_identity_seeds_kind"), _TABLE, "kind IN ('agent', 'user', 'name')"
    )
    op.create_check_constraint(
        op.f("ck_identity_seeds_content"), _TABLE, "(content IS NULL) = (done_at IS NOT NULL)"
    )
    op.create_index(
        "ix_identity_seeds_undone",
        _TABLE,
        ["run_at"],
        postgresql_where=sa.text("done_at IS NULL"),
    )


def downgrade() -> None:
    # What the former ledger knows of was captured.
    op.execute("DELETE FROM identity_seeds WHERE done_at IS NULL OR kind = 'name'")
    op.drop_index("ix_identity_seeds_undone", _TABLE)
    for name in ("kind", "content"):
        op.drop_constraint(op.f(f"ck_identity_seeds_{name}"), _TABLE)
    for name in (
        "last_error",
        "attempts",
        "relayed_at",
        "run_at",
        "done_at",
        "content",
        "profile",
        "owner",
        "agent",
        "kind",
    ):
        op.drop_column(_TABLE, name)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.func.clock_timestamp(),
    )
