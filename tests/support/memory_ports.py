"""The sync's ports in memory: a store with the cursor's semantics, and a Honcho with bad days.

Both run on one clock that a test moves. The store passes the same contract as the one on
Postgres; the Honcho stores a batch whole, at once or later, whatever it answers.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from uuid import UUID

from afterturn_models.errors import (
    AccessRefused,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)
from afterturn_models.values import (
    Claim,
    ContextResult,
    Intent,
    Observing,
    Outgoing,
    Postponement,
    Role,
    Standing,
)

AT = datetime(2025, 1, 1, tzinfo=UTC)


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
class Cursor:
    """A cursor's row and its session's."""

    workspace: str
    honcho_session: str
    rows: list[Outgoing] = field(default_factory=list)
    last_saved_index: int = 0
    due_index: int = 0
    run_at: float = 0.0
    epoch: int = 0
    lease_until: float | None = None
    intent: Intent | None = None
    settle_at: float | None = None
    attempts: int = 0
    parked: str | None = None
    last_error: str | None = None


class MemoryStore:
    """`SyncStore` in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cursors: dict[UUID, Cursor] = {}
        self.members: dict[tuple[str, str, str], Observing] = {}

    def open(self, workspace: str = "w", honcho_session: str | None = None) -> UUID:
        """Open a session."""
        session = uuid.uuid4()
        self.cursors[session] = Cursor(workspace, honcho_session or f"s-{session.hex}")
        return session

    def capture(self, session: UUID, deliveries: str, *, due: bool = True) -> list[Outgoing]:
        """Capture one row a letter: `u` and `a` are sent, `l` stays here."""
        cursor = self.cursors[session]
        rows = []
        for kind in deliveries:
            index = len(cursor.rows) + 1
            role = Role.ASSISTANT if kind == "a" else Role.USER
            row = Outgoing(
                id=uuid.uuid4(),
                index=index,
                role=role,
                peer="bot" if role is Role.ASSISTANT else "ann",
                honcho_session=cursor.honcho_session,
                content=None if kind == "l" else f"said {index}",
                at=AT,
            )
            cursor.rows.append(row)
            rows.append(row)
        if due:
            cursor.due_index = len(cursor.rows)
        return rows

    def claim(self, session_id: UUID, *, lease: float) -> Claim | None:
        """Take the lease."""
        cursor = self.cursors.get(session_id)
        now = self.clock.now
        if (
            cursor is None
            or cursor.parked is not None
            or cursor.run_at > now
            or (cursor.lease_until is not None and cursor.lease_until > now)
            or (cursor.last_saved_index >= cursor.due_index and cursor.intent is None)
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
        )

    def standing(self, session_id: UUID) -> Standing:
        """Tell where the session stands."""
        cursor = self.cursors.get(session_id)
        if cursor is None:
            return Standing.GONE
        if cursor.parked is not None:
            return Standing.PARKED
        if cursor.last_saved_index >= cursor.due_index and cursor.intent is None:
            return Standing.SYNCED
        if cursor.lease_until is not None and cursor.lease_until > self.clock.now:
            return Standing.BUSY
        return Standing.WAITING if cursor.run_at > self.clock.now else Standing.BUSY

    def outgoing(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Outgoing]:
        """Read rows beyond `after`."""
        rows = self.cursors[session_id].rows
        return [row for row in rows if after < row.index <= upto][:limit]

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

    def release(self, claim: Claim, *, saved: int) -> bool:
        """Settle up to `saved` and give the lease back."""
        cursor = self._own(claim)
        if cursor is None or cursor.due_index > saved:
            return False
        cursor.last_saved_index = max(cursor.last_saved_index, saved)
        cursor.intent = cursor.settle_at = cursor.lease_until = cursor.last_error = None
        cursor.attempts = 0
        return True

    def postpone(self, claim: Claim, delay: Postponement) -> bool:
        """Give the lease back until later."""
        cursor = self._own(claim)
        if cursor is None:
            return False
        later = self.clock.now + delay.seconds
        cursor.attempts = 1 if delay.saved > cursor.last_saved_index else cursor.attempts + 1
        cursor.last_saved_index = max(cursor.last_saved_index, delay.saved)
        cursor.lease_until, cursor.run_at = None, later
        if delay.settling:
            cursor.settle_at = later
        elif not delay.keep_intent:
            cursor.settle_at = cursor.intent = None
        cursor.parked = delay.parked
        cursor.last_error = delay.error or cursor.last_error
        return True

    def unpark(self, session: UUID) -> None:
        """Let a parked session be tried again."""
        self.cursors[session].parked = None

    def _own(self, claim: Claim) -> Cursor | None:
        cursor = self.cursors.get(claim.session_id)
        return cursor if cursor is not None and cursor.epoch == claim.epoch else None


