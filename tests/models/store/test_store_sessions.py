"""Sessions: opened once by everyone, closed with all of them due, and what their last turn was."""

from __future__ import annotations

import uuid

import pytest

from afterturn_models.store.facts import last_turn
from afterturn_models.store.sessions import close_session


def test_opening_is_finding_for_everyone_at_once(desk, together):
    found = together(lambda _: desk.open("same"), 12)
    assert len({session.id for session in found}) == 1
    counts = desk.sql(
        "SELECT (SELECT count(*) FROM workspaces), (SELECT count(*) FROM sessions),"
        " (SELECT count(*) FROM cursors), (SELECT count(*) FROM peers)"
    )[0]
    assert tuple(counts) == (1, 1, 1, 2)


def test_opens_with_their_peers_crossed_do_not_lock_each_other_out(desk, together):
    def cross(place):
        user, agent = ("a", "b") if place % 2 else ("b", "a")
        return [desk.open(f"k{place}-{n}", user_peer=user, agent_peer=agent) for n in range(5)]

    assert len({s.id for opened in together(cross, 8) for s in opened}) == 40


def test_opening_again_tells_where_the_session_stands_and_keeps_its_name(desk):
    session = desk.open("k", title="T", directory="/d", platform_key="p")
    assert (session.turns, session.last_index, session.honcho_session) == (0, 0, "k")
    desk.capture(session)
    desk.sql("UPDATE sessions SET honcho_session = 'renamed', closed_at = now()")
    again = desk.open("k")
    assert (again.id, again.turns, again.last_index) == (session.id, 1, 2)
    assert again.honcho_session == "renamed"
    row = desk.sql("SELECT title, directory, platform_key, closed_at FROM sessions")[0]
    assert tuple(row) == ("T", "/d", "p", None)


def test_one_key_in_two_workspaces_is_two_sessions(desk):
    assert desk.open("k").id != desk.open("k", workspace="other").id


def test_a_peer_may_be_both_user_and_agent(desk):
    assert desk.open("k", user_peer="x", agent_peer="x").id


def test_closing_makes_all_of_it_due(desk):
    session = desk.open()
    desk.capture(session, given={"writeFrequency": "session"})
    assert desk.run(close_session, session.id) is True
    assert desk.cursor(session).due_index == 2
    desk.sql("UPDATE cursors SET last_saved_index = 2")
    assert desk.run(close_session, session.id) is False
    assert desk.run(close_session, uuid.uuid4()) is False
    assert desk.sql("SELECT closed_at FROM sessions")[0][0] is not None


def test_a_session_without_a_turn_and_one_that_is_gone_have_no_last_turn(desk):
    nothing_yet = desk.run(last_turn, desk.open().id)
    assert (nothing_yet.turn, nothing_yet.user_text) == (0, None)
    assert desk.run(last_turn, uuid.uuid4()) is None


def test_the_last_turn_is_the_last_one_only(desk, said):
    session = desk.open()
    desk.capture(session, [said(content="old"), said("assistant", "older")])
    desk.capture(session, [said(content="new"), said("tool", "t", local="tool"), said("assistant")])
    facts = desk.run(last_turn, session.id)
    assert (facts.turn, facts.user_text) == (2, "new")
    assert (facts.session.user_peer, facts.session.agent_peer) == ("ann", "bot")
    assert (facts.session.workspace, facts.session.honcho_session) == ("w", session.honcho_session)


@pytest.mark.parametrize(
    "policy",
    [{"userMemoryMode": "local"}, {"memoryMode": "local"}, {"saveMessages": "false"}],
)
def test_local_text_is_never_given(desk, said, policy):
    session = desk.open()
    desk.capture(session, [said(content="secret"), said("assistant", "secret")], given=policy)
    facts = desk.run(last_turn, session.id)
    assert facts.turn == 1
    assert facts.user_text is None


def test_noise_and_quarantined_text_are_never_given(desk, said):
    session = desk.open()
    desk.capture(session, [said(content="noise", local="noise"), said(content="poison")])
    desk.sql("UPDATE messages SET delivery = 'quarantined' WHERE content = 'poison'")
    assert desk.run(last_turn, session.id).user_text is None


def test_an_agent_that_stays_local_does_not_silence_its_user(desk):
    session = desk.open()
    desk.capture(session, given={"agentMemoryMode": "local"})
    assert desk.run(last_turn, session.id).user_text == "hello"


def test_whoever_spoke_is_the_peer_and_where_it_was_said_the_session(desk, said):
    session = desk.open()
    desk.capture(session, [said(content="hi", peer="guest"), said("assistant", peer="deputy")])
    desk.sql("UPDATE sessions SET honcho_session = 'renamed'")
    facts = desk.run(last_turn, session.id)
    assert (facts.session.user_peer, facts.session.agent_peer) == ("guest", "deputy")
    assert facts.session.honcho_session == session.honcho_session


def test_a_turn_of_tool_rows_alone_has_no_text_and_the_sessions_peers(desk, said):
    session = desk.open()
    desk.capture(session, [said("tool", "out", local="tool")])
    facts = desk.run(last_turn, session.id)
    assert (facts.turn, facts.user_text, facts.session.user_peer) == (1, None, "ann")


def test_a_long_message_in_parts_is_given_whole(desk, said):
    session = desk.open()
    parts = [said(content=f"part {n}", part=n, parts=3) for n in range(3)]
    desk.capture(session, [*parts, said("assistant")])
    text = desk.run(last_turn, session.id).user_text
    assert [text.find(f"part {n}") for n in range(3)] == sorted(
        text.find(f"part {n}") for n in range(3)
    )
    assert "part 2" in text
