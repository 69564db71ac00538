"""The cursor's protocol, step by step and under threads: one holder, fenced, no hint lost."""

from __future__ import annotations

import threading
import uuid

import pytest

from afterturn_models.store.cursors import (
    advance,
    claim,
    parked_workspaces,
    postpone,
    release,
    standing,
    unpark,
)
from afterturn_models.store.due import take_due
from afterturn_models.values import Intent, Postponement, Standing
from support.waiting import eventually

TINY = 0.05  # seconds; a lease that Postgres' clock ends while a test looks on


@pytest.fixture
def session(desk):
    opened = desk.open()
    desk.capture(opened)
    return opened


def test_one_of_many_gets_the_claim(desk, session, together):
    found = together(lambda place: desk.claim(session, owner=f"w{place}"), 16)
    got = [claimed for claimed in found if claimed is not None]
    assert len(got) == 1
    assert got[0].epoch == 1
    assert desk.run(standing, session.id) is Standing.BUSY


def test_a_claim_says_all_that_a_worker_needs(desk, session):
    got = desk.claim(session)
    assert (got.session_id, got.workspace, got.agent_peer) == (session.id, "w", "bot")
    assert (got.last_saved_index, got.due_index, got.attempts) == (0, 2, 0)
    assert (got.intent, got.settled) == (None, False)


def test_a_claim_does_not_wait_for_whoever_holds_the_row(desk, session):
    with desk.holding(session), desk.database.statement() as connection:
        connection.exec_driver_sql("SET lock_timeout = '100ms'")  # waiting would be an error
        assert claim(connection, session.id, owner="a", lease=20) is None
        connection.exec_driver_sql("RESET lock_timeout")
    assert desk.claim(session) is not None


def test_there_is_nothing_to_claim_where_nothing_is_due(desk):
    session = desk.open()
    assert desk.claim(session) is None
    assert desk.run(standing, session.id) is Standing.SYNCED
    desk.capture(session, given={"writeFrequency": "session"})
    assert desk.claim(session) is None
    assert desk.run(standing, session.id) is Standing.SYNCED


def test_a_session_that_is_gone(desk):
    nobody = uuid.uuid4()
    assert desk.run(claim, nobody, owner="a", lease=1) is None
    assert desk.run(standing, nobody) is Standing.GONE


def test_a_lease_ends_by_postgres_clock(desk, session):
    first = desk.claim(session, lease=TINY)
    second = eventually(lambda: desk.claim(session), within=5)
    assert second.epoch == first.epoch + 1
    ended = desk.sql("SELECT clock_timestamp() > :t AS ended", t=desk.cursor(session).run_at)
    assert ended[0].ended


def test_advancing_renews_the_lease(desk, session):
    got = desk.claim(session, lease=TINY)
    assert desk.run(advance, got, saved=0, intent=None, lease=60) == 2
    left = desk.sql("SELECT lease_until > clock_timestamp() + interval '50 s' AS ok FROM cursors")
    assert left[0].ok


@pytest.mark.parametrize(
    "step",
    [
        lambda desk, old: desk.run(advance, old, saved=2, intent=Intent(1, 2), lease=60),
        lambda desk, old: desk.run(release, old, saved=2),
        lambda desk, old: desk.run(postpone, old, Postponement(2, 60, "late", settling=True)),
        lambda desk, old: desk.run(postpone, old, Postponement(0, 60, parked="late")),
    ],
    ids=["advance", "release", "settle", "park"],
)
def test_who_lost_the_lease_changes_nothing(desk, session, step):
    old = desk.claim(session, lease=TINY)
    eventually(lambda: desk.claim(session, owner="new"), within=5)
    before = desk.cursor(session)
    assert not step(desk, old)
    assert desk.cursor(session) == before


def test_who_overran_the_lease_but_lost_it_to_nobody_may_go_on(desk, session):
    got = desk.claim(session, lease=TINY)
    eventually(lambda: desk.sql("SELECT lease_until < clock_timestamp() AS x FROM cursors")[0].x)
    assert desk.run(release, got, saved=2) is True


def test_an_intent_is_found_by_the_next_claim(desk, session):
    got = desk.claim(session, lease=60)
    assert desk.run(advance, got, saved=1, intent=Intent(2, 2), lease=TINY) == 2
    row = desk.cursor(session)
    assert (row.last_saved_index, row.intent_first, row.intent_last) == (1, 2, 2)
    found = eventually(lambda: desk.claim(session), within=5)
    assert (found.intent, found.settled, found.last_saved_index) == (Intent(2, 2), False, 1)


