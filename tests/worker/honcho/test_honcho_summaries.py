"""Honcho's own summaries of a session: as the stand-in gives them, and how far they reach."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from afterturn_models.errors import HonchoFailure, InvalidIdError
from afterturn_models.values import Outgoing, Role
from afterturn_worker.honcho.client import HonchoClient

AT = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def client(honcho):
    made = HonchoClient(honcho.url, None)
    yield made
    made.close()


@pytest.fixture
def say(client, workspace):
    """Give a function that sends so many messages; it gives their rows."""

    def send(count, session="long"):
        rows = [
            Outgoing(uuid.uuid4(), n, Role.USER, "ann", session, f"Ann likes tea number {n}.", AT)
            for n in range(1, count + 1)
        ]
        client.send(workspace, session, rows, deadline=5)
        return [row.id for row in rows]

    return send


def test_the_longer_kind_comes_first_and_each_ends_with_a_row_of_ours(client, workspace, say):
    rows = say(85)
    long, short = client.session_summaries(workspace, "long", deadline=5)
    assert (long.row, short.row) == (rows[59], rows[79])
    assert "tea" in long.text
    assert "tea" in short.text


def test_before_the_first(client, workspace, say):
    say(19)
    assert client.session_summaries(workspace, "long", deadline=5) == []
    assert client.session_summaries(workspace, "never-made", deadline=5) == []


def test_a_session_that_others_write_too(client, workspace, say):
    theirs = client._session(workspace, "shared")
    theirs.add_messages([client._peer(workspace, "bob").message(f"mine {n}") for n in range(20)])
    assert client.session_summaries(workspace, "shared", deadline=5) == []
    rows = say(20, "shared")
    (short,) = client.session_summaries(workspace, "shared", deadline=5)
    assert short.row == rows[19]


def test_an_outage_is_no_missing_summary(client, workspace, say, honcho):
    say(20)
    honcho.control.add_rule("status", path=f".*/{workspace}/.*/summaries", count=1)
    with pytest.raises(HonchoFailure):
        client.session_summaries(workspace, "long", deadline=5)


def test_ids_are_looked_at(client, workspace):
    with pytest.raises(InvalidIdError):
        client.session_summaries(workspace, "../x", deadline=5)
