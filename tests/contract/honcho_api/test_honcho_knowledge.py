"""Context, representation, cards, conclusions, search and chat, as far as no model is asked."""

import httpx
import pytest
from honcho import Honcho
from honcho.api_types import SessionPeerConfig
from honcho.http.exceptions import NotFoundError


def test_the_context_of_a_missing_session_is_empty(honcho: Honcho):
    context = honcho.session("s").context()
    assert (context.messages, context.summary) == ([], None)


def test_an_unknown_target_is_not_found(honcho: Honcho):
    session = honcho.session("s")
    with pytest.raises(NotFoundError, match="Peer nobody not found in workspace"):
        session.context(peer_target="nobody")


def test_context_holds_the_newest_messages_that_fit(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s")
    session.add_messages([alice.message("tea " * 50) for _ in range(10)])
    one = session.messages().items[0].token_count
    assert len(session.context(tokens=3 * one, summary=False).messages) == 3
    assert len(session.context().messages) == 10
    assert session.context(tokens=1).messages == []


def test_cards_are_kept_as_set_for_each_pair(honcho: Honcho):
    alice, helper = honcho.peer("alice"), honcho.peer("helper")
    assert alice.get_card() is None
    alice.set_card(["Lives in Porto"])
    helper.set_card(["Alice is kind"], target=alice)
    assert alice.get_card() == ["Lives in Porto"]
    assert helper.get_card(alice) == ["Alice is kind"]
    assert helper.get_card() is None


def test_conclusions_are_kept_and_represented(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s")
    (made,) = alice.conclusions.create([{"content": "alice prefers tea", "session_id": session.id}])
    assert [one.content for one in alice.conclusions.list()] == ["alice prefers tea"]
    assert [one.id for one in alice.conclusions.query("tea")] == [made.id]
    assert "alice prefers tea" in alice.representation()
    assert "alice prefers tea" in alice.context().representation
    alice.conclusions.delete(made.id)
    assert list(alice.conclusions.list()) == []
    with pytest.raises(NotFoundError):
        alice.conclusions.delete(made.id)


def test_conclusion_limits(raw: httpx.Client):
    raw.post("/peers", json={"id": "a"})
    one = {"content": "x", "observer_id": "a", "observed_id": "a"}
    for batch in ([], [one] * 101, [{**one, "content": "x" * 65_536}], [{**one, "content": ""}]):
        assert raw.post("/conclusions", json={"conclusions": batch}).status_code == 422
    unknown = {**one, "observed_id": "nobody"}
    assert raw.post("/conclusions", json={"conclusions": [one, unknown]}).status_code == 404
    assert raw.post("/conclusions/list").json()["total"] == 0
    assert raw.post("/conclusions/query", json={"query": "x"}).status_code == 422


def test_search_finds_words_in_a_workspace_a_session_and_a_peer(honcho: Honcho):
    alice, bob = honcho.peer("alice"), honcho.peer("bob")
    honcho.session("s").add_messages([alice.message("I drink tea"), bob.message("tea is fine")])
    honcho.session("t").add_messages([alice.message("more tea")])
    assert {one.content for one in honcho.search("tea")} >= {
        "I drink tea",
        "tea is fine",
        "more tea",
    }
    assert {one.session_id for one in honcho.session("t").search("tea")} == {"t"}
    assert {one.peer_id for one in bob.search("tea")} == {"bob"}
    assert len(honcho.search("tea", limit=1)) == 1
    found = honcho.search("tea", filters={"peer_id": "bob"})
    assert [one.content for one in found] == ["tea is fine"]


def test_chat_refuses_what_it_cannot_find(honcho: Honcho, raw: httpx.Client):
    alice = honcho.peer("alice")
    with pytest.raises(NotFoundError):
        alice.chat("x?", session="missing")
    with pytest.raises(NotFoundError):
        alice.chat("x?", target="nobody")
    for body in ({"query": ""}, {"query": "q" * 10_001}, {"query": "q", "reasoning_level": "odd"}):
        assert raw.post("/peers/alice/chat", json=body).status_code == 422
    wrong = {"query": "q", "filters": {"peer_id": "x"}}
    assert raw.post("/peers/alice/chat", json=wrong).status_code == 422


def test_a_perspective_needs_a_target(raw: httpx.Client):
    answer = raw.get("/sessions/s/context", params={"peer_perspective": "p"})
    assert answer.status_code == 422


def test_observers_do_not_fail_the_context(honcho: Honcho):
    alice, helper, session = honcho.peer("alice"), honcho.peer("helper"), honcho.session("s")
    session.add_peers([(helper, SessionPeerConfig(observe_others=True)), alice])
    session.add_messages([alice.message("I live in Porto.")])
    context = session.context(peer_target="alice", peer_perspective="helper", tokens=2_000)
    assert isinstance(context.peer_representation, str)
    assert [one.content for one in context.messages] == ["I live in Porto."]
