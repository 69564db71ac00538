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
