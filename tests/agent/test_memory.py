"""A conversation through `Memory`, with a real worker and a real Honcho stand-in."""

from __future__ import annotations

from afterturn import Memory
from support.waiting import eventually


def test_what_was_said_is_at_honcho_once_and_recalled_in_the_next_turn(
    start_worker, honcho, workspace
):
    start_worker().ready()
    with Memory.open() as memory:
        session = memory.session(name="first")
        cold = session.begin_turn("I live in Porto and I prefer tea to coffee.")
        assert cold.context == ""
        assert cold.recall is None
        cold.end("Noted: Porto, tea.")
        assert session.flush(10)
        warm = eventually(
            lambda: (turn := session.begin_turn("What should I drink?", wait=5)).context and turn
        )
        assert "Porto" in warm.context
        warm.end("Tea.")
        assert session.flush(10)
    stored = honcho.control.messages(workspace, "first")
    contents = [message["content"] for message in stored]
    assert contents[:2] == ["I live in Porto and I prefer tea to coffee.", "Noted: Porto, tea."]
    assert contents[-1] == "Tea."
    assert len({message["metadata"]["afterturn"] for message in stored}) == len(stored)


def test_what_a_frequency_holds_back_is_sent_once_the_session_is_quiet(
    start_worker, honcho, workspace
):
    """The agent is still there, and has neither flushed nor closed: the relay makes it due."""
    start_worker(env={"AFTERTURN_IDLE_SECONDS": "0.5"}).ready()
    with (
        Memory.open(write_frequency="session") as by_session,
        Memory.open(write_frequency=50) as many,
    ):
        for memory, name in ((by_session, "session"), (many, "many")):
            memory.session(name=name).begin_turn("a").end("b")
        for name in ("session", "many"):
            eventually(lambda n=name: len(honcho.control.messages(workspace, n)) == 2)


def test_each_speaker_of_a_shared_chat_is_a_peer_of_their_own_at_honcho(
    start_worker, honcho, workspace
):
    """As users report of others: every turn of a shared chat is written to its opener."""
    start_worker().ready()
    with Memory.open() as memory:
        session = memory.session(name="shared")
        for author, text in (("ann", "I live in Porto"), ("bob", "I live in Oslo")):
            session.begin_turn(text, author=author).end(f"noted, {author}")
        assert session.flush(10)
        # What is fetched now is about bob, who spoke last; ann's turn does not see it.
        turn = session.begin_turn("And where do I live?", author="ann", wait=2)
        assert "Oslo" not in turn.context
    stored = honcho.control.messages(workspace, "shared")
    said = [(message["peer_id"], message["content"]) for message in stored[:4]]
    assert said == [
        ("ann", "I live in Porto"),
        ("agent", "noted, ann"),
        ("bob", "I live in Oslo"),
        ("agent", "noted, bob"),
    ]
