"""Histories: the words of messages for searching, written by workers after the turn."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base


class HistoryIndex(Base):
    """How far a session's messages can be searched by their words; a search reads the rest itself.

    A row apart from the session's, which a capture updates. `hinted_at` is when the relay last
    hinted at it.
    """

    __tablename__ = "history_indexes"
    __table_args__ = (CheckConstraint("upto >= 0", name="upto"),)

    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True
    )
    upto: Mapped[int] = mapped_column(server_default=text("0"))
    hinted_at: Mapped[dt.datetime | None]


class MessageText(Base):
    """The words of one message, with what a search is narrowed by.

    No index on `messages` does this: a capture would maintain it, and a reply wait for it.
    """

    __tablename__ = "message_texts"
    __table_args__ = (Index("ix_message_texts_words", "words", postgresql_using="gin"),)

    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("history_indexes.session_id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role: Mapped[str]
    at: Mapped[dt.datetime]
    words: Mapped[str] = mapped_column(TSVECTOR)
