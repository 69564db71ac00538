"""The dialectic's account: every call that was made or refused in the last day."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, Serial, WorkspaceId


class DialecticCall(Base):
    """One call for the user `peer` that was granted, or calls that the budget refused them.

    `outcome` is `asked` until it is known (and for ever where the worker was killed), then
    `answered`, `empty` (nothing is known) or `failed`; a row that is `refused` counts the `times`
    of about a minute. Windows slide over these rows on Postgres' own clock, so that no hour holds
    more than it may. Rows older than a day are deleted as others come.
    """

    __tablename__ = "dialectic_calls"
    __table_args__ = (
        CheckConstraint(
            "outcome IN ('asked', 'answered', 'empty', 'failed', 'refused')", name="outcome"
        ),
        # However much is refused, what is counted before each call is what was granted.
        Index(
            "ix_dialectic_calls_granted",
            "workspace_id",
            "at",
            postgresql_where=text("outcome <> 'refused'"),
        ),
        Index(
            "ix_dialectic_calls_refused",
            "workspace_id",
            "at",
            postgresql_where=text("outcome = 'refused'"),
        ),
    )

    id: Mapped[Serial]
    workspace_id: Mapped[WorkspaceId]
    peer: Mapped[str]
    level: Mapped[str]
    weight: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str]
    times: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    at: Mapped[Instant]
