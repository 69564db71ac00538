"""Rows out of their turn on real Postgres: listed, dropped, retried, repaired, and raced for."""

from __future__ import annotations

import threading
import uuid

import pytest
from sqlalchemy import text

from afterturn_models.store.backlog import backlog
from afterturn_models.store.cursors import advance, claim, release
from afterturn_models.store.due import take_due
from afterturn_models.store.late import (
    drop_quarantined,
    mend,
    note_late_sent,
    quarantine,
    quarantined,
    retry_quarantined,
    send_late,
)
from afterturn_models.store.messages import late, listed, outgoing
from afterturn_models.values import Intent
from support.waiting import eventually

LEASE = 60.0


@pytest.fixture
def settled(desk, said):
    """Give a session of ten rows that are all settled."""
    session = desk.open()
    desk.capture(session, [said(content=f"m{n}") for n in range(10)])
    desk.sql("UPDATE cursors SET last_saved_index = 10")
    return session


def ids(desk, session):
    return [row.id for row in desk.rows(session)]


def take(desk, session):
    return desk.run(claim, session.id, owner="a", lease=LEASE, late=True)


def noted(desk, got, rows):
    with desk.database.transaction() as connection:
        return note_late_sent(connection, got.session_id, rows, epoch=got.epoch)


def set_aside(desk, session, *indexes, reason="422"):
    desk.sql(
        "UPDATE messages SET delivery = 'quarantined', reason = :r"
        " WHERE session_id = :s AND index = ANY(:i)",
        s=session.id, i=list(indexes), r=reason,
    )  # fmt: skip


def test_what_is_set_aside_is_listed_oldest_first_with_its_beginning(desk, settled, said):
    desk.capture(settled, [said(content="x" * 500)])
    other = desk.open("other")
    desk.capture(other, [said(content="y")])
    set_aside(desk, settled, 3, 11, reason="Honcho answers 422: no")
    set_aside(desk, other, 1)
    found = desk.run(quarantined)
    assert [row.index for row in found] == [3, 11, 1]
    assert (found[0].text, found[1].text) == ("m2", "x" * 80)
    assert (found[0].workspace, found[0].role, found[0].reason) == (
        "w", "user", "Honcho answers 422: no",
    )  # fmt: skip
    assert [row.session for row in desk.run(quarantined, session="other")] == ["other"]
    assert len(desk.run(quarantined, limit=1)) == 1


def test_dropping_leaves_them_in_history_for_good(desk, settled):
    set_aside(desk, settled, 3, 4)
    third = ids(desk, settled)[2]
    assert desk.run(drop_quarantined, [third, uuid.uuid4()]) == 1
    assert desk.run(drop_quarantined, [third]) == 0
    assert desk.run(drop_quarantined, None) == 1
    row = desk.rows(settled)[2]
    assert (row.delivery, row.reason, row.content) == ("local", "dropped: 422", "m2")
    assert desk.run(retry_quarantined, None) == (0, [])


def test_a_retry_tells_which_sessions_to_hint_at(desk, settled):
    other = desk.open()
    desk.capture(other)
    set_aside(desk, settled, 3, 4)
    set_aside(desk, other, 1)
    count, sessions = desk.run(retry_quarantined, None)
    assert (count, set(sessions)) == (3, {settled.id, other.id})
    assert desk.run(take_due, again=0, most=9) == [(other.id, True), (settled.id, False)]
    row = desk.rows(settled)[2]
    assert (row.delivery, row.reason, row.late) == ("send", None, "due")
    assert [row.index for row in desk.run(late, settled.id, limit=9)] == [3, 4]


def test_a_repair_marks_what_is_settled_and_to_be_sent_once(desk, settled, said):
    desk.capture(settled, [said(content="new"), said(content="here", local="mode")])
    set_aside(desk, settled, 5)
    rows = ids(desk, settled)
    assert desk.run(send_late, settled.id, rows) == 9  # not 5, nor what is ahead or stays here
    assert desk.run(send_late, settled.id, rows) == 0
    assert desk.run(send_late, desk.open().id, rows) == 0
    assert desk.cursor(settled).late
    # Those ahead of the cursor go in their turn.
    found = desk.run(outgoing, settled.id, after=0, upto=12, limit=20)
    assert [row.index for row in found if row.content is not None] == [11]


