"""What is due after a turn: fired once, by cadence, and less often where nothing is known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from afterturn_models.errors import OutcomeUnknown, Unreachable

BOTH = ["context", "dialectic"]


class TestFiring:
    """What is due after a turn is fired once."""

    def test_both_by_default(self, ground):
        turn = ground.say("Where do I live?", "Hm.")
        assert [(task.name, task.kwargs["turn"]) for task in ground.fire()] == [
            ("afterturn.prefetch_context", turn),
            ("afterturn.prefetch_dialectic", turn),
        ]
        assert ground.fire() == []

    def test_by_one_of_many_workers(self, ground):
        ground.say("Where do I live?", "Hm.")
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda _: ground.fired(), range(12)))
        assert sorted(found) == [[]] * 11 + [BOTH]

    def test_not_before_it_is_settled(self, ground):
        ground.say("Where do I live?", "Hm.", settled=False)
        assert ground.fire() == []

    def test_cadences_are_independent_and_the_first_turn_fires(self, ground):
        ground.own = {"contextCadence": 2, "dialecticCadence": 3}
        found = []
        for number in range(1, 8):
            turn = ground.say(f"And question {number}?", "Hm.")
            kinds = ground.fired()
            found.append(kinds)
            ground.honcho.answers.append("Lisbon")
            for kind in kinds:
                getattr(ground, kind)(turn)
        assert found == [BOTH, [], ["context"], ["dialectic"], ["context"], [], BOTH]

    @pytest.mark.parametrize(
        ("settings", "fired"),
        [
            ({"recallMode": "tools"}, []), ({"recallMode": "context"}, BOTH),
            ({"contextCadence": 0}, ["dialectic"]), ({"dialecticCadence": 0}, ["context"]),
        ],
    )  # fmt: skip
    def test_what_is_switched_off(self, ground, settings, fired):
        ground.profile(given=settings)
        turn = ground.say("Where do I live?", "Hm.")
        assert ground.fired() == fired
        ground.honcho.answers.append("Lisbon")
        assert [kind for kind in BOTH if getattr(ground, kind)(turn) is not None] == fired

    @pytest.mark.parametrize("said", ["ok", "thanks!", "👍", "/new", "好的"])
    def test_a_trivial_message_is_not_asked_about_and_takes_no_turn(self, ground, said):
        ground.own = {"dialecticCadence": 5}
        ground.say(said, "Hm.")
        assert ground.fired() == ["context"]
        assert ground.dialectic(1) is None
        ground.say("Where do I live?", "Hm.")
        assert ground.fired() == BOTH
        assert not ground.honcho.asked("ask")

    def test_a_task_that_was_lost_takes_no_turn(self, ground):
        """Redis was flushed: the cadence counts what was asked, not what was sent."""
        ground.own = {"dialecticCadence": 5, "contextCadence": 5}
        for _ in range(3):
            ground.say("Where do I live?", "Hm.")
            assert ground.fired() == BOTH

    def test_a_turn_that_begins_meanwhile_gets_its_own(self, ground):
        ground.say("Where do I live?", "Hm.")
        last_turn = ground.store.last_turn
        ground.store.last_turn = lambda session: (
            ground.say("Or work?", "Hm."),
            last_turn(session),
        )[1]
        assert ground.fire() == []
        ground.store.last_turn = last_turn
        assert [task.kwargs["turn"] for task in ground.fire()] == [2, 2]

    @pytest.mark.parametrize("injection", ["first-turn", "frozen"])
    def test_what_is_injected_at_the_start_only_is_fetched_once(self, ground, injection):
        ground.own = {"injection": injection}
        for turn in (1, 2, 3):
            ground.say("Where do I live?", "Hm.")
            assert ground.fired() == (BOTH if turn == 1 else [])
            ground.context(turn)
            ground.honcho.answers.append("Lisbon")
            ground.dialectic(turn)

    def test_a_session_that_is_gone_fires_nothing(self, ground):
        ground.gone()
        assert ground.fire() == []


class TestEmptyAnswers:
    """Back-off after answers with nothing to say, and after nothing else."""

    def play(self, ground, turns, answer=None):
        asked = []
        for _ in range(turns):
            turn = ground.say("Where do I live?", "Hm.")
            if "dialectic" in ground.fired():
                asked.append(turn)
                if answer:
                    ground.honcho.answers.append(answer)
                ground.dialectic(turn)
        return asked

    def test_they_widen_the_cadence_to_eight_times_and_no_more(self, ground):
        assert self.play(ground, 30) == [1, 3, 6, 10, 15, 21, 28]
        assert ground.cursor()["empty_dialectics"] == 7

    def test_an_answer_that_says_something_resets_it(self, ground):
        assert self.play(ground, 6) == [1, 3, 6]
        assert self.play(ground, 5, "Lisbon") == [10, 11]
        assert ground.cursor()["empty_dialectics"] == 0

    @pytest.mark.parametrize("error", [OutcomeUnknown("timeout"), Unreachable("away")])
    def test_an_outage_is_no_empty_answer(self, ground, error):
        ground.honcho.fail("ask", error)
        turn = ground.say("Where do I live?", "Hm.")
        with pytest.raises(type(error)):
            ground.dialectic(turn)
        assert ground.cursor()["empty_dialectics"] == 0

    def test_nor_is_a_refusal_by_the_budget_and_the_log_says_so(self, ground):
        ground.own = {"dialecticCallsPerHour": 1, "dialecticCadence": 3}
        with structlog.testing.capture_logs() as said:
            assert self.play(ground, 1) == [1]
            for turn in (2, 3, 4, 5):
                ground.say("Where do I live?", "Hm.")
                assert ("dialectic" in ground.fired()) is (turn == 5)  # 3, widened by one
        with structlog.testing.capture_logs() as refused:
            assert ground.dialectic(5) is None
        assert [line["event"] for line in said] == ["dialectic_empty"]
        assert [line["event"] for line in refused] == ["dialectic_refused"]
        assert "dialecticCallsPerHour" in refused[0]["reason"]
        assert ground.cursor()["empty_dialectics"] == 1
        ground.say("Where do I live?", "Hm.")
        assert "dialectic" in ground.fired()  # the next turn tries again

    def test_what_never_reached_honcho_is_tried_at_the_next_turn(self, ground):
        ground.own = {"dialecticCadence": 9, "contextCadence": 9}
        ground.honcho.fail("ask", Unreachable("away"))
        ground.honcho.fail("context", OutcomeUnknown("500"))
        turn = ground.say("Where do I live?", "Hm.")
        assert ground.fired() == BOTH
        for kind in BOTH:
            with pytest.raises((Unreachable, OutcomeUnknown)):
                getattr(ground, kind)(turn)
        ground.say("Where do I live?", "Hm.")
        assert ground.fired() == BOTH

    def test_a_chat_that_may_run_on_takes_its_turn(self, ground):
        ground.own = {"dialecticCadence": 2}
        ground.honcho.fail("ask", OutcomeUnknown("timeout"))
        with pytest.raises(OutcomeUnknown):
            ground.dialectic(ground.say("Where do I live?", "Hm."))
        ground.say("Where do I live?", "Hm.")
        assert ground.fired() == ["context"]
