"""Messages: captured rows, immutable but for their delivery."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant


class MessageRow(Base):
    """One message, or one part of a long one.

    `id` is the row's own UUID, made from the turn's and the place in it; it goes to Honcho as the
    message's metadata `afterturn` and makes a capture that is repeated count once. The peer and
    the session of Honcho are fixed at capture. `at` is when it was said.

    `mended`: Honcho takes it with its special tokens neutralised only, and gets it so. `late`: it
    is to be sent, or was sent, out of its turn (repaired, or out of quarantine), behind the cursor.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("session_id", "index"),
        CheckConstraint("delivery IN ('send', 'local', 'quarantined')", name="delivery"),
        CheckConstraint("role IN ('user', 'assistant', 'tool')", name="role"),
        CheckConstraint("part >= 0 AND part < parts", name="part"),
        # The few that Honcho refused, found without reading all that it took.
        Index(
            "ix_messages_quarantined",
            "session_id",
            postgresql_where=text("delivery = 'quarantined'"),
        ),
        CheckConstraint("late IN ('due', 'sent')", name="late"),
        Index("ix_messages_late", "session_id", postgresql_where=text("late = 'due'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    index: Mapped[int]
    turn_id: Mapped[uuid.UUID]
    turn: Mapped[int]
    role: Mapped[str]
    peer: Mapped[str]
    honcho_session: Mapped[str]
    content: Mapped[str]
    delivery: Mapped[str]
    reason: Mapped[str | None]
    part: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    parts: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    tokens: Mapped[int | None] = mapped_column(Integer)
    details: Mapped[dict[str, object] | None] = mapped_column(JSONB)
    at: Mapped[dt.datetime]
    captured_at: Mapped[Instant]
    mended: Mapped[bool] = mapped_column(server_default=text("false"))
    late: Mapped[str | None]
