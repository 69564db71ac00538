"""The sync under every interleaving that Hypothesis finds: nothing lost, doubled or out of order.

Workers are runs of the real flow. Each port call may be where its worker is killed, where time
passes (past the lease, past the settling), where a turn is captured, or where another worker's
whole run takes place. Honcho's answers are lost, late or refused meanwhile.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from afterturn_models.errors import HonchoFailure, OutcomeUnknown, StoreUnavailableError
from afterturn_models.values import Standing
from afterturn_worker.flows.sync import SyncLimits, sync_session
from support.memory_ports import Answer, Clock, Crash, Fate, MemoryHoncho, MemoryStore

LIMITS = SyncLimits()
# The worst server that the promise covers: it commits just before the settling is over.
LATEST = LIMITS.settling - 0.01


@dataclass(frozen=True)
class Step:
    """What happens at a run's `call`-th port call, before it or after it."""

    call: int
    after: bool
    what: str  # kill, jump, capture, run, postgres
    seconds: float = 0.0
    deliveries: str = ""
    nested: tuple[Step, ...] = ()


class Stepped:
    """A port whose calls are counted, and at each of which its worker's plan is carried out."""

    def __init__(self, port: Any, run: Run) -> None:
        self._port = port
        self._run = run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._run.call(lambda: method(*args, **kwargs), kwargs.get("deadline"))

        return call


class Run:
    """One worker's run of the flow, under its plan."""

    def __init__(self, machine: SyncMachine, session: UUID, plan: tuple[Step, ...]) -> None:
        self._machine = machine
        self._session = session
        self._plan = plan
        self._calls = 0

    def go(self) -> None:
        m = self._machine
        with suppress(Crash, StoreUnavailableError):
            sync_session(
                self._session,
                Stepped(m.store, self),
                Stepped(m.honcho, self),
                m.limits,
                clock=m.clock,
                jitter=lambda: 0.5,
            )

    def call(self, method: Callable[[], Any], deadline: float | None) -> Any:
        self._calls += 1
        number, began = self._calls, self._machine.clock.now
        self._carry_out(number, after=False)
        # The client writes nothing once its deadline has passed.
        if deadline is not None and self._machine.clock.now - began >= deadline:
            raise OutcomeUnknown("the deadline of the request has passed")
        try:
            result = method()
        except HonchoFailure:
            self._carry_out(number, after=True)
            raise
        self._carry_out(number, after=True)
        return result

    def _carry_out(self, number: int, *, after: bool) -> None:
        m = self._machine
        for step in self._plan:
            if (step.call, step.after) != (number, after):
                continue
            match step.what:
                case "kill":
                    raise Crash
                case "postgres":
                    raise StoreUnavailableError("Postgres: gone")
                case "jump":
                    m.clock.pass_(step.seconds)
                case "capture":
                    m.store.capture(self._session, step.deliveries)
                case "run":
                    Run(m, self._session, step.nested).go()


JUMPS = st.sampled_from([0.0, 1.0, 9.9, 11.9, 12.1, 12.1, 17.9, 20.1, 20.1, 33.0])
DELIVERIES = st.text(alphabet="ual", min_size=1, max_size=5) | st.just("ua" * 60)
ANSWERS = st.builds(
    Fate,
    st.sampled_from([a for a in Answer if a is not Answer.PARTIAL]),
    st.sampled_from([0.0, 0.5, 1.0, 1.0]),
)


OTHERS = st.builds(Fate, st.sampled_from([Answer.OK, Answer.OK, Answer.LOST, Answer.LIMITED]))


def steps(nested: st.SearchStrategy[tuple[Step, ...]]) -> st.SearchStrategy[tuple[Step, ...]]:
    where = {"call": st.integers(1, 8), "after": st.booleans()}
    one = st.one_of(
        st.builds(Step, **where, what=st.sampled_from(["kill", "postgres"])),
        st.builds(Step, **where, what=st.just("jump"), seconds=JUMPS),
        st.builds(Step, **where, what=st.just("capture"), deliveries=DELIVERIES),
        st.builds(Step, **where, what=st.just("run"), nested=nested),
    )
    return st.lists(one, max_size=4).map(tuple)


PLANS = steps(steps(steps(st.just(()))))  # up to four workers at once


