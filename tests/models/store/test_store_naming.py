"""Names in Postgres: kept apart by what they were made from, changed in mid-conversation, listed."""

from __future__ import annotations

import itertools
import uuid

from sqlalchemy.exc import IntegrityError

from afterturn_models.policy.session_name import Conversation, Naming, session_name
from afterturn_models.store.cursors import advance as _advance
from afterturn_models.store.naming import list_sessions, rename_session
from afterturn_models.values import Intent

_NAMING = Naming()


def opened(desk, **said):
    name = session_name(_NAMING, Conversation(**said))
    return desk.open(name.key, apart=name.apart, source=name.source)


def test_two_directories_with_one_basename_do_not_share(desk):
    first, second = opened(desk, directory="/a/foo"), opened(desk, directory="/b/foo")
    assert first.key == first.honcho_session == "foo"
    assert second.key.startswith("foo-")
    assert second.honcho_session == second.key
    assert opened(desk, directory="/a/foo").id == first.id
    assert opened(desk, directory="/b/foo").id == second.id


def test_a_title_that_reads_like_a_directory_is_another_session(desk):
    place, titled = opened(desk, directory="/a/foo"), opened(desk, title="foo")
    assert place.id != titled.id
    assert opened(desk, title="foo").id == titled.id


def test_whoever_names_a_session_joins_whatever_has_that_name(desk):
    place = opened(desk, directory="/a/foo")
    assert opened(desk, name="foo").id == place.id
    assert desk.open("foo").id == place.id


def test_a_session_without_a_source_is_taken_by_the_first_who_has_one(desk):
    bare = desk.open("foo")
    assert opened(desk, directory="/a/foo").id == bare.id
    assert opened(desk, directory="/b/foo").id != bare.id


def test_at_once_each_source_gets_one_session_of_its_own(desk, together):
    found = together(lambda place: opened(desk, directory=f"/{place % 4}/foo"), 16)
    by_source = {place % 4: session.id for place, session in enumerate(found)}
    assert len(set(by_source.values())) == 4
    assert all(by_source[place % 4] == session.id for place, session in enumerate(found))


def test_a_rename_holds_from_the_next_turn_and_splits_nothing(desk):
    session = opened(desk, directory="/a/foo")
    desk.capture(session)
    claim = desk.claim(session)
    desk.run(_advance, claim, saved=0, intent=Intent(1, 2), lease=20)
    assert desk.run(
        rename_session, session.id, session_name(_NAMING, Conversation(title="Plans"))
    ) == ("Plans", "title:Plans")
    desk.capture(session)
    rows = desk.sql("SELECT index, honcho_session FROM messages ORDER BY index")
    assert [tuple(row) for row in rows] == [(1, "foo"), (2, "foo"), (3, "Plans"), (4, "Plans")]
    assert desk.cursor(session).intent_last == 2
    assert opened(desk, title="Plans").id == session.id
    assert opened(desk, directory="/a/foo").id != session.id


def test_a_taken_name_is_not_shared_by_a_rename(desk):
    plans = session_name(_NAMING, Conversation(title="plans"))
    opened(desk, directory="/a/plans")
    second, third = opened(desk, directory="/x"), opened(desk, directory="/y")
    assert desk.run(rename_session, second.id, plans) == (plans.apart, plans.source)
    last, source = desk.run(rename_session, third.id, plans)
    assert source == f"title:plans#{third.id}"
    assert last.startswith("plans-")
    assert last != plans.apart
    assert opened(desk, title="plans").id == second.id
    assert desk.run(rename_session, second.id, plans)[0] == plans.apart  # said again, the same


def test_renames_to_one_name_at_once_give_each_its_own(desk, together):
    sessions = [opened(desk, directory=f"/{n}") for n in range(8)]
    name = session_name(_NAMING, Conversation(title="same"))

    def rename(place):
        for _ in range(9):
            try:
                return desk.run(rename_session, sessions[place].id, name)
            except IntegrityError:
                continue
        return None

    keys = together(rename, 8)
    assert None not in keys
    assert len(set(keys)) == 8


def test_a_session_that_is_gone_is_not_renamed(desk):
    name = session_name(_NAMING, Conversation(title="t"))
    assert desk.run(rename_session, uuid.uuid4(), name) is None


def test_sessions_are_listed_with_their_lag_the_latest_first(desk):
    old, new = opened(desk, directory="/a/old"), opened(desk, title="new")
    for session, _ in itertools.product([old, new], range(2)):
        desk.capture(session)
    desk.sql("UPDATE cursors SET last_saved_index = 3 WHERE session_id = :s", s=old.id)
    found = desk.run(list_sessions, "w")
    assert [(line.key, line.turns, line.messages, line.lag) for line in found] == [
        ("new", 2, 4, 4),
        ("old", 2, 4, 1),
    ]
    assert desk.run(list_sessions, "w", key="old")[0].source == "directory:/a/old"
    assert desk.run(list_sessions, "other") == []
