"""The cursor's contract, kept by the store in memory and by the one on Postgres alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Protocol

import pytest
from sqlalchemy import text

from afterturn_models.db import Database
from afterturn_models.store import capture, cursors, late, sessions
from afterturn_models.store.sessions import OpenSession, SessionSpec
from afterturn_models.values import (
    AGENT_OBSERVING,
    USER_OBSERVING,
    Claim,
    Intent,
    NewMessage,
    Postponement,
    Role,
    Standing,
)
from afterturn_worker.flows.ports import SyncStore
from afterturn_worker.stores import PostgresStore
from support.memory_ports import Clock, MemoryStore

LEASE = 20.0


class World(Protocol):
    """A store, and what happens around it."""

    store: SyncStore

    def open(self) -> uuid.UUID: ...
    def capture(self, session: uuid.UUID, deliveries: str, *, due: bool = True) -> None: ...
    def pass_(self, seconds: float) -> None: ...
    def unpark(self, session: uuid.UUID) -> None: ...
    def retry(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None: ...
    def drop(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None: ...
    def repair(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)

    def open(self) -> uuid.UUID:
        return self.store.open()

    def capture(self, session: uuid.UUID, deliveries: str, *, due: bool = True) -> None:
        self.store.capture(session, deliveries, due=due)

    def pass_(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    def unpark(self, session: uuid.UUID) -> None:
        self.store.unpark(session)

    def retry(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        self.store.retry_quarantined(session, rows)

    def drop(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        self.store.drop_quarantined(session, rows)

    def repair(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        self.store.send_late(session, rows)


class OnPostgres:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.store = PostgresStore(database, "worker-1")
        self._opened: dict[uuid.UUID, OpenSession] = {}

    def open(self) -> uuid.UUID:
        spec = SessionSpec("w", uuid.uuid4().hex, user_peer="ann", agent_peer="bot")
        with self._database.statement() as connection:
            opened = sessions.open_session(connection, spec)
        self._opened[opened.id] = opened
        return opened.id

    def capture(self, session: uuid.UUID, deliveries: str, *, due: bool = True) -> None:
        rows = [
            NewMessage(
                id=uuid.uuid4(),
                role=Role.ASSISTANT if kind == "a" else Role.USER,
                peer="bot" if kind == "a" else "ann",
                content="said",
                local="noise" if kind == "l" else None,
            )
            for kind in deliveries
        ]
        policy = capture.WritePolicy(given=(("writeFrequency", "async" if due else "session"),))
        with self._database.statement() as connection:
            opened = self._opened[session]
            assert capture.capture_turn(connection, opened, "bot", uuid.uuid4(), rows, policy)

    def pass_(self, seconds: float) -> None:
        """Move every time that was written down into the past: the clock is Postgres' own."""
        columns = ("lease_until", "run_at", "settle_at", "relayed_at")
        moved = ", ".join(f"{c} = {c} - make_interval(secs => :by)" for c in columns)
        with self._database.statement() as connection:
            connection.execute(text(f"UPDATE cursors SET {moved}"), {"by": seconds})

    def unpark(self, session: uuid.UUID) -> None:
        with self._database.statement() as connection:
            cursors.unpark(connection, "w")

    def retry(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        with self._database.statement() as connection:
            late.retry_quarantined(connection, rows)

    def drop(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        with self._database.statement() as connection:
            late.drop_quarantined(connection, rows)

    def repair(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        with self._database.statement() as connection:
            late.send_late(connection, session, rows)


@pytest.fixture(params=["memory", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield InMemory()
    else:
        yield OnPostgres(request.getfixturevalue("database"))


@pytest.fixture
def session(world: World) -> uuid.UUID:
    opened = world.open()
    world.capture(opened, "ua")
    return opened


def claimed(world: World, session: uuid.UUID) -> Claim:
    claim = world.store.claim(session, lease=LEASE)
    assert claim is not None
    return claim


class TestClaim:
    def test_nothing_due_is_not_claimed_and_is_synced(self, world: World) -> None:
        session = world.open()
        world.capture(session, "ua", due=False)
        assert world.store.claim(session, lease=LEASE) is None
        assert world.store.standing(session) is Standing.SYNCED

    def test_an_unknown_session_is_gone(self, world: World) -> None:
        assert world.store.claim(uuid.uuid4(), lease=LEASE) is None
        assert world.store.standing(uuid.uuid4()) is Standing.GONE

    def test_it_tells_the_facts(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        assert (claim.workspace, claim.agent_peer) == ("w", "bot")
        assert (claim.last_saved_index, claim.due_index, claim.attempts) == (0, 2, 0)
        assert claim.intent is None
        assert not claim.settled

    def test_only_one_has_it(self, world: World, session: uuid.UUID) -> None:
        claimed(world, session)
        assert world.store.claim(session, lease=LEASE) is None
        assert world.store.standing(session) is Standing.BUSY

    def test_a_lease_that_ran_out_is_taken_with_a_higher_epoch(
        self, world: World, session: uuid.UUID
    ) -> None:
        first = claimed(world, session)
        world.pass_(LEASE - 1)
        assert world.store.claim(session, lease=LEASE) is None
        world.pass_(1.5)
        assert claimed(world, session).epoch > first.epoch

    def test_a_claim_waits_for_run_at_whoever_hints(self, world: World, session: uuid.UUID) -> None:
        world.store.postpone(claimed(world, session), Postponement(saved=0, seconds=60))
        world.capture(session, "ua")
        assert world.store.claim(session, lease=LEASE) is None
        assert world.store.standing(session) is Standing.WAITING
        world.pass_(61)
        claimed(world, session)


class TestFence:
    def test_who_lost_the_lease_changes_nothing(self, world: World, session: uuid.UUID) -> None:
        lost = claimed(world, session)
        world.pass_(LEASE + 1)
        owner = claimed(world, session)
        store = world.store
        assert store.advance(lost, saved=2, intent=Intent(1, 2), lease=LEASE) is None
        assert store.release(lost, saved=2) is False
        assert store.postpone(lost, Postponement(saved=2, seconds=60, parked="x")) is False
        (first, *_) = store.outgoing(session, after=0, upto=2, limit=2)
        assert store.mend(lost, first.id) is False
        assert store.quarantine(lost, first.id, "422") is False
        assert store.note_late_sent(lost, [first.id]) is False
        assert store.outgoing(session, after=0, upto=1, limit=1) == [first]
        world.pass_(LEASE + 1)
        after = claimed(world, session)
        assert (after.last_saved_index, after.intent, after.attempts) == (0, None, 0)
        assert after.epoch == owner.epoch + 1

    def test_a_lease_that_ran_out_and_was_not_taken_still_counts(
        self, world: World, session: uuid.UUID
    ) -> None:
        claim = claimed(world, session)
        world.pass_(LEASE + 1)
        assert world.store.advance(claim, saved=1, intent=None, lease=LEASE) == 2
        assert world.store.claim(session, lease=LEASE) is None  # and is renewed


class TestAdvance:
    def test_it_tells_what_came_due_meanwhile(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        world.capture(session, "ual")
        assert world.store.advance(claim, saved=0, intent=Intent(1, 2), lease=LEASE) == 5

    def test_its_intent_is_found_by_the_next_claim_and_is_not_settled(
        self, world: World, session: uuid.UUID
    ) -> None:
        world.store.advance(claimed(world, session), saved=1, intent=Intent(2, 2), lease=LEASE)
        world.pass_(LEASE + 1)
        found = claimed(world, session)
        assert found.last_saved_index == 1
        assert found.intent == Intent(2, 2)
        assert not found.settled

    def test_an_intent_may_list_rows(self, world: World, session: uuid.UUID) -> None:
        intent = Intent(1, 2, (uuid.uuid4(),))
        world.store.advance(claimed(world, session), saved=0, intent=intent, lease=LEASE)
        world.pass_(LEASE + 1)
        assert claimed(world, session).intent == intent

    def test_what_is_saved_never_goes_back(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        world.store.advance(claim, saved=2, intent=None, lease=LEASE)
        world.store.advance(claim, saved=1, intent=Intent(2, 2), lease=LEASE)
        world.pass_(LEASE + 1)
        assert claimed(world, session).last_saved_index == 2

    def test_progress_forgets_failures(self, world: World, session: uuid.UUID) -> None:
        world.store.postpone(claimed(world, session), Postponement(saved=0, seconds=0, error="x"))
        claim = claimed(world, session)
        assert claim.attempts == 1
        world.store.advance(claim, saved=1, intent=None, lease=LEASE)
        world.pass_(LEASE + 1)
        assert claimed(world, session).attempts == 0


class TestRelease:
    def test_it_settles_and_ends(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        world.store.advance(claim, saved=0, intent=Intent(1, 2), lease=LEASE)
        assert world.store.release(claim, saved=2) is True
        assert world.store.standing(session) is Standing.SYNCED
        assert world.store.claim(session, lease=LEASE) is None

    def test_it_refuses_where_more_has_come(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        world.capture(session, "ua")
        assert world.store.release(claim, saved=2) is False
        assert world.store.standing(session) is Standing.BUSY
        assert world.store.advance(claim, saved=2, intent=None, lease=LEASE) == 4
        assert world.store.release(claim, saved=4) is True


class TestPostpone:
    def test_settling_keeps_the_intent_until_its_time(
        self, world: World, session: uuid.UUID
    ) -> None:
        claim = claimed(world, session)
        world.store.advance(claim, saved=0, intent=Intent(1, 2), lease=LEASE)
        world.store.postpone(claim, Postponement(saved=0, seconds=12, settling=True))
        world.pass_(11)
        assert world.store.claim(session, lease=LEASE) is None
        world.pass_(2)
        found = claimed(world, session)
        assert found.intent == Intent(1, 2)
        assert found.settled

    def test_a_kept_intent_keeps_its_settling_time(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        world.store.advance(claim, saved=0, intent=Intent(1, 2), lease=LEASE)
        world.store.postpone(claim, Postponement(saved=0, seconds=12, settling=True))
        world.pass_(13)
        looking = claimed(world, session)
        world.store.postpone(looking, Postponement(saved=0, seconds=5, keep_intent=True))
        world.pass_(6)
        found = claimed(world, session)
        assert found.intent == Intent(1, 2)
        assert found.settled

    def test_an_intent_of_which_nothing_was_stored_goes(
        self, world: World, session: uuid.UUID
    ) -> None:
        claim = claimed(world, session)
        world.store.advance(claim, saved=0, intent=Intent(1, 2), lease=LEASE)
        world.store.postpone(claim, Postponement(saved=0, seconds=1, error="429"))
        world.pass_(2)
        assert claimed(world, session).intent is None

    def test_it_counts_failures_in_a_row(self, world: World, session: uuid.UUID) -> None:
        for attempts in (0, 1, 2):
            claim = claimed(world, session)
            assert claim.attempts == attempts
            world.store.postpone(claim, Postponement(saved=0, seconds=0, error="x"))
        world.store.postpone(claimed(world, session), Postponement(saved=0, seconds=0))
        after = claimed(world, session)
        assert after.attempts == 3  # the pace is no failure, and makes none good
        world.store.postpone(after, Postponement(saved=1, seconds=0, error="x"))
        after = claimed(world, session)
        assert (after.attempts, after.last_saved_index) == (1, 1)
        world.store.postpone(after, Postponement(saved=2, seconds=0))
        world.capture(session, "u")
        assert claimed(world, session).attempts == 0

    def test_it_tells_how_far_a_refusal_is_narrowed_down(
        self, world: World, session: uuid.UUID
    ) -> None:
        claim = claimed(world, session)
        assert claim.narrowed_to is None
        world.store.postpone(claim, Postponement(saved=0, seconds=0, narrowed_to=7))
        claim = claimed(world, session)
        assert claim.narrowed_to == 7
        world.store.release(claim, saved=2)
        world.capture(session, "u")
        assert claimed(world, session).narrowed_to is None

    def test_a_parked_session_waits_for_a_person(self, world: World, session: uuid.UUID) -> None:
        delay = Postponement(saved=0, seconds=30, error="401", parked="401")
        world.store.postpone(claimed(world, session), delay)
        world.pass_(1000)
        assert world.store.claim(session, lease=LEASE) is None
        assert world.store.standing(session) is Standing.PARKED
        world.unpark(session)
        claimed(world, session)


class TestReading:
    def test_rows_come_in_order_and_only_what_is_sent_has_text(self, world: World) -> None:
        session = world.open()
        world.capture(session, "ula")
        world.capture(session, "u", due=False)
        rows = world.store.outgoing(session, after=0, upto=3, limit=10)
        assert [(row.index, row.role, row.content is None) for row in rows] == [
            (1, Role.USER, False),
            (2, Role.USER, True),
            (3, Role.ASSISTANT, False),
        ]
        assert [r.index for r in world.store.outgoing(session, after=1, upto=4, limit=2)] == [2, 3]

    def test_members_are_unknown_until_noted(self, world: World, session: uuid.UUID) -> None:
        store = world.store
        assert store.unknown_members("w", "s", ["ann", "bot"]) == {"ann", "bot"}
        store.note_members("w", "s", {"ann": USER_OBSERVING})
        store.note_members("w", "s", {"ann": USER_OBSERVING})
        assert store.unknown_members("w", "s", ["ann", "bot"]) == {"bot"}
        assert store.unknown_members("w", "other", ["ann"]) == {"ann"}
        store.note_members("w", "s", {"bot": AGENT_OBSERVING})
        assert store.unknown_members("w", "s", ["ann", "bot"]) == set()


class TestLate:
    """Rows out of their turn."""

    @pytest.fixture
    def rows(self, world: World, session: uuid.UUID) -> list[uuid.UUID]:
        """Settle four rows; gives their ids."""
        world.capture(session, "ua")
        claim = claimed(world, session)
        found = [row.id for row in world.store.outgoing(session, after=0, upto=4, limit=4)]
        assert world.store.release(claim, saved=4) is True
        return found

    def claimed_late(self, world: World, session: uuid.UUID) -> Claim:
        claim = world.store.claim(session, lease=LEASE, late=True)
        assert claim is not None
        return claim

    def late_ids(self, world: World, session: uuid.UUID) -> list[uuid.UUID]:
        return [row.id for row in world.store.late(session, limit=9)]

    def test_only_who_asks_for_it_claims_what_is_late(
        self, world: World, session: uuid.UUID, rows: list[uuid.UUID]
    ) -> None:
        store = world.store
        assert store.claim(session, lease=LEASE, late=True) is None
        world.repair(session, [rows[2], rows[0], uuid.uuid4()])
        assert store.claim(session, lease=LEASE) is None
        assert store.standing(session) is Standing.SYNCED
        claim = self.claimed_late(world, session)
        assert claim.late
        assert self.late_ids(world, session) == [rows[0], rows[2]]
        assert all(row.content for row in store.late(session, limit=1))
        assert [row.content is None for row in store.outgoing(session, after=0, upto=4, limit=4)] == [
            True, False, True, False,
        ]  # fmt: skip
        listed = store.listed(session, [rows[2], rows[1]])
        assert [(row.id, row.content is None) for row in listed] == [
            (rows[1], False), (rows[2], False),
        ]  # fmt: skip

    def test_a_release_with_late_work_left_is_refused_to_who_does_it(
        self, world: World, session: uuid.UUID, rows: list[uuid.UUID]
    ) -> None:
        world.repair(session, rows[:1])
        claim = self.claimed_late(world, session)
        assert world.store.release(claim, saved=4, late=True) is False
        assert world.store.release(claim, saved=4) is True

    def test_noting_what_was_sent_settles_its_intent(
        self, world: World, session: uuid.UUID, rows: list[uuid.UUID]
    ) -> None:
        store = world.store
        world.repair(session, rows[:2])
        claim = self.claimed_late(world, session)
        store.advance(claim, saved=4, intent=Intent(0, 0, tuple(rows[:2])), lease=LEASE)
        assert store.note_late_sent(claim, rows[:1]) is True
        assert self.late_ids(world, session) == rows[1:2]
        assert store.release(claim, saved=4, late=True) is False
        world.pass_(LEASE + 1)
        claim = self.claimed_late(world, session)
        assert claim.intent is None
        assert store.note_late_sent(claim, rows[1:2]) is True
        assert store.release(claim, saved=4, late=True) is True
        assert store.claim(session, lease=LEASE, late=True) is None

    def test_noting_what_was_sent_forgets_failures(
        self, world: World, session: uuid.UUID, rows: list[uuid.UUID]
    ) -> None:
        world.repair(session, rows[:2])
        failed = Postponement(saved=4, seconds=0, error="503")
        world.store.postpone(self.claimed_late(world, session), failed)
        claim = self.claimed_late(world, session)
        assert claim.attempts == 1
        world.store.note_late_sent(claim, [])
        world.pass_(LEASE + 1)
        claim = self.claimed_late(world, session)
        assert claim.attempts == 1
        world.store.note_late_sent(claim, rows[:1])
        world.pass_(LEASE + 1)
        assert self.claimed_late(world, session).attempts == 0

    def test_what_is_not_settled_is_not_repaired(self, world: World, session: uuid.UUID) -> None:
        rows = [row.id for row in world.store.outgoing(session, after=0, upto=2, limit=2)]
        world.repair(session, rows)
        assert self.late_ids(world, session) == []

    def test_what_is_set_aside_has_no_text_until_it_is_retried(
        self, world: World, session: uuid.UUID
    ) -> None:
        store = world.store
        claim = claimed(world, session)
        first, second = store.outgoing(session, after=0, upto=2, limit=2)
        assert store.quarantine(claim, first.id, "422") is True
        assert store.outgoing(session, after=0, upto=1, limit=1)[0].content is None
        assert store.listed(session, [first.id])[0].content is None
        world.repair(session, [first.id])
        world.retry(session, [second.id])
        assert self.late_ids(world, session) == []
        world.retry(session, [first.id])
        assert self.late_ids(world, session) == [first.id]
        # Behind the cursor or not: whoever is sending in turn may have passed it.
        assert store.outgoing(session, after=0, upto=1, limit=1)[0].content is None
        assert store.release(claim, saved=2, late=True) is False

    def test_what_is_dropped_comes_never_again(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        first, second = world.store.outgoing(session, after=0, upto=2, limit=2)
        world.store.quarantine(claim, first.id, "422")
        world.drop(session, [first.id, second.id])
        world.retry(session, [first.id])
        world.store.release(claim, saved=2)
        world.repair(session, [first.id])
        assert self.late_ids(world, session) == []
        assert world.store.listed(session, [second.id])[0].content is not None

    def test_what_is_late_and_refused_is_set_aside_and_no_more_late(
        self, world: World, session: uuid.UUID, rows: list[uuid.UUID]
    ) -> None:
        world.repair(session, rows[:1])
        claim = self.claimed_late(world, session)
        world.store.quarantine(claim, rows[0], "422")
        assert self.late_ids(world, session) == []
        assert world.store.note_late_sent(claim, []) is True
        assert world.store.release(claim, saved=4, late=True) is True

    def test_a_mended_row_says_so(self, world: World, session: uuid.UUID) -> None:
        claim = claimed(world, session)
        first, second = world.store.outgoing(session, after=0, upto=2, limit=2)
        assert not first.mended
        assert world.store.mend(claim, first.id) is True
        found = world.store.outgoing(session, after=0, upto=2, limit=2)
        assert [row.mended for row in found] == [True, False]
        assert found[0].content == first.content
        assert world.store.listed(session, [first.id])[0].mended
        assert not second.mended