def test_a_repair_of_nothing_wakes_nobody(desk, settled):
    assert desk.run(send_late, settled.id, []) == 0
    assert not desk.cursor(settled).late


def test_late_rows_count_as_waiting(desk, settled, said):
    before = desk.run(backlog)
    assert (before.unsent, before.oldest_age) == (0, None)
    set_aside(desk, settled, 3)
    desk.run(send_late, settled.id, ids(desk, settled)[:2])
    found = desk.run(backlog)
    assert (found.unsent, found.quarantined) == (2, 1)
    assert found.oldest_age >= 0
    desk.capture(settled, [said(content="ahead")])
    set_aside(desk, settled, 11)
    desk.run(retry_quarantined, None)
    assert desk.run(backlog).unsent == 4  # one of them is ahead of the cursor, and counts once
    got = take(desk, settled)
    assert noted(desk, got, ids(desk, settled)) is True
    assert desk.run(backlog).unsent == 0


def test_late_rows_are_found_without_reading_the_others(desk):
    with desk.database.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(
            "EXPLAIN SELECT id FROM messages WHERE session_id = gen_random_uuid() AND late = 'due'"
        ).all()
    assert "ix_messages_late" in str(plan)


@pytest.mark.parametrize(
    "step",
    [
        lambda desk, old, row: desk.run(mend, row, epoch=old.epoch),
        lambda desk, old, row: desk.run(quarantine, row, "422", epoch=old.epoch),
        lambda desk, old, row: noted(desk, old, [row]),
    ],
    ids=["mend", "quarantine", "note"],
)
class TestFence:
    def test_who_lost_the_lease_changes_nothing(self, desk, settled, step):
        (row, *_) = ids(desk, settled)
        desk.run(send_late, settled.id, [row])
        old = desk.run(claim, settled.id, owner="a", lease=0.01, late=True)
        eventually(lambda: take(desk, settled), within=5)
        before = desk.cursor(settled), desk.rows(settled)
        assert step(desk, old, row) is False
        assert (desk.cursor(settled), desk.rows(settled)) == before

    def test_it_waits_for_who_has_the_cursor_and_looks_again(self, desk, settled, step):
        """The lease is lost while the statement is under way already."""
        (row, *_) = ids(desk, settled)
        desk.run(send_late, settled.id, [row])
        old = take(desk, settled)
        told = []
        thread = threading.Thread(target=lambda: told.append(step(desk, old, row)))
        with desk.holding(settled) as connection:
            thread.start()
            eventually(lambda: waiting(desk))
            connection.execute(text("UPDATE cursors SET epoch = epoch + 1"))
        thread.join(10)
        assert told == [False]
        found = desk.rows(settled)[0]
        assert (found.delivery, found.mended, found.late) == ("send", False, "due")


def waiting(desk):
    return desk.sql(
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )


def test_a_row_that_is_no_more_is_no_ones(desk, settled):
    got = desk.run(claim, settled.id, owner="a", lease=LEASE, late=True)
    assert got is None
    assert desk.run(mend, uuid.uuid4(), epoch=0) is False
    assert desk.run(quarantine, uuid.uuid4(), "422", epoch=0) is False


def test_noting_clears_the_intent_and_says_whether_more_waits(desk, settled):
    rows = ids(desk, settled)
    desk.run(send_late, settled.id, rows[:4])
    got = take(desk, settled)
    desk.run(advance, got, saved=10, intent=Intent(0, 0, tuple(rows[:2])), lease=LEASE)
    assert noted(desk, got, rows[:2]) is True
    row = desk.cursor(settled)
    assert (row.intent_first, row.intent_rows, row.late) == (None, None, True)
    assert noted(desk, got, rows[2:4]) is True
    assert not desk.cursor(settled).late
    assert [row.late for row in desk.rows(settled)] == ["sent"] * 4 + [None] * 6
    assert desk.run(release, got, saved=10, late=True) is True


