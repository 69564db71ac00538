"""The columns of a leased cursor: shared by a session's cursor and a part of a re-sync job."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import SmallInteger, func, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.orm import Mapped, mapped_column


class LeasedColumns:
    """How far something is, what may be under way, who may move it on, and what went wrong last.

    Every row up to `last_saved_index` is settled; 0 is none. There is work while that is below
    `due_index`, from `run_at` on. The lease runs on Postgres' own clock, and `epoch` fences off a
    worker that lost it. An intent (`intent_first` to `intent_last`, or the rows listed) is what may
    have been sent; `settle_at` is when its finder may look it up. `relayed_at` is when the relay
    last hinted, `narrowed_to` how many messages go into the next batch while a refusal is narrowed
    down to the one that causes it.
    """

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
    relayed_at: Mapped[dt.datetime | None]
    narrowed_to: Mapped[int | None] = mapped_column(SmallInteger)
