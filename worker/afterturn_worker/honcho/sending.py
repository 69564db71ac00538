"""The client's room for writing the conversation: peers, messages, and which of them are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from honcho.api_types import SessionPeerConfig

from afterturn_models.errors import InvalidIdError
from afterturn_models.policy.ids import is_valid_id
from afterturn_worker.honcho.connection import NO_ID, Connection, check_ids
from afterturn_worker.honcho.errors import building
from afterturn_worker.metrics import POST, measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from afterturn_models.values import Observing, Outgoing

ROW_ID = "afterturn"  # the metadata key under which a message carries its row's id


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

    def send(
        self, workspace: str, session: str, messages: Sequence[Outgoing], *, deadline: float
    ) -> None:
        """Store up to 100 messages by one POST."""
        check_ids(workspace, session)
        with (
            measured(POST, messages=len(messages)),
            self._call(deadline),  # around the building too: the lease was looked at before it
        ):
            bodies = []
            for index, message in enumerate(messages):
                _check_peer(message.peer, index)
                with building(index):
                    peer = self._peer(workspace, message.peer)
                    bodies.append(
                        peer.message(
                            message.content or "",
                            metadata=metadata_of(message),
                            created_at=message.at,
                        )
                    )
            self._session(workspace, session).add_messages(bodies)

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
        return seen


def _check_peer(peer: str, index: int) -> None:
    """Refuse a message for its peer: no other is to wait for it."""
    if not is_valid_id(peer):
        raise InvalidIdError(NO_ID.format(peer[:40]), index=index, about_content=True)


def metadata_of(message: Outgoing) -> dict[str, object]:
    """Give the metadata that a message is sent with; each value is a string, to be filtered by."""
    metadata: dict[str, object] = {ROW_ID: str(message.id)}
    if message.parts > 1:
        metadata["part"] = str(message.part)
        metadata["parts"] = str(message.parts)
    if message.mended:
        metadata["mended"] = "special-tokens"
    return metadata
