"""Refused content over real HTTP: a sync on Postgres and the SDK, against the stand-in."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from afterturn_models.db import Database
from afterturn_models.store import late
from afterturn_models.values import Standing
from afterturn_worker.flows.lease import SyncLimits
from afterturn_worker.flows.sync import sync_session
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.stores import PostgresStore
from support.captured import Captures
from support.waiting import eventually

MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"
SECRET = "the-secret-word"


class Desk:
    """One session, and the parts that a task would sync it with."""

    def __init__(self, database: Database, honcho: Any, workspace: str) -> None:
        self.database = database
        self.honcho = honcho
        self.captures = Captures(database, workspace)
        self.client = HonchoClient(honcho.url, None)
        self.store = PostgresStore(database, "w1")
        self.session = self.captures.open()

    def turn(self, *said: str) -> list[uuid.UUID]:
        self.captures.turn(self.session, *said)
        return [row.id for row in self.captures.rows[self.session]]

    def sync(self, *, late: bool = False) -> Standing:
        return sync_session(self.session, self.store, self.client, SyncLimits(), late=late)

    def sql(self, statement: str, **given: Any) -> None:
        with self.database.statement() as connection:
            connection.execute(text(statement), given)

    def stored(self) -> list[dict[str, Any]]:
        name = self.captures.honcho_session(self.session)
        found: list[dict[str, Any]] = self.honcho.control.messages(self.captures.workspace, name)
        return found

    def posts(self) -> int:
        """How many POSTs of messages there were since the counters began, whatever was answered."""
        requests = self.honcho.control.counters()["requests"]
        return sum(n for name, n in requests.items() if name.endswith("/messages"))

    def aside(self) -> list[late.Quarantined]:
        with self.database.statement() as connection:
            return late.quarantined(connection)

    def retry(self) -> None:
        with self.database.statement() as connection:
            late.retry_quarantined(connection, None)


@pytest.fixture
def desk(database: Database, honcho: Any, workspace: str) -> Iterator[Desk]:
    made = Desk(database, honcho, workspace)
    yield made
    made.client.close()


def test_a_special_token_among_a_hundred_arrives_mended_and_marked(desk: Desk) -> None:
    said = [f"{n} {SECRET}" for n in range(100)]
    said[41] += " <|endoftext|> and <|fim_prefix|>"
    rows = desk.turn(*said)
    assert desk.sync() is Standing.SYNCED
    stored = desk.stored()
    assert [row["metadata"]["afterturn"] for row in stored] == [str(row) for row in rows]
    mended = f"41 {SECRET} <\u200c|endoftext|> and <\u200c|fim_prefix|>"
    assert [row["content"] for row in stored] == [*said[:41], mended, *said[42:]]
    marks = {row["metadata"].get("mended") for at, row in enumerate(stored) if at != 41}
    assert marks == {None}
    assert stored[41]["metadata"]["mended"] == "special-tokens"
    # All, those before it, all the rest, it alone, it mended, those behind it.
    assert desk.posts() == 6
    assert desk.aside() == []


def test_a_mended_message_is_a_batch_like_any_other_when_it_is_sent_again(desk: Desk) -> None:
    desk.turn("one <|endoftext|>", "two")
    desk.sync()
    rows = [uuid.UUID(row["metadata"]["afterturn"]) for row in desk.stored()]
    desk.sql("UPDATE cursors SET last_saved_index = 0, due_index = 2")
    desk.sql("UPDATE messages SET session_id = session_id, honcho_session = 'elsewhere'")
    before = desk.posts()
    assert desk.sync() is Standing.SYNCED
    assert desk.posts() == before + 1
    found = desk.honcho.control.messages(desk.captures.workspace, "elsewhere")
    assert [uuid.UUID(row["metadata"]["afterturn"]) for row in found] == rows


def test_what_is_too_long_is_set_aside_with_its_reason_and_none_of_its_text(desk: Desk) -> None:
    rows = desk.turn("one", "two", "three", "four")
    desk.sql("UPDATE messages SET content = :c WHERE id = :r", c=SECRET * 1700, r=rows[2])
    assert desk.sync() is Standing.SYNCED
    assert [row["content"] for row in desk.stored()] == ["one", "two", "four"]
    (aside,) = desk.aside()
    assert (aside.id, aside.index) == (rows[2], 3)
    assert "Honcho answers 422: string_too_long at body.messages.0.content" in aside.reason
    assert SECRET not in aside.reason
    cursor = desk.captures.cursor(desk.session)
    assert (cursor["last_saved_index"], cursor["last_error"]) == (4, None)


def test_what_was_set_aside_arrives_late_once_it_is_taken(desk: Desk) -> None:
    rows = desk.turn("one", "two", "three", "four")
    desk.sql("UPDATE messages SET content = :c WHERE id = :r", c="x" * 25_001, r=rows[1])
    desk.sync()
    desk.retry()
    assert desk.sync() is Standing.SYNCED  # a turn's task leaves it alone
    assert desk.sync(late=True) is Standing.SYNCED
    assert len(desk.aside()) == 1
    desk.sql("UPDATE messages SET content = 'two' WHERE id = :r", r=rows[1])
    desk.retry()
    assert desk.sync(late=True) is Standing.SYNCED
    assert [row["content"] for row in desk.stored()] == ["one", "three", "four", "two"]
    times = [row["created_at_us"] for row in desk.stored()]
    assert times[3] <= times[1]  # its own time, whenever it came


@pytest.mark.parametrize("peer", ["not an id", "ann/../../bob", "p" * 101])
def test_an_invalid_peer_sets_its_message_aside_alone(desk: Desk, peer: str) -> None:
    rows = desk.turn("one", f"{SECRET} two", "three")
    desk.sql("UPDATE messages SET peer = :p WHERE id = :r", p=peer, r=rows[1])
    assert desk.sync() is Standing.SYNCED
    assert [row["content"] for row in desk.stored()] == ["one", "three"]
    (aside,) = desk.aside()
    assert "is not an id for Honcho" in aside.reason
    assert SECRET not in aside.reason


def test_white_space_that_the_sdk_refuses_is_set_aside(desk: Desk) -> None:
    rows = desk.turn("one", "two", "three")
    desk.sql("UPDATE messages SET content = E' \\n ' WHERE id = :r", r=rows[0])
    assert desk.sync() is Standing.SYNCED
    assert [row["content"] for row in desk.stored()] == ["two", "three"]
    assert "white space only" in desk.aside()[0].reason


def test_a_peer_that_honcho_names_in_words_is_narrowed_down_without_a_place(desk: Desk) -> None:
    """Where no index is named, the batch is halved."""
    said = [str(n) for n in range(40)]
    desk.turn(*said)
    for _ in range(3):
        desk.honcho.control.add_rule(
            "status", method="POST", path=MESSAGES, status=422, count=1, detail="no"
        )
    assert desk.sync() is Standing.SYNCED
    assert [row["content"] for row in desk.stored()] == said
    assert desk.aside() == []


@pytest.mark.parametrize("status", [400, 401, 404, 405, 409, 429, 500, 503])
def test_what_is_not_about_content_sets_nothing_aside(desk: Desk, status: int) -> None:
    desk.turn("one", SECRET, "<|endoftext|>")
    rule = desk.honcho.control.add_rule(
        "status", method="POST", path=MESSAGES, status=status, detail="no"
    )
    assert desk.sync() in {Standing.WAITING, Standing.PARKED}
    assert desk.aside() == []
    cursor = desk.captures.cursor(desk.session)
    assert cursor["last_saved_index"] == 0
    assert str(status) in str(cursor["last_error"])
    assert SECRET not in str(cursor["last_error"])
    desk.honcho.control.clear(rule)
    desk.sql("UPDATE cursors SET run_at = now(), settle_at = now() - interval '1 s', parked = NULL")
    assert desk.sync() is Standing.SYNCED
    assert len(desk.stored()) == 3


def test_a_honcho_that_takes_nothing_for_its_size_keeps_what_it_can(desk: Desk) -> None:
    """A server in front of it that takes small requests only: a batch is cut until it passes."""
    said = [str(n) for n in range(8)]
    desk.turn(*said)
    desk.honcho.control.add_rule("status", method="POST", path=MESSAGES, status=413, count=2)
    assert desk.sync() is Standing.SYNCED
    assert [row["content"] for row in desk.stored()] == said
    assert desk.aside() == []


def test_a_killed_late_batch_is_settled_by_looking(desk: Desk) -> None:
    rows = desk.turn("one", "two")
    desk.sync()
    desk.sql("UPDATE messages SET honcho_session = 'lost'")  # as if it had gone with a backup
    with desk.database.statement() as connection:
        assert late.send_late(connection, desk.session, rows) == 2
    desk.honcho.control.add_rule("lose_response", method="POST", path=MESSAGES, count=1)
    assert desk.sync(late=True) is Standing.WAITING
    cursor = desk.captures.cursor(desk.session)
    assert (cursor["intent_first"], cursor["intent_rows"]) == (0, rows)
    desk.sql("UPDATE cursors SET run_at = now(), settle_at = now() - interval '1 s'")
    assert eventually(lambda: desk.sync(late=True) is Standing.SYNCED)
    found = desk.honcho.control.messages(desk.captures.workspace, "lost")
    assert [row["content"] for row in found] == ["one", "two"]
    assert desk.captures.cursor(desk.session)["late"] is False
