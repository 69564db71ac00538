"""The client's room for Honcho's own summaries of a session, and how far they reach in ours."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from afterturn_worker.honcho.batches import ROW_ID
from afterturn_worker.honcho.connection import Connection, check_ids
from afterturn_worker.honcho.deadline import within
from afterturn_worker.honcho.recall_port import SessionSummary

if TYPE_CHECKING:
    from honcho import Session


class Summaries(Connection):
    """What Honcho has summarised by itself."""

    def session_summaries(
        self, workspace: str, session: str, *, deadline: float
    ) -> list[SessionSummary]:
        """Read the long and the short summary, by one request and one for each of them.

        A summary includes the one before it, so that it covers its session from the start. One
        that ends with a message that is none of ours is left out.
        """
        check_ids(workspace, session)
        theirs = self._session(workspace, session)
        with within(deadline):
            kept = self._or(None, theirs.summaries)
            found = kept and (kept.long_summary, kept.short_summary)
            rows = [(one, self._row(theirs, one.message_id)) for one in found or () if one]
        return [SessionSummary(one.content, row) for one, row in rows if row is not None]

    def _row(self, session: Session, message_id: str) -> uuid.UUID | None:
        message = self._or(None, lambda: session.get_message(message_id))
        try:
            return uuid.UUID(str(message.metadata.get(ROW_ID))) if message else None
        except ValueError:
            return None
