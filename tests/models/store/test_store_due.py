"""What is due: flushes, quiet sessions, relays that share the work, prefetches fired once."""

from __future__ import annotations

import uuid

import pytest

from afterturn_models.policy.cadence import NEVER, Fetched
from afterturn_models.store.due import (
    claim_fetch,
    last_saved_index,
    note_dialectic,
    raise_quiet,
    raise_to_end,
    take_due,
    take_prefetch,
    unclaim_fetch,
)

HELD = {"writeFrequency": "session"}
QUIET = "UPDATE sessions SET last_turn_at = last_turn_at - interval '1 hour'"


def test_a_flush_makes_everything_due_and_counts_turns_anew(desk):
    session = desk.open()
    assert desk.run(raise_to_end, session.id) == 0
    for _ in range(2):
        desk.capture(session, given={"writeFrequency": "3"})
    assert desk.run(raise_to_end, session.id) == 4
    due = [desk.capture(session, given={"writeFrequency": "3"}).due for _ in range(3)]
    assert due == [False, False, True]
    assert desk.run(raise_to_end, uuid.uuid4()) is None
    assert desk.run(last_saved_index, session.id) == 0
    assert desk.run(last_saved_index, uuid.uuid4()) is None


def test_flushes_among_captures_lose_nothing(desk, together):
    session = desk.open()

    def work(place):
        for _ in range(10):
            if place % 2:
                desk.run(raise_to_end, session.id)
            else:
                desk.capture(session, given=HELD)

    together(work, 8)
    assert desk.run(raise_to_end, session.id) == desk.cursor(session).due_index == 80


def test_only_what_went_quiet_becomes_due(desk):
    quiet, fresh, nothing = desk.open(), desk.open(), desk.open()
    desk.capture(quiet, given=HELD)
    desk.sql(QUIET)
    desk.capture(fresh, given=HELD)
    assert desk.run(raise_quiet, idle=300, most=10) == 1
    assert [desk.cursor(s).due_index for s in (quiet, fresh, nothing)] == [2, 0, 0]
    assert desk.run(raise_quiet, idle=300, most=10) == 0


def test_quiet_sessions_come_in_portions_the_quietest_first(desk):
    sessions = [desk.open() for _ in range(5)]
    for session in sessions:
        desk.capture(session, given=HELD)
    desk.sql(QUIET)
    assert desk.run(raise_quiet, idle=300, most=2) == 2
    assert [desk.cursor(s).due_index for s in sessions] == [2, 2, 0, 0, 0]
    assert desk.run(raise_quiet, idle=300, most=10) == 3


def test_a_session_that_is_written_to_is_neither_raised_nor_waited_for(desk):
    session = desk.open()
    desk.capture(session, given=HELD)
    desk.sql(QUIET)
    with desk.holding(session):
        assert desk.run(raise_quiet, idle=300, most=10) == 0
    assert desk.run(raise_quiet, idle=300, most=10) == 1


def test_quietness_never_takes_due_messages_back(desk, together):
    session = desk.open()

    def work(place):
        for _ in range(15):
            if place % 2:
                desk.run(raise_quiet, idle=0.000001, most=10)
            else:
                desk.capture(session, given={"writeFrequency": "async" if place else "session"})

    together(work, 6)
    desk.run(raise_quiet, idle=0.000001, most=10)
    row = desk.sql("SELECT due_turn, turns FROM sessions WHERE id = :s", s=session.id)[0]
    assert row.due_turn == row.turns == 45
    assert desk.cursor(session).due_index == 90


def test_looking_for_quiet_sessions_reads_only_those_that_hold_something_back(desk):
    desk.sql("INSERT INTO workspaces (name) VALUES ('big')")
    desk.sql(
        "INSERT INTO sessions (workspace_id, key, honcho_session, user_peer, agent_peer, turns,"
        " due_turn, last_turn_at) SELECT w.id, 'k' || n, 'k', 'u', 'a', 5, 5, now() - interval '1 day'"
        " FROM workspaces w, generate_series(1, 5000) n"
    )
    desk.sql("ANALYZE sessions")
    plan = desk.sql(
        "EXPLAIN SELECT id FROM sessions WHERE due_turn < turns AND last_turn_at < now()"
        " ORDER BY last_turn_at LIMIT 500"
    )
    assert "ix_sessions_quiet" in str(plan)


def test_relays_at_once_take_each_session_once(desk, together):
    sessions = [desk.open() for _ in range(40)]
    for session in sessions:
        desk.capture(session)
    found = together(lambda _: list(desk.run(take_due, again=60, most=10)), 8)
    taken = [session for part in found for session in part]
    assert len(taken) == len(set(taken)) == 40
    assert all(len(part) <= 10 for part in found)
    assert desk.run(take_due, again=60, most=100) == []
    assert len(desk.run(take_due, again=0, most=100)) == 40


