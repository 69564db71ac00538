"""What confines recall and what does not: sessions, filters, scopes; as read in Honcho's source."""

import pytest
from honcho import Honcho, Peer
from honcho.api_types import SessionPeerConfig


@pytest.fixture
def helper(honcho: Honcho) -> Peer:
    """An observer of alice in two sessions."""
    helper, alice = honcho.peer("helper"), honcho.peer("alice")
    for name, said in (("day", "I live in Porto."), ("night", "I work at the harbour.")):
        session = honcho.session(name)
        session.add_peers([(helper, SessionPeerConfig(observe_others=True)), alice])
        session.add_messages([alice.message(said)])
    return helper


def test_a_chats_session_confines_nothing_by_itself(helper: Peer):
    assert "harbour" in (helper.chat("Where is work?", target="alice", session="day") or "")


def test_a_chats_sessions_confine_it_also_beside_its_session(helper: Peer):
    for more in ({}, {"session": "day"}):
        answer = helper.chat("Where is work?", target="alice", sessions=["day"], **more)
        assert "harbour" not in (answer or "")
        assert "Porto" in (answer or "")


def test_a_representations_session_confines_it(helper: Peer):
    text = helper.representation(target="alice", session="day")
    assert ("Porto" in text, "harbour" in text) == (True, False)


def test_a_scope_confines_chat_and_search(helper: Peer, honcho: Honcho):
    honcho.scope("work").add_sessions(["night"])
    answer = helper.chat("Where is work?", target="alice", scope="work")
    assert ("Porto" in (answer or ""), "harbour" in (answer or "")) == (False, True)
    assert [one.session_id for one in honcho.search("I", scope="work")] in ([], ["night"])


def test_a_session_joins_a_scope_that_neither_has_to_be_there(honcho: Honcho):
    for _ in range(2):
        honcho.session("new", scopes=["fresh"])
    assert [one.id for one in honcho.get_scope("fresh").sessions()] == ["new"]


def test_a_card_is_seen_in_context_before_its_peer_is_there(helper: Peer, honcho: Honcho):
    helper.set_card(["Is expected"], target="visitor")
    context = honcho.session("day").context(peer_target="visitor", peer_perspective="helper")
    assert context.peer_card == ["Is expected"]
    assert not context.peer_representation


def test_a_confined_context_goes_without_the_card(helper: Peer, honcho: Honcho):
    helper.set_card(["Lives in Porto"], target="alice")
    settings = {"peer_target": "alice", "peer_perspective": "helper"}
    day = honcho.session("day")
    assert day.context(**settings).peer_card == ["Lives in Porto"]
    assert day.context(**settings, limit_to_session=True).peer_card is None


def test_a_conclusion_is_found_in_a_list_by_its_id_and_pair(helper: Peer):
    (made,) = helper.conclusions_of("alice").create([{"content": "x", "session_id": "day"}])
    assert [one.id for one in helper.conclusions_of("alice").get_many([made.id])] == [made.id]
    assert helper.conclusions.get_many([made.id]) == []
