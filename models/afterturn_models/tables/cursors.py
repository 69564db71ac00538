"""Cursors: how far a session is settled at Honcho, and who may move that on."""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base
from afterturn_models.tables.leased import LeasedColumns


class Cursor(LeasedColumns, Base):
    """A session's cursor, a row apart from the session's: a claim never waits for a capture.

    `prefetched_turn` is the last turn whose prefetches were claimed, `context_turn` and
    `dialectic_turn` the last for which either was fetched (0: before the first turn, -1: never),
    and `empty_dialectics` how many answers in a row had nothing to say. `late` says that rows
    behind the cursor are to be sent out of their turn.
    """

    __tablename__ = "cursors"
    __table_args__ = (
        CheckConstraint("last_saved_index >= 0", name="last_saved_index"),
        CheckConstraint("(intent_first IS NULL) = (intent_last IS NULL)", name="intent"),
        Index(
            "ix_cursors_due",
            "run_at",
            postgresql_where=text("(last_saved_index < due_index OR late) AND parked IS NULL"),
        ),
    )

    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True
    )
    prefetched_turn: Mapped[int] = mapped_column(server_default=text("0"))
    context_turn: Mapped[int] = mapped_column(server_default=text("-1"))
    dialectic_turn: Mapped[int] = mapped_column(server_default=text("-1"))
    empty_dialectics: Mapped[int] = mapped_column(server_default=text("0"))
    late: Mapped[bool] = mapped_column(server_default=text("false"))
