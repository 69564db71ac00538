"""The client's room for deleting: sessions, with all that Honcho has of them."""

from __future__ import annotations

from afterturn_worker.honcho.connection import Connection, check_ids
from afterturn_worker.honcho.deadline import within


class Deleting(Connection):
    """Sessions of Honcho that a person wants gone."""

    def delete_session(self, workspace: str, session: str, *, deadline: float) -> bool:
        """Have a session deleted by one request, answered before it is done; False where none is."""
        check_ids(workspace, session)
        with within(deadline):
            return self._or(False, lambda: self._delete(workspace, session))

    def _delete(self, workspace: str, session: str) -> bool:
        self._session(workspace, session).delete()
        return True
