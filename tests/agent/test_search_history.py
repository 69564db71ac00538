"""Searching one's own history: by words, whole, and never in what is somebody else's."""

from __future__ import annotations

import datetime as dt

import pytest

from afterturn_models.store.history_search import begin_index, index_messages


@pytest.fixture
def talked(memory):
    session = memory.session(name="kitchen")
    for user, agent in (
        ("Where did I leave my keys?", "On the shelf, you said."),
        ("I live in 東京 now", "Since when?"),
        ("Since spring. The keys are new too.", "Good to know."),
    ):
        session.begin_turn(user).end(agent)
    return session


def said(hits):
    return [hit.message.content for hit in hits]


def test_hits_have_their_place_and_passage(talked):
    first, second = talked.search("keys")
    assert {first.message.index, second.message.index} == {1, 5}
    assert first.session == "kitchen"
    assert [first.passage[a:b] for a, b in first.marks] == ["keys"]
    assert said(talked.search("東京")) == ["I live in 東京 now"]
    assert said(talked.search('"the shelf"', role="assistant")) == ["On the shelf, you said."]
    assert talked.search("shelf", role="user") == []


def test_what_was_just_said_is_found_whether_or_not_the_rest_is_indexed(memory, talked):
    with memory._services.database.statement() as connection:
        begin_index(connection, talked.opened().id)
        assert index_messages(connection, talked.opened().id, limit=4) == 4
    talked.begin_turn("My keys again").end("On the hook.")
    assert {hit.message.index for hit in talked.search("keys")} == {1, 5, 7}


def test_time_narrows_it(talked):
    now = dt.datetime.now(dt.UTC)
    assert talked.search("keys", since=now + dt.timedelta(hours=1)) == []
    assert len(talked.search("keys", until=now + dt.timedelta(hours=1))) == 2
    naive = (now + dt.timedelta(hours=1)).replace(tzinfo=None)
    assert talked.search("keys", since=naive) == []


@pytest.mark.parametrize(
    ("query", "more", "sentence"),
    [
        ("?", {}, "no word to search for"),
        ("a" * 2000, {}, "say it shorter"),
        ("keys", {"limit": 0}, "limit is from 1 to 100"),
        ("keys", {"limit": 101}, "limit is from 1 to 100"),
        ("keys", {"role": "system"}, "role is one of user, assistant, tool"),
    ],
)
def test_what_cannot_be_searched_for_is_said(memory, query, more, sentence):
    session = memory.session(name="kitchen")
    for search in (session.search, memory.search_history):
        with pytest.raises(ValueError, match=sentence):
            search(query, **more)


def test_all_sessions_of_a_user_with_an_agent_and_no_others(memory, talked):
    memory.session(name="garden").begin_turn("keys of the shed").end("Noted.")
    memory.session(name="bobs", user="bob").begin_turn("bob has keys").end("Noted.")
    memory.session(name="others", agent="coder").begin_turn("keys of a map").end("Noted.")
    shared = memory.session(
        platform_key="room", platform="chat", user_id="77", alternate_id="bob@chat"
    )
    shared.begin_turn("keys in the room", author=None).end("Noted.")
    mine = memory.search_history("keys")
    assert {hit.session for hit in mine} == {"kitchen", "garden"}
    assert said(memory.search_history("keys", user="bob")) == ["bob has keys"]
    assert said(memory.search_history("keys", agent="coder")) == ["keys of a map"]
    theirs = memory.search_history("keys", platform="chat", user_id="77", alternate_id="bob@chat")
    assert {hit.message.content for hit in theirs} <= {"keys in the room"}


def test_a_subagents_session_is_not_the_users(memory, talked):
    child = talked.spawn("helper")
    child.begin_turn("look for the keys").end("found the keys")
    assert {hit.session for hit in memory.search_history("keys")} == {"kitchen"}
    assert len(child.search("keys")) == 2


def test_what_stays_here_is_found_here(open_memory):
    memory = open_memory(memory_mode="local")
    session = memory.session(name="quiet")
    session.begin_turn("the secret figs").end("hush")
    assert said(session.search("figs")) == ["the secret figs"]
