"""Peers and where they are members: who is who, and who was already introduced to Honcho."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, JsonObject, Serial, WorkspaceId


class Peer(Base):
    """A person or an agent; `name` is its id at Honcho."""

    __tablename__ = "peers"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        CheckConstraint("kind IN ('user', 'agent')", name="kind"),
    )

    id: Mapped[Serial]
    workspace_id: Mapped[WorkspaceId]
    name: Mapped[str]
    kind: Mapped[str]
    details: Mapped[JsonObject]
    created_at: Mapped[Instant]


class Member(Base):
    """A peer that was added to a session of Honcho with these observe settings.

    It is written after Honcho said so, and before the first message: a message that comes first
    joins its peer with an empty configuration, which adding it later does not change.
    """

    __tablename__ = "members"

    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    honcho_session: Mapped[str] = mapped_column(primary_key=True)
    peer: Mapped[str] = mapped_column(primary_key=True)
    observe_me: Mapped[bool]
    observe_others: Mapped[bool]
    joined_at: Mapped[Instant]
