"""The client's room for metadata: what sessions, workspaces, peers and scopes are marked with.

Honcho replaces metadata and does not merge it. A merge here is a read and a write, so whoever may
do it at the same time as another holds a lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn_worker.honcho.connection import Connection, check_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENT_ID = "agentId"  # the metadata key under which a peer carries the agent that it is


class Noting(Connection):
    """Metadata and scopes."""

    def join_scope(self, workspace: str, scope: str, session: str, *, deadline: float) -> None:
        """Make a session part of a scope by one request, which makes either where it is missing."""
        check_ids(workspace, scope, session)
        with self._call(deadline):
            self._honcho(workspace).session(session, scopes=[scope])

    def note_session(
        self, workspace: str, session: str, metadata: Mapping[str, str], *, deadline: float
    ) -> None:
        """Merge `metadata` into a session's by two requests, or one where nothing changes."""
        check_ids(workspace, session)
        with self._call(deadline):
            _merge(self._session(workspace, session), metadata)

    def workspace_metadata(self, workspace: str, *, deadline: float) -> dict[str, Any]:
        """Read a workspace's metadata by one request."""
        check_ids(workspace)
        with self._call(deadline):
            return dict(self._honcho(workspace).get_metadata())

    def set_workspace_metadata(
        self, workspace: str, metadata: Mapping[str, Any], *, deadline: float
    ) -> None:
        """Replace a workspace's metadata by one request."""
        check_ids(workspace)
        with self._call(deadline):
            self._honcho(workspace).set_metadata(dict(metadata))

    def peer_of_agent(self, workspace: str, agent_id: str, *, deadline: float) -> str | None:
        """Find the first peer that carries this agentId, by one request."""
        check_ids(workspace)
        if agent_id == "*":
            return None  # to a filter of Honcho's it is anything
        filters: dict[str, object] = {"metadata": {AGENT_ID: agent_id}}
        with self._call(deadline):
            found = self._honcho(workspace).peers(filters=filters, size=1).items
        return str(found[0].id) if found else None

    def note_agent(self, workspace: str, peer: str, agent_id: str, *, deadline: float) -> None:
        """Merge the agentId into a peer's metadata by two requests, or one where it is there."""
        check_ids(workspace, peer)
        with self._call(deadline):
            _merge(self._peer(workspace, peer), {AGENT_ID: agent_id})


def _merge(thing: Any, metadata: Mapping[str, str]) -> None:
    """Merge into what the SDK has one way of reading (which makes it) and replacing."""
    known = thing.get_metadata()
    merged = {**known, **metadata}
    if merged != known:
        thing.set_metadata(merged)
