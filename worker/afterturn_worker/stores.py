"""The flows' ports on Postgres: each method one statement, with what was learned kept at hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from afterturn_models.lru import Lru
from afterturn_models.store import (
    compaction_due,
    counts,
    cursors,
    dialectic,
    due,
    facts,
    late,
    members,
    messages,
)
from afterturn_worker.delete_store import PostgresDeleting
from afterturn_worker.metrics import CLAIM, SETTLE, measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.policy.cadence import Fetched, Kind
    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.store.counts import Counts
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

_MEMBERS = 10_000
_KNOWN = 30.0  # seconds after which it is looked up again whether Honcho still has a member


class PostgresStore(PostgresDeleting):
    """`SyncStore` and `TurnStore`, and so `DialecticStore`, for the worker called `owner`."""

    def __init__(self, database: Database, owner: str) -> None:
        super().__init__(database, owner)
        self._members: Lru[tuple[str, str, str], float] = Lru(_MEMBERS)

    @measured(CLAIM)
    def claim(self, session_id: UUID, *, lease: float, late: bool = False) -> Claim | None:
        """Take the lease."""
        with self._database.statement() as connection:
            return cursors.claim(connection, session_id, owner=self._owner, lease=lease, late=late)

    def standing(self, session_id: UUID) -> Standing:
        """Tell where the session stands."""
        with self._database.statement() as connection:
            return cursors.standing(connection, session_id)

    def outgoing(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Outgoing]:
        """Read rows beyond `after`."""
        with self._database.statement() as connection:
            return messages.outgoing(connection, session_id, after=after, upto=upto, limit=limit)

    def listed(self, session_id: UUID, rows: Sequence[UUID]) -> Sequence[Outgoing]:
        """Read the rows with these ids."""
        with self._database.statement() as connection:
            return messages.listed(connection, session_id, rows)

    def late(self, session_id: UUID, *, limit: int) -> Sequence[Outgoing]:
        """Read rows that are to be sent out of their turn."""
        with self._database.statement() as connection:
            return messages.late(connection, session_id, limit=limit)

    def note_late_sent(self, claim: Claim, rows: Sequence[UUID]) -> bool:
        """Note that late rows are at Honcho."""
        with self._database.transaction() as connection:
            return late.note_late_sent(connection, claim.session_id, rows, epoch=claim.epoch)

    def mend(self, claim: Claim, row: UUID) -> bool:
        """Have a row sent with its special tokens neutralised."""
        with self._database.statement() as connection:
            return late.mend(connection, row, epoch=claim.epoch)

    def quarantine(self, claim: Claim, row: UUID, reason: str) -> bool:
        """Set a row aside."""
        with self._database.statement() as connection:
            return late.quarantine(connection, row, reason, epoch=claim.epoch)

    def unknown_members(
        self, workspace: str, honcho_session: str, peers: Iterable[str]
    ) -> set[str]:
        """Tell which peers Honcho has not been told of; what it was told is kept for a while."""
        now = time.monotonic()
        unsure = {
            peer
            for peer in peers
            if (self._members.get((workspace, honcho_session, peer)) or 0.0) <= now
        }
        if not unsure:
            return unsure
        with self._database.statement() as connection:
            known = members.known_members(connection, workspace, honcho_session, unsure)
        self._remember(workspace, honcho_session, known)
        return unsure - known

    def note_members(
        self, workspace: str, honcho_session: str, peers: Mapping[str, Observing]
    ) -> None:
        """Write down that Honcho was told of `peers`."""
        with self._database.statement() as connection:
            members.note_members(connection, workspace, honcho_session, peers)
        self._remember(workspace, honcho_session, peers)

    @measured(SETTLE)
    def advance(
        self, claim: Claim, *, saved: int, intent: Intent | None, lease: float
    ) -> int | None:
        """Settle up to `saved` and commit the next intent."""
        with self._database.statement() as connection:
            return cursors.advance(connection, claim, saved=saved, intent=intent, lease=lease)

    @measured(SETTLE)
    def release(self, claim: Claim, *, saved: int, late: bool = False) -> bool:
        """Settle up to `saved` and give the lease back."""
        with self._database.statement() as connection:
            return cursors.release(connection, claim, saved=saved, late=late)

    @measured(SETTLE)
    def postpone(self, claim: Claim, delay: Postponement) -> bool:
        """Give the lease back until later."""
        with self._database.statement() as connection:
            return cursors.postpone(connection, claim, delay)

    def last_turn(self, session_id: UUID) -> TurnFacts | None:
        """Read what was said last."""
        with self._database.statement() as connection:
            return facts.last_turn(connection, session_id)

    def session_facts(self, session_id: UUID) -> SessionFacts | None:
        """Read what recall needs to know of a session."""
        with self._database.statement() as connection:
            return facts.session_facts(connection, session_id)

    def counts(self, session_id: UUID) -> Counts | None:
        """Count a session's messages."""
        with self._database.statement() as connection:
            return counts.counts(connection, session_id)

    def take_prefetch(self, session_id: UUID) -> Fetched | None:
        """Claim the prefetches of the last turn."""
        with self._database.statement() as connection:
            return due.take_prefetch(connection, session_id)

    def want_compaction(self, session_id: UUID) -> None:
        """Note that a compaction is due."""
        with self._database.statement() as connection:
            compaction_due.want(connection, session_id)

    def claim_fetch(self, session_id: UUID, kind: Kind, turn: int) -> int | None:
        """Note a fetch for `turn`."""
        with self._database.statement() as connection:
            return due.claim_fetch(connection, session_id, kind, turn)

    def unclaim_fetch(self, session_id: UUID, kind: Kind, turn: int, before: int) -> None:
        """Take back that a fetch was made."""
        with self._database.statement() as connection:
            due.unclaim_fetch(connection, session_id, kind, turn, before)

    def note_dialectic(self, session_id: UUID, *, empty: bool) -> None:
        """Count an answer that had nothing to say, or begin again."""
        with self._database.statement() as connection:
            due.note_dialectic(connection, session_id, empty=empty)

    def grant_call(self, ask: Ask, settings: RecallSettings) -> tuple[int | None, str]:
        """Enter a call, in one short transaction; what is refused anyway queues for nobody."""
        with self._database.statement() as connection:
            refused = dialectic.overrun(connection, ask, settings)
        if refused is None:
            with self._database.transaction() as connection:
                call, refused = dialectic.grant(connection, ask, settings)
            if call is not None:
                return call, ""
        with self._database.statement() as connection:
            dialectic.note_refusal(connection, ask)
        return None, refused

    def settle_call(self, call: int, outcome: str) -> None:
        """Note what came of a call."""
        with self._database.statement() as connection:
            dialectic.settle(connection, call, outcome)

    def give_back_call(self, call: int) -> None:
        """Strike a call out."""
        with self._database.statement() as connection:
            dialectic.give_back(connection, call)

    def _remember(self, workspace: str, honcho_session: str, peers: Iterable[str]) -> None:
        for peer in peers:
            self._members.put((workspace, honcho_session, peer), time.monotonic() + _KNOWN)
