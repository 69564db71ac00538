"""The client's room for writing the conversation: peers, messages, and which of them are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from honcho.api_types import SessionPeerConfig

from afterturn_worker.honcho.batches import (
    ROW_ID,
    WORKSPACES,
    batch_body,
    check_stored,
    messages_path,
)
from afterturn_worker.honcho.connection import Connection, check_ids
from afterturn_worker.metrics import POST, measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from afterturn_models.values import Observing, Outgoing


class Sending(Connection):
    """The write side of `HonchoPort`."""

    def add_peers(
        self, workspace: str, session: str, peers: Mapping[str, Observing], *, deadline: float
    ) -> None:
        """Add peers to a session with their observe settings."""
        check_ids(workspace, session, *peers)
        members: list[tuple[str, SessionPeerConfig]] = [
            (
                peer,
                SessionPeerConfig(
                    observe_me=observing.observe_me, observe_others=observing.observe_others
                ),
            )
            for peer, observing in peers.items()
        ]
        with self._call(deadline):
            self._session(workspace, session).add_peers(members)
            self._made_sure_of.add(workspace)

    def send(
        self, workspace: str, session: str, messages: Sequence[Outgoing], *, deadline: float
    ) -> None:
        """Store up to 100 messages by one POST."""
        with (
            measured(POST, messages=len(messages)),
            self._call(deadline),  # around the building too: the lease was looked at before it
        ):
            path, body = messages_path(workspace, session), batch_body(messages)
            self._make_sure_of(workspace)
            check_stored(self._raw.post(path, body=body), messages, self._shown)

    def _make_sure_of(self, workspace: str) -> None:
        """Have the workspace there, by a request before this process's first message to it.

        Two threads may both make it: it does no harm, and a lock would hold one past its deadline.
        """
        if workspace not in self._made_sure_of:
            self._raw.post(WORKSPACES, body={"id": workspace})
            self._made_sure_of.add(workspace)

    def find(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> set[UUID]:
        """Look rows up by their ids."""
        return set(self.sightings(workspace, session, rows, deadline=deadline))

    def sightings(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> list[UUID]:
        """Look rows up by their ids, 100 at a time; each as often as it is there, in order."""
        check_ids(workspace, session)
        wanted = {str(row): row for row in rows}
        seen: list[UUID] = []
        for start in range(0, len(rows), 100):
            part = [str(row) for row in rows[start : start + 100]]
            filters: dict[str, object] = {"metadata": {ROW_ID: {"in": part}}}
            with self._call(deadline):
                for message in self._session(workspace, session).messages(
                    filters=filters, size=100
                ):
                    row = wanted.get(str(message.metadata.get(ROW_ID)))
                    if row is not None:
                        seen.append(row)
        self._made_sure_of.add(workspace)  # the SDK did, before its first request
        return seen
