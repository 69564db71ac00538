"""The demo's verdict on what a stand-in really stores, held against rows that were captured."""

import json
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import text

from afterturn import Memory
from afterturn_sandbox.verdict import judge

_ROWS = text("""
SELECT s.honcho_session, m.id FROM messages m JOIN sessions s ON s.id = m.session_id
ORDER BY s.key, m.index
""")


@pytest.fixture
def captured(stack_env, database):
    """Capture two conversations of four messages that no worker sends; gives (session, ids)."""
    with Memory.open() as memory:
        for name in ("one", "two"):
            session = memory.session(name=name)
            for said in ("My name is Ada.", "I live in Paris."):
                session.begin_turn(said).end("Noted.")
    sessions = {}
    with database.statement() as connection:
        for session, row in connection.execute(_ROWS):
            sessions.setdefault(session, []).append(str(row))
    assert [len(rows) for rows in sessions.values()] == [4, 4]
    return list(sessions.items())


@pytest.fixture
def post(honcho, workspace):
    """Give a function that stores messages with these marks, one after the other."""

    def store(session, marks):
        messages = [
            {"content": "said", "peer_id": "user", "metadata": {"afterturn": mark} if mark else {}}
            for mark in marks
        ]
        request = Request(
            f"{honcho.url}/v3/workspaces/{workspace}/sessions/{session}/messages",
            data=json.dumps({"messages": messages}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request) as answer:
            assert answer.status == 201

    return store


@pytest.fixture
def verdict(database, honcho, workspace):
    """Give a function that judges."""

    def given():
        found = judge(database, honcho.control, workspace)
        return (found.captured, found.stored, found.lost, found.duplicated, found.out_of_order), (
            found.whole
        )

    return given


def test_once_and_in_order_is_whole(captured, post, verdict):
    for session, rows in captured:
        post(session, rows)
    assert verdict() == ((8, 8, 0, 0, 0), True)


def test_what_is_missing_is_lost(captured, post, verdict):
    (one, rows), _ = captured
    post(one, rows[:3])
    assert verdict() == ((8, 3, 5, 0, 0), False)


def test_what_is_stored_again_is_duplicated_and_not_out_of_order(captured, post, verdict):
    for session, rows in captured:
        post(session, rows)
    post(captured[0][0], captured[0][1][:2])
    assert verdict() == ((8, 10, 0, 2, 0), False)


def test_what_comes_too_late_is_out_of_order(captured, post, verdict):
    (one, rows), (two, others) = captured
    post(one, [rows[1], rows[0], rows[2], rows[3]])
    post(two, others)
    assert verdict() == ((8, 8, 0, 0, 1), False)


def test_a_stranger_s_rows_do_not_count_but_ours_in_the_wrong_session_do(captured, post, verdict):
    for session, rows in captured:
        post(session, [None, *rows, None])
    assert verdict() == ((8, 8, 0, 0, 0), True)
    post(captured[1][0], captured[0][1][:1])
    assert verdict() == ((8, 9, 0, 1, 0), False)
