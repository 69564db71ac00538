"""Who is who in sessions: users of platforms, authors of shared chats, and the configured owner."""

from __future__ import annotations

import pytest

from afterturn import Memory
from support.tcp_proxy import TcpProxy


def peers(look, key):
    return [row["peer"] for row in look.rows(key)]


def test_equal_ids_of_two_platforms_are_two_people_in_two_sessions(memory, look):
    one = memory.session(platform="telegram", user_id=1234)
    other = memory.session(platform="slack", user_id="1234")
    for session in (one, other):
        session.begin_turn("hello").end("hi")
    assert peers(look, "telegram-1234") == ["telegram-1234", "agent"]
    assert peers(look, "slack-1234") == ["slack-1234", "agent"]
    assert (one.key, other.key) == ("telegram-1234", "slack-1234")


def test_the_same_user_is_one_peer_in_every_session_and_process(open_memory, look):
    """As users report of others: duplicate user peers."""
    aliases = {"ann@work": "ann"}
    for number in range(3):
        memory = open_memory(user_peer_aliases=aliases)
        session = memory.session(
            f"s{number}", platform="telegram", user_id=" 77 ", alternate_id="ann@work"
        )
        session.begin_turn("hello", author=77).end("hi")
        session.begin_turn("hello").end("hi")
        assert peers(look, f"s{number}") == ["ann", "agent"] * 2


def test_each_turn_of_a_shared_chat_is_its_authors(memory, look):
    """As users report of others: every turn of a shared chat written to its opener."""
    chat = memory.session(platform="telegram", platform_key="group-9", user_id=1)
    for author in (1, 2, "3", "", None):
        chat.begin_turn("hello", author=author).end("hi")
    said = [peer for peer in peers(look, "group-9") if peer != "agent"]
    assert said == ["telegram-1", "telegram-2", "telegram-3", "user-group-9", "telegram-1"]


def test_what_two_openers_of_one_chat_say_is_each_ones_own(memory, look):
    for user_id in (1, 2):
        chat = memory.session(platform="telegram", platform_key="group-9", user_id=user_id)
        chat.begin_turn("hello").end("hi")
    said = [peer for peer in peers(look, "group-9") if peer != "agent"]
    assert said == ["telegram-1", "telegram-2"]


def test_a_pin_an_alias_and_a_prefix(open_memory, look):
    settings = [
        ({"pin_user_peer": True, "peer_name": "ada"}, "ada"),
        ({"user_peer_aliases": {"1": "ann"}}, "ann"),
        ({"user_peer_aliases": {"telegram:1": "tom", "1": "ann"}}, "tom"),
        ({"runtime_peer_prefix": "tg-"}, "tg-1"),
        ({"runtime_peer_prefix": ""}, "1"),
    ]
    for number, (given, expected) in enumerate(settings):
        memory = open_memory(**given)
        memory.session(f"s{number}", platform="telegram", user_id=1).begin_turn("a").end("b")
        assert peers(look, f"s{number}")[0] == expected


def test_a_user_is_never_the_owner_nor_the_agent_by_the_look_of_an_id(open_memory, look):
    """As users report of others: one user's profile leaking to another."""
    memory = open_memory(peer_name="ada", ai_peer="bot", runtime_peer_prefix="")
    for user_id in ("ada", "bot"):
        session = memory.session(user_id, platform="irc", user_id=user_id)
        session.begin_turn("hello").end("hi")
        assert peers(look, user_id)[0] not in {"ada", "bot"}


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        ({"peer_name": "ada"}, {"platform_key": "chat-1"}, "ada"),
        ({"peer_name": "ada"}, {"platform": "telegram", "name": "chat-1"}, "ada"),
        ({}, {"platform_key": "chat-1"}, "user-chat-1"),
        ({}, {"platform": "telegram", "name": "chat-1"}, "user-chat-1"),
        ({}, {"name": "chat-1"}, "user"),
        ({}, {"name": "chat-1", "user": "zoe"}, "zoe"),
        ({"pin_user_peer": True}, {"name": "chat-1", "user": "zoe"}, "zoe"),
    ],
)
def test_where_nobody_names_the_user(open_memory, look, settings, given, expected):
    memory = open_memory(**settings)
    memory.session(**given).begin_turn("hello").end("hi")
    assert peers(look, "chat-1")[0] == expected


