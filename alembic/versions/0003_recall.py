"""Recall: cadences, the dialectic's budget, agents and their peers, what sessions are named from.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cursors", _number("context_turn"))
    op.add_column("cursors", _number("dialectic_turn"))
    op.add_column("cursors", _number("empty_dialectics"))
    op.add_column("workspaces", sa.Column("map_owner", sa.Text()))
    op.add_column("workspaces", sa.Column("map_until", sa.DateTime(timezone=True)))
    op.add_column("sessions", sa.Column("source", sa.Text()))
    op.create_table(
        "dialectic_calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        _workspace(),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
        ),
    )
    op.create_index("ix_dialectic_calls_workspace_id", "dialectic_calls", ["workspace_id", "at"])
    op.create_table(
        "agents",
        _workspace(primary_key=True),
        sa.Column("agent_id", sa.Text(), primary_key=True),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("mapped", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
        ),
    )


def downgrade() -> None:
    op.drop_table("agents")
    op.drop_table("dialectic_calls")
    op.drop_column("sessions", "source")
    op.drop_column("workspaces", "map_until")
    op.drop_column("workspaces", "map_owner")
    for name in ("empty_dialectics", "dialectic_turn", "context_turn"):
        op.drop_column("cursors", name)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))


def _workspace(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "workspace_id",
        sa.BigInteger(),
        sa.ForeignKey("workspaces.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=primary_key,
    )