def test_relays_leave_what_is_not_theirs(desk):
    due, settled, leased, parked, later, held = (desk.open() for _ in range(6))
    for session in (due, settled, leased, parked, later):
        desk.capture(session)
    desk.capture(held, given=HELD)
    desk.sql("UPDATE cursors SET last_saved_index = due_index WHERE session_id = :s", s=settled.id)
    desk.claim(leased, lease=60)
    desk.sql("UPDATE cursors SET parked = 'no key' WHERE session_id = :s", s=parked.id)
    desk.sql(
        "UPDATE cursors SET run_at = now() + interval '1 hour' WHERE session_id = :s", s=later.id
    )
    assert desk.run(take_due, again=0, most=10) == [(due.id, True)]
    desk.sql(
        "UPDATE cursors SET lease_until = now() - interval '1 s' WHERE session_id = :s", s=leased.id
    )
    assert set(desk.run(take_due, again=0, most=10)) == {(due.id, True), (leased.id, True)}
    with desk.holding(due):
        assert desk.run(take_due, again=0, most=10) == [(leased.id, True)]


def test_turns_are_hinted_before_repairs_and_each_before_any_again(desk):
    """Repairs of many sessions, due for an hour, do not stand before a turn of now."""
    repairs = [desk.open() for _ in range(6)]
    for session in repairs:
        desk.capture(session)
    desk.sql(
        "UPDATE cursors SET late = true, last_saved_index = due_index,"
        " run_at = clock_timestamp() - interval '1 h'"
    )
    turns = [desk.open() for _ in range(2)]
    for session in turns:
        desk.capture(session)
    taken = [desk.run(take_due, again=0, most=4) for _ in range(3)]
    live = {(session.id, True) for session in turns}
    assert all(set(found[:2]) == live for found in taken)
    late = [session for found in taken for session, in_turn in found if not in_turn]
    assert len(late) == len(set(late)) == 6


def test_a_session_that_is_due_both_ways_is_hinted_for_its_turn(desk):
    session = desk.open()
    desk.capture(session)
    desk.sql("UPDATE cursors SET late = true")
    assert desk.run(take_due, again=0, most=9) == [(session.id, True)]
    settle(desk)
    assert desk.run(take_due, again=0, most=9) == [(session.id, False)]
    desk.sql("UPDATE cursors SET parked = 'no key'")
    assert desk.run(take_due, again=0, most=9) == []


def settle(desk):
    desk.sql("UPDATE cursors SET last_saved_index = due_index")


def test_prefetches_wait_for_what_came_due_since(desk):
    """They would not see it: whoever syncs that turn fires them."""
    session = desk.open()
    desk.capture(session)
    assert desk.run(take_prefetch, session.id) is None
    settle(desk)
    desk.capture(session)
    assert desk.run(take_prefetch, session.id) is None
    settle(desk)
    assert desk.run(take_prefetch, session.id) == Fetched(2)
    desk.capture(session, given=HELD)  # not due: what is settled is all that there is to see
    assert desk.run(take_prefetch, session.id) == Fetched(3)


def test_prefetches_are_claimed_once_a_turn(desk, together):
    session = desk.open()
    assert desk.run(take_prefetch, session.id) is None
    for turn in (1, 2):
        desk.capture(session)
        settle(desk)
        found = together(lambda _: desk.run(take_prefetch, session.id), 8)
        assert [last.turn for last in found if last is not None] == [turn]
    desk.capture(session)
    desk.capture(session)
    settle(desk)
    assert desk.run(take_prefetch, session.id) == Fetched(4)
    assert desk.run(take_prefetch, session.id) is None
    assert desk.run(take_prefetch, uuid.uuid4()) is None


def test_a_claim_tells_what_was_fetched_before(desk):
    session = desk.open()
    desk.run(claim_fetch, session.id, "context", 0)
    for _ in range(3):
        desk.capture(session)
    desk.run(claim_fetch, session.id, "dialectic", 2)
    desk.run(note_dialectic, session.id, empty=True)
    settle(desk)
    assert desk.run(take_prefetch, session.id) == Fetched(3, 0, 2, 1)


@pytest.mark.parametrize("kind", ["context", "dialectic"])
def test_a_fetch_is_made_once_however_often_its_task_is_sent(desk, together, kind):
    session = desk.open()
    for turn, before in ((0, NEVER), (1, 0), (7, 1)):
        found = together(lambda _, turn=turn: desk.run(claim_fetch, session.id, kind, turn), 6)
        assert [one for one in found if one is not None] == [before]
    assert desk.run(claim_fetch, session.id, kind, 6) is None  # a later one was made
    assert desk.run(claim_fetch, uuid.uuid4(), kind, 1) is None


def test_a_fetch_that_came_to_nothing_leaves_the_next_due(desk):
    session = desk.open()
    desk.run(claim_fetch, session.id, "dialectic", 3)
    desk.run(claim_fetch, session.id, "dialectic", 5)
    desk.run(unclaim_fetch, session.id, "dialectic", 5, 3)
    assert desk.cursor(session).dialectic_turn == 3
    desk.run(claim_fetch, session.id, "dialectic", 6)
    desk.run(unclaim_fetch, session.id, "dialectic", 5, 3)  # late: another was made meanwhile
    assert desk.cursor(session).dialectic_turn == 6
    assert desk.cursor(session).context_turn == NEVER


def test_answers_with_nothing_to_say_are_counted_until_one_has(desk):
    session = desk.open()
    for empty, count in ((True, 1), (True, 2), (False, 0), (False, 0), (True, 1)):
        desk.run(note_dialectic, session.id, empty=empty)
        assert desk.cursor(session).empty_dialectics == count
