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
    op.add_column("cursors", _number("context_turn", -1))
    op.add_column("cursors", _number("dialectic_turn", -1))
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
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False, server_default=sa.text("1")),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
        ),
        sa.CheckConstraint(
            "outcome IN ('asked', 'answered', 'empty', 'failed', 'refused')",
            name=op.f("ck_dialectic_calls_outcome"),
        ),
    )
    for name, condition in (
        ("granted", "outcome <> 'refused'"),
        ("refused", "outcome = 'refused'"),
    ):
        op.create_index(
            f"ix_dialectic_calls_{name}",
            "dialectic_calls",
            ["workspace_id", "at"],
            postgresql_where=sa.text(condition),
        )
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


def _number(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text(str(default)))


def _workspace(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "workspace_id",
        sa.BigInteger(),
        sa.ForeignKey("workspaces.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=primary_key,
    )
