"""Identity seeds: the ledger that makes each persona file reach Honcho once only."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, Index, Integer, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, JsonObject, Serial, WorkspaceId


class IdentitySeed(Base):
    """A text with this SHA-256 from `source` that says who `peer` is; one row for ever.

    `content` is there until it is captured, and then the messages hold it (`turn_id`). `agent` is
    in whose session that is, with `owner`, and `profile` what its process was told of modes.
    `run_at` is from when on a task may take it up, `relayed_at` when the relay last hinted.
    """

    __tablename__ = "identity_seeds"
    __table_args__ = (
        UniqueConstraint("workspace_id", "peer", "source", "sha256"),
        CheckConstraint("kind IN ('agent', 'user', 'name')", name="kind"),
        CheckConstraint("(content IS NULL) = (done_at IS NOT NULL)", name="content"),
        # Only what is left to do is in it, however long the ledger grows.
        Index("ix_identity_seeds_undone", "run_at", postgresql_where=text("done_at IS NULL")),
    )

    id: Mapped[Serial]
    workspace_id: Mapped[WorkspaceId]
    peer: Mapped[str]
    source: Mapped[str]
    sha256: Mapped[str]
    turn_id: Mapped[uuid.UUID]
    created_at: Mapped[Instant]
    kind: Mapped[str]
    agent: Mapped[str]
    owner: Mapped[str]
    profile: Mapped[JsonObject]
    content: Mapped[str | None]
    done_at: Mapped[dt.datetime | None]
    run_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    relayed_at: Mapped[dt.datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    last_error: Mapped[str | None]
