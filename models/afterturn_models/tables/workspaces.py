"""Workspaces: the outermost room of Honcho, one row each."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from afterturn_models.tables.base import Base, Instant, Serial


class Workspace(Base):
    """A workspace; `name` is its id at Honcho."""

    __tablename__ = "workspaces"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[Serial]
    name: Mapped[str]
    created_at: Mapped[Instant]
