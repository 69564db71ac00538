"""Leases on many rows at once keep what leases on one row keep."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from sqlalchemy import text

from afterturn_models.db import Database
from afterturn_models.store import cursors, messages
from afterturn_models.store.many_leases import CURSORS, Step
from afterturn_models.values import Claim, Intent
from support.captured import Captures

LEASE = 20.0


@pytest.fixture
def captures(database: Database, workspace: str) -> Captures:
    return Captures(database, workspace)


def opened(captures: Captures, count: int) -> list[uuid.UUID]:
    sessions = [captures.open() for _ in range(count)]
    for session in sessions:
        captures.turn(session, "one", "two")
    return sessions


def claims(database: Database, *, most: int = 50) -> dict[uuid.UUID, Claim]:
    with database.statement() as connection:
        found = CURSORS.claim(connection, {}, owner="many", lease=LEASE, most=most)
    return {claim.session_id: claim for claim in found}


def test_each_is_claimed_once_by_whoever_comes_first(database: Database, captures: Captures):
    sessions = opened(captures, 5)
    with database.statement() as connection:
        single = cursors.claim(connection, sessions[0], owner="one", lease=LEASE)
    assert single is not None
    first, second = claims(database, most=3), claims(database)
    assert len(first) == 3
    assert set(first) | set(second) == set(sessions[1:])
    assert not set(first) & set(second)
    assert claims(database) == {}
    claim = first.popitem()[1]
    assert (claim.last_saved_index, claim.due_index, claim.epoch) == (0, 2, 1)
    assert (claim.workspace, claim.user_peer, claim.agent_peer) == (
        captures.workspace,
        "ann",
        "bot",
    )


def test_only_what_is_plain_is_claimed(database: Database, captures: Captures):
    sessions = opened(captures, 6)
    odd = {
        sessions[0]: "intent_first = 1, intent_last = 2",
        sessions[1]: "narrowed_to = 1",
        sessions[2]: "parked = 'no key'",
        sessions[3]: "run_at = clock_timestamp() + interval '1 hour'",
        sessions[4]: "last_saved_index = 2",
    }
    with database.statement() as connection:
        for session, said in odd.items():
            connection.execute(
                text(f"UPDATE cursors SET {said} WHERE session_id = :id"), {"id": session}
            )
        assert CURSORS.drainable(connection, {}, sessions) == {sessions[3], sessions[5]}
    assert set(claims(database)) == {sessions[5]}


def test_a_step_counts_under_the_epoch_that_holds_and_under_no_other(
    database: Database, captures: Captures
):
    sessions = opened(captures, 3)
    held = claims(database)
    lost = replace(held[sessions[0]], epoch=held[sessions[0]].epoch - 1)
    steps = [
        Step(lost, 0, Intent(1, 2)),
        Step(held[sessions[1]], 0, Intent(1, 2)),
        Step(held[sessions[2]], 1, Intent(2, 2)),
    ]
    with database.statement() as connection:
        due = CURSORS.advance(connection, {}, steps, lease=LEASE)
    assert due == {sessions[1]: 2, sessions[2]: 2}
    found = [captures.cursor(session) for session in sessions]
    assert [(c["last_saved_index"], c["intent_first"], c["intent_last"]) for c in found] == [
        (0, None, None),
        (0, 1, 2),
        (1, 2, 2),
    ]


def test_what_came_due_meanwhile_is_not_released(database: Database, captures: Captures):
    sessions = opened(captures, 3)
    held = claims(database)
    captures.turn(sessions[0], "three")
    lost = replace(held[sessions[1]], epoch=0)
    steps = [Step(held[sessions[0]], 2), Step(lost, 2), Step(held[sessions[2]], 2)]
    with database.statement() as connection:
        assert CURSORS.release(connection, {}, steps) == {sessions[2]}
    assert captures.cursor(sessions[0])["lease_owner"] == "many"
    assert captures.cursor(sessions[1])["last_saved_index"] == 0
    done = captures.cursor(sessions[2])
    assert (done["last_saved_index"], done["lease_owner"], done["intent_first"]) == (2, None, None)


def test_rows_of_many_are_those_of_each(database: Database, captures: Captures):
    sessions = opened(captures, 3)
    captures.turn(sessions[1], "x" * 900, "y" * 900)
    wanted = [(sessions[0], 0, 2), (sessions[1], 1, 4), (sessions[2], 2, 2)]
    with database.statement() as connection:
        found = messages.outgoing_of_many(connection, wanted, limit=200, most_bytes=10_000)
        for session, after, upto in wanted:
            assert found[session] == messages.outgoing(
                connection, session, after=after, upto=upto, limit=200
            )
        few = messages.outgoing_of_many(connection, wanted, limit=200, most_bytes=1000)
        one = messages.outgoing_of_many(connection, wanted, limit=200, most_bytes=1)
    assert [row.index for row in few[sessions[1]]] == [2, 3]
    assert [row.index for row in one[sessions[1]]] == [2]  # one at least: it would come no further
