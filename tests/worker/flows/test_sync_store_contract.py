"""The cursor's contract, kept by the store in memory and by the one on Postgres alike."""

from __future__ import annotations

import uuid

from afterturn_models.values import (
    AGENT_OBSERVING,
    USER_OBSERVING,
    Intent,
    Postponement,
    Role,
    Standing,
)
from support.store_worlds import LEASE, World, claimed


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