def test_an_intent_may_list_its_rows(desk, session):
    rows = tuple(row.id for row in desk.rows(session))
    got = desk.claim(session, lease=60)
    desk.run(advance, got, saved=0, intent=Intent(1, 2, rows), lease=TINY)
    assert eventually(lambda: desk.claim(session), within=5).intent == Intent(1, 2, rows)


def test_an_advance_without_an_intent_clears_it(desk, session):
    got = desk.claim(session)
    desk.run(advance, got, saved=0, intent=Intent(1, 2), lease=20)
    desk.run(advance, got, saved=2, intent=None, lease=20)
    row = desk.cursor(session)
    assert (row.intent_first, row.intent_rows, row.settle_at) == (None, None, None)
    assert row.last_saved_at is not None


def test_nothing_takes_the_cursor_back(desk, session):
    got = desk.claim(session)
    desk.run(advance, got, saved=2, intent=None, lease=20)
    desk.run(advance, got, saved=1, intent=None, lease=20)
    assert desk.cursor(session).last_saved_index == 2
    desk.run(postpone, got, Postponement(1, 0))
    assert desk.cursor(session).last_saved_index == 2


def test_a_release_is_refused_where_more_came_due(desk, session):
    got = desk.claim(session)
    desk.capture(session)
    before = desk.cursor(session)
    assert desk.run(release, got, saved=2) is False
    assert desk.cursor(session) == before
    assert desk.run(advance, got, saved=2, intent=None, lease=20) == 4
    assert desk.run(release, got, saved=4) is True
    row = desk.cursor(session)
    assert (row.last_saved_index, row.lease_owner, row.lease_until) == (4, None, None)
    assert desk.run(standing, session.id) is Standing.SYNCED


def test_what_is_captured_and_not_due_does_not_hold_a_release_up(desk, session):
    got = desk.claim(session)
    desk.capture(session, given={"writeFrequency": "session"})
    assert desk.run(release, got, saved=2) is True


def test_progress_forgets_failures(desk, session):
    got = desk.claim(session)
    desk.run(postpone, got, Postponement(0, 0, "503"))
    got = eventually(lambda: desk.claim(session))
    assert got.attempts == 1
    desk.run(advance, got, saved=0, intent=Intent(1, 1), lease=20)
    assert (desk.cursor(session).attempts, desk.cursor(session).last_error) == (1, "503")
    desk.run(advance, got, saved=1, intent=None, lease=20)
    row = desk.cursor(session)
    assert (row.attempts, row.last_error) == (0, None)


def test_failures_in_a_row_are_counted(desk, session):
    for attempt in (1, 2, 3):
        got = eventually(lambda: desk.claim(session))
        assert got.attempts == attempt - 1
        desk.run(postpone, got, Postponement(0, 0, f"failure {attempt}"))
    row = desk.cursor(session)
    assert (row.attempts, row.last_error, row.lease_owner) == (3, "failure 3", None)
    got = eventually(lambda: desk.claim(session))
    desk.run(postpone, got, Postponement(1, 0, "failure 4"))
    row = desk.cursor(session)
    assert (row.attempts, row.last_saved_index, row.last_error) == (1, 1, "failure 4")


def test_a_wait_that_is_no_failure_counts_as_none(desk, session):
    desk.run(postpone, desk.claim(session), Postponement(0, 0, "503"))
    desk.run(postpone, eventually(lambda: desk.claim(session)), Postponement(0, 0))
    assert desk.cursor(session).attempts == 1  # and makes none good
    desk.run(postpone, eventually(lambda: desk.claim(session)), Postponement(1, 0))
    assert desk.cursor(session).attempts == 0


def test_how_far_a_refusal_is_narrowed_down_is_known_to_the_next(desk, session):
    got = desk.claim(session)
    assert got.narrowed_to is None
    desk.run(postpone, got, Postponement(0, 0, narrowed_to=3))
    got = eventually(lambda: desk.claim(session))
    assert got.narrowed_to == 3
    assert desk.run(release, got, saved=2) is True
    assert desk.cursor(session).narrowed_to is None


