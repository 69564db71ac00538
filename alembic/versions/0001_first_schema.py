"""The first schema: every table, from workspaces down to what hangs on a session.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from sqlalchemy.sql.schema import SchemaItem

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_RESYNC_STATES = "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')"


def upgrade() -> None:
    _create_workers()
    _create_workspaces()
    _create_people()
    _create_shared_settings()
    _create_identity_seeds()
    _create_sessions()
    _create_cursors()
    _create_messages()
    _create_compactions()
    _create_resync()


def downgrade() -> None:
    for table in (
        "resync_parts",
        "resync_jobs",
        "compactions",
        "messages",
        "cursors",
        "sessions",
        "identity_seeds",
        "directory_maps",
        "settings",
        "members",
        "peers",
        "workspaces",
        "workers",
    ):
        op.drop_table(table)


def _create_workers() -> None:
    op.create_table(
        "workers",
        _text("name"),
        sa.Column("pid", sa.Integer(), nullable=False),
        _text("version"),
        _stamped("started_at"),
        _instant("beat_at"),
        _text("honcho", nullable=True),
        _instant("honcho_at"),
        _object("details"),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )


def _create_workspaces() -> None:
    op.create_table(
        "workspaces",
        _serial(),
        _text("name"),
        _stamped("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        sa.UniqueConstraint("name", name="uq_workspaces_name"),
    )


def _create_people() -> None:
    op.create_table(
        "peers",
        _serial(),
        *_of_workspace("peers"),
        _text("name"),
        _text("kind"),
        _object("details"),
        _stamped("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_peers"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_peers_workspace_id_name"),
        sa.CheckConstraint("kind IN ('user', 'agent')", name=op.f("ck_peers_kind")),
    )
    op.create_table(
        "members",
        *_of_workspace("members"),
        _text("honcho_session"),
        _text("peer"),
        sa.Column("observe_me", sa.Boolean(), nullable=False),
        sa.Column("observe_others", sa.Boolean(), nullable=False),
        _stamped("joined_at"),
        sa.PrimaryKeyConstraint("workspace_id", "honcho_session", "peer", name="pk_members"),
    )


def _create_shared_settings() -> None:
    op.create_table(
        "settings",
        *_of_workspace("settings"),
        _text("scope"),
        _text("subject"),
        _text("key"),
        sa.Column("value", postgresql.JSONB(), nullable=False),
        _stamped("updated_at"),
        sa.PrimaryKeyConstraint("workspace_id", "scope", "subject", "key", name="pk_settings"),
        sa.CheckConstraint(
            "scope IN ('workspace', 'agent', 'session')", name=op.f("ck_settings_scope")
        ),
        sa.CheckConstraint(
            "(scope = 'workspace') = (subject = '')", name=op.f("ck_settings_subject")
        ),
        sa.CheckConstraint(
            "CASE WHEN key IN ('memoryMode', 'userMemoryMode', 'agentMemoryMode')"
            " THEN (value #>> '{}') IN ('hybrid', 'honcho', 'local')"
            " WHEN key = 'writeFrequency'"
            " THEN (value #>> '{}') ~ '^(async|turn|session|[1-9][0-9]{0,3}|10000)$'"
            " WHEN key = 'saveMessages' THEN (value #>> '{}') IN ('true', 'false')"
            " ELSE true END",
            name=op.f("ck_settings_value"),
        ),
    )
    op.create_table(
        "directory_maps",
        *_of_workspace("directory_maps"),
        _text("directory"),
        _text("session_key"),
        _stamped("created_at"),
        sa.PrimaryKeyConstraint("workspace_id", "directory", name="pk_directory_maps"),
    )


def _create_identity_seeds() -> None:
    op.create_table(
        "identity_seeds",
        _serial(),
        *_of_workspace("identity_seeds"),
        _text("peer"),
        _text("source"),
        _text("sha256"),
        sa.Column("turn_id", sa.UUID(), nullable=False),
        _stamped("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_identity_seeds"),
        sa.UniqueConstraint(
            "workspace_id",
            "peer",
            "source",
            "sha256",
            name="uq_identity_seeds_workspace_id_peer_source_sha256",
        ),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        _uuid_of_its_own(),
        *_of_workspace("sessions"),
        *(_text(name) for name in ("key", "honcho_session", "user_peer", "agent_peer")),
        *(_text(name, nullable=True) for name in ("title", "directory", "platform_key")),
        sa.Column("parent_id", sa.UUID()),
        _count("next_index", "1"),
        *(_count(name) for name in ("turns", "turn_first_index", "due_turn", "token_total")),
        _object("details"),
        _stamped("created_at"),
        _instant("last_turn_at"),
        _instant("closed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("workspace_id", "key", name="uq_sessions_workspace_id_key"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["sessions.id"], name="fk_sessions_parent_id", ondelete="SET NULL"
        ),
        sa.CheckConstraint("next_index >= 1", name=op.f("ck_sessions_next_index")),
    )
    _create_index("ix_sessions_quiet", "sessions", "last_turn_at", where="due_turn < turns")
    _create_index("ix_sessions_parent_id", "sessions", "parent_id", where="parent_id IS NOT NULL")


def _create_cursors() -> None:
    op.create_table(
        "cursors",
        *_of_session("cursors"),
        _count("last_saved_index"),
        _count("due_index"),
        _stamped("run_at"),
        _count("epoch"),
        _text("lease_owner", nullable=True),
        _instant("lease_until"),
        sa.Column("intent_first", sa.BigInteger()),
        sa.Column("intent_last", sa.BigInteger()),
        sa.Column("intent_rows", postgresql.ARRAY(sa.UUID())),
        _instant("settle_at"),
        _count("attempts"),
        _text("parked", nullable=True),
        _text("last_error", nullable=True),
        _instant("last_error_at"),
        _instant("last_saved_at"),
        _count("prefetched_turn"),
        _instant("relayed_at"),
        sa.PrimaryKeyConstraint("session_id", name="pk_cursors"),
        sa.CheckConstraint("last_saved_index >= 0", name=op.f("ck_cursors_last_saved_index")),
        sa.CheckConstraint(
            "(intent_first IS NULL) = (intent_last IS NULL)", name=op.f("ck_cursors_intent")
        ),
    )
    _create_index(
        "ix_cursors_due",
        "cursors",
        "run_at",
        where="last_saved_index < due_index AND parked IS NULL",
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.UUID(), nullable=False),
        *_of_session("messages"),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("turn_id", sa.UUID(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        *(_text(name) for name in ("role", "peer", "honcho_session", "content", "delivery")),
        _text("reason", nullable=True),
        sa.Column("part", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("parts", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("tokens", sa.Integer()),
        sa.Column("details", postgresql.JSONB()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _stamped("captured_at"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("session_id", "index", name="uq_messages_session_id_index"),
        sa.CheckConstraint(
            "delivery IN ('send', 'local', 'quarantined')", name=op.f("ck_messages_delivery")
        ),
        sa.CheckConstraint("role IN ('user', 'assistant', 'tool')", name=op.f("ck_messages_role")),
        sa.CheckConstraint("part >= 0 AND part < parts", name=op.f("ck_messages_part")),
    )
    _create_index(
        "ix_messages_quarantined", "messages", "session_id", where="delivery = 'quarantined'"
    )


def _create_compactions() -> None:
    op.create_table(
        "compactions",
        _serial(),
        *_of_session("compactions"),
        sa.Column("covers_from", sa.BigInteger(), nullable=False),
        sa.Column("covers_to", sa.BigInteger(), nullable=False),
        _text("summary"),
        sa.Column("tokens", sa.Integer(), nullable=False),
        _text("made_by"),
        _stamped("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_compactions"),
        sa.UniqueConstraint("session_id", "covers_to", name="uq_compactions_session_id_covers_to"),
        sa.CheckConstraint("covers_to >= covers_from", name=op.f("ck_compactions_covers")),
    )


def _create_resync() -> None:
    op.create_table(
        "resync_jobs",
        _uuid_of_its_own(),
        _text("kind"),
        _text("target", nullable=True),
        _object("selection"),
        _text("state", server_default=sa.text("'waiting'")),
        _object("report"),
        _stamped("created_at"),
        _instant("finished_at"),
        sa.PrimaryKeyConstraint("id", name="pk_resync_jobs"),
        sa.CheckConstraint(
            "kind IN ('verify', 'repair', 'copy')", name=op.f("ck_resync_jobs_kind")
        ),
        sa.CheckConstraint(_RESYNC_STATES, name=op.f("ck_resync_jobs_state")),
    )
    op.create_table(
        "resync_parts",
        sa.Column("job_id", sa.UUID(), nullable=False),
        *_of_session("resync_parts"),
        _text("state", server_default=sa.text("'waiting'")),
        _count("done_index"),
        _count("epoch"),
        _instant("lease_until"),
        _stamped("run_at"),
        _count("attempts"),
        _object("findings"),
        sa.PrimaryKeyConstraint("job_id", "session_id", name="pk_resync_parts"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["resync_jobs.id"], name="fk_resync_parts_job_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint(_RESYNC_STATES, name=op.f("ck_resync_parts_state")),
    )
    op.create_index("ix_resync_parts_session_id", "resync_parts", ["session_id"])


def _text(name: str, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable, **more)


def _count(name: str, first: str = "0") -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text(first), nullable=False)


def _instant(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True))


def _stamped(name: str) -> sa.Column[Any]:
    now = sa.text("clock_timestamp()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _object(name: str) -> sa.Column[Any]:
    empty = sa.text("'{}'::jsonb")
    return sa.Column(name, postgresql.JSONB(), server_default=empty, nullable=False)


def _serial() -> sa.Column[Any]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _uuid_of_its_own() -> sa.Column[Any]:
    return sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False)


def _of_workspace(table: str) -> tuple[SchemaItem, ...]:
    return _owned(table, "workspace_id", "workspaces.id", sa.BigInteger())


def _of_session(table: str) -> tuple[SchemaItem, ...]:
    return _owned(table, "session_id", "sessions.id", sa.UUID())


def _owned(table: str, column: str, owner: str, kind: Any) -> tuple[SchemaItem, ...]:
    return (
        sa.Column(column, kind, nullable=False),
        sa.ForeignKeyConstraint([column], [owner], name=f"fk_{table}_{column}", ondelete="CASCADE"),
    )


def _create_index(name: str, table: str, column: str, *, where: str) -> None:
    op.create_index(name, table, [column], postgresql_where=sa.text(where))
