"""What compaction is made of: its port on Postgres, its limits, its steps, what a run comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from afterturn_models.policy.retry import Backoff
from afterturn_worker.flows.summarising import TextStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.policy.compaction import Line
    from afterturn_models.store.compaction_texts import Reach
    from afterturn_models.store.compactions import CompactionClaim, Held, Summary


class CompactionStore(TextStore, Protocol):
    """What compaction needs of Postgres, each method one statement. False is a lost lease."""

    def claim(self, session_id: UUID, *, lease: float, force: bool) -> CompactionClaim | None:
        """Take the lease for `lease` seconds; None where it is not to be had."""
        ...

    def held(self, session_id: UUID) -> Held:
        """Tell why it is not."""
        ...

    def lines(self, session_id: UUID, *, after: int, limit: int) -> Sequence[Line]:
        """Read a page of rows beyond `after`, without their text."""
        ...

    def reach(self, session_id: UUID, *, after: int, upto: int) -> Reach:
        """Tell where the text of the rows beyond `after` up to `upto` has been."""
        ...

    def renew(self, claim: CompactionClaim, *, lease: float) -> bool:
        """Hold the lease for `lease` seconds from now."""
        ...

    def commit(self, claim: CompactionClaim, summary: Summary, *, after: int, lease: float) -> bool:
        """Store a summary of what lies beyond `after`."""
        ...

    def cool(
        self, claim: CompactionClaim, kind: str, *, failures: int, seconds: float, error: str
    ) -> bool:
        """Leave a kind of summary alone for `seconds`."""
        ...

    def release(self, claim: CompactionClaim) -> bool:
        """Give the lease back, with nothing left to do."""
        ...

    def postpone(self, claim: CompactionClaim, *, seconds: float, error: str | None) -> bool:
        """Give the lease back until later."""
        ...


@dataclass(frozen=True, slots=True)
class CompactionLimits:
    """How long a compaction may take, in seconds.

    The lease of a step is what its kind takes at most and `lease` more. After `slice` seconds no
    further step is begun.
    """

    lease: float = 20.0
    slice: float = 30.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=30.0, longest=3600.0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: compacted, more, nothing, off, busy, waiting or gone, and by which kinds.

    `covers_to` is the index up to which the session is summarised now, as far as this run knows.
    """

    outcome: str
    made_by: tuple[str, ...] = ()
    covers_to: int | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Give it as a task's result: no text of a conversation is in it."""
        return {
            "outcome": self.outcome,
            "made_by": list(self.made_by),
            "covers_to": self.covers_to,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """Where a summary goes on: beyond `after`, on top of `previous`.

    It is stored up to `stored_to`, which is before `after` in the middle of a turn, and at the
    head that stays as it is. `reach` is where the text of all up to there has been, None where
    nothing is stored. Rows from `covers_from` on are new in what is stored next.
    """

    after: int
    covers_from: int
    stored_to: int
    previous: str
    reach: Reach | None


@dataclass(frozen=True, slots=True)
class Made:
    """The summary that a step came to: of the rows up to `upto`, all of whose text was at `reach`."""

    step: Step
    made_by: str
    text: str
    upto: int
    reach: Reach
