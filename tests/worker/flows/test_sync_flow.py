"""One run of the sync after another: what each answer of Honcho's comes to."""

from __future__ import annotations

import uuid

import pytest

from afterturn_models.errors import StoreUnavailableError
from afterturn_models.values import AGENT_OBSERVING, USER_OBSERVING, Claim, Intent, Standing
from afterturn_worker.flows.sync import sync_session
from support.memory_honcho import Answer, Fate
from support.memory_ports import Crash
from support.sync_world import LIMITS, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_turn_goes_in_one_post_after_its_peers(world: World) -> None:
    world.store.capture(world.session, "ua")
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()
    assert (world.honcho.posts, world.honcho.looks) == (1, 0)
    assert world.honcho.joined == {
        ("w", "s", "ann"): USER_OBSERVING,
        ("w", "s", "bot"): AGENT_OBSERVING,
    }
    assert not world.honcho.strangers


def test_the_agent_joins_with_the_first_message_whoever_speaks(world: World) -> None:
    world.store.capture(world.session, "u")
    world.run()
    assert world.honcho.joined["w", "s", "bot"] == AGENT_OBSERVING


def test_a_second_run_finds_nothing_to_do(world: World) -> None:
    world.store.capture(world.session, "ua")
    world.run()
    assert world.run() is Standing.SYNCED
    assert world.honcho.posts == 1


def test_local_rows_are_passed_without_a_request(world: World) -> None:
    world.store.capture(world.session, "lll")
    assert world.run() is Standing.SYNCED
    assert world.cursor.last_saved_index == 3
    assert (world.honcho.posts, world.honcho.joined) == (0, {})


def test_a_long_backlog_goes_in_hundreds(world: World) -> None:
    world.store.capture(world.session, "ual" * 150)
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()
    assert world.honcho.posts == 3


def test_no_batch_spans_two_sessions_of_honcho(world: World) -> None:
    world.store.capture(world.session, "ua")
    world.cursor.honcho_session = "renamed"
    rows = world.store.capture(world.session, "ua")
    assert world.run() is Standing.SYNCED
    assert world.honcho.posts == 2
    assert world.honcho.ids("w", "renamed") == [row.id for row in rows]
    assert not world.honcho.strangers


def test_what_comes_during_a_run_is_taken_along(world: World) -> None:
    world.store.capture(world.session, "ua")
    send = world.honcho.send

    def while_sending(*args, **kwargs):
        world.honcho.send = send
        send(*args, **kwargs)
        world.store.capture(world.session, "ua")  # its hint finds the lease taken

    world.honcho.send = while_sending
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()
    assert world.cursor.last_saved_index == 4


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.FAILED, Answer.LATE])
def test_an_unknown_outcome_is_looked_up_after_settling(world: World, answer: Answer) -> None:
    world.store.capture(world.session, "ua")
    world.honcho.sends.append(Fate(answer, share=0.9))
    assert world.run() is Standing.WAITING
    assert world.run() is Standing.WAITING  # a hint does not shorten it
    assert world.honcho.looks == 0
    world.clock.pass_(LIMITS.settling + 0.1)
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()
    assert world.honcho.posts == (2 if answer is Answer.FAILED else 1)


def test_an_intent_found_at_a_claim_waits_the_settling_from_that_claim(world: World) -> None:
    world.store.capture(world.session, "ua")
    world.honcho.sends.append(Fate(Answer.KILLED, share=0.99))
    with pytest.raises(Crash):
        world.run()
    assert world.run() is Standing.BUSY
    world.clock.pass_(LIMITS.lease + 0.1)
    assert world.run() is Standing.WAITING
    assert world.honcho.looks == 0
    world.clock.pass_(LIMITS.settling + 0.1)
    assert world.run() is Standing.SYNCED
    assert (world.honcho.posts, world.honcho.looks) == (1, 1)
    assert world.exactly_once()


