"""What is read back: rows for a sync, pages of history, members, workers, the backlog."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy.exc import IntegrityError

from afterturn_models.store import workers
from afterturn_models.store.backlog import backlog
from afterturn_models.store.cursors import postpone
from afterturn_models.store.history import page_after, page_before
from afterturn_models.store.members import known_members, note_members
from afterturn_models.store.messages import outgoing
from afterturn_models.values import AGENT_OBSERVING, USER_OBSERVING, Delivery, Postponement, Role


@pytest.fixture
def ten(desk, said):
    session = desk.open()
    for n in range(5):
        rows = [said(content=f"u{n}"), said("tool", f"t{n}", local="tool")]
        desk.capture(session, rows)
    return session


def test_a_sync_reads_beyond_and_up_to(desk, ten):
    rows = desk.run(outgoing, ten.id, after=2, upto=8, limit=100)
    assert [row.index for row in rows] == [3, 4, 5, 6, 7, 8]
    assert [row.content for row in rows] == ["u1", None, "u2", None, "u3", None]
    assert {row.role for row in rows} == {Role.USER, Role.TOOL}
    assert [row.index for row in desk.run(outgoing, ten.id, after=2, upto=8, limit=2)] == [3, 4]
    assert desk.run(outgoing, ten.id, after=10, upto=10, limit=5) == []


def test_no_text_of_a_quarantined_row_is_read_by_a_sync(desk, ten):
    desk.sql("UPDATE messages SET delivery = 'quarantined' WHERE index = 1")
    assert desk.run(outgoing, ten.id, after=0, upto=1, limit=1)[0].content is None


def test_history_pages_backwards_oldest_first(desk, ten):
    last = desk.run(page_before, ten.id, before=None, limit=3)
    assert [m.index for m in last] == [8, 9, 10]
    assert [m.index for m in desk.run(page_before, ten.id, before=8, limit=100)] == list(
        range(1, 8)
    )
    assert desk.run(page_before, ten.id, before=1, limit=3) == []
    assert desk.run(page_before, ten.id, before=0, limit=3) == []
    assert (last[2].content, last[2].role, last[2].delivery) == ("t4", Role.TOOL, Delivery.LOCAL)
    assert (last[2].turn, last[2].part, last[2].parts) == (5, 0, 1)


def test_history_pages_forwards(desk, ten):
    assert [m.index for m in desk.run(page_after, ten.id, after=0, limit=4)] == [1, 2, 3, 4]
    assert [m.index for m in desk.run(page_after, ten.id, after=8, limit=4)] == [9, 10]
    assert desk.run(page_after, uuid.uuid4(), after=0, limit=4) == []


def test_members_are_known_by_workspace_and_session_once_noted(desk):
    desk.open()
    desk.open("o", workspace="other")
    joined = {"ann": USER_OBSERVING, "bot": AGENT_OBSERVING}
    assert desk.run(known_members, "w", "s", ["ann", "bot"]) == set()
    for _ in range(2):
        desk.run(note_members, "w", "s", joined)
    assert desk.run(known_members, "w", "s", ["ann", "bot", "eve"]) == {"ann", "bot"}
    assert desk.run(known_members, "w", "t", ["ann"]) == set()
    assert desk.run(known_members, "other", "s", ["ann"]) == set()
    desk.run(note_members, "w", "s", {"ann": AGENT_OBSERVING})
    found = desk.sql("SELECT peer, observe_me, observe_others FROM members ORDER BY peer")
    assert [tuple(row) for row in found] == [("ann", True, True), ("bot", True, True)]
    desk.run(note_members, "w", "s", {})


def test_a_worker_is_alive_only_once_a_task_went_through(desk):
    desk.run(workers.register, "w1", pid=5, version="1")
    (found,) = desk.run(workers.workers)
    assert (found.name, found.pid, found.beat_age, found.honcho_age) == ("w1", 5, None, None)
    assert desk.run(workers.beat_age, "w1") >= 0
    desk.run(workers.beat, "w1")
    desk.run(workers.note_honcho, "w1", "ok")
    (found,) = desk.run(workers.workers)
    assert found.beat_age >= 0
    assert (found.honcho, found.honcho_age >= 0) == ("ok", True)
    desk.run(workers.register, "w1", pid=6, version="2")
    (found,) = desk.run(workers.workers)
    assert (found.pid, found.version, found.beat_age) == (6, "2", None)
    desk.run(workers.forget, "w1")
    assert desk.run(workers.workers) == []
    assert desk.run(workers.beat_age, "w1") is None


def test_workers_that_fell_silent_are_forgotten(desk):
    for name in ("old", "new", "starting"):
        desk.run(workers.register, name, pid=1, version="1")
        desk.run(workers.beat, name)
    desk.sql("UPDATE workers SET beat_at = now() - interval '2 h' WHERE name = 'old'")
    desk.sql("UPDATE workers SET beat_at = NULL WHERE name = 'starting'")
    desk.run(workers.forget_older, 3600)
    assert [worker.name for worker in desk.run(workers.workers)] == ["new", "starting"]


def test_an_empty_backlog(desk):
    found = desk.run(backlog)
    assert (found.sessions, found.messages, found.unsent, found.oldest_age) == (0, 0, 0, None)
    assert (found.parked, found.quarantined, found.last_error) == (0, 0, None)
    assert found.last_error_age is None


def test_the_backlog_counts_what_waits_and_why(desk, said, ten):
    desk.capture(desk.open(), given={"memoryMode": "local"})
    held = desk.open()
    desk.capture(held, given={"writeFrequency": "session"})
    parked = desk.open()
    desk.capture(parked)
    desk.sql("UPDATE cursors SET last_saved_index = 4 WHERE session_id = :s", s=ten.id)
    desk.sql("UPDATE messages SET delivery = 'quarantined' WHERE index = 5")
    desk.run(postpone, desk.claim(ten), Postponement(4, 0, "older"))
    desk.run(postpone, desk.claim(parked), Postponement(0, 9, "401", parked="no key"))
    found = desk.run(backlog)
    assert (found.sessions, found.messages) == (4, 16)
    assert found.unsent == 2 + 2 + 2  # u3 and u4, what is held back, what is parked
    assert 0 <= found.oldest_age < 60
    assert (found.parked, found.quarantined, found.last_error) == (1, 1, "401")
    assert 0 <= found.last_error_age < 60


def test_quarantined_rows_are_found_without_reading_the_others(desk):
    with desk.database.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(
            "EXPLAIN SELECT count(*) FROM messages WHERE delivery = 'quarantined'"
        ).all()
    assert "ix_messages_quarantined" in str(plan)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE messages SET delivery = 'lost'",
        "UPDATE messages SET role = 'system'",
        "UPDATE messages SET part = 1, parts = 1",
        "UPDATE cursors SET intent_first = 1",
        "UPDATE cursors SET last_saved_index = -1",
        "UPDATE sessions SET next_index = 0",
        "UPDATE messages SET index = 1",
        "UPDATE peers SET kind = 'robot'",
    ],
)
def test_the_tables_refuse_what_must_not_be(desk, ten, statement):
    with pytest.raises(IntegrityError):
        desk.sql(statement)


def test_deleting_a_workspace_leaves_nothing_of_it(desk, ten):
    desk.run(note_members, "w", "s", {"ann": USER_OBSERVING})
    desk.set(ten, "session", "memoryMode", "local")
    desk.sql("DELETE FROM workspaces")
    for table in ("sessions", "cursors", "messages", "members", "peers", "settings"):
        assert desk.sql(f"SELECT FROM {table}") == []
