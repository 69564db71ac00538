"""The dialectic's account: every call that was made or refused in the last day."""

from __future__ import annotations

from sqlalchemy import Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, Serial, WorkspaceId


class DialecticCall(Base):
    """One call about `peer` that was granted, or `refused` because the budget was spent.

    Windows slide over these rows on Postgres' own clock, so that no hour holds more than it may.
    Rows older than a day are deleted as others come.
    """

    __tablename__ = "dialectic_calls"
    __table_args__ = (Index("ix_dialectic_calls_workspace_id", "workspace_id", "at"),)

    id: Mapped[Serial]
    workspace_id: Mapped[WorkspaceId]
    peer: Mapped[str]
    level: Mapped[str]
    weight: Mapped[int] = mapped_column(Integer)
    refused: Mapped[bool]
    at: Mapped[Instant]
