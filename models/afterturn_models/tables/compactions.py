"""Compactions: summaries of what lies further back, and who may make the next one.

They cover messages, and delete none.
"""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, JsonObject, Serial, SessionId


class Compaction(Base):
    """A summary of every row up to `covers_to`, how it was made, and what it was made of.

    Rows from `covers_from` on are new in it, the last summary has the others. `stays_here`: some
    of what it was made of, by whichever summary on the way, was not to leave this machine.
    `honcho_session` is the one session of Honcho that has every row up to `covers_to`, where one
    has.
    """

    __tablename__ = "compactions"
    __table_args__ = (
        UniqueConstraint("session_id", "covers_to"),
        CheckConstraint("covers_to >= covers_from", name="covers"),
    )

    id: Mapped[Serial]
    session_id: Mapped[SessionId]
    covers_from: Mapped[int]
    covers_to: Mapped[int]
    summary: Mapped[str]
    tokens: Mapped[int] = mapped_column(Integer)
    made_by: Mapped[str]
    created_at: Mapped[Instant]
    stays_here: Mapped[bool] = mapped_column(server_default=text("false"))
    honcho_session: Mapped[str | None]


class CompactionState(Base):
    """Who compacts a session, and when that is tried again; a row apart from the session's.

    `wanted`: a compaction was found due, or asked for (`forced`), and is not done. The lease runs
    on Postgres' own clock, and `epoch` fences off a worker that lost it. `run_at` is from when on
    it may be taken up, `failures` how many tries in a row came to nothing, and `cooling` says by
    the kind of summary how often that failed, and until when (seconds of the epoch) it is left
    alone. `relayed_at` is when the relay last hinted.
    """

    __tablename__ = "compaction_states"
    __table_args__ = (
        # Only what is left to do is in it, however many sessions there are.
        Index("ix_compaction_states_wanted", "run_at", postgresql_where=text("wanted")),
    )

    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True
    )
    wanted: Mapped[bool] = mapped_column(server_default=text("true"))
    forced: Mapped[bool] = mapped_column(server_default=text("false"))
    run_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    epoch: Mapped[int] = mapped_column(server_default=text("0"))
    lease_owner: Mapped[str | None]
    lease_until: Mapped[dt.datetime | None]
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    cooling: Mapped[JsonObject]
    relayed_at: Mapped[dt.datetime | None]
    last_error: Mapped[str | None]