@pytest.mark.parametrize("failure", [Answer.FAILED, Answer.LIMITED, Answer.UNREACHABLE])
def test_a_look_up_that_fails_leaves_the_intent_settled(world: World, failure: Answer) -> None:
    world.store.capture(world.session, "ua")
    world.honcho.sends.append(Fate(Answer.LOST))
    world.run()
    world.clock.pass_(LIMITS.settling + 0.1)
    world.honcho.others.append(Fate(failure))
    assert world.run() is Standing.WAITING
    assert world.cursor.intent == Intent(1, 2)
    world.clock.pass_(10)
    assert world.run() is Standing.SYNCED
    assert world.honcho.posts == 1
    assert world.exactly_once()


@pytest.mark.parametrize("answer", [Answer.LIMITED, Answer.UNREACHABLE, Answer.REJECTED])
def test_what_was_certainly_not_stored_is_sent_again_without_a_look(
    world: World, answer: Answer
) -> None:
    world.store.capture(world.session, "ua")
    world.honcho.sends.append(Fate(answer))
    assert world.run() is Standing.WAITING
    assert world.cursor.intent is None
    assert world.cursor.last_error
    world.clock.pass_(10)
    assert world.run() is Standing.SYNCED
    assert world.honcho.looks == 0
    assert world.exactly_once()


def test_the_first_batch_stays_settled_when_the_second_fails(world: World) -> None:
    world.store.capture(world.session, "u" * 150)
    world.honcho.sends += [Fate(), Fate(Answer.LIMITED)]
    assert world.run() is Standing.WAITING
    assert (world.cursor.last_saved_index, world.cursor.attempts) == (100, 1)
    world.until_synced()
    assert world.exactly_once()


def test_peers_that_cannot_be_added_hold_their_messages_back(world: World) -> None:
    world.store.capture(world.session, "ua")
    for failure in (Answer.LOST, Answer.UNREACHABLE):
        world.honcho.others.append(Fate(failure))
        assert world.run() is Standing.WAITING
        assert (world.honcho.posts, world.cursor.intent) == (0, None)
        world.clock.pass_(30)
    assert world.run() is Standing.SYNCED
    assert not world.honcho.strangers


def test_a_wrong_key_parks_with_a_reason(world: World) -> None:
    world.store.capture(world.session, "ua")
    world.honcho.sends.append(Fate(Answer.REFUSED))
    assert world.run() is Standing.PARKED
    assert world.cursor.parked == "401"
    world.clock.pass_(1000)
    assert world.run() is Standing.PARKED
    world.store.unpark(world.session)
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()


def test_a_rate_limit_says_how_long(world: World) -> None:
    world.store.capture(world.session, "ua")
    world.honcho.sends.append(Fate(Answer.LIMITED))
    world.run()
    waits = world.cursor.run_at - world.clock.now
    assert 3.0 <= waits <= 4.0


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_failures_in_a_row_wait_longer_and_longer(world: World, share: float) -> None:
    world.store.capture(world.session, "ua")
    waits = []
    for _ in range(4):
        world.honcho.sends.append(Fate(Answer.UNREACHABLE, share))
        world.run()
        waits.append(world.cursor.run_at - world.clock.now)
        world.clock.now = world.cursor.run_at
    assert waits == sorted(waits)
    assert waits[-1] == 8 * waits[0]


class TestPartOfABatch:
    """Honcho stores a batch whole; where something stored a part all the same, none is doubled."""

    @pytest.fixture
    def half_there(self, world: World) -> World:
        world.store.capture(world.session, "uaua")
        world.honcho.sends.append(Fate(Answer.PARTIAL))
        assert world.run() is Standing.WAITING
        world.clock.pass_(LIMITS.settling + 0.1)
        return world

    def test_only_the_rest_is_sent(self, half_there: World) -> None:
        assert half_there.run() is Standing.SYNCED
        assert half_there.exactly_once()

    @pytest.mark.parametrize(
        "answer",
        [a for a in Answer if a not in {Answer.OK, Answer.KILLED, Answer.REFUSED}],
    )
    def test_whatever_becomes_of_the_rest(self, half_there: World, answer: Answer) -> None:
        half_there.honcho.sends.append(Fate(answer, share=0.9))
        half_there.until_synced()
        assert half_there.exactly_once()

    def test_a_crash_between_its_intent_and_its_post(self, half_there: World) -> None:
        send = half_there.honcho.send

        def crash(*args, **kwargs):
            half_there.honcho.send = send
            raise Crash

        half_there.honcho.send = crash
        with pytest.raises(Crash):
            half_there.run()
        half_there.until_synced()
        assert half_there.exactly_once()

    def test_a_kill_during_its_post(self, half_there: World) -> None:
        half_there.honcho.sends.append(Fate(Answer.KILLED, share=0.9))
        with pytest.raises(Crash):
            half_there.run()
        half_there.until_synced()
        assert half_there.exactly_once()


