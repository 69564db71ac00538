"""The sync's store in memory, with the cursor's semantics, on a clock that a test moves.

It passes the same contract as the one on Postgres. What a person does to rows that are
quarantined or missing (retry, drop, repair) is here too.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from afterturn_models.values import Claim, Intent, Observing, Outgoing, Postponement, Role, Standing

AT = datetime(2025, 1, 1, tzinfo=UTC)
TOKEN = "<|endoftext|>"
POISON = "POISON"  # nothing makes the Honcho in memory take it


class Crash(BaseException):
    """The worker is killed here: nothing of it runs on."""


@dataclass
class Clock:
    """Seconds that pass only when told."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass
class Row:
    """A captured row, as its table has it."""

    id: UUID
    index: int
    role: Role
    peer: str
    honcho_session: str
    content: str
    delivery: str = "send"
    reason: str | None = None
    late: str | None = None
    mended: bool = False

    def outgoing(self, *, with_late: bool = False) -> Outgoing:
        """Give the row as a sync reads it."""
        sent = self.delivery == "send" and (self.late is None or with_late)
        return Outgoing(
            id=self.id,
            index=self.index,
            role=self.role,
            peer=self.peer,
            honcho_session=self.honcho_session,
            content=self.content if sent else None,
            at=AT,
            mended=self.mended,
        )


@dataclass
class Cursor:
    """A cursor's row and its session's."""

    workspace: str
    honcho_session: str
    rows: list[Row] = field(default_factory=list)
    last_saved_index: int = 0
    due_index: int = 0
    run_at: float = 0.0
    epoch: int = 0
    lease_until: float | None = None
    intent: Intent | None = None
    settle_at: float | None = None
    narrowed_to: int | None = None
    attempts: int = 0
    parked: str | None = None
    last_error: str | None = None
    late: bool = False

    def is_due(self, *, late: bool) -> bool:
        """Tell whether there is work; with `late`, behind the cursor too."""
        return self.last_saved_index < self.due_index or (late and self.late)


