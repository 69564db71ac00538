"""A Honcho in memory with bad days, on a clock that a test moves.

It stores a batch whole, at once or later, whatever it answers; or refuses it whole for what one
message in it says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from afterturn_models.errors import (
    AccessRefused,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)
from afterturn_models.values import ContextResult, Observing, Outgoing
from support.memory_ports import POISON, TOKEN, Clock, Crash


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
    Answer.REJECTED: Rejected("400", status=400),
}


@dataclass
class Taste:
    """What this Honcho refuses, and how it says so."""

    status: int = 422
    names_it: bool = True  # which message it is
    takes_all: bool = False

    def refusal(self, rows: Sequence[Outgoing]) -> Rejected | None:
        """Give the refusal of a batch for the first message that it does not take."""
        for index, row in enumerate(rows):
            said = row.content or ""
            if not self.takes_all and (POISON in said or TOKEN in said):
                return Rejected(
                    f"{self.status} for a reason",
                    status=self.status,
                    index=index if self.names_it else None,
                    about_content=True,
                )
        return None


class MemoryHoncho:
    """`HonchoPort` in memory. `fates` are taken by one request each; with none left, all is well."""

    def __init__(self, clock: Clock, *, settling: float = 12.0) -> None:
        self.clock = clock
        self.settling = settling
        self.taste = Taste()
        self.stored: dict[tuple[str, str], list[Outgoing]] = {}
        self.joined: dict[tuple[str, str, str], Observing] = {}
        self.strangers: list[Outgoing] = []  # messages whose peer had not been added
        self.sends: deque[Fate] = deque()
        self.others: deque[Fate] = deque()
        self.batches: list[list[UUID]] = []  # of every POST, whatever became of it
        self.looks = 0
        self.deadlines: list[float] = []
        self._under_way: list[tuple[float, tuple[str, str], list[Outgoing]]] = []

    @property
    def posts(self) -> int:
        """How many POSTs of messages there were."""
        return len(self.batches)

    def ids(self, workspace: str, session: str) -> list[UUID]:
        """Give the ids of what is stored, in order."""
        return [row.id for row in self.stored.get((workspace, session), [])]

    def there(self) -> set[UUID]:
        """Give the ids of everything that is stored."""
        return {row.id for rows in self.stored.values() for row in rows}

    def lose(self, rows: set[UUID]) -> None:
        """Be put back to a backup that does not have these rows."""
        for place, stored in self.stored.items():
            self.stored[place] = [row for row in stored if row.id not in rows]

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
        self.batches.append([row.id for row in messages])
        self.deadlines.append(deadline)
        fate = self.sends.popleft() if self.sends else Fate()
        refusal = self.taste.refusal(messages)
        place, rows = (workspace, session), [] if refusal else list(messages)
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
        if refusal:
            raise refusal

    def find(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> set[UUID]:
        """Look rows up."""
        return set(self.sightings(workspace, session, rows, deadline=deadline))

    def sightings(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> list[UUID]:
        """Look rows up; each as often as it is there."""
        self.arrive()
        self.looks += 1
        self._other()
        wanted = set(rows)
        return [row for row in self.ids(workspace, session) if row in wanted]

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


class MemoryPace:
    """`PacePort` in memory: the seconds that each of the next requests is told to wait."""

    def __init__(self) -> None:
        self.waits: deque[float] = deque()
        self.paused: list[float] = []
        self.held = 0

    def admit(self, *, can_wait: bool = False) -> tuple[float, str]:
        """Admit, or say when to come back."""
        wait = self.waits.popleft() if self.waits else 0.0
        if not wait:
            self.held += 1
        return wait, "place"

    def leave(self, place: str) -> None:
        """Give the place back."""
        self.held -= 1

    def pause(self, seconds: float) -> None:
        """Note it."""
        self.paused.append(seconds)
