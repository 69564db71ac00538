"""The write side of the port: what afterturn does at a Honcho, in our own values and errors.

Every method raises a kind of `HonchoFailure`; `NotStored` and `OutcomeUnknown` say what a
failed write came to. Ids that are not `[A-Za-z0-9_-]{1,100}` raise InvalidIdError unsent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from afterturn_models.values import Observing, Outgoing


class HonchoPort(Protocol):
    """A Honcho that a worker talks to."""

    def add_peers(
        self, workspace: str, session: str, peers: Mapping[str, Observing], *, deadline: float
    ) -> None:
        """Add peers to a session with their observe settings; safe to repeat."""
        ...

    def send(
        self, workspace: str, session: str, messages: Sequence[Outgoing], *, deadline: float
    ) -> None:
        """Store up to 100 messages, whole or not at all, by one request that is never repeated.

        `deadline` (seconds) bounds the whole request; then the socket is closed.
        """
        ...

    def find(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> set[UUID]:
        """Tell which rows the session holds, by their ids in the messages' metadata."""
        ...

    def sightings(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> list[UUID]:
        """Give the rows that the session holds in its order, each as often as it is there."""
        ...

    def check(self, workspace: str, *, deadline: float) -> None:
        """Reach Honcho with the key, and do nothing more."""
        ...
