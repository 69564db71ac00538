"""Runs of the real sync whose every port call is a place where something happens.

A worker is killed there, time passes, Postgres goes away, a turn is captured, a person retries,
drops or repairs rows, or another worker's whole run takes place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import hypothesis.strategies as st

from afterturn_models.errors import HonchoFailure, OutcomeUnknown, StoreUnavailableError
from afterturn_worker.flows.lease import SyncLimits
from afterturn_worker.flows.sync import sync_session
from support.memory_honcho import Answer, Fate, MemoryHoncho, MemoryPace
from support.memory_ports import Clock, Crash, MemoryStore


@dataclass(frozen=True)
class Step:
    """What happens at a run's `call`-th port call (of those called `name`), before it or after."""

    name: str
    call: int
    after: bool
    what: str  # kill, postgres, jump, capture, run, or what a person does
    seconds: float = 0.0
    deliveries: str = ""
    late: bool = False
    nested: tuple[Step, ...] = ()


class Day(Protocol):
    """What runs take place in."""

    clock: Clock
    store: MemoryStore
    honcho: MemoryHoncho
    pace: MemoryPace
    limits: SyncLimits

    def capture(self, session: UUID, deliveries: str) -> None: ...
    def person(self, session: UUID, does: str) -> None: ...
    def posts(self, session: UUID, rows: list[UUID]) -> None: ...


class Stepped:
    """A port whose calls are counted, and at each of which its worker's plan is carried out."""

    def __init__(self, port: Any, run: Run) -> None:
        self._port = port
        self._run = run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give a method that is called as a step."""
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            def go() -> Any:
                if name == "send":
                    self._run.posts([row.id for row in args[2]])
                return method(*args, **kwargs)

            return self._run.call(name, go, kwargs.get("deadline"))

        return call


class Run:
    """One worker's run of the flow, under its plan."""

    def __init__(self, day: Day, session: UUID, plan: tuple[Step, ...], *, late: bool) -> None:
        self._day = day
        self._session = session
        self._plan = plan
        self._late = late
        self._calls = Counter[str]()

    def go(self) -> None:
        """Run to its end, whichever that is."""
        day = self._day
        with suppress(Crash, StoreUnavailableError):
            sync_session(
                self._session,
                Stepped(day.store, self),
                Stepped(day.honcho, self),
                day.limits,
                late=self._late,
                pace=day.pace,
                clock=day.clock,
                jitter=lambda: 0.5,
            )

    def posts(self, rows: list[UUID]) -> None:
        """Tell the day that a POST begins."""
        self._day.posts(self._session, rows)

    def call(self, name: str, method: Callable[[], Any], deadline: float | None) -> Any:
        """Make one call of a port's, with what is planned before and after it."""
        self._calls.update([name, "any"])
        now = {(name, self._calls[name]), ("any", self._calls["any"])}
        began = self._day.clock.now
        self._carry_out(now, after=False)
        # The client writes nothing once its deadline has passed.
        if deadline is not None and self._day.clock.now - began >= deadline:
            raise OutcomeUnknown("the deadline of the request has passed")
        try:
            result = method()
        except HonchoFailure:
            self._carry_out(now, after=True)
            raise
        self._carry_out(now, after=True)
        return result

    def _carry_out(self, now: set[tuple[str, int]], *, after: bool) -> None:
        day = self._day
        for step in self._plan:
            if (step.name, step.call) not in now or step.after != after:
                continue
            match step.what:
                case "kill":
                    raise Crash
                case "postgres":
                    raise StoreUnavailableError("Postgres: gone")
                case "jump":
                    day.clock.pass_(step.seconds)
                case "capture":
                    day.capture(self._session, step.deliveries)
                case "run":
                    Run(day, self._session, step.nested, late=step.late).go()
                case does:
                    day.person(self._session, does)


JUMPS = st.sampled_from([0.0, 1.0, 9.9, 11.9, 12.1, 12.1, 17.9, 20.1, 20.1, 33.0])
DELIVERIES = (
    st.text(alphabet="uuaaltxb", min_size=1, max_size=5)
    | st.just("ua" * 60)
    | st.sampled_from(["ua" * 9 + "x" + "ua" * 3, "uat" * 5, "ua" * 30 + "tx" + "ua" * 30])
)
DOES = st.sampled_from(["retry", "retry", "drop", "verify", "repair", "repair what was found"])
SENDS = st.builds(
    Fate,
    st.sampled_from([answer for answer in Answer if answer is not Answer.PARTIAL]),
    st.sampled_from([0.0, 0.5, 1.0, 1.0]),
)
OTHERS = st.builds(Fate, st.sampled_from([Answer.OK, Answer.OK, Answer.LOST, Answer.LIMITED]))
NAMES = st.sampled_from(
    ["send", "advance", "release", "find", "late", "note_late_sent", "quarantine", "mend", "listed"]
)
LATE = st.sampled_from([False, True, True])


def steps(nested: st.SearchStrategy[tuple[Step, ...]]) -> st.SearchStrategy[tuple[Step, ...]]:
    """Give plans, in which other workers run by the plans given."""
    numbered = {"name": st.just("any"), "call": st.integers(1, 14), "after": st.booleans()}
    named = {"name": NAMES, "call": st.sampled_from([1, 1, 1, 2, 3]), "after": st.booleans()}
    return st.lists(_one(nested, numbered) | _one(nested, named), max_size=4).map(tuple)


def _one(nested: st.SearchStrategy[tuple[Step, ...]], where: Any) -> st.SearchStrategy[Step]:
    return st.one_of(
        st.builds(Step, **where, what=st.sampled_from(["kill", "postgres"])),
        st.builds(Step, **where, what=st.just("jump"), seconds=JUMPS),
        st.builds(Step, **where, what=st.just("capture"), deliveries=DELIVERIES),
        st.builds(Step, **where, what=st.just("run"), nested=nested, late=LATE),
        st.builds(Step, **where, what=DOES),
    )


PLANS = steps(steps(steps(st.just(()))))  # up to four workers at once
