"""Compactions: summaries of what lies further back; they cover messages, and delete none."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, Serial, SessionId


class Compaction(Base):
    """A summary of every row up to `covers_to`, how it was made, and on which one it builds."""

    __tablename__ = "compactions"
    __table_args__ = (
        UniqueConstraint("session_id", "covers_to"),
        CheckConstraint("covers_to >= covers_from", name="covers"),
    )

    id: Mapped[Serial]
    session_id: Mapped[SessionId]
    covers_from: Mapped[int]
    covers_to: Mapped[int]
    summary: Mapped[str]
    tokens: Mapped[int] = mapped_column(Integer)
    made_by: Mapped[str]
    created_at: Mapped[Instant]
