"""Workspaces: the outermost room of Honcho, one row each."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from afterturn_models.tables.base import Base, Instant, Serial


class Workspace(Base):
    """A workspace; `name` is its id at Honcho.

    `map_owner` is the worker that reads, merges and writes its agentPeerMap until `map_until`.
    """

    __tablename__ = "workspaces"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[Serial]
    name: Mapped[str]
    created_at: Mapped[Instant]
    map_owner: Mapped[str | None]
    map_until: Mapped[dt.datetime | None]
