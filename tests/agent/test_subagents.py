"""Subagents: a session of their own, whose parent observes it, and which is about the human."""

from __future__ import annotations

import pytest

from afterturn import Memory
from afterturn_models.policy.ids import is_valid_id
from afterturn_models.prefetched import context_payload, context_task_id
from afterturn_models.store.facts import session_facts
from afterturn_models.store.settings import set_setting
from afterturn_models.values import ContextResult, Scope
from afterturn_worker.flows.views import settings_of, view_of
from afterturn_worker.honcho.client import HonchoClient
from support.waiting import eventually

NOTHING = {}  # the worker's own word on settings


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


@pytest.fixture
def recalled(memory, look):
    """Give a function that tells as whom, and how far, a worker recalls for a session."""

    def view(session, own=NOTHING, **more):
        with memory._services.database.statement() as connection:
            facts = session_facts(connection, look.id(session.key))
        return view_of(facts, settings_of(facts, own), own, **{"asked": False, **more})

    return view


@pytest.fixture
def say(memory, look):
    """Give a function that says a setting for an agent."""

    def change(agent, key, value):
        with memory._services.database.statement() as connection:
            workspace = look.session("group")["workspace_id"]
            set_setting(connection, workspace, Scope.AGENT, agent, key, value)

    return change


def test_a_worker_recalls_for_it_about_the_human_as_the_parent_and_of_itself_as_the_child(
    chat, recalled
):
    view = recalled(chat.spawn("researcher"))
    assert (view.user, view.agent) == ("ann", "agent-researcher")
    assert (view.observer("user"), view.scope_of("user")) == ("agent", "agent")
    assert (view.observer("agent"), view.scope_of("agent")) == ("agent-researcher",) * 2
    assert recalled(chat).through is None


def test_a_grandchild_sees_the_human_as_the_agent_that_met_them(chat, recalled, look):
    chat.begin_turn("Find me a hotel.", author="bob")
    child = chat.spawn("researcher")
    reader = child.spawn("reader").spawn("translator")
    view = recalled(reader)
    assert (view.user, view.observer("user")) == ("bob", "agent")
    assert (view.agent, view.observer("agent")) == ("agent-translator",) * 2
    look.query("DELETE FROM sessions WHERE id = %(id)s", id=look.id(child.key))
    assert recalled(reader).observer("user") == "agent-translator"


def test_of_anybody_else_it_sees_what_it_knows_itself(chat, recalled):
    """The parent, who speaks in the user's place there, would be seen as it sees itself."""
    child = chat.spawn("researcher")
    for somebody in ("agent", "bob"):
        assert recalled(child, user=somebody, asked=True).observer("user") == "agent-researcher"


@pytest.mark.parametrize(
    ("parents", "childs", "reach", "sees", "scope"),
    [
        ("session", "workspace", "session", "agent-researcher", "agent-researcher"),
        ("workspace", "session", "session", "agent-researcher", "agent-researcher"),
        ("scope", "workspace", "scope", "agent", "agent"),
        ("scope", "scope", "scope", "agent", "agent"),
        ("workspace", "scope", "scope", "agent", "agent-researcher"),
        ("workspace", "workspace", "workspace", "agent", "agent"),
    ],
)
def test_a_child_sees_no_more_of_the_human_than_its_parent_may(
    chat, recalled, say, parents, childs, reach, sees, scope
):
    child = chat.spawn("researcher")
    for key, asked in (("recallAutomatic", False), ("recallAsk", True)):
        say("agent", key, parents)
        say("agent-researcher", key, childs)
        view = recalled(child, asked=asked)
        assert (view.reaches("user"), view.reach) == (reach, childs)
        assert (view.observer("user"), view.scope_of("user")) == (sees, scope)


def test_the_workers_own_word_confines_the_parent_too(chat, recalled, say):
    child = chat.spawn("researcher")
    say("agent-researcher", "recallAutomatic", "workspace")
    assert recalled(child, {"recallAutomatic": "session"}).reaches("user") == "session"


def test_the_parent_joins_as_an_observer_and_its_words_are_its_own(start_worker, honcho, workspace):
    """As users report of others: an agent's words stored as the user's."""
    start_worker().ready()
    with Memory.open() as memory:
        before = memory.session("before", user="ann")
        before.begin_turn("I live in Porto.").end("I see.")
        other = memory.session("other", user="ann", agent="lawyer")
        other.begin_turn("I sue my landlord.").end("I see.")
        session = memory.session("group", user="ann")
        session.begin_turn("I need a hotel.").end("I will have one found.")
        child = session.spawn("researcher", name="hotel")
        child.begin_turn("I need a hotel in Oslo, says ann.").end("I like the Grand.")
        assert all(each.flush(10) for each in (before, other, session, child))
        warm = eventually(lambda: (turn := child.begin_turn("More?", wait=3)).context and turn)
        assert "Porto" in warm.context
        assert "landlord" not in warm.context  # that is between ann and her lawyer
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
