"""The demo's conversations: each held once, so many at a time; and whole through lost answers."""

from types import SimpleNamespace

from afterturn import Memory
from afterturn_sandbox.dialogues import Dialogue, DialogueTurn, shipped
from afterturn_sandbox.replay import replay
from afterturn_sandbox.verdict import judge


class Scripted:
    """A memory that notes what is done with it, and recalls something from the second turn on."""

    def __init__(self):
        self.said = []
        self.open = set()
        self.most_open = 0

    def session(self, *, name):
        self.open.add(name)
        self.most_open = max(self.most_open, len(self.open))
        turns = []

        def begin_turn(text):
            turns.append(text)
            block = "## You know\n\n## Of them" if len(turns) > 1 else ""
            between = []

            def end(reply):
                self.said.append((name, text, between, reply))
                return SimpleNamespace(spooled=False)

            return SimpleNamespace(
                context=block, add=lambda role, content: between.append((role, content)), end=end
            )

        return SimpleNamespace(begin_turn=begin_turn, close=lambda: self.open.remove(name))


def test_every_dialogue_is_held_once_and_no_more_than_wanted_at_a_time():
    memory = Scripted()
    turns = (DialogueTurn("a", (("tool", "t"),), "b"), DialogueTurn("c", (), None))
    dialogues = [Dialogue(f"d{n}", turns) for n in range(7)]
    steps = []
    found = replay(memory, dialogues, at_a_time=3, pace=0.003, progress=lambda: steps.append(1))
    assert sorted(memory.said, key=lambda one: one[0]) == [
        said
        for n in range(7)
        for said in ((f"d{n}", "a", [("tool", "t")], "b"), (f"d{n}", "c", [], None))
    ]
    assert (memory.most_open, memory.open) == (3, set())
    assert (found.turns, found.messages, found.spooled) == (14, 28, 0)
    assert (found.warm, found.hits) == (7, 7)
    assert len(found.starts) == len(found.ends) == len(steps) == 14
    assert found.block.startswith("## You know")
    assert sorted(found.sessions) == [f"d{n}" for n in range(7)]


def test_dialogues_are_whole_at_a_honcho_that_loses_its_answers(
    stack_env, start_worker, honcho, database, workspace
):
    posts = {"method": "POST", "path": ".*/messages"}
    honcho.control.add_rule("lose_response", count=2, **posts)
    honcho.control.add_rule("reset_before", count=1, skip=1, **posts)
    start_worker(concurrency=8).ready()
    with Memory.open() as memory:
        found = replay(memory, shipped()[:3], at_a_time=3, pace=0.02, progress=lambda: None)
        assert all(session.flush(60) for session in found.sessions.values())
    verdict = judge(database, honcho.control, workspace)
    assert honcho.control.counters()["faults"] == {"lose_response": 2, "reset_before": 1}
    assert verdict.whole
    assert verdict.captured == verdict.stored == found.messages
