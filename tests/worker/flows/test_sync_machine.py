"""The sync under every interleaving that Hypothesis finds: nothing lost, doubled or out of order.

Workers are runs of the real flow; at each of their steps one may be killed, another may run, turns
come, and a person retries, drops and repairs. Honcho's answers are lost, late or refused meanwhile;
it refuses some messages for what they say, and loses some that it had.
"""

from __future__ import annotations

from collections import Counter, deque
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

from afterturn_models.policy.special_tokens import neutralise
from afterturn_models.values import Standing
from afterturn_worker.flows.lease import SyncLimits
from afterturn_worker.flows.sync import sync_session
from support.memory_honcho import Answer, Fate, MemoryHoncho, MemoryPace, Taste
from support.memory_ports import POISON, TOKEN, Clock, MemoryStore, Row
from support.stepped import DELIVERIES, DOES, JUMPS, LATE, OTHERS, PLANS, SENDS, Run, Step

LIMITS = SyncLimits()
# The worst server that the promise covers: it commits just before the settling is over.
LATEST = LIMITS.settling - 0.01

TASTES = st.builds(
    Taste,
    status=st.sampled_from([422, 422, 413]),
    names_it=st.booleans(),
    takes_all=st.sampled_from([False, False, False, True]),
)
WHICH = st.sampled_from([0, 0, 0, 1])


