"""Subagents: a session of their own, whose parent observes it, and which is about the human."""

from __future__ import annotations

import pytest

from afterturn import Memory
from afterturn_models.policy.ids import is_valid_id
from afterturn_models.prefetched import context_payload, context_task_id
from afterturn_models.store.facts import last_turn
from afterturn_models.values import ContextResult
from afterturn_worker.honcho.client import HonchoClient
from support.waiting import eventually


@pytest.fixture
def chat(memory):
    """Give a shared chat that ann opened."""
    return memory.session("group", user="ann")


def test_a_child_is_a_session_of_its_own_between_two_agents(chat, look):
    child = chat.spawn("researcher", name="plan")
    child.begin_turn("Find a hotel.").end("Found one.")
    row = look.session(child.key)
    assert [row["peer"] for row in look.rows(child.key)] == ["agent", "agent-researcher"]
    assert (row["user_peer"], row["agent_peer"]) == ("agent", "agent-researcher")
    assert row["parent_id"] == look.id("group")
    assert (row["details"]["observer"], row["details"]["about"]) == ("agent", "ann")
    assert look.said("group") == []


def test_with_a_name_it_is_the_same_again_and_without_one_a_new_one(chat):
    plan = chat.spawn("researcher", name="plan")
    assert chat.spawn("researcher", name="plan") is plan
    assert chat.spawn("writer", name="plan").key != plan.key
    assert chat.spawn("researcher", name="other").key != plan.key
    assert chat.spawn("researcher").key != chat.spawn("researcher").key
    assert is_valid_id(plan.key)


def test_in_another_process_it_is_the_same_session(chat):
    with Memory.open() as another:
        again = another.session("group", user="ann").spawn("researcher", name="plan")
        assert again.key == chat.spawn("researcher", name="plan").key


def test_a_child_is_about_whoever_speaks_when_it_is_spawned(chat, look):
    """As users report of others: one user's profile leaking to another."""
    children = {}
    for author in ("ann", "bob"):
        chat.begin_turn("Find me a hotel.", author=author)
        children[author] = chat.spawn("researcher", name="hotel")
    assert children["ann"].key != children["bob"].key
    for author, child in children.items():
        child.begin_turn("Find a hotel.").end("Found one.")
        assert look.session(child.key)["details"]["about"] == author
        known = ContextResult(representation=f"likes what {author} likes")
        session = look.id(child.key)
        for about in ("agent", "ann", "bob"):
            last = look.session(child.key)["turns"]
            payload = context_payload(last, known, about=about)
            look.put_raw(context_task_id(session, last), payload)
            turn = child.begin_turn("And another.")
            assert bool(turn.context) is (about == author), about
            turn.end("Here.")


def test_a_grandchild_is_about_the_same_human(chat, look):
    chat.begin_turn("Find me a hotel.", author="bob")
    child = chat.spawn("researcher")
    grandchild = child.spawn("reader")
    grandchild.begin_turn("Read this.").end("Read.")
    row = look.session(grandchild.key)
    assert row["user_peer"] == "agent-researcher"
    assert (row["details"]["observer"], row["details"]["about"]) == ("agent-researcher", "bob")


@pytest.mark.parametrize("which", ["user_memory_mode", "agent_memory_mode"])
def test_what_a_parent_says_stays_here_where_either_side_is_local(agent_env, look, which):
    with Memory.open(**{which: "local"}) as memory:
        child = memory.session("group").spawn("researcher")
        child.begin_turn("He said that he is ill.").end("I see.")
        said = [(row["role"], row["delivery"], row["reason"]) for row in look.rows(child.key)]
        replies = "local" if which == "agent_memory_mode" else "send"
        assert said[0] == ("user", "local", "mode")
        assert said[1][:2] == ("assistant", replies)


def test_a_users_own_words_are_sent_where_the_agent_alone_is_local(agent_env, look):
    with Memory.open(agent_memory_mode="local") as memory:
        memory.session("group").begin_turn("I moved.").end("Noted.")
        assert [row["delivery"] for row in look.rows("group")] == ["send", "local"]


def test_children_close_with_their_memory(agent_env, look):
    with Memory.open() as memory:
        child = memory.session("group").spawn("researcher")
        child.begin_turn("Find a hotel.")
        memory.close()
        assert look.session(child.key)["closed_at"] is not None
        assert look.said(child.key) == ["Find a hotel."]


def test_a_worker_recalls_for_it_about_the_human_and_as_the_child(chat, look, memory):
    child = chat.spawn("researcher")
    child.begin_turn("Find a hotel.").end("Found one.")
    with memory._services.database.statement() as connection:
        facts = last_turn(connection, look.id(child.key)).session
    assert (facts.user_peer, facts.agent_peer) == ("ann", "agent-researcher")


def test_the_parent_joins_as_an_observer_and_its_words_are_its_own(start_worker, honcho, workspace):
    """As users report of others: an agent's words stored as the user's."""
    start_worker().ready()
    with Memory.open() as memory:
        before = memory.session("before", user="ann", agent="researcher")
        before.begin_turn("I live in Porto.").end("I see.")
        session = memory.session("group", user="ann")
        session.begin_turn("I need a hotel.").end("I will have one found.")
        child = session.spawn("researcher", name="hotel")
        child.begin_turn("I need a hotel in Oslo, says ann.").end("I like the Grand.")
        assert all(each.flush(10) for each in (before, session, child))
        warm = eventually(lambda: (turn := child.begin_turn("More?", wait=3)).context and turn)
        assert "Porto" in warm.context
        assert "Oslo" not in warm.context
    stored = honcho.control.messages(workspace, child.key)
    assert [row["peer_id"] for row in stored[:2]] == ["agent", "agent-researcher"]
    client = HonchoClient(honcho.url, None)
    at_honcho = client._session(workspace, child.key)
    assert at_honcho.get_metadata()["parentPeerId"] == "agent"
    told = {
        peer: (config.observe_me, config.observe_others)
        for peer in ("agent", "agent-researcher")
        for config in [at_honcho.get_peer_configuration(peer)]
    }
    assert told == {"agent": (False, True), "agent-researcher": (True, True)}
    client.close()
