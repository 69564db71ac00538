"""Cursors: how far a session is settled at Honcho, and who may move that on."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base


class Cursor(Base):
    """A session's cursor, a row apart from the session's: a claim never waits for a capture.

    Every row up to `last_saved_index` is settled; 0 is none. A sync is due while it is below
    `due_index`, from `run_at` on. The lease runs on Postgres' own clock, and `epoch` fences off
    a worker that lost it. An intent (`intent_first` to `intent_last`, or the rows listed) is
    what may have been sent; `settle_at` is when its finder may look it up. `prefetched_turn` is
    the last turn for which prefetches were sent, `relayed_at` when the relay last hinted.
    """

    __tablename__ = "cursors"
    __table_args__ = (
        CheckConstraint("last_saved_index >= 0", name="last_saved_index"),
        CheckConstraint("(intent_first IS NULL) = (intent_last IS NULL)", name="intent"),
        Index(
            "ix_cursors_due",
            "run_at",
            postgresql_where=text("last_saved_index < due_index AND parked IS NULL"),
        ),
    )

    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True
    )
    last_saved_index: Mapped[int] = mapped_column(server_default=text("0"))
    due_index: Mapped[int] = mapped_column(server_default=text("0"))
    run_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    epoch: Mapped[int] = mapped_column(server_default=text("0"))
    lease_owner: Mapped[str | None]
    lease_until: Mapped[dt.datetime | None]
    intent_first: Mapped[int | None]
    intent_last: Mapped[int | None]
    intent_rows: Mapped[list[uuid.UUID] | None] = mapped_column(ARRAY(UUID(as_uuid=True)))
    settle_at: Mapped[dt.datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    parked: Mapped[str | None]
    last_error: Mapped[str | None]
    last_error_at: Mapped[dt.datetime | None]
    last_saved_at: Mapped[dt.datetime | None]
    prefetched_turn: Mapped[int] = mapped_column(server_default=text("0"))
    relayed_at: Mapped[dt.datetime | None]
