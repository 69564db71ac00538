"""Identity seeds: the ledger that makes each persona file reach Honcho once only."""

from __future__ import annotations

import uuid

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from afterturn_models.tables.base import Base, Instant, Serial, WorkspaceId


class IdentitySeed(Base):
    """A source whose text with this SHA-256 was captured as a peer's identity seed."""

    __tablename__ = "identity_seeds"
    __table_args__ = (UniqueConstraint("workspace_id", "peer", "source", "sha256"),)

    id: Mapped[Serial]
    workspace_id: Mapped[WorkspaceId]
    peer: Mapped[str]
    source: Mapped[str]
    sha256: Mapped[str]
    turn_id: Mapped[uuid.UUID]
    created_at: Mapped[Instant]
