"""Compaction's store in memory, on a clock that a test moves, and kinds of summary that it scripts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from afterturn_models.policy.compaction import Line
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.profile import SessionProfile
from afterturn_models.store.compaction_texts import Reach, Said
from afterturn_models.store.compactions import CompactionClaim, Held, Summary
from afterturn_models.values import Role
from afterturn_worker.honcho.recall_port import SessionSummary
from support.memory_ports import Clock

PRIVATE = {"mode", "saveMessages", "machine"}


@dataclass
class Row:
    """A captured row, as compaction reads it."""

    id: uuid.UUID
    line: Line
    text: str
    reason: str | None = None
    honcho_session: str = "s"


@dataclass
class MemoryCompactions:
    """`CompactionStore` for one session, whose rows and profile a test writes."""

    clock: Clock
    profile: SessionProfile = field(default_factory=SessionProfile)
    rows: list[Row] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    saved_index: int = 1_000_000
    session: uuid.UUID = field(default_factory=uuid.uuid4)
    epoch: int = 0
    until: float = 0.0
    run_at: float = 0.0
    wanted: bool = True
    forced: bool = False
    failures: int = 0
    cooling: dict[str, tuple[int, float]] = field(default_factory=dict)
    pages: list[int] = field(default_factory=list)
    read: int = 0  # characters

    def turn(self, *said: tuple[str, str], reason: str | None = None) -> None:
        """Capture a turn of (role, text)."""
        turn = self.rows[-1].line.turn + 1 if self.rows else 1
        for role, text in said:
            line = Line(len(self.rows) + 1, turn, Role(role), estimate_tokens(text))
            kept = "tool" if role == "tool" else reason
            self.rows.append(Row(uuid.uuid4(), line, text, kept))

    @property
    def covered_to(self) -> int:
        return self.summaries[-1].covers_to if self.summaries else 0

    def claim(self, session_id: uuid.UUID, *, lease: float, force: bool) -> CompactionClaim | None:
        assert session_id == self.session
        now = self.clock.now
        if self.until > now or (self.run_at > now and not force):
            return None
        self.epoch, self.until, self.wanted = self.epoch + 1, now + lease, True
        self.forced = self.forced or force
        tokens = [(row.line.index, row.line.tokens) for row in self.rows]
        return CompactionClaim(
            session_id=session_id,
            epoch=self.epoch,
            workspace="w",
            honcho_session="s",
            total=sum(count for _, count in tokens),
            covered=sum(count for index, count in tokens if index <= self.covered_to),
            saved_index=self.saved_index,
            forced=self.forced,
            failures=self.failures,
            last=self.summaries[-1] if self.summaries else None,
            cooling={kind: (n, until - now) for kind, (n, until) in self.cooling.items()},
            profile=self.profile,
        )

    def held(self, session_id: uuid.UUID) -> Held:
        assert session_id == self.session
        return "busy" if self.until > self.clock.now else "waiting"

    def lines(self, session_id: uuid.UUID, *, after: int, limit: int) -> Sequence[Line]:
        assert session_id == self.session
        return [row.line for row in self.rows if row.line.index > after][:limit]

    def said(self, session_id: uuid.UUID, *, after: int, upto: int, limit: int) -> Sequence[Said]:
        assert session_id == self.session
        found = [row for row in self.rows if after < row.line.index <= upto][:limit]
        self.pages.append(len(found))
        self.read += sum(len(row.text) for row in found)
        return [Said(row.line.index, row.line.role, "ann", row.text) for row in found]

    def reach(self, session_id: uuid.UUID, *, after: int, upto: int) -> Reach:
        assert session_id == self.session
        rows = [row for row in self.rows if after < row.line.index <= upto]
        sessions = {row.honcho_session for row in rows}
        sent = len(sessions) == 1 and all(row.reason in {None, "noise", "blank"} for row in rows)
        return Reach(any(row.reason in PRIVATE for row in rows), sessions.pop() if sent else None)

    def index_of(self, session_id: uuid.UUID, row: uuid.UUID) -> int | None:
        assert session_id == self.session
        return next((one.line.index for one in self.rows if one.id == row), None)

    def renew(self, claim: CompactionClaim, *, lease: float) -> bool:
        if not self._ours(claim):
            return False
        self.until = self.clock.now + lease
        return True

    def commit(self, claim: CompactionClaim, summary: Summary, *, after: int, lease: float) -> bool:
        if not self.renew(claim, lease=lease) or self.covered_to > after:
            return False
        self.summaries.append(summary)
        self.failures = 0
        self.cooling.pop(summary.made_by.partition(":")[0], None)
        return True

    def cool(
        self, claim: CompactionClaim, kind: str, *, failures: int, seconds: float, error: str
    ) -> bool:
        assert error
        if self._ours(claim):
            self.cooling[kind] = (failures, self.clock.now + seconds)
        return self._ours(claim)

    def release(self, claim: CompactionClaim) -> bool:
        if not self._ours(claim):
            return False
        self.wanted = self.forced = False
        self.until, self.failures = 0.0, 0
        return True

    def postpone(self, claim: CompactionClaim, *, seconds: float, error: str | None) -> bool:
        if not self._ours(claim):
            return False
        self.until, self.run_at = 0.0, self.clock.now + seconds
        self.failures += error is not None
        return True

    def _ours(self, claim: CompactionClaim) -> bool:
        return claim.epoch == self.epoch


class ScriptedLlm:
    """`LlmPort`: answers by `reply`, raises what it is given, and keeps what it was sent."""

    model = "m"

    def __init__(self, *, here: bool = False) -> None:
        self.here = here
        self.sent: list[str] = []
        self.failures: list[Exception] = []
        self.reply = "The summary."

    def complete(self, messages: Sequence[dict[str, str]], *, tokens: int, deadline: float) -> str:
        assert tokens > 0
        assert deadline > 0
        self.sent.append("\n".join(message["content"] for message in messages))
        if self.failures:
            raise self.failures.pop(0)
        return f"{self.reply} #{len(self.sent)}"


class ScriptedHoncho:
    """`SummaryPort`: gives what a test put into `summaries`, or raises `failure`."""

    def __init__(self) -> None:
        self.summaries: list[SessionSummary] = []
        self.failure: Exception | None = None
        self.asked: list[tuple[str, str]] = []

    def session_summaries(
        self, workspace: str, session: str, *, deadline: float
    ) -> Sequence[SessionSummary]:
        assert deadline > 0
        self.asked.append((workspace, session))
        if self.failure:
            raise self.failure
        return self.summaries

    def reaches(self, row: Row, text: str = "Honcho's summary.") -> None:
        """Have a summary that ends with this row."""
        self.summaries = [SessionSummary(text, row.id)]


def with_settings(store: MemoryCompactions, **said: object) -> None:
    """Have the session's agent say settings of compaction, by camelCase key."""
    store.profile = replace(store.profile, given={**store.profile.given, **said})
