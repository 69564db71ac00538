"""Rows out of their turn: once, behind every turn, and whatever persons and workers do meanwhile."""

from __future__ import annotations

from uuid import UUID

import pytest

from afterturn_models.values import Intent, Standing
from support.memory_honcho import Answer, Fate
from support.memory_ports import Crash
from support.sync_world import LIMITS, World


@pytest.fixture
def world() -> World:
    return World()


def lose(world: World, *indexes: int) -> list[UUID]:
    """Have Honcho lose settled rows; gives their ids, as a verification would."""
    rows = [world.cursor.rows[index - 1].id for index in indexes]
    world.honcho.lose(set(rows))
    return rows


def repairing(world: World, said: str, *indexes: int) -> list[UUID]:
    world.capture(said)
    assert world.run() is Standing.SYNCED
    rows = lose(world, *indexes)
    world.store.send_late(world.session, rows)
    return rows


def once(world: World) -> bool:
    """Tell whether everything to be sent is there once; late rows stand behind."""
    world.honcho.arrive()
    ids = world.honcho.ids("w", "s")
    sent = {row.id for row in world.cursor.rows if row.delivery == "send"}
    return len(ids) == len(set(ids)) and set(ids) == sent


def test_only_a_task_for_it_sends_what_is_late(world: World) -> None:
    rows = repairing(world, "uaua", 2, 3)
    assert world.run() is Standing.SYNCED
    assert len(world.honcho.ids("w", "s")) == 2
    assert world.run(late=True) is Standing.SYNCED
    assert world.honcho.ids("w", "s")[2:] == rows
    assert not world.cursor.late
    assert world.cursor.last_saved_index == 4
    assert world.run(late=True) is Standing.SYNCED
    assert once(world)


def test_what_was_set_aside_and_is_retried_arrives_late(world: World) -> None:
    world.capture("uxu")
    world.run()
    aside = [row.id for row in world.store.quarantined(world.session)]
    world.honcho.taste.takes_all = True
    world.store.retry_quarantined(world.session, aside)
    assert world.run(late=True) is Standing.SYNCED
    assert world.honcho.ids("w", "s")[-1:] == aside
    assert once(world)


def test_what_is_refused_again_is_set_aside_again(world: World) -> None:
    world.capture("uxut")
    world.run()
    for _ in range(2):
        aside = [row.id for row in world.store.quarantined(world.session)]
        assert len(aside) == 1
        world.store.retry_quarantined(world.session, aside)
        assert world.run(late=True) is Standing.SYNCED
        assert not world.cursor.late
    assert once(world)


def test_poison_among_what_is_late_does_not_hold_the_rest_up(world: World) -> None:
    world.honcho.taste.takes_all = True
    repairing(world, "uxutu" * 30, *range(1, 151))
    world.honcho.taste.takes_all = False
    assert world.run(late=True) is Standing.SYNCED
    assert len(world.store.quarantined(world.session)) == 30
    assert once(world)


@pytest.mark.parametrize("step", ["advance", "release"])
def test_a_retry_of_what_a_worker_has_passed_in_memory_is_not_lost(world: World, step: str) -> None:
    """The cursor in Postgres is still before the row, the worker's own is behind it."""
    world.capture("x" + "u" * 150 if step == "advance" else "x")
    quarantine, real = world.store.quarantine, getattr(world.store, step)

    def then(*args):
        done = quarantine(*args)
        setattr(world.store, step, retry)
        return done

    def retry(*args, **kwargs):
        setattr(world.store, step, real)
        assert world.cursor.last_saved_index == 0
        world.store.retry_quarantined(world.session, [world.cursor.rows[0].id])
        return real(*args, **kwargs)

    world.store.quarantine = then
    world.run()
    world.honcho.taste.takes_all = True
    world.until_synced(late=True)
    assert once(world)


def test_a_repair_by_an_old_verification_doubles_nothing(world: World) -> None:
    """Two verifications found the same rows; the slower one speaks after they were sent."""
    rows = repairing(world, "uaua", 1, 2)
    world.run(late=True)
    world.store.send_late(world.session, rows)
    assert world.run(late=True) is Standing.SYNCED
    assert once(world)
    assert not world.cursor.late


def test_a_repair_while_its_rows_are_under_way_doubles_nothing(world: World) -> None:
    rows = repairing(world, "uaua", 1, 2)
    world.honcho.sends.append(Fate(Answer.LATE, share=0.9))
    assert world.run(late=True) is Standing.WAITING
    world.store.send_late(world.session, rows)
    world.until_synced(late=True)
    assert once(world)
    assert world.honcho.posts == 2


