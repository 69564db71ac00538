"""Re-sync jobs: batch work over many sessions that survives its workers."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, JsonObject
from afterturn_models.tables.leased import LeasedColumns

STATES = "('running', 'done', 'cancelled')"


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
    state: Mapped[str] = mapped_column(server_default=text("'running'"))
    report: Mapped[JsonObject]
    created_at: Mapped[Instant]
    finished_at: Mapped[dt.datetime | None]


class ResyncPart(LeasedColumns, Base):
    """One session of a job, claimed, leased and fenced like a cursor (see `Cursor`).

    Every row up to `last_saved_index` is verified, or copied, and `due_index` is where the session
    ended when the job was made. `findings` is what was found out on the way.
    """

    __tablename__ = "resync_parts"
    __table_args__ = (
        CheckConstraint("(intent_first IS NULL) = (intent_last IS NULL)", name="intent"),
        Index(None, "session_id"),  # deleting a session looks for its parts
        Index(
            "ix_resync_parts_due",
            "run_at",
            postgresql_where=text("last_saved_index < due_index AND parked IS NULL"),
        ),
    )

    job_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("resync_jobs.id", ondelete="CASCADE"), primary_key=True
    )
    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True
    )
    findings: Mapped[JsonObject]