def test_chats_of_a_platform_never_fall_into_one_session(open_memory):
    """Whatever directory its host runs in, and however alike their titles are."""
    memory = open_memory(session_strategy="global", sessions={"/srv/bot": "mapped"})
    given = {"platform": "telegram", "directory": "/srv/bot", "title": "Holiday"}
    keys = {memory.session(user_id=number, **given).key for number in range(3)}
    keys |= {memory.session(platform_key=f"g{number}", **given).key for number in range(3)}
    assert len(keys) == 6
    assert memory.session(title="Holiday").key == "Holiday"
    assert memory.session("mine", user_id=1, **given).key == "mine"


def test_the_same_arguments_give_the_same_session_and_others_another(memory):
    one = memory.session("talk", platform="telegram", user_id=1)
    assert memory.session("talk", platform="telegram", user_id="1") is one
    assert memory.session("talk", user="telegram-1") is not one  # its authors are peers' names


def test_an_agent_has_the_peer_that_postgres_knows_it_by(open_memory, look, workspace):
    memory = open_memory()
    assert memory.session("a", agent="researcher").agent_peer == "agent-researcher"
    look.query(
        "UPDATE agents SET peer = 'grace', mapped = true FROM workspaces w"
        " WHERE w.id = workspace_id AND w.name = %(w)s AND agent_id = 'researcher'",
        w=workspace,
    )
    assert open_memory().session("b", agent="researcher").agent_peer == "grace"


def test_an_agent_that_spoke_under_its_bare_id_goes_on_so(open_memory, look):
    open_memory(ai_peer="clerk").session("a").begin_turn("hello").end("hi")
    memory = open_memory()
    assert memory.session("b", agent="clerk").agent_peer == "clerk"
    assert memory.session("c", agent="user").agent_peer == "agent-user"


@pytest.mark.parametrize("agent", [None, "", " ", "main", "ada"])
def test_the_configured_agent_goes_by_several_names(open_memory, look, workspace, agent):
    memory = open_memory(ai_peer="ada")
    assert memory.session("talk", agent=agent).agent_peer == "ada"
    known = look.query(
        "SELECT agent_id, peer FROM agents a JOIN workspaces w ON w.id = a.workspace_id"
        " WHERE w.name = %(w)s",
        w=workspace,
    )
    assert known == [{"agent_id": "ada", "peer": "ada"}]


@pytest.mark.parametrize("agent", ["a\x00b", "\udcff", "x" * 5000, "../..", "é"])
def test_any_agent_id_makes_a_peer(memory, agent):
    session = memory.session("talk", agent=agent)
    assert session.agent_peer.startswith("agent-")
    session.begin_turn("a").end("b")


def test_a_worker_is_asked_to_map_an_agent_until_it_is(open_memory, look, workspace, monkeypatch):
    monkeypatch.setattr("afterturn.agent_peers._AGAIN", 0.0)
    memory = open_memory()
    mapped = "UPDATE agents SET mapped = true"
    for expected in (2, 4, 4):
        memory.session("talk")
        memory.session("talk", agent="ada")
        assert memory._services.dispatcher.drain(20)
        assert look.redis.llen("afterturn:maintenance") == expected
        if expected == 4:
            look.query(mapped)


def test_agents_cost_one_statement_a_process(agent_env, shared_database):
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        memory.session("warm", agent="ada").begin_turn("a").end("b")
        counted = []
        for agent in ("ada", None):
            before = proxy.requests
            memory.session("one", agent=agent)
            counted.append(proxy.requests - before)
        assert counted == [1, 1]  # the session's own opening


def test_while_postgres_is_away_an_agent_is_provisional(agent_env, shared_database, monkeypatch):
    monkeypatch.setattr("afterturn.breaker._EVERY", 0.05)
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        proxy.refuse()
        assert memory.session("talk", agent="ada").agent_peer == "agent-ada"
        assert memory.session("talk").agent_peer == "agent"
