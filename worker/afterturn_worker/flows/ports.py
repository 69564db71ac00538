"""The store as flows see it: each method is one atomic statement on Postgres' own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from afterturn_models.policy.cadence import Fetched, Kind
    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.store.dialectic import Ask
    from afterturn_models.store.facts import SessionFacts, TurnFacts
    from afterturn_models.values import (
        Claim,
        Intent,
        Observing,
        Outgoing,
        Postponement,
        Standing,
    )


class LeaseStore(Protocol):
    """A leased cursor in Postgres. A method that gives None or False lost the lease."""

    def claim(self, session_id: UUID, *, lease: float, late: bool = False) -> Claim | None:
        """Take the lease for `lease` seconds; None where it is not to be had, or nothing is due.

        With `late`, rows out of their turn count as due.
        """
        ...

    def standing(self, session_id: UUID) -> Standing:
        """Tell where the session stands, without claiming it."""
        ...

    def advance(
        self, claim: Claim, *, saved: int, intent: Intent | None, lease: float
    ) -> int | None:
        """Settle up to `saved`, commit the next intent, renew the lease; gives `due_index`."""
        ...

    def release(self, claim: Claim, *, saved: int, late: bool = False) -> bool:
        """Settle up to `saved` and give the lease back; False where more is due, or it was lost."""
        ...

    def postpone(self, claim: Claim, delay: Postponement) -> bool:
        """Give the lease back until later."""
        ...


class SyncStore(LeaseStore, Protocol):
    """What a sync needs of Postgres besides; False is a lost lease here too."""

    def outgoing(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Outgoing]:
        """Read rows beyond `after` up to `upto`, in order."""
        ...

    def listed(self, session_id: UUID, rows: Sequence[UUID]) -> Sequence[Outgoing]:
        """Read the rows with these ids, in order."""
        ...

    def late(self, session_id: UUID, *, limit: int) -> Sequence[Outgoing]:
        """Read rows that are to be sent out of their turn, in order."""
        ...

    def note_late_sent(self, claim: Claim, rows: Sequence[UUID]) -> bool:
        """Note that late rows are at Honcho; False where the lease was lost."""
        ...

    def mend(self, claim: Claim, row: UUID) -> bool:
        """Have a row sent with its special tokens neutralised from now on."""
        ...

    def quarantine(self, claim: Claim, row: UUID, reason: str) -> bool:
        """Set a row aside that Honcho never takes."""
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


class PacePort(Protocol):
    """The pace at which all workers together send."""

    def admit(self, *, can_wait: bool = False) -> tuple[float, str]:
        """Ask to send one request: seconds to wait (0: go), and the place that it has.

        What `can_wait` is told to come back behind others of its kind, and delays no turn.
        """
        ...

    def leave(self, place: str) -> None:
        """Give a place back."""
        ...

    def pause(self, seconds: float) -> None:
        """Let no worker send for that long."""
        ...


class Unpaced:
    """`PacePort` without any limit."""

    def admit(self, *, can_wait: bool = False) -> tuple[float, str]:  # noqa: ARG002 - the port's
        """Admit at once."""
        return 0.0, ""

    def leave(self, place: str) -> None:
        """Keep no place."""

    def pause(self, seconds: float) -> None:
        """Pause nobody."""


class DialecticStore(Protocol):
    """The dialectic's account, which every call to it is entered in first."""

    def grant_call(self, ask: Ask, settings: RecallSettings) -> tuple[int | None, str]:
        """Enter a call: its number, or None and a sentence that says why it is refused."""
        ...

    def settle_call(self, call: int, outcome: str) -> None:
        """Note what came of a call: `answered`, `empty` or `failed`."""
        ...

    def give_back_call(self, call: int) -> None:
        """Strike a call out that certainly never reached Honcho."""
        ...


class TurnStore(DialecticStore, Protocol):
    """What a prefetch needs of Postgres."""

    def last_turn(self, session_id: UUID) -> TurnFacts | None:
        """Read what was said last; None where the session is gone."""
        ...

    def session_facts(self, session_id: UUID) -> SessionFacts | None:
        """Read what recall needs to know of a session; None where it is gone."""
        ...

    def take_prefetch(self, session_id: UUID) -> Fetched | None:
        """Claim the prefetches of the last turn; None where they are claimed, or not due yet."""
        ...

    def want_compaction(self, session_id: UUID) -> None:
        """Note that a compaction is due, for the relay to find where its hint is lost."""
        ...

    def claim_fetch(self, session_id: UUID, kind: Kind, turn: int) -> int | None:
        """Note a fetch for `turn`; gives the turn of the one before it, None where it was noted."""
        ...

    def unclaim_fetch(self, session_id: UUID, kind: Kind, turn: int, before: int) -> None:
        """Take that back: the fetch came to nothing, and the next turn's is due."""
        ...

    def note_dialectic(self, session_id: UUID, *, empty: bool) -> None:
        """Count an answer that had nothing to say; one that had begins the count again."""
        ...
