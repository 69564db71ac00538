"""The flows' ports for re-sync parts: the same protocol as a session's cursor, in another table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from afterturn_models.policy.verify import Findings, merged
from afterturn_models.store import late, messages, resync
from afterturn_models.store.resync import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from afterturn_models.db import Database
    from afterturn_models.store.resync import Verifiable
    from afterturn_models.values import (
        Claim,
        Intent,
        Observing,
        Outgoing,
        Postponement,
        Standing,
    )


class PartStore:
    """What verifying and copying have in common; one a task."""

    def __init__(self, database: Database, owner: str, job_id: UUID) -> None:
        self._database = database
        self._owner = owner
        self._job_id = job_id

    def _keys(self, session_id: UUID) -> dict[str, UUID]:
        return {"job_id": self._job_id, "session_id": session_id}

    def claim(self, session_id: UUID, *, lease: float, late: bool = False) -> Claim | None:
        """Take the lease on a part."""
        with self._database.statement() as connection:
            return PARTS.claim(
                connection, self._keys(session_id), owner=self._owner, lease=lease, late=late
            )

    def standing(self, session_id: UUID) -> Standing:
        """Tell where a part stands."""
        with self._database.statement() as connection:
            return PARTS.standing(connection, self._keys(session_id))

    def advance(
        self, claim: Claim, *, saved: int, intent: Intent | None, lease: float
    ) -> int | None:
        """Write what is done and the next intent."""
        with self._database.statement() as connection:
            return self._advance(connection, claim, saved=saved, intent=intent, lease=lease)

    def release(self, claim: Claim, *, saved: int, late: bool = False) -> bool:
        """Give the lease back."""
        with self._database.statement() as connection:
            return PARTS.release(
                connection, self._keys(claim.session_id), claim.epoch, saved=saved, late=late
            )

    def postpone(self, claim: Claim, delay: Postponement) -> bool:
        """Give the lease back until later; a part that is refused access comes again by itself."""
        with self._database.statement() as connection:
            return PARTS.postpone(
                connection,
                self._keys(claim.session_id),
                claim.epoch,
                replace(delay, parked=None),
            )

    def listed(self, session_id: UUID, rows: Sequence[UUID]) -> Sequence[Outgoing]:
        """Read the rows with these ids."""
        with self._database.statement() as connection:
            return messages.listed(connection, session_id, rows)

    def note(self, claim: Claim, findings: dict[str, Any]) -> bool:
        """Write down what was found so far."""
        with self._database.statement() as connection:
            return self._note(connection, claim, findings)

    def findings(self, session_id: UUID) -> dict[str, Any]:
        """Read what was found so far."""
        with self._database.statement() as connection:
            known = resync.part(connection, self._job_id, session_id)
        return known.findings if known else {}

    def _advance(
        self,
        connection: Connection,
        claim: Claim,
        *,
        saved: int,
        intent: Intent | None,
        lease: float,
    ) -> int | None:
        keys = self._keys(claim.session_id)
        return PARTS.advance(connection, keys, claim.epoch, saved=saved, intent=intent, lease=lease)

    def _note(self, connection: Connection, claim: Claim, findings: dict[str, Any]) -> bool:
        return resync.note_findings(
            connection, self._job_id, claim.session_id, claim.epoch, findings
        )


class PostgresVerifyStore(PartStore):
    """`VerifyStore`: looks and notes; the only rows that it changes are those that are missing."""

    def verifiable(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Verifiable]:
        """Read which rows are to be at Honcho."""
        with self._database.statement() as connection:
            return resync.verifiable(connection, session_id, after=after, upto=upto, limit=limit)

    def last_in_turn(self, session_id: UUID, *, upto: int) -> Verifiable | None:
        """Read the last row up to `upto` that was sent in its turn."""
        with self._database.statement() as connection:
            return resync.last_in_turn(connection, session_id, upto=upto)

    def found(self, claim: Claim, findings: Findings, *, saved: int, lease: float) -> bool:
        """Write a window's findings and that it is done, both or neither."""
        with self._database.transaction() as connection:
            due = self._advance(connection, claim, saved=saved, intent=None, lease=lease)
            if due is None:
                return False
            known = resync.part(connection, self._job_id, claim.session_id)
            report = merged(known.findings if known else {}, findings)
            return self._note(connection, claim, report)

    def send_late(self, session_id: UUID, rows: Sequence[UUID]) -> None:
        """Have missing rows sent late."""
        with self._database.statement() as connection:
            late.send_late(connection, session_id, rows)


class CopyStore(PartStore):
    """`SyncStore` for a copy: what was captured to be sent, to another workspace or server.

    What the target refuses is noted in the part; the rows themselves stay as they are.
    """

    def __init__(self, database: Database, owner: str, job_id: UUID, workspace: str | None) -> None:
        """Copy into `workspace` of the target; None: the one of the same name."""
        super().__init__(database, owner, job_id)
        self._workspace = workspace
        self._members: set[tuple[str, str]] = set()
        self._mended: set[UUID] = set()
        self._refused: set[UUID] = set()

    def claim(self, session_id: UUID, *, lease: float, late: bool = False) -> Claim | None:
        """Take the lease on a part; the claim names the target's workspace."""
        claim = super().claim(session_id, lease=lease, late=late)
        if claim is None:
            return None
        self._refused = {UUID(row) for row in self.findings(session_id).get("refused_rows", [])}
        return replace(claim, workspace=self._workspace or claim.workspace)

    def outgoing(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Outgoing]:
        """Read rows beyond `after`, whether or not they are late here."""
        with self._database.statement() as connection:
            rows = messages.outgoing(
                connection, session_id, after=after, upto=upto, limit=limit, with_late=True
            )
        return [self._as_copied(row) for row in rows]

    def late(self, session_id: UUID, *, limit: int) -> Sequence[Outgoing]:  # noqa: ARG002 - the port's
        """Nothing is late in a copy."""
        return ()

    def note_late_sent(self, claim: Claim, rows: Sequence[UUID]) -> bool:  # noqa: ARG002 - the port's
        """Nothing is late in a copy."""
        return True

    def mend(self, claim: Claim, row: UUID) -> bool:  # noqa: ARG002 - the port's
        """Have a row copied with its special tokens neutralised."""
        self._mended.add(row)
        return True

    def quarantine(self, claim: Claim, row: UUID, reason: str) -> bool:
        """Note a row that the target never takes."""
        self._refused.add(row)
        known = self.findings(claim.session_id)
        return self.note(
            claim,
            {
                **known,
                "refused": known.get("refused", 0) + 1,
                "refused_rows": [*known.get("refused_rows", []), str(row)],
                "refused_for": reason,
            },
        )

    def unknown_members(
        self, workspace: str, honcho_session: str, peers: Iterable[str]
    ) -> set[str]:
        """Tell which peers this task has not added there; adding one again does no harm."""
        del workspace
        return {peer for peer in peers if (honcho_session, peer) not in self._members}

    def note_members(
        self, workspace: str, honcho_session: str, peers: Mapping[str, Observing]
    ) -> None:
        """Remember which peers were added."""
        del workspace
        self._members.update((honcho_session, peer) for peer in peers)

    def _as_copied(self, row: Outgoing) -> Outgoing:
        if row.id in self._refused:
            return replace(row, content=None)
        return replace(row, mended=row.mended or row.id in self._mended)
