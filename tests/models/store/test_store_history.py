"""History as it is read: pages, what is newer, what is known of a session, its summaries."""

from __future__ import annotations

import uuid

from sqlalchemy import event

from afterturn_models.store.history import (
    frozen_block,
    newer,
    page_after,
    page_before,
    session_info,
    summaries,
)
from afterturn_models.values import ToolCall


def test_newer_tells_a_quiet_session_from_one_that_is_gone(desk):
    session = desk.open()
    assert desk.run(newer, session.id, after=0, limit=5) == []
    desk.capture(session)
    assert [m.index for m in desk.run(newer, session.id, after=0, limit=5)] == [1, 2]
    assert [m.index for m in desk.run(newer, session.id, after=0, limit=1)] == [1]
    assert [m.index for m in desk.run(newer, session.id, after=1, limit=5)] == [2]
    assert desk.run(newer, session.id, after=2, limit=5) == []
    assert desk.run(newer, uuid.uuid4(), after=0, limit=5) is None


def test_a_message_has_what_was_sent_its_tokens_and_its_call(desk, said):
    session = desk.open()
    call = {"id": "c1", "name": "look", "arguments": '{"a": 1}'}
    rows = [
        said(content="hello", metadata={"sent": "hello, and memory"}, tokens=7),
        said("tool", "found", metadata={"call": call}),
        said("assistant", "hi"),
    ]
    desk.capture(session, rows)
    first, tool, last = desk.run(page_before, session.id, before=None, limit=9)
    assert (first.content, first.sent, first.tokens) == ("hello", "hello, and memory", 7)
    assert tool.call == ToolCall("c1", "look", '{"a": 1}')
    assert (last.call, last.tokens, last.sent) == (None, None, "hi")
    assert last.sent is last.content


def test_a_frozen_block_is_found_at_either_end(desk, said):
    session = desk.open()
    assert desk.run(frozen_block, session.id) is None
    desk.capture(session)
    desk.capture(session, [said(metadata={"system": "late"}), said("assistant")])
    assert desk.run(frozen_block, session.id) == ("late", "ann")
    desk.sql('UPDATE messages SET details = CAST(\'{"system": ""}\' AS jsonb) WHERE index = 1')
    assert desk.run(frozen_block, session.id) == ("", "ann")


def test_what_is_read_for_a_frozen_block_does_not_grow_with_the_session(desk):
    session = desk.open()
    desk.sql(
        "INSERT INTO messages (id, session_id, index, turn_id, turn, role, peer, honcho_session,"
        " content, delivery, at, details)"
        " SELECT gen_random_uuid(), :s, n, gen_random_uuid(), n, 'user', 'ann', 'k', 'x', 'local',"
        ' now(), CASE WHEN n = 3000 THEN CAST(\'{"system": "half way"}\' AS jsonb) END'
        " FROM generate_series(1, 8000) n",
        s=session.id,
    )
    desk.sql("UPDATE sessions SET next_index = 8001 WHERE id = :s", s=session.id)
    assert desk.run(frozen_block, session.id) is None  # further back than is looked
    desk.sql("UPDATE sessions SET next_index = 4001 WHERE id = :s", s=session.id)
    assert desk.run(frozen_block, session.id) == ("half way", "ann")


def test_info_counts_without_reading_a_message(desk, said):
    session = desk.open("k", title="Plans", directory="/a")
    desk.capture(session, [said(tokens=3), said("assistant", tokens=4)])
    desk.capture(session, [said(tokens=5)])
    desk.sql("UPDATE cursors SET last_saved_index = 2")
    for upto in (1, 2):
        desk.sql(
            "INSERT INTO compactions (session_id, covers_from, covers_to, summary, tokens, made_by)"
            " VALUES (:s, 1, :n, 'they met', 2, 'x')",
            s=session.id, n=upto,
        )  # fmt: skip
    asked = []
    engine = desk.database._single
    note = lambda *a: asked.append(a[2])  # noqa: E731 - one line is enough
    event.listen(engine, "before_cursor_execute", note)
    found = desk.run(session_info, session.id)
    event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 1
    assert "FROM messages" not in asked[0]
    assert (found.messages, found.turns, found.tokens, found.lag) == (3, 2, 12, 1)
    assert (found.compactions, found.compacted_to) == (2, 2)
    assert (found.key, found.title, found.user_peer, found.agent_peer) == (
        "k",
        "Plans",
        "ann",
        "bot",
    )
    assert found.created_at <= found.last_turn_at
    assert desk.run(session_info, uuid.uuid4()) is None


def test_summaries_come_in_order_a_page_at_a_time(desk):
    session = desk.open()
    for upto in (30, 10, 20):
        desk.sql(
            "INSERT INTO compactions (session_id, covers_from, covers_to, summary, tokens, made_by)"
            " VALUES (:s, 1, :n, 'upto ' || :n, 2, 'x')",
            s=session.id, n=upto,
        )  # fmt: skip
    assert [s.covers_to for s in desk.run(summaries, session.id, after=0, limit=2)] == [10, 20]
    assert [s.summary for s in desk.run(summaries, session.id, after=20, limit=2)] == ["upto 30"]
    assert desk.run(page_after, session.id, after=0, limit=3) == []