class Answer(Enum):
    """What becomes of a request."""

    OK = auto()
    LOST = auto()  # stored, and the answer lost
    FAILED = auto()  # a 500 that stored nothing
    LATE = auto()  # the client gives up at its deadline; stored `share` of the settling later
    KILLED = auto()  # the worker dies while the request is under way; stored that much later
    PARTIAL = auto()  # half of it stored, the answer lost: not promised, and survived
    LIMITED = auto()
    UNREACHABLE = auto()
    REFUSED = auto()
    REJECTED = auto()


@dataclass(frozen=True)
class Fate:
    """The answer to the next request of a kind; `share` of the settling time it commits late."""

    answer: Answer = Answer.OK
    share: float = 0.0


_RAISED = {
    Answer.FAILED: OutcomeUnknown("500"),
    Answer.LIMITED: RateLimited("429", retry_after=3.0),
    Answer.UNREACHABLE: Unreachable("refused"),
    Answer.REFUSED: AccessRefused("401", status=401),
    Answer.REJECTED: Rejected("422", status=422),
}


class MemoryHoncho:
    """`HonchoPort` in memory. `fates` are taken by one request each; with none left, all is well."""

    def __init__(self, clock: Clock, *, settling: float = 12.0) -> None:
        self.clock = clock
        self.settling = settling
        self.stored: dict[tuple[str, str], list[Outgoing]] = {}
        self.joined: dict[tuple[str, str, str], Observing] = {}
        self.strangers: list[Outgoing] = []  # messages whose peer had not been added
        self.sends: deque[Fate] = deque()
        self.others: deque[Fate] = deque()
        self.posts = 0
        self.looks = 0
        self.deadlines: list[float] = []
        self._under_way: list[tuple[float, tuple[str, str], list[Outgoing]]] = []

    def ids(self, workspace: str, session: str) -> list[UUID]:
        """Give the ids of what is stored, in order."""
        return [row.id for row in self.stored.get((workspace, session), [])]

    def arrive(self) -> None:
        """Commit what was under way and whose time has come."""
        due = [entry for entry in self._under_way if entry[0] <= self.clock.now]
        for entry in sorted(due, key=lambda entry: entry[0]):
            self._under_way.remove(entry)
            self._store(entry[1], entry[2])

    def send(
        self, workspace: str, session: str, messages: Sequence[Outgoing], *, deadline: float
    ) -> None:
        """Store a batch, or not, or later."""
        self.arrive()
        self.posts += 1
        self.deadlines.append(deadline)
        fate = self.sends.popleft() if self.sends else Fate()
        place, rows = (workspace, session), list(messages)
        match fate.answer:
            case Answer.OK | Answer.LOST:
                self._store(place, rows)
            case Answer.PARTIAL:
                self._store(place, rows[: len(rows) // 2])
            case Answer.LATE:
                self.clock.pass_(deadline)
                self._later(fate, place, rows)
            case Answer.KILLED:
                self._later(fate, place, rows)
                raise Crash
            case _:
                raise _RAISED[fate.answer]
        if fate.answer is not Answer.OK:
            raise OutcomeUnknown("no answer")

    def find(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> set[UUID]:
        """Look rows up."""
        self.arrive()
        self.looks += 1
        self._other()
        return set(rows) & set(self.ids(workspace, session))

    def add_peers(
        self, workspace: str, session: str, peers: Mapping[str, Observing], *, deadline: float
    ) -> None:
        """Add peers; what is stored already stays as it is."""
        self.arrive()
        self._other()
        for peer, observing in peers.items():
            self.joined.setdefault((workspace, session, peer), observing)

    def context(
        self, workspace: str, session: str, *, user: str, agent: str, tokens: int, deadline: float
    ) -> ContextResult:
        """Know nothing."""
        self._other()
        return ContextResult()

    def ask(
        self,
        workspace: str,
        session: str,
        *,
        user: str,
        agent: str,
        query: str,
        level: str,
        deadline: float,
    ) -> str | None:
        """Know nothing."""
        self._other()
        return None

    def check(self, workspace: str, *, deadline: float) -> None:
        """Answer."""
        self._other()

    def _other(self) -> None:
        fate = self.others.popleft() if self.others else Fate()
        if fate.answer is not Answer.OK:
            raise _RAISED.get(fate.answer, OutcomeUnknown("no answer"))

    def _later(self, fate: Fate, place: tuple[str, str], rows: list[Outgoing]) -> None:
        self._under_way.append((self.clock.now + fate.share * self.settling, place, rows))

    def _store(self, place: tuple[str, str], rows: list[Outgoing]) -> None:
        self.strangers += [row for row in rows if (*place, row.peer) not in self.joined]
        self.stored.setdefault(place, []).extend(rows)
