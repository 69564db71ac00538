"""Workers: the heartbeat rows that prove a worker takes tasks, and not only that it runs."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, JsonObject


class WorkerRow(Base):
    """A worker by its Celery name; `beat_at` is written by a task that went through its broker.

    `honcho` is what its last exchange with Honcho came to: `ok`, or a sentence.
    """

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str]
    started_at: Mapped[Instant]
    beat_at: Mapped[dt.datetime | None]
    honcho: Mapped[str | None]
    honcho_at: Mapped[dt.datetime | None]
    details: Mapped[JsonObject]
