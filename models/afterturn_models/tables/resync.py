"""Re-sync jobs: batch work over many sessions that survives its workers."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, JsonObject

STATES = "('waiting', 'running', 'done', 'failed', 'cancelled')"


class ResyncJob(Base):
    """One run of `afterturn resync`: what it is to do, how far it is, what it found."""

    __tablename__ = "resync_jobs"
    __table_args__ = (
        CheckConstraint("kind IN ('verify', 'repair', 'copy')", name="kind"),
        CheckConstraint(f"state IN {STATES}", name="state"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    kind: Mapped[str]
    target: Mapped[str | None]
    selection: Mapped[JsonObject]
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    report: Mapped[JsonObject]
    created_at: Mapped[Instant]
    finished_at: Mapped[dt.datetime | None]


class ResyncPart(Base):
    """One session of a job, leased and fenced like a cursor."""

    __tablename__ = "resync_parts"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state"),
        Index(None, "session_id"),  # deleting a session looks for its parts
    )

    job_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("resync_jobs.id", ondelete="CASCADE"), primary_key=True
    )
    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True
    )
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    done_index: Mapped[int] = mapped_column(server_default=text("0"))
    epoch: Mapped[int] = mapped_column(server_default=text("0"))
    lease_until: Mapped[dt.datetime | None]
    run_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    findings: Mapped[JsonObject]
