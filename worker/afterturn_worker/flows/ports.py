"""The store as flows see it: each method is one atomic statement on Postgres' own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from afterturn_models.store.sessions import TurnFacts
    from afterturn_models.values import (
        Claim,
        Intent,
        Observing,
        Outgoing,
        Postponement,
        Standing,
    )


class SyncStore(Protocol):
    """What a sync needs of Postgres. A method that gives None or False lost the lease."""

    def claim(self, session_id: UUID, *, lease: float) -> Claim | None:
        """Take the lease for `lease` seconds; None where it is not to be had, or nothing is due."""
        ...

    def standing(self, session_id: UUID) -> Standing:
        """Tell where the session stands, without claiming it."""
        ...

    def outgoing(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Outgoing]:
        """Read rows beyond `after` up to `upto`, in order."""
        ...

    def unknown_members(
        self, workspace: str, honcho_session: str, peers: Iterable[str]
    ) -> set[str]:
        """Tell which peers Honcho has not been told of."""
        ...

    def note_members(
        self, workspace: str, honcho_session: str, peers: Mapping[str, Observing]
    ) -> None:
        """Write down that Honcho was told of them."""
        ...

    def advance(
        self, claim: Claim, *, saved: int, intent: Intent | None, lease: float
    ) -> int | None:
        """Settle up to `saved`, commit the next intent, renew the lease; gives `due_index`."""
        ...

    def release(self, claim: Claim, *, saved: int) -> bool:
        """Settle up to `saved` and give the lease back; False where more is due, or it was lost."""
        ...

    def postpone(self, claim: Claim, delay: Postponement) -> bool:
        """Give the lease back until later."""
        ...


class TurnStore(Protocol):
    """What a prefetch needs of Postgres."""

    def last_turn(self, session_id: UUID) -> TurnFacts | None:
        """Read what was said last; None where there is no turn."""
        ...