class MemoryStore:
    """`SyncStore` in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cursors: dict[UUID, Cursor] = {}
        self.members: dict[tuple[str, str, str], Observing] = {}
        self._rows: dict[UUID, Row] = {}

    def open(self, workspace: str = "w", honcho_session: str | None = None) -> UUID:
        """Open a session."""
        session = uuid.uuid4()
        self.cursors[session] = Cursor(workspace, honcho_session or f"s-{session.hex}")
        return session

    def capture(self, session: UUID, deliveries: str, *, due: bool = True) -> list[Row]:
        """Capture one row a letter: `u` and `a` are sent, `l` stays here.

        Honcho refuses `t` for its special token, `x` whatever is done, and `b` for both.
        """
        cursor = self.cursors[session]
        rows = []
        for kind in deliveries:
            index = len(cursor.rows) + 1
            role = Role.ASSISTANT if kind == "a" else Role.USER
            said = f"said {index}"
            said += f" {TOKEN}" if kind in "tb" else ""
            row = Row(
                id=uuid.uuid4(),
                index=index,
                role=role,
                peer="bot" if role is Role.ASSISTANT else "ann",
                honcho_session=cursor.honcho_session,
                content=f"{said} {POISON}" if kind in "xb" else said,
                delivery="local" if kind == "l" else "send",
            )
            cursor.rows.append(row)
            self._rows[row.id] = row
            rows.append(row)
        if due:
            cursor.due_index = len(cursor.rows)
        return rows

    def claim(self, session_id: UUID, *, lease: float, late: bool = False) -> Claim | None:
        """Take the lease."""
        cursor = self.cursors.get(session_id)
        now = self.clock.now
        if (
            cursor is None
            or cursor.parked is not None
            or cursor.run_at > now
            or (cursor.lease_until is not None and cursor.lease_until > now)
            or not (cursor.is_due(late=late) or cursor.intent is not None)
        ):
            return None
        cursor.lease_until = now + lease
        cursor.epoch += 1
        return Claim(
            session_id=session_id,
            epoch=cursor.epoch,
            workspace=cursor.workspace,
            agent_peer="bot",
            last_saved_index=cursor.last_saved_index,
            due_index=cursor.due_index,
            attempts=cursor.attempts,
            intent=cursor.intent,
            settled=cursor.settle_at is not None and cursor.settle_at <= now,
            late=cursor.late,
            narrowed_to=cursor.narrowed_to,
        )

    def standing(self, session_id: UUID) -> Standing:
        """Tell where the session stands."""
        cursor = self.cursors.get(session_id)
        if cursor is None:
            return Standing.GONE
        if cursor.parked is not None:
            return Standing.PARKED
        if not cursor.is_due(late=False) and cursor.intent is None:
            return Standing.SYNCED
        if cursor.lease_until is not None and cursor.lease_until > self.clock.now:
            return Standing.BUSY
        return Standing.WAITING if cursor.run_at > self.clock.now else Standing.BUSY

    def outgoing(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Outgoing]:
        """Read rows beyond `after`."""
        rows = self.cursors[session_id].rows[after:upto][:limit]
        return [row.outgoing() for row in rows]

    def listed(self, session_id: UUID, rows: Sequence[UUID]) -> Sequence[Outgoing]:
        """Read the rows with these ids."""
        wanted = set(rows)
        found = [row for row in self.cursors[session_id].rows if row.id in wanted]
        return [row.outgoing(with_late=True) for row in found]

    def late(self, session_id: UUID, *, limit: int) -> Sequence[Outgoing]:
        """Read rows that are to be sent out of their turn."""
        found = [row for row in self.cursors[session_id].rows if _waits(row)]
        return [row.outgoing(with_late=True) for row in found][:limit]

    def note_late_sent(self, claim: Claim, rows: Sequence[UUID]) -> bool:
        """Note that late rows are at Honcho."""
        cursor = self._own(claim)
        if cursor is None:
            return False
        sent = set(rows)
        for row in cursor.rows:
            if row.late == "due" and row.id in sent:
                row.late = "sent"
        cursor.late = any(_waits(row) for row in cursor.rows)
        cursor.intent = cursor.settle_at = None
        if rows:
            cursor.attempts, cursor.last_error = 0, None
        return True

    def mend(self, claim: Claim, row: UUID) -> bool:
        """Have a row sent with its special tokens neutralised."""
        if self._own(claim) is None:
            return False
        self.row(row).mended = True
        return True

    def quarantine(self, claim: Claim, row: UUID, reason: str) -> bool:
        """Set a row aside."""
        if self._own(claim) is None:
            return False
        found = self.row(row)
        found.delivery, found.reason, found.late = "quarantined", reason, None
        return True

    def unknown_members(
        self, workspace: str, honcho_session: str, peers: Iterable[str]
    ) -> set[str]:
        """Tell which peers Honcho has not been told of."""
        return {p for p in peers if (workspace, honcho_session, p) not in self.members}

    def note_members(
        self, workspace: str, honcho_session: str, peers: Mapping[str, Observing]
    ) -> None:
        """Write down that Honcho was told of them."""
        for peer, observing in peers.items():
            self.members[workspace, honcho_session, peer] = observing

    def advance(
        self, claim: Claim, *, saved: int, intent: Intent | None, lease: float
    ) -> int | None:
        """Settle up to `saved` and commit the next intent."""
        cursor = self._own(claim)
        if cursor is None:
            return None
        if saved > cursor.last_saved_index:
            cursor.last_saved_index, cursor.attempts, cursor.last_error = saved, 0, None
        cursor.intent, cursor.settle_at = intent, None
        cursor.lease_until = self.clock.now + lease
        return cursor.due_index

    def release(self, claim: Claim, *, saved: int, late: bool = False) -> bool:
        """Settle up to `saved` and give the lease back."""
        cursor = self._own(claim)
        if cursor is None or cursor.due_index > saved or (late and cursor.late):
            return False
        cursor.last_saved_index = max(cursor.last_saved_index, saved)
        cursor.intent = cursor.settle_at = cursor.lease_until = cursor.last_error = None
        cursor.attempts, cursor.narrowed_to = 0, None
        return True

    def postpone(self, claim: Claim, delay: Postponement) -> bool:
        """Give the lease back until later."""
        cursor = self._own(claim)
        if cursor is None:
            return False
        later, progress = self.clock.now + delay.seconds, delay.saved > cursor.last_saved_index
        if delay.error is None and not delay.settling:
            cursor.attempts = 0 if progress else cursor.attempts
        else:
            cursor.attempts = 1 if progress else cursor.attempts + 1
        cursor.last_saved_index = max(cursor.last_saved_index, delay.saved)
        cursor.lease_until, cursor.run_at = None, later
        if delay.settling:
            cursor.settle_at = later
        elif not delay.keep_intent:
            cursor.settle_at = cursor.intent = None
        cursor.parked, cursor.narrowed_to = delay.parked, delay.narrowed_to
        cursor.last_error = delay.error or cursor.last_error
        return True

    def unpark(self, session: UUID) -> None:
        """Let a parked session be tried again."""
        self.cursors[session].parked = None

    def quarantined(self, session: UUID) -> list[Row]:
        """List what Honcho refused."""
        return [row for row in self.cursors[session].rows if row.delivery == "quarantined"]

    def retry_quarantined(self, session: UUID, rows: Sequence[UUID]) -> None:
        """Have quarantined rows sent again."""
        for row in self.quarantined(session):
            if row.id in set(rows):
                row.delivery, row.reason, row.late = "send", None, "due"
                self.cursors[session].late = True

    def drop_quarantined(self, session: UUID, rows: Sequence[UUID]) -> None:
        """Give up sending quarantined rows."""
        for row in self.quarantined(session):
            if row.id in set(rows):
                row.delivery, row.reason = "local", f"dropped: {row.reason}"

    def send_late(self, session: UUID, rows: Sequence[UUID]) -> None:
        """Have rows that are missing at Honcho sent late."""
        cursor, missing = self.cursors[session], set(rows)
        for row in cursor.rows[: cursor.last_saved_index]:
            if row.id in missing and row.delivery == "send" and row.late != "due":
                row.late = "due"
                cursor.late = True

    def row(self, wanted: UUID) -> Row:
        """Give the row with this id."""
        return self._rows[wanted]

    def _own(self, claim: Claim) -> Cursor | None:
        cursor = self.cursors.get(claim.session_id)
        return cursor if cursor is not None and cursor.epoch == claim.epoch else None


def _waits(row: Row) -> bool:
    return row.late == "due" and row.delivery == "send"
