"""Sessions: the row that hands out indexes and counts turns."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, JsonObject, WorkspaceId


class SessionRow(Base):
    """A conversation.

    `next_index` is given to the next captured row: indexes start at 1 and have no gaps, which a
    sequence could not promise. `turn_first_index` is where the last turn begins, `due_turn` the
    turn at which the write frequency last made messages due. `honcho_session` is what new rows
    are sent to; rows captured before a rename keep theirs. `token_total` runs along, and
    `covered_tokens` is what of it lies behind the newest compaction, so that a turn's end knows
    whether one is due without reading the history. `source` is what the key was made from: no
    other source gets it.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("workspace_id", "key"),
        CheckConstraint("next_index >= 1", name="next_index"),
        # The relay looks for sessions that went quiet with messages not yet due: only those are
        # in the index, however many sessions there are.
        Index("ix_sessions_quiet", "last_turn_at", postgresql_where=text("due_turn < turns")),
        # Deleting a session looks for its children.
        Index("ix_sessions_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    workspace_id: Mapped[WorkspaceId]
    key: Mapped[str]
    honcho_session: Mapped[str]
    user_peer: Mapped[str]
    agent_peer: Mapped[str]
    title: Mapped[str | None]
    directory: Mapped[str | None]
    platform_key: Mapped[str | None]
    source: Mapped[str | None]
    parent_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("sessions.id", ondelete="SET NULL")
    )
    next_index: Mapped[int] = mapped_column(server_default=text("1"))
    turns: Mapped[int] = mapped_column(server_default=text("0"))
    turn_first_index: Mapped[int] = mapped_column(server_default=text("0"))
    due_turn: Mapped[int] = mapped_column(server_default=text("0"))
    token_total: Mapped[int] = mapped_column(server_default=text("0"))
    covered_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    details: Mapped[JsonObject]
    created_at: Mapped[Instant]
    last_turn_at: Mapped[dt.datetime | None]
    closed_at: Mapped[dt.datetime | None]
