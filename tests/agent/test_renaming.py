"""A title that is found in the middle of a conversation, and what it does to what was said before."""

from __future__ import annotations

import pytest

from afterturn import Memory, StoreUnavailableError
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


def test_what_comes_after_goes_to_the_new_name_and_the_history_is_one(memory, look):
    session = memory.session(directory="/code/app")
    assert session.key == "app"
    session.begin_turn("one").end("two")
    system = session.begin_turn("three").system
    assert session.rename("The spring plans") == session.key
    assert session.begin_turn("four").system == system  # the prompt's cache keeps what it has
    session.begin_turn("five").end("six")
    assert [message.content for message in session.history()] == [
        "one", "two", "three", "four", "five", "six",
    ]  # fmt: skip
    rows = look.rows(session.key)
    # A turn that was open ends after the rename, and is captured under the new name.
    assert [row["honcho_session"] for row in rows] == ["app"] * 2 + [session.key] * 4


def test_whoever_opens_it_by_its_title_goes_on_with_it(memory, look):
    session = memory.session(directory="/code/app")
    session.begin_turn("one").end("two")
    session.rename("Plans")
    with Memory.open() as other:
        again = other.session(directory="/code/app", title="Plans")
        assert [message.content for message in again.history()] == ["one", "two"]
        assert other.session(directory="/code/app").history() == []


def test_two_conversations_with_one_title_stay_two(memory):
    first, second = memory.session(directory="/a"), memory.session(directory="/b")
    for session in (first, second):
        session.begin_turn("hello").end(session.key)
        session.rename("Plans")
    assert first.key == "Plans"
    assert second.key.startswith("Plans-")
    assert [m.content for m in second.history()] == ["hello", "b"]
    second.begin_turn("more").end("yes")
    assert len(second.history()) == 4
    assert len(first.history()) == 2


def test_a_name_that_is_taken_is_said_as_it_is(memory, look):
    first, second = memory.session(directory="/a/app"), memory.session(directory="/b/app")
    assert first.key == "app"
    assert second.key.startswith("app-")
    assert f"Session: {second.key}." in second.begin_turn("hello").system
    assert look.session(second.key)["directory"] == "/b/app"


def test_what_is_in_flight_is_neither_split_nor_sent_again(
    stack_env, honcho, start_worker, workspace
):
    honcho.control.add_rule("lose_response", method="POST", path=".*/messages", count=1)
    start_worker().ready()
    with Memory.open() as memory:
        session = memory.session(name="before")
        session.begin_turn("one").end("two")
        eventually(lambda: honcho.control.counters()["message_posts"])
        after = session.rename("after")
        session.begin_turn("three").end("four")
        assert session.flush(30)
    stored = {
        name: [message["content"] for message in honcho.control.messages(workspace, name)]
        for name in ("before", after)
    }
    assert stored == {"before": ["one", "two"], after: ["three", "four"]}


@pytest.mark.parametrize("title", ["", "  \n", "\u200b"])
def test_a_blank_title_is_refused(memory, title):
    session = memory.session(name="talk")
    with pytest.raises(ValueError, match="at least one character"):
        session.rename(title)
    assert session.key == "talk"


def test_without_postgres_nothing_is_renamed(agent_env, database_url, monkeypatch):
    with TcpProxy(database_url) as proxy:
        monkeypatch.setenv("AFTERTURN_DATABASE_URL", proxy.url)
        with Memory.open() as memory:
            session = memory.session(name="talk")
            session.begin_turn("one").end("two")
            proxy.refuse()
            with pytest.raises(StoreUnavailableError):
                session.rename("Plans")
            assert session.key == "talk"
            proxy.accept()