class TestTimeLeft:
    def test_a_request_ends_before_the_lease_does(self, world: World) -> None:
        world.store.capture(world.session, "ua")
        world.run()
        assert world.honcho.deadlines == [LIMITS.request]

    def test_a_deadline_shrinks_with_the_lease(self, world: World) -> None:
        world.store.capture(world.session, "ua")
        self.freeze_in_advance(world, 13.0)
        world.run()
        assert world.honcho.deadlines == [LIMITS.lease - LIMITS.margin - 13.0]

    @pytest.mark.parametrize("frozen", [17.6, 20.0, 500.0])
    def test_a_run_frozen_in_its_last_statement_does_not_post(
        self, world: World, frozen: float
    ) -> None:
        world.store.capture(world.session, "ua")
        self.freeze_in_advance(world, frozen)
        assert world.run() is Standing.BUSY
        assert world.honcho.posts == 0
        world.until_synced()
        assert world.exactly_once()

    def test_time_that_a_claim_took_counts(self, world: World) -> None:
        world.store.capture(world.session, "ua")
        claim = world.store.claim

        def slow(*args, **kwargs):
            found = claim(*args, **kwargs)
            world.clock.pass_(19)
            return found

        world.store.claim = slow
        assert world.run() is Standing.BUSY
        assert not world.honcho.joined

    def test_a_lease_taken_by_another_meanwhile_ends_the_run(self, world: World) -> None:
        world.store.capture(world.session, "ua")
        world.store.capture(world.session, "ua")
        add_peers = world.honcho.add_peers

        def long(*args, **kwargs):
            add_peers(*args, **kwargs)
            world.honcho.add_peers = add_peers
            world.clock.pass_(LIMITS.lease + 1)
            assert world.run() is Standing.SYNCED  # another worker does it all meanwhile

        world.honcho.add_peers = long
        assert world.run() is Standing.BUSY
        assert world.honcho.posts == 1
        assert world.exactly_once()

    def freeze_in_advance(self, world: World, seconds: float) -> None:
        advance = world.store.advance

        def slow(claim: Claim, **kwargs):
            due = advance(claim, **kwargs)
            world.store.advance = advance
            world.clock.pass_(seconds)
            return due

        world.store.advance = slow


def test_a_backlog_that_takes_too_long_is_left_to_another_task(world: World) -> None:
    world.store.capture(world.session, "u" * 1000)
    send = world.honcho.send

    def slow(*args, **kwargs):
        send(*args, **kwargs)
        world.clock.pass_(9)

    world.honcho.send = slow
    assert world.run() is Standing.MORE
    assert world.cursor.last_saved_index == 400
    assert (world.cursor.lease_until, world.cursor.intent) == (None, None)
    assert world.run() is Standing.MORE  # at once, by whoever asks
    assert world.cursor.last_saved_index == 800
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()


def test_postgres_away_after_a_post_is_settled_by_the_next_claim(world: World) -> None:
    world.store.capture(world.session, "ua")
    release = world.store.release

    def away(*args, **kwargs):
        world.store.release = release
        raise StoreUnavailableError("Postgres: gone")

    world.store.release = away
    with pytest.raises(StoreUnavailableError):
        world.run()
    world.until_synced()
    assert world.honcho.posts == 1
    assert world.exactly_once()


def test_a_deleted_session_is_gone(world: World) -> None:
    assert (
        sync_session(uuid.uuid4(), world.store, world.honcho, LIMITS, clock=world.clock)
        is Standing.GONE
    )
