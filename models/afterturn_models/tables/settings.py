"""Settings shared by every agent and worker, by scope, and the map from directories to sessions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, WorkspaceId

_VALUES = (
    "CASE WHEN key IN ('memoryMode', 'userMemoryMode', 'agentMemoryMode')"
    " THEN (value #>> '{}') IN ('hybrid', 'honcho', 'local')"
    " WHEN key = 'writeFrequency'"
    " THEN (value #>> '{}') ~ '^(async|turn|session|[1-9][0-9]{0,3}|10000)$'"
    " WHEN key = 'saveMessages' THEN (value #>> '{}') IN ('true', 'false')"
    " ELSE true END"
)


class Setting(Base):
    """One setting at one scope.

    `subject` is the agent's peer or the session's id; it is empty for the workspace. Captures
    read these rows in their own statement, so a value that no capture can go by is refused here.
    """

    __tablename__ = "settings"
    __table_args__ = (
        CheckConstraint("scope IN ('workspace', 'agent', 'session')", name="scope"),
        CheckConstraint("(scope = 'workspace') = (subject = '')", name="subject"),
        CheckConstraint(_VALUES, name="value"),
    )

    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB)
    updated_at: Mapped[Instant]


class DirectoryMap(Base):
    """A directory that belongs to a session by hand (spec: manual map)."""

    __tablename__ = "directory_maps"

    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    directory: Mapped[str] = mapped_column(primary_key=True)
    session_key: Mapped[str]
    created_at: Mapped[Instant]
