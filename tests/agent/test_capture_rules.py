"""Capture rules through `Memory`: what reaches Postgres of a platform's message, and as what."""

from __future__ import annotations

import pytest

from afterturn import Memory
from support.tcp_proxy import TcpProxy

ENVELOPE = """[Mon 2026-03-09 14:05 UTC] Conversation info (untrusted metadata):
```json
{"sender_id": "42", "message_id": "7"}
```

"""


def shown(rows):
    return [(row["role"], row["content"], row["delivery"], row["reason"]) for row in rows]


def test_a_platforms_message_is_captured_as_what_its_sender_said(memory, look):
    turn = memory.session(name="talk").begin_turn(ENVELOPE + "I moved to Porto", author="ana")
    turn.end("[[reply_to_current]] Noted.")
    first, second = look.rows("talk")
    assert shown([first, second]) == [
        ("user", "I moved to Porto", "send", None),
        ("assistant", "Noted.", "send", None),
    ]
    assert (first["peer"], first["details"]["sender"]) == ("ana", "42")
    assert second["details"] == {"sent": "[[reply_to_current]] Noted."}


@pytest.mark.parametrize("origin", ["cron", "flush", "subagent", " CRON "])
def test_a_machines_turn_stays_here(memory, look, origin):
    """As users report of others: the prompts of cron jobs are stored as the user's words."""
    session = memory.session(name="talk")
    turn = session.begin_turn("Summarise the day for the owner", origin=origin)
    turn.add("tool", "nothing happened")
    turn.end("Nothing happened.")
    session.begin_turn("good evening").end("good evening")
    rows = look.rows("talk")
    assert [row["reason"] for row in rows] == ["machine"] * 3 + [None] * 2
    assert [row["delivery"] for row in rows] == ["local"] * 3 + ["send"] * 2


def test_a_machines_turn_that_is_interrupted_stays_here_too(memory, look):
    session = memory.session(name="talk")
    session.begin_turn("Summarise the day", origin="cron")
    session.begin_turn("stop").end("stopped")
    assert [row["reason"] for row in look.rows("talk")] == ["machine", None, None]


@pytest.mark.parametrize("origin", [None, "", "user", "webhook"])
def test_any_other_origin_is_an_ordinary_turn(memory, look, origin):
    memory.session(name="talk").begin_turn("hello", origin=origin).end("hello you")
    assert [row["delivery"] for row in look.rows("talk")] == ["send", "send"]


def test_configured_rules_hold(agent_env, look, monkeypatch):
    monkeypatch.setenv("AFTERTURN_NOISE_PATTERNS", '["/^ping$/i"]')
    monkeypatch.setenv("AFTERTURN_METADATA_PATTERNS", '["(via bridge) "]')
    monkeypatch.setenv("AFTERTURN_SYNC_TOOL_MESSAGES", "true")
    with Memory.open() as memory:
        turn = memory.session(name="talk").begin_turn("PING")
        turn.add("tool", "12 degrees")
        turn.end("(via bridge) pong")
    assert shown(look.rows("talk")) == [
        ("user", "PING", "local", "noise"),
        ("tool", "12 degrees", "send", None),
        ("assistant", "pong", "send", None),
    ]


def test_a_long_message_is_its_parts_in_order_and_one_turn(memory, look):
    text = "".join(f"Sentence number {number}. " for number in range(4000))
    memory.session(name="talk").begin_turn(text).end("long")
    rows = look.rows("talk")
    parts = rows[:-1]
    assert "".join(row["content"] for row in parts) == text
    assert [row["part"] for row in parts] == list(range(len(parts)))
    assert {row["parts"] for row in parts} == {len(parts)}
    assert [row["index"] for row in rows] == list(range(1, len(rows) + 1))
    assert {row["turn"] for row in rows} == {1}


def test_a_long_turn_that_was_overtaken_goes_on_where_it_was(memory, look):
    """Its rows are counted, not its messages; ids go on where the captured ones end."""
    session = memory.session(name="talk")
    first = session.begin_turn("long words " * 6000)
    session.begin_turn("impatient?")
    first.add("tool", "looked up " * 6000)
    first.end("the answer")
    session.close()
    rows = look.rows("talk")
    own = [row for row in rows if row["turn_id"] == rows[0]["turn_id"]]
    assert "".join(r["content"] for r in own if r["role"] == "user") == "long words " * 6000
    assert "".join(r["content"] for r in own if r["role"] == "tool") == "looked up " * 6000
    assert [row["content"] for row in rows].count("the answer") == 1
    assert len({row["id"] for row in rows}) == len(rows)


def test_what_was_spooled_has_the_same_rules(agent_env, look, shared_database):
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        proxy.refuse()
        session = memory.session(name="talk")
        assert session.begin_turn(ENVELOPE + "hello").end("HEARTBEAT_OK").spooled
        assert session.begin_turn("daily report", origin="cron").end("done").spooled
    with Memory.open() as memory:
        memory._services.capturer.drain()
    rows = look.rows("talk")
    assert [row["reason"] for row in rows] == [None, "noise", "machine", "machine"]
    assert rows[0]["details"]["sender"] == "42"
