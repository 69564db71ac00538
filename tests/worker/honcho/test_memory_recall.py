"""The recall port in memory, which flow tests rest on: the same calls, the same nothing."""

from __future__ import annotations

import pytest

from afterturn_models.errors import OutcomeUnknown
from afterturn_worker.honcho.recall_port import RecallPort, View
from support.memory_recall import MemoryRecall
from support.recall_calls import RECALL

VIEW = View("w", "s", "ann", "bot")
every_call = pytest.mark.parametrize("call", RECALL, ids=lambda call: call.name)


def _typed(memory: MemoryRecall) -> RecallPort:
    return memory


@every_call
def test_it_answers_notes_and_fails_as_it_is_told(call):
    memory = MemoryRecall()
    given = call.ask(_typed(memory), VIEW)
    assert call.writes or given == call.nothing
    method = memory.calls[0].method
    assert memory.calls[0].arguments["deadline"] == 5.0
    memory.fail(method, OutcomeUnknown("500"))
    with pytest.raises(OutcomeUnknown):
        call.ask(memory, VIEW)
    call.ask(memory, VIEW)
    assert len(memory.asked(method)) == 3


def test_what_is_written_is_read_for_its_pair_only():
    memory, other = MemoryRecall(), View("w", "s", "eve", "bot")
    memory.set_card(VIEW, "user", ["x"], deadline=5)
    made = memory.conclude(VIEW, "user", "y", deadline=5)
    assert memory.card(VIEW, "user", deadline=5) == ("x",)
    assert memory.conclusions(VIEW, "user", query=None, limit=5, deadline=5) == [made]
    assert memory.card(other, "user", deadline=5) == ()
    assert not memory.unconclude(other, "user", made.id, deadline=5)
    assert memory.unconclude(VIEW, "user", made.id, deadline=5)