class SyncMachine(RuleBasedStateMachine):
    limits = LIMITS
    latest = LATEST
    sends = SENDS

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.honcho = MemoryHoncho(self.clock, settling=self.latest)
        self.pace = MemoryPace()
        self.sessions: list[UUID] = []
        self.lost: set[UUID] = set()  # what Honcho had and has no more
        self.missing: dict[UUID, list[UUID]] = {}  # what a verification found, a while ago
        self.took_all = False
        self.late_posts = Counter[UUID]()
        self.waiting: dict[UUID, int] = {}  # rows of turns: late POSTs before they were captured

    # What runs take place in.

    def capture(self, session: UUID, deliveries: str) -> None:
        for row in self.store.capture(session, deliveries):
            self.waiting[row.id] = self.late_posts[session]

    def person(self, session: UUID, does: str) -> None:
        aside = [row.id for row in self.store.quarantined(session)]
        match does:
            case "retry":
                self.store.retry_quarantined(session, aside)
            case "drop":
                self.store.drop_quarantined(session, aside[:1])
            case "verify":
                self.missing[session] = self._look(session)
            case "repair":
                self.store.send_late(session, self._look(session))
            case "repair what was found":  # by a verification that is over for a while
                self.store.send_late(session, self.missing.get(session, []))

    def posts(self, session: UUID, rows: list[UUID]) -> None:
        if self.store.row(rows[0]).late:
            self.late_posts[session] += 1
            return
        for row in rows:
            behind = self.late_posts[session] - self.waiting.pop(row, self.late_posts[session])
            assert behind <= 1, "a turn waited for repairs"

    def _look(self, session: UUID) -> list[UUID]:
        """Verify what is settled, without any lease, as it is at this moment."""
        cursor, there = self.store.cursors[session], self.honcho.there()
        rows = cursor.rows[: cursor.last_saved_index]
        sent = [row for row in rows if row.delivery == "send" and row.late != "due"]
        return [row.id for row in sent if row.id not in there]

    # What happens.

    @initialize(deliveries=DELIVERIES)
    def begin(self, deliveries: str) -> None:
        self.sessions = [self.store.open(), self.store.open()]
        self.capture(self.sessions[0], deliveries)

    @rule(data=st.data(), deliveries=DELIVERIES, which=WHICH)
    def turn(self, data: st.DataObject, deliveries: str, which: int) -> None:
        self.capture(self.sessions[which], deliveries)
        self.hint(data, which)

    @rule(data=st.data(), which=WHICH)
    def hint(self, data: st.DataObject, which: int) -> None:
        self._sends_go(data.draw(st.lists(self.sends, max_size=3)), data.draw(TASTES))
        self.honcho.others = deque(data.draw(st.lists(OTHERS, max_size=1)))
        self.pace.waits = deque(data.draw(st.lists(st.sampled_from([0.0, 0.25]), max_size=3)))
        plan: tuple[Step, ...] = data.draw(PLANS)
        Run(self, self.sessions[which], plan, late=data.draw(LATE)).go()
        self.clock.pass_(data.draw(JUMPS))

    def _sends_go(self, sends: list[Fate], taste: Taste) -> None:
        self.honcho.sends, self.honcho.taste = deque(sends), taste
        self.took_all = self.took_all or taste.takes_all

    @rule(
        data=st.data(),
        deliveries=DELIVERIES,
        every=st.sampled_from([1, 1, 3]),
        retries=st.booleans(),
    )
    def repairs(self, data: st.DataObject, deliveries: str, every: int, *, retries: bool) -> None:
        """Come soon to where rows are late: settle everything, lose some, have them sent."""
        session = self.sessions[0]
        self.capture(session, deliveries)
        self._well()
        self._until_synced(session, late=False)
        self.honcho_loses_some(every, 0)
        self.person(session, "verify")
        self.person(session, "repair what was found")
        if retries:
            self.person(session, "retry")
        self.hint(data, 0)
        self.person(session, "repair what was found")
        self.hint(data, 0)

    @rule(deliveries=DELIVERIES)
    def capture_what_is_not_due_yet(self, deliveries: str) -> None:
        self.store.capture(self.sessions[0], deliveries, due=False)

    @rule(does=DOES, which=WHICH)
    def a_person_comes_by(self, does: str, which: int) -> None:
        self.person(self.sessions[which], does)

    @rule(every=st.integers(1, 4), which=WHICH)
    def honcho_loses_some(self, every: int, which: int) -> None:
        cursor = self.store.cursors[self.sessions[which]]
        settled = cursor.rows[: cursor.last_saved_index : every]
        there = self.honcho.there()
        lost = {row.id for row in settled if row.late != "due" and row.id in there}
        self.honcho.lose(lost)
        self.lost |= lost

    @rule()
    def rename_and_mend_the_key(self) -> None:
        cursor = self.store.cursors[self.sessions[0]]
        cursor.honcho_session = f"{cursor.honcho_session[:34]}-{len(cursor.rows)}"
        for session in self.sessions:
            self.store.unpark(session)

    # What holds.

    @invariant()
    def nothing_is_doubled_or_out_of_order_or_leaked(self) -> None:
        rows = {row.id: row for row in self._rows()}
        for (_, place), stored in self.honcho.stored.items():
            times = Counter(row.id for row in stored)
            assert not [row for row, n in times.items() if n > 1], "doubled"
            in_turn = [row.index for row in stored if rows[row.id].late is None]
            assert in_turn == sorted(in_turn), "out of order"
            assert all(rows[r.id].delivery == "send" for r in stored), "local or set aside"
            assert all(rows[r.id].honcho_session == place for r in stored), "wrong session"
            for row in stored:
                said = rows[row.id].content
                assert row.content == (neutralise(said)[0] if row.mended else said)
        assert not self.honcho.strangers, "a message came before its peer"
        assert self.pace.held == 0, "a place was kept"

    @invariant()
    def what_is_settled_is_there(self) -> None:
        there = self.honcho.there()
        self.lost -= there
        for cursor in self.store.cursors.values():
            for row in cursor.rows[: cursor.last_saved_index]:
                if row.delivery == "send" and row.late != "due":
                    assert row.id in there or row.id in self.lost, "lost"

    @invariant()
    def only_poison_is_set_aside(self) -> None:
        for row in self._rows():
            aside = row.delivery == "quarantined" or (row.reason or "").startswith("dropped")
            assert not aside or POISON in row.content
            assert not row.mended or TOKEN in row.content

    def _rows(self) -> list[Row]:
        return [row for cursor in self.store.cursors.values() for row in cursor.rows]

    def teardown(self) -> None:
        """Honcho is well again, and whatever is left runs when it may: all of it arrives."""
        self._well()
        for session in self.sessions:
            cursor = self.store.cursors[session]
            cursor.due_index = len(cursor.rows)
            self._until_synced(session)
            assert cursor.last_saved_index == len(cursor.rows)
            self.clock.pass_(1000)
            self.honcho.arrive()
            self.store.send_late(session, self._look(session))
            self._until_synced(session)
            assert not cursor.late
        self.what_is_settled_is_there()
        left = [row for row in self._rows() if row.id in self.lost and row.delivery == "send"]
        assert not left, "a repair left something"
        self.nothing_is_doubled_or_out_of_order_or_leaked()
        self.only_poison_is_set_aside()
        if not self.took_all:
            self._poison_is_what_is_set_aside()

    def _well(self) -> None:
        self._sends_go([], Taste(names_it=bool(len(self._rows()) % 2)))
        self.honcho.others.clear()
        self.pace.waits.clear()

    def _until_synced(self, session: UUID, *, late: bool = True) -> None:
        for _ in range(40):
            self.store.unpark(session)
            standing = sync_session(
                session, self.store, self.honcho, self.limits, late=late, clock=self.clock
            )
            if standing is Standing.SYNCED:
                return
            self.clock.pass_(30)
        raise AssertionError("it never ends")

    def _poison_is_what_is_set_aside(self) -> None:
        for row in self._rows():
            assert (POISON in row.content) == (row.delivery == "quarantined" or bool(row.reason))
        for stored in self.honcho.stored.values():
            assert not any(TOKEN in (row.content or "") for row in stored)


FAST = settings(
    max_examples=120,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_exactly_once_in_order_whatever_happens() -> None:
    run_state_machine_as_test(SyncMachine, settings=FAST)


class StoresParts(SyncMachine):
    """A server that stores a part of a batch, which Honcho never does: it is survived all the same."""

    sends = SENDS | st.just(Fate(Answer.PARTIAL))


def test_parts_of_batches_are_survived() -> None:
    run_state_machine_as_test(StoresParts, settings=settings(FAST, max_examples=40))


class LaterThanSettling(SyncMachine):
    """A server that commits later than the settling time: this is not promised."""

    latest = LIMITS.settling * 3


def test_the_machine_finds_what_breaks_the_protocol() -> None:
    hunt = settings(FAST, max_examples=1200, phases=[Phase.generate])
    with pytest.raises((AssertionError, BaseExceptionGroup), match="doubled"):
        run_state_machine_as_test(LaterThanSettling, settings=hunt)