class SyncMachine(RuleBasedStateMachine):
    limits = LIMITS
    latest = LATEST

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.honcho = MemoryHoncho(self.clock, settling=self.latest)
        self.sessions: list[UUID] = []

    @initialize(deliveries=DELIVERIES)
    def begin(self, deliveries: str) -> None:
        self.sessions = [self.store.open(), self.store.open()]
        self.store.capture(self.sessions[0], deliveries)

    @rule(
        sends=st.lists(ANSWERS, max_size=3),
        others=st.lists(OTHERS, max_size=1),
        plan=PLANS,
        wait=JUMPS,
        deliveries=DELIVERIES,
        which=st.sampled_from([0, 0, 0, 1]),
    )
    def turn(
        self,
        sends: list[Fate],
        others: list[Fate],
        plan: tuple[Step, ...],
        wait: float,
        deliveries: str,
        which: int,
    ) -> None:
        self.store.capture(self.sessions[which], deliveries)
        self.hint(sends, others, plan, wait, which)

    @rule(
        sends=st.lists(ANSWERS, max_size=3),
        others=st.lists(OTHERS, max_size=1),
        plan=PLANS,
        wait=JUMPS,
        which=st.sampled_from([0, 0, 0, 1]),
    )
    def hint(
        self,
        sends: list[Fate],
        others: list[Fate],
        plan: tuple[Step, ...],
        wait: float,
        which: int,
    ) -> None:
        self.honcho.sends = deque(sends)
        self.honcho.others = deque(others)
        Run(self, self.sessions[which], plan).go()
        self.clock.pass_(wait)

    @rule(deliveries=DELIVERIES)
    def capture_what_is_not_due_yet(self, deliveries: str) -> None:
        self.store.capture(self.sessions[0], deliveries, due=False)

    @rule()
    def rename_and_mend_the_key(self) -> None:
        cursor = self.store.cursors[self.sessions[0]]
        cursor.honcho_session = f"{cursor.honcho_session[:34]}-{len(cursor.rows)}"
        for session in self.sessions:
            self.store.unpark(session)

    @invariant()
    def nothing_is_doubled_or_out_of_order_or_leaked(self) -> None:
        rows = {row.id: row for cursor in self.store.cursors.values() for row in cursor.rows}
        for (_, place), stored in self.honcho.stored.items():
            times = Counter(row.id for row in stored)
            assert not [row for row, n in times.items() if n > 1], "doubled"
            assert [r.index for r in stored] == sorted(r.index for r in stored), "out of order"
            assert all(rows[row.id].content is not None for row in stored), "local text was sent"
            assert all(rows[row.id].honcho_session == place for row in stored), "wrong session"
        assert not self.honcho.strangers, "a message came before its peer"

    @invariant()
    def what_is_settled_is_there(self) -> None:
        for cursor in self.store.cursors.values():
            settled = [r for r in cursor.rows if r.index <= cursor.last_saved_index]
            there = {row.id for rows in self.honcho.stored.values() for row in rows}
            assert all(row.id in there for row in settled if row.content is not None), "lost"

    def teardown(self) -> None:
        """Honcho is well again, and whatever is left runs when it may: all of it arrives."""
        self.honcho.sends.clear()
        self.honcho.others.clear()
        for session in self.sessions:
            cursor = self.store.cursors[session]
            cursor.due_index = len(cursor.rows)
            for _ in range(40):
                self.store.unpark(session)
                standing = sync_session(
                    session, self.store, self.honcho, self.limits, clock=self.clock
                )
                if standing is Standing.SYNCED:
                    break
                self.clock.pass_(30)
            assert standing is Standing.SYNCED, "it never ends"
            assert cursor.last_saved_index == len(cursor.rows)
        self.clock.pass_(1000)
        self.honcho.arrive()
        self.nothing_is_doubled_or_out_of_order_or_leaked()
        self.what_is_settled_is_there()


FAST = settings(
    max_examples=150,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_exactly_once_in_order_whatever_happens() -> None:
    run_state_machine_as_test(SyncMachine, settings=FAST)


class LaterThanSettling(SyncMachine):
    """A server that commits later than the settling time: this is not promised."""

    latest = LIMITS.settling * 3


def test_the_machine_finds_what_breaks_the_protocol() -> None:
    hunt = settings(FAST, max_examples=1500, phases=[Phase.generate])
    with pytest.raises((AssertionError, BaseExceptionGroup), match="doubled"):
        run_state_machine_as_test(LaterThanSettling, settings=hunt)
