"""What a turn reads from Postgres does not depend on how long the session is: counted, byte by byte."""

from __future__ import annotations

import pytest

from afterturn import Memory
from support.tcp_proxy import TcpProxy

FILL = """
INSERT INTO messages (id, session_id, index, turn_id, turn, role, peer, honcho_session, content,
                      delivery, tokens, at)
SELECT gen_random_uuid(), s.id, n, gen_random_uuid(), (n + 1) / 2,
       CASE WHEN n %% 2 = 1 THEN 'user' ELSE 'assistant' END, 'user', s.honcho_session,
       'What was said in message ' || lpad(n::text, 8, '0'), 'send', 9, now()
FROM sessions s, generate_series(1, %(messages)s) n WHERE s.id = %(id)s
"""
GROWN = """
UPDATE sessions SET next_index = %(messages)s + 1, turns = %(messages)s / 2,
                    token_total = 9 * %(messages)s, turn_first_index = %(messages)s - 1
WHERE id = %(id)s
"""
DIGITS = 40  # bytes in which an index, a turn or a count may be longer


@pytest.fixture
def proxied(shared_database, agent_env, monkeypatch):
    with TcpProxy(shared_database) as proxy:
        monkeypatch.setenv("AFTERTURN_DATABASE_URL", proxy.url)
        yield proxy


def grown(look, memory, messages):
    """Make a session as long as `messages`, behind the back of its agent."""
    key = f"talk-{messages:05}"
    memory.session(name=key)
    session = look.id(key)
    look.query(FILL, id=session, messages=messages)
    look.query(GROWN, id=session, messages=messages)
    return memory.session(name=key)


def test_a_turn_reads_the_same_of_a_short_history_and_of_a_long_one(proxied, look):
    read, paged = {}, {}
    with Memory.open() as memory:
        grown(look, memory, 2).begin_turn("first").end("to warm up")
        for messages in (10, 2_500):
            session = grown(look, memory, messages)
            session.begin_turn("hello again").end("hello")
            before = proxied.received
            for _ in range(3):
                session.begin_turn("How are you?").end("Fine.")
            read[messages] = proxied.received - before
            before = proxied.received
            assert len(session.history(10)) == 10
            paged[messages] = proxied.received - before
        assert session.info().messages == 2_508
    assert 0 < read[10] < 20_000
    assert abs(read[2_500] - read[10]) <= 3 * DIGITS
    assert abs(paged[2_500] - paged[10]) <= 10 * DIGITS
