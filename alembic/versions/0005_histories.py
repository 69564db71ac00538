"""Histories: the words of messages for searching, kept apart from what a capture writes.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "history_indexes",
        sa.Column("session_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("hinted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_history_indexes")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_history_indexes_session_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("upto >= 0", name=op.f("ck_history_indexes_upto")),
    )
    op.create_table(
        "message_texts",
        sa.Column("session_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "index", name=op.f("pk_message_texts")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["history_indexes.session_id"],
            name=op.f("fk_message_texts_session_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_message_texts_words", "message_texts", ["words"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table("message_texts")
    op.drop_table("history_indexes")
