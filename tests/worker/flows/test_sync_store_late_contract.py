"""The contract of rows out of their turn, kept by both stores alike."""

from __future__ import annotations

import uuid

import pytest

from afterturn_models.values import (
    Claim,
    Intent,
    Postponement,
    Standing,
)
from support.store_worlds import LEASE, World, claimed


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