def test_no_late_row_is_forgotten_between_noting_and_repairing(desk, said, together):
    """Whoever notes looks for more; whoever marks meanwhile is seen by one or wakes the cursor."""
    session = desk.open()
    desk.capture(session, [said(content=str(n)) for n in range(90)])
    desk.sql("UPDATE cursors SET last_saved_index = 90")
    rows = ids(desk, session)
    sent, done = set(), threading.Event()

    def work(place):
        if place:  # three who repair, each their own rows, one after another
            for row in rows[place - 1 :: 3]:
                assert desk.run(send_late, session.id, [row]) == 1
            return
        while not (done.is_set() and not desk.cursor(session).late):
            got = take(desk, session)
            while got is not None:
                found = [row.id for row in desk.run(late, session.id, limit=5)]
                assert not sent.intersection(found)
                sent.update(found)
                assert noted(desk, got, found) is True
                if not found and desk.run(release, got, saved=90, late=True):
                    got = None
            if len(sent) == len(rows):
                done.set()

    together(work, 4)
    assert sent == set(rows)
    assert {row.late for row in desk.rows(session)} == {"sent"}


def test_retries_drops_and_syncs_at_once_come_to_one_end_for_each_row(desk, said, together):
    """A row is retried or dropped, never both; what is retried is sent once and in no turn."""
    session = desk.open()
    desk.capture(session, [said(content=str(n)) for n in range(60)])
    rows = ids(desk, session)
    retried, dropped, sent = [], [], []
    over = threading.Barrier(3, timeout=30)

    def worker():
        got = take(desk, session)
        saved = 0
        for row in desk.run(outgoing, session.id, after=0, upto=60, limit=60):
            assert desk.run(quarantine, row.id, "422", epoch=got.epoch) is True
            saved = row.index
            if saved % 10 == 0:
                desk.run(advance, got, saved=saved, intent=None, lease=LEASE)
        over.wait()
        while not desk.run(release, got, saved=saved, late=True):
            batch = [row.id for row in desk.run(late, session.id, limit=7)]
            sent.extend(batch)
            noted(desk, got, batch)

    def person(place):
        while len(retried) + len(dropped) < 60:
            for row in rows[place::2] + rows[1 - place :: 2]:
                if place:
                    retried.extend([row] * desk.run(retry_quarantined, [row])[0])
                else:
                    dropped.extend([row] * desk.run(drop_quarantined, [row]))
        over.wait()

    together(lambda place: worker() if place == 2 else person(place), 3)
    assert sorted(retried + dropped) == sorted(rows)
    assert sorted(sent) == sorted(retried)
    assert {row.delivery for row in desk.rows(session) if row.id in set(dropped)} == {"local"}
    found = desk.run(outgoing, session.id, after=0, upto=60, limit=60)
    assert all(row.content is None for row in found)


def test_everyone_who_retries_everything_gets_each_row_once(desk, said, together):
    sessions = [desk.open() for _ in range(8)]
    for session in sessions:
        desk.capture(session, [said(content=str(n)) for n in range(5)])
        set_aside(desk, session, 1, 3)
    found = together(lambda _: desk.run(retry_quarantined, None), 6)
    assert sum(count for count, _ in found) == 16
    assert all(desk.cursor(session).late for session in sessions)


def test_a_sync_in_turn_leaves_what_is_late_to_others(desk, settled):
    rows = ids(desk, settled)
    desk.run(send_late, settled.id, rows[:1])
    assert desk.claim(settled) is None
    desk.capture(settled)
    got = desk.claim(settled)
    assert got.late
    assert desk.run(release, got, saved=12) is True
    assert desk.run(take_due, again=0, most=9) == [(settled.id, False)]
    assert [row.id for row in desk.run(listed, settled.id, rows[:2])] == rows[:2]


def test_a_parked_session_keeps_its_late_rows(desk, settled):
    desk.run(send_late, settled.id, ids(desk, settled)[:1])
    desk.sql("UPDATE cursors SET parked = 'no key'")
    assert take(desk, settled) is None
    assert desk.run(take_due, again=0, most=9) == []
    desk.sql("UPDATE cursors SET parked = NULL")
    assert take(desk, settled).late
