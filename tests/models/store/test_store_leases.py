"""The lease protocol on another table than the cursors': a re-sync job's parts."""

from __future__ import annotations

import pytest

from afterturn_models.store.leases import Leases
from afterturn_models.values import Intent, Postponement, Standing
from support.waiting import eventually

PARTS = Leases("resync_parts", ["job_id", "session_id"], has_late=False)
LEASE = 60.0


@pytest.fixture
def keys(desk):
    """Give the keys of a part of two rows, beside another of the same session."""
    session = desk.open()
    desk.capture(session)
    desk.sql("DELETE FROM resync_jobs")
    for _ in range(2):
        desk.sql("INSERT INTO resync_jobs (kind, selection) VALUES ('verify', '{}')")
    desk.sql(
        "INSERT INTO resync_parts (job_id, session_id, due_index)"
        " SELECT id, :s, 2 FROM resync_jobs",
        s=session.id,
    )
    jobs = [row.id for row in desk.sql("SELECT id FROM resync_jobs ORDER BY created_at")]
    return [{"job_id": job, "session_id": session.id} for job in jobs]


def take(desk, keys, lease=LEASE, **more):
    return desk.run(PARTS.claim, keys, owner="a", lease=lease, **more)


def test_each_part_has_its_own_lease_and_the_cursor_its_own(desk, keys):
    first, second = (take(desk, one) for one in keys)
    assert (first.epoch, first.due_index, first.workspace) == (1, 2, "w")
    assert (second.epoch, second.late) == (1, False)
    assert take(desk, keys[0]) is None
    assert desk.run(PARTS.standing, keys[0]) is Standing.BUSY
    assert desk.sql("SELECT max(epoch) AS e FROM cursors")[0].e == 0


def test_nothing_is_late_in_a_part(desk, keys):
    desk.sql("UPDATE resync_parts SET last_saved_index = 2")
    desk.sql("UPDATE cursors SET late = true")
    assert take(desk, keys[0], late=True) is None
    assert desk.run(PARTS.standing, keys[0]) is Standing.SYNCED


def test_a_release_with_late_asked_for_is_a_release(desk, keys):
    got = take(desk, keys[0])
    assert desk.run(PARTS.release, keys[0], got.epoch, saved=1, late=True) is False
    assert desk.run(PARTS.release, keys[0], got.epoch, saved=2, late=True) is True
    assert desk.run(PARTS.standing, keys[1]) is Standing.BUSY  # due, and nobody's


def test_intent_settling_narrowing_and_parking_are_the_parts_own(desk, keys):
    got = take(desk, keys[0])
    epoch = got.epoch
    intent = Intent(1, 2)
    assert desk.run(PARTS.advance, keys[0], epoch, saved=1, intent=intent, lease=LEASE) == 2
    delay = Postponement(1, 0, "timeout", settling=True, narrowed_to=4)
    assert desk.run(PARTS.postpone, keys[0], epoch, delay) is True
    found = eventually(lambda: take(desk, keys[0]), within=5)
    assert (found.intent, found.settled, found.narrowed_to) == (intent, True, 4)
    assert (found.last_saved_index, found.attempts) == (1, 1)
    parked = Postponement(1, 0, "401", keep_intent=True, parked="no key")
    assert desk.run(PARTS.postpone, keys[0], found.epoch, parked) is True
    assert desk.run(PARTS.standing, keys[0]) is Standing.PARKED
    other = take(desk, keys[1])
    assert (other.intent, other.last_saved_index, other.narrowed_to) == (None, 0, None)


def test_who_lost_a_part_changes_nothing(desk, keys):
    old = take(desk, keys[0], lease=0.01)
    eventually(lambda: take(desk, keys[0]), within=5)
    before = desk.sql("SELECT * FROM resync_parts ORDER BY job_id")
    assert desk.run(PARTS.advance, keys[0], old.epoch, saved=2, intent=None, lease=9) is None
    assert desk.run(PARTS.release, keys[0], old.epoch, saved=2) is False
    assert desk.run(PARTS.postpone, keys[0], old.epoch, Postponement(2, 0)) is False
    assert desk.sql("SELECT * FROM resync_parts ORDER BY job_id") == before


def test_one_of_many_gets_a_part(desk, keys, together):
    found = together(lambda _: take(desk, keys[0]), 12)
    assert len([one for one in found if one is not None]) == 1


def test_a_part_of_a_job_that_is_gone(desk, keys):
    desk.sql("DELETE FROM resync_jobs")
    assert take(desk, keys[0]) is None
    assert desk.run(PARTS.standing, keys[0]) is Standing.GONE