@pytest.mark.parametrize("answer", [a for a in Answer if a is not Answer.REFUSED])
def test_whatever_becomes_of_the_post(world: World, answer: Answer) -> None:
    repairing(world, "uaua", 1, 2, 4)
    world.honcho.sends.append(Fate(answer, share=0.9))
    try:
        world.run(late=True)
    except Crash:
        assert world.cursor.intent is not None
        assert (world.cursor.intent.first, world.cursor.intent.last) == (0, 0)
    world.until_synced(late=True)
    assert once(world)


def test_a_turn_settles_what_a_killed_repair_left_and_leaves_the_rest_of_it(world: World) -> None:
    repairing(world, "uaua", 1, 2)
    world.honcho.sends.append(Fate(Answer.KILLED, share=0.9))
    with pytest.raises(Crash):
        world.run(late=True)
    world.clock.pass_(LIMITS.lease + 1)
    world.capture("u")
    world.until_synced()
    assert world.cursor.intent is None
    assert once(world)


def test_a_parked_repair_goes_on(world: World) -> None:
    repairing(world, "ua", 1)
    world.honcho.sends.append(Fate(Answer.REFUSED))
    assert world.run(late=True) is Standing.PARKED
    world.clock.pass_(100)
    assert world.run(late=True) is Standing.PARKED
    world.store.unpark(world.session)
    assert world.run(late=True) is Standing.SYNCED
    assert once(world)


def test_a_crash_right_after_noting_leaves_no_turn_to_wait(world: World) -> None:
    repairing(world, "uaua", 1)
    note = world.store.note_late_sent

    def crash(*args):
        world.store.note_late_sent = note
        note(*args)
        raise Crash

    world.store.note_late_sent = crash
    with pytest.raises(Crash):
        world.run(late=True)
    assert world.cursor.intent is None
    world.clock.pass_(LIMITS.lease + 1)
    world.capture("u")
    assert world.run() is Standing.SYNCED
    assert once(world)


def test_a_turn_waits_for_one_late_batch_at_most(world: World) -> None:
    world.capture("u" * 350)
    world.run()
    rows = lose(world, *range(1, 351))
    world.store.send_late(world.session, rows)
    world.honcho.batches.clear()
    send, live = world.honcho.send, []

    def while_sending(*args, **kwargs):
        world.honcho.send = send
        live.extend(world.capture("ua"))  # its hint finds the lease taken
        send(*args, **kwargs)

    world.honcho.send = while_sending
    assert world.run(late=True) is Standing.SYNCED
    assert world.honcho.batches[1] == [row.id for row in live]
    assert [len(batch) for batch in world.honcho.batches] == [100, 2, 100, 100, 50]


def test_an_old_late_batch_is_not_behind_a_session_of_another_name(world: World) -> None:
    repairing(world, "uu", 1, 2)
    world.cursor.honcho_session = "renamed"
    rows = world.capture("u")
    assert world.run(late=True) is Standing.SYNCED
    assert world.honcho.ids("w", "renamed") == [row.id for row in rows]
    assert len(world.honcho.ids("w", "s")) == 2


def test_the_lease_ends_a_share_of_late_work_and_it_goes_on(world: World) -> None:
    world.capture("u" * 350)
    world.run()
    world.store.send_late(world.session, lose(world, *range(1, 351)))
    send = world.honcho.send

    def slow(*args, **kwargs):
        world.clock.pass_(9)
        send(*args, **kwargs)

    world.honcho.send = slow
    found = [world.run(late=True)]
    while found[-1] is not Standing.SYNCED:
        found.append(world.run(late=True))
        assert len(found) < 9
    assert found == [Standing.SYNCED] or set(found[:-1]) == {Standing.MORE}
    assert once(world)


def test_a_dropped_row_is_never_sent(world: World) -> None:
    world.capture("ux")
    world.run()
    aside = [row.id for row in world.store.quarantined(world.session)]
    world.store.drop_quarantined(world.session, aside)
    world.store.retry_quarantined(world.session, aside)
    world.honcho.taste.takes_all = True
    world.until_synced(late=True)
    assert world.cursor.rows[1].delivery == "local"
    assert once(world)


def test_an_intent_whose_rows_were_set_aside_is_settled(world: World) -> None:
    world.capture("ux")
    world.run()
    (row,) = world.store.quarantined(world.session)
    world.cursor.intent, world.cursor.late = Intent(0, 0, (row.id,)), True
    world.until_synced(late=True)
    assert world.cursor.intent is None
    assert not world.cursor.late
    assert len(world.store.quarantined(world.session)) == 1
