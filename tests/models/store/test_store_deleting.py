"""Deleting a session: never what is being sent, and at Honcho only what is its own."""

from __future__ import annotations

import pytest

from afterturn_models.policy.session_name import Conversation, Naming, session_name
from afterturn_models.store.cursors import advance
from afterturn_models.store.cursors import claim as _claim
from afterturn_models.store.deleting import (
    Deletion,
    Place,
    delete_held,
    delete_session,
    hold,
    let_go,
    places,
)
from afterturn_models.store.members import known_members, note_members
from afterturn_models.store.naming import rename_session
from afterturn_models.values import AGENT_OBSERVING, Intent


@pytest.fixture
def talk(desk):
    session = desk.open("talk")
    desk.capture(session)
    return session


def take(desk, session, lease=20):
    return desk.run(hold, session.id, owner="w", lease=lease)


def rename(desk, session, title):
    desk.run(rename_session, session.id, session_name(Naming(), Conversation(title=title)))


def test_a_session_is_deleted_with_its_messages(desk, talk):
    assert desk.run(delete_session, talk.id) is Deletion.DONE
    assert desk.run(delete_session, talk.id) is Deletion.GONE
    assert desk.sql("SELECT FROM messages") == []


def test_what_is_being_sent_is_not_deleted(desk, talk):
    desk.claim(talk)
    assert desk.run(delete_session, talk.id) is Deletion.SENDING
    assert desk.run(delete_session, talk.id, unknown_too=True) is Deletion.SENDING
    assert take(desk, talk) is Deletion.SENDING
    desk.sql("UPDATE cursors SET lease_until = now()")
    assert desk.run(delete_session, talk.id) is Deletion.DONE


def test_an_unknown_outcome_is_deleted_only_where_that_is_said(desk, talk):
    claim = desk.claim(talk)
    desk.run(advance, claim, saved=0, intent=Intent(1, 2), lease=0.0)
    assert desk.run(delete_session, talk.id) is Deletion.UNKNOWN
    assert take(desk, talk) is Deletion.UNKNOWN
    assert desk.run(delete_session, talk.id, unknown_too=True) is Deletion.DONE


def test_a_part_of_a_resync_at_work_is_waited_for(desk, talk):
    desk.sql("INSERT INTO resync_jobs (id, kind) VALUES (gen_random_uuid(), 'verify')")
    desk.sql(
        "INSERT INTO resync_parts (job_id, session_id, due_index, lease_until)"
        " SELECT id, :s, 2, now() + interval '1 min' FROM resync_jobs",
        s=talk.id,
    )
    assert desk.run(delete_session, talk.id) is Deletion.SENDING
    desk.sql("UPDATE resync_parts SET lease_until = now()")
    assert desk.run(delete_session, talk.id) is Deletion.DONE


def test_nobody_sends_what_is_held_until_it_is_let_go(desk, talk):
    epoch = take(desk, talk)
    assert desk.claim(talk) is None
    assert take(desk, talk) is Deletion.SENDING
    desk.run(let_go, talk.id, epoch)
    assert desk.run(_claim, talk.id, owner="b", lease=20) is not None


def test_what_is_held_is_deleted_by_its_holder_alone(desk, talk):
    old = take(desk, talk, lease=0)
    new = take(desk, talk)
    assert desk.run(delete_held, talk.id, old, gone=[]) is None
    assert desk.run(delete_held, talk.id, new, gone=[]) == 2
    assert desk.run(delete_held, talk.id, new, gone=[]) is None
    assert take(desk, talk) is Deletion.GONE


@pytest.mark.parametrize("held", [False, True])
def test_what_was_said_of_the_session_alone_goes_with_it(desk, talk, held):
    other = desk.open("other")
    for session, scope in ((talk, "session"), (other, "session"), (talk, "workspace")):
        desk.set(session, scope, "memoryMode", "local")
    if held:
        epoch = take(desk, talk)
        assert desk.run(delete_held, talk.id, epoch - 1, gone=[]) is None
        assert len(desk.sql("SELECT FROM settings")) == 3
        assert desk.run(delete_held, talk.id, epoch, gone=[]) == 2
    else:
        desk.claim(talk)
        assert desk.run(delete_session, talk.id) is Deletion.SENDING
        assert len(desk.sql("SELECT FROM settings")) == 3
        desk.sql("UPDATE cursors SET lease_until = now()")
        assert desk.run(delete_session, talk.id) is Deletion.DONE
    left = desk.sql("SELECT scope, subject FROM settings ORDER BY scope")
    assert left == [("session", str(other.id)), ("workspace", "")]


def test_members_of_what_is_gone_are_forgotten(desk, talk):
    for name in ("talk", "other"):
        desk.run(note_members, "w", name, {"ann": AGENT_OBSERVING})
    desk.run(delete_held, talk.id, take(desk, talk), gone=["talk"])
    assert desk.run(known_members, "w", "talk", ["ann"]) == set()
    assert desk.run(known_members, "w", "other", ["ann"]) == {"ann"}


def test_after_renames_every_name_is_its_own_but_what_others_have(desk, talk, said):
    rename(desk, talk, "Plans")
    desk.capture(talk)
    rename(desk, talk, "Later")
    desk.capture(talk, [said(local="tool")])
    assert desk.run(places, talk.id) == [
        Place("Later", shared=False), Place("Plans", shared=False), Place("talk", shared=False),
    ]  # fmt: skip
    second = desk.open("talk")  # the name is free again, and its session at Honcho is the first's
    assert second.id != talk.id
    third = desk.open("third", workspace="elsewhere", agent_peer="x")
    desk.capture(third)
    assert Place("talk", shared=True) in desk.run(places, talk.id)
    assert desk.run(places, second.id) == [Place("talk", shared=True)]


def test_names_that_another_session_had_before_its_rename_are_shared(desk, talk):
    rename(desk, talk, "Plans")
    second = desk.open("talk")
    desk.capture(second)
    assert desk.run(places, second.id) == [Place("talk", shared=True)]
    assert desk.run(delete_session, talk.id) is Deletion.DONE
    assert desk.run(places, second.id) == [Place("talk", shared=False)]


def test_captures_and_deletions_never_wait_for_each_other_in_a_circle(desk, together):
    """Both lock the session's row first: no deadlock, whatever comes in between."""

    def work(place):
        for _ in range(15):
            session = desk.open("talk")
            if place % 2:
                desk.capture(session)
            else:
                desk.run(delete_session, session.id)
        return True

    assert all(together(work, 6))