def test_a_postponed_session_waits_until_it_may_run(desk, session):
    got = desk.claim(session)
    assert desk.run(postpone, got, Postponement(0, 60, "429")) is True
    assert desk.run(standing, session.id) is Standing.WAITING
    desk.capture(session)  # no hint shortens it
    assert desk.claim(session) is None
    assert desk.run(take_due, again=0, most=10) == []
    desk.sql("UPDATE cursors SET run_at = clock_timestamp()")
    assert desk.run(take_due, again=0, most=10) == [(session.id, True)]
    assert desk.claim(session) is not None


def test_what_certainly_was_not_stored_is_forgotten(desk, session):
    got = desk.claim(session)
    desk.run(advance, got, saved=0, intent=Intent(1, 2), lease=20)
    desk.run(postpone, got, Postponement(0, 0))
    assert eventually(lambda: desk.claim(session)).intent is None


def test_an_unknown_outcome_settles_before_anyone_looks(desk, session):
    got = desk.claim(session)
    desk.run(advance, got, saved=0, intent=Intent(1, 2), lease=20)
    desk.run(postpone, got, Postponement(0, 60, "timeout", settling=True))
    assert desk.claim(session) is None
    row = desk.cursor(session)
    assert abs((row.run_at - row.settle_at).total_seconds()) < 1  # two looks at one clock
    desk.sql("UPDATE cursors SET run_at = clock_timestamp()")
    found = desk.claim(session, lease=TINY)
    assert (found.intent, found.settled) == (Intent(1, 2), False)
    desk.sql("UPDATE cursors SET settle_at = clock_timestamp()")
    found = eventually(lambda: desk.claim(session), within=5)
    assert (found.intent, found.settled) == (Intent(1, 2), True)


def test_a_look_up_that_failed_keeps_the_settling_it_had(desk, session):
    got = desk.claim(session)
    rows = tuple(row.id for row in desk.rows(session))
    desk.run(advance, got, saved=0, intent=Intent(1, 2, rows), lease=20)
    desk.run(postpone, got, Postponement(0, 0, settling=True))
    before = desk.cursor(session).settle_at
    got = eventually(lambda: desk.claim(session))
    desk.run(postpone, got, Postponement(0, 0, "500", keep_intent=True))
    assert desk.cursor(session).settle_at == before
    found = eventually(lambda: desk.claim(session))
    assert (found.intent, found.settled) == (Intent(1, 2, rows), True)


def test_a_parked_session_waits_for_a_person(desk, session):
    elsewhere = desk.open("x", workspace="other")
    desk.capture(elsewhere)
    for one in (session, elsewhere):
        desk.run(postpone, desk.claim(one), Postponement(0, 0, "401", parked="no key"))
        assert desk.run(standing, one.id) is Standing.PARKED
        assert desk.claim(one) is None
    assert desk.run(take_due, again=0, most=10) == []
    assert sorted(desk.run(parked_workspaces)) == ["other", "w"]
    assert desk.run(unpark, "w") == 1
    assert desk.run(unpark, "w") == 0
    assert desk.run(parked_workspaces) == ["other"]
    assert eventually(lambda: desk.claim(session)) is not None
    assert desk.claim(elsewhere) is None


class Hinted:
    """An agent that hints after each capture, and workers that act on hints alone."""

    def __init__(self, desk):
        self.desk = desk
        self.session = desk.open()
        self.hints = threading.Semaphore(0)
        self.captured = threading.Event()

    def agent(self):
        for _ in range(60):
            assert self.desk.capture(self.session).due
            self.hints.release()

    def worker(self):
        while not self.captured.is_set():
            if self.hints.acquire(timeout=0.02):
                self.sync()
        while self.hints.acquire(blocking=False):
            self.sync()

    def sync(self):
        got = self.desk.claim(self.session, lease=60)
        if got is None:
            return  # another has it, and goes on until nothing is due
        saved = got.due_index
        while not self.desk.run(release, got, saved=saved):
            saved = self.desk.run(advance, got, saved=saved, intent=None, lease=60)


def test_no_hint_is_lost_between_a_release_and_the_next_claim(desk):
    """Without a relay behind them, workers leave nothing due that anyone was hinted at."""
    hinted = Hinted(desk)
    agents = [threading.Thread(target=hinted.agent) for _ in range(2)]
    workers = [threading.Thread(target=hinted.worker) for _ in range(5)]
    for thread in (*agents, *workers):
        thread.start()
    for thread in agents:
        thread.join(30)
    hinted.captured.set()
    for thread in workers:
        thread.join(30)
    row = desk.cursor(hinted.session)
    assert (row.due_index, row.last_saved_index, row.lease_owner) == (240, 240, None)
