"""Compaction's flow on a store in memory: what is cut, by whom it is summarised, what it costs."""

from __future__ import annotations

import pytest

from afterturn_models.errors import LlmFailure, OutcomeUnknown
from afterturn_worker.flows.compacting import CompactionLimits
from afterturn_worker.flows.compaction import compact_session
from afterturn_worker.flows.summarising import OfHoncho, OfModel, OfSentences
from support.memory_compactions import (
    MemoryCompactions,
    ScriptedHoncho,
    ScriptedLlm,
    with_settings,
)
from support.memory_ports import Clock, Crash

SAYS = "The ferry to Naxos leaves pier seven at noon on day {}, and Ann books two seats on it."
LIMITS = CompactionLimits()
WINDOW = 2000  # due at 1,000 tokens beyond the last cut


class Place:
    """One session, what may summarise it, and runs of the real flow."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryCompactions(self.clock)
        self.llm, self.honcho = ScriptedLlm(), ScriptedHoncho()
        self.model = True
        self.llm_window = 8000
        with_settings(self.store, contextWindow=WINDOW, compactionSummaryTokens=200)

    def say(self, turns, **more):
        first = self.store.rows[-1].line.turn + 1 if self.store.rows else 1
        for number in range(first, first + turns):
            self.store.turn(("user", SAYS.format(number)), ("assistant", "Noted."), **more)

    def run(self, *, force=False, limits=LIMITS):
        kinds = [OfHoncho(self.honcho, self.store, seconds=2.0)]
        if self.model:
            kinds.append(OfModel(self.llm, self.store, window=self.llm_window, seconds=60.0))
        return compact_session(
            self.store.session,
            self.store,
            [*kinds, OfSentences(self.store)],
            limits,
            force=force,
            clock=self.clock,
            jitter=lambda: 0.5,
        )

    @property
    def made_by(self):
        return [summary.made_by for summary in self.store.summaries]


@pytest.fixture
def place():
    return Place()


def test_what_is_short_is_left_alone(place):
    place.say(8)
    assert place.run().outcome == "nothing"
    assert (place.store.summaries, place.llm.sent, place.store.wanted) == ([], [], False)


def test_what_is_due_is_summarised_but_for_the_head_and_the_tail(place):
    place.say(60)
    done = place.run()
    (summary,) = place.store.summaries
    assert (done.outcome, done.made_by, done.covers_to) == (
        "compacted",
        ("llm:m",),
        summary.covers_to,
    )
    assert summary.covers_from == 3  # the first turn stays
    assert summary.covers_to % 2 == 0  # whole turns
    assert summary.covers_to <= 60 * 2 - 6 * 2  # the last six stay
    sent = "".join(place.llm.sent)
    assert "day 2," in sent
    assert "day 1," not in sent  # nor is the head read
    assert f"day {summary.covers_to // 2}," in sent
    assert f"day {summary.covers_to // 2 + 1}," not in sent
    assert place.run().outcome == "nothing"


def test_force_cuts_what_is_not_due(place):
    place.say(12)
    assert place.run(force=True).outcome == "compacted"
    assert place.store.summaries[0].covers_to == 12
    assert place.store.forced is False


def test_off_is_off(place):
    place.say(60)
    with_settings(place.store, compactionSummary="off")
    assert place.run(force=True).outcome == "off"
    assert place.store.summaries == []


def test_each_builds_on_the_last_and_costs_what_is_new(place):
    place.say(60)
    place.run()
    first, read = len("".join(place.llm.sent)), place.store.read
    cuts = [place.store.covered_to]
    for _ in range(5):
        place.say(60)
        before = len("".join(place.llm.sent))
        place.run()
        cuts.append(place.store.covered_to)
        new = sum(
            len(row.text) for row in place.store.rows if cuts[-2] < row.line.index <= cuts[-1]
        )
        assert place.store.read - read == new  # each row is read once, ever
        read = place.store.read
        sent = len("".join(place.llm.sent)) - before
        assert sent < first * 1.6  # and a request does not grow with what lies behind it
        assert "The summary. #" in place.llm.sent[-1]
    assert cuts == sorted(set(cuts))


def test_a_long_cut_goes_in_steps_that_fit_the_model(place):
    place.llm_window = 2000
    place.say(120)
    place.run()
    assert len(place.llm.sent) > 2
    assert place.made_by == ["llm:m"] * len(place.llm.sent)
    ends = [summary.covers_to for summary in place.store.summaries]
    assert ends == sorted(set(ends))
    for before, request in enumerate(place.llm.sent[1:], 1):
        assert f"The summary. #{before}" in request  # each incremental on the last one


def test_a_turn_longer_than_a_request_is_stored_when_it_is_whole(place):
    place.llm_window = 2000
    place.say(1)
    place.store.turn(*(("user", SAYS.format(day)) for day in range(200)), ("assistant", "Noted."))
    place.say(8)
    place.run()
    (summary,) = [one for one in place.store.summaries if one.covers_from == 3]
    assert summary.covers_to >= 203
    assert len(place.llm.sent) > 3


def test_tools_are_pruned_before_they_are_read(place):
    place.say(20)
    place.store.turn(
        ("user", "list it"), ("tool", "row of a table\n" * 20_000), ("assistant", "ok")
    )
    place.say(8)
    place.run()
    assert "characters left out" in "".join(place.llm.sent)
    assert all(len(request) < 20_000 for request in place.llm.sent)


def test_a_failing_model_is_left_alone_and_the_next_kind_does_it(place):
    place.say(60)
    place.llm.failures = [LlmFailure("it is ill"), LlmFailure("it is ill")]
    done = place.run()
    assert (done.outcome, done.made_by) == ("compacted", ("extractive",))
    assert done.error == "llm: it is ill"
    assert len(place.llm.sent) == 1
    place.say(60)
    assert place.run().made_by == ("extractive",)
    assert len(place.llm.sent) == 1  # it cools
    place.clock.pass_(30)
    place.say(60)
    assert place.run().made_by == ("extractive",)
    assert (len(place.llm.sent), place.store.cooling["llm"][0]) == (2, 2)
    place.clock.pass_(30)
    place.say(60)
    assert place.run().made_by == ("extractive",)
    assert len(place.llm.sent) == 2  # for longer than the first time
    place.clock.pass_(60)
    place.say(60)
    assert place.run().made_by == ("llm:m",)
    assert "llm" not in place.store.cooling


def test_retry_after_is_heeded(place):
    place.say(60)
    place.llm.failures = [LlmFailure("busy", retry_after=900)]
    place.run()
    assert place.store.cooling["llm"][1] == place.clock.now + 900


def test_a_person_who_asks_does_not_wait_for_a_cool_down(place):
    place.say(60)
    place.llm.failures = [LlmFailure("it is ill")]
    place.run()
    place.say(60)
    assert place.run(force=True).made_by[0] == "llm:m"


def test_where_only_the_model_may_the_session_waits(place):
    place.say(60)
    with_settings(place.store, compactionSummary="llm")
    place.llm.failures = [LlmFailure("it is ill")]
    done = place.run()
    assert (done.outcome, done.error) == ("waiting", "llm: it is ill")
    assert (place.store.summaries, place.store.wanted, place.store.failures) == ([], True, 1)
    assert place.run().outcome == "waiting"  # not before its time
    place.clock.pass_(30)
    assert place.run().made_by == ("llm:m",)


def test_without_a_model_it_is_said(place):
    place.say(60)
    place.model = False
    with_settings(place.store, compactionSummary="llm")
    done = place.run()
    assert done.outcome == "waiting"
    assert "compactionSummary" in done.error


def test_an_answer_that_is_none_is_a_failure(place):
    place.say(60)
    place.llm.reply = "<think>I had better"
    assert place.run().made_by == ("extractive",)
    assert place.store.cooling["llm"][0] == 1


def test_honchos_own_comes_first_where_it_covers_the_cut(place):
    place.say(60)
    place.honcho.reaches(place.store.rows[-1])
    assert place.run().made_by == ("honcho",)
    assert place.store.summaries[0].text == "Honcho's summary."
    assert place.llm.sent == []
    assert place.honcho.asked == [("w", "s")]
    assert place.store.read == 0  # no text is read for it


def test_honchos_own_does_not_count_where_it_ends_before_the_cut(place):
    place.say(60)
    place.honcho.reaches(place.store.rows[50])
    place.llm_window = 2000
    assert set(place.run().made_by) == {"llm:m"}
    assert len(place.honcho.asked) == 1  # once a run


@pytest.mark.parametrize("reason", ["mode", "tool", "quarantined"])
def test_honchos_own_does_not_count_where_honcho_has_not_all_of_it(place, reason):
    place.say(2)
    place.say(1, reason=reason)
    place.say(60)
    place.honcho.reaches(place.store.rows[-1])
    assert "honcho" not in place.run().made_by
    assert place.honcho.asked == []
    # Nor later on: its summary would lack what ours has.
    place.say(60)
    place.honcho.reaches(place.store.rows[-1])
    assert "honcho" not in place.run().made_by


def test_honchos_own_does_not_count_before_the_cut_is_sent(place):
    place.say(60)
    place.honcho.reaches(place.store.rows[-1])
    place.store.saved_index = 20
    assert place.run().made_by == ("llm:m",)


def test_a_honcho_that_is_away_cools_too(place):
    place.say(60)
    place.honcho.failure = OutcomeUnknown("Honcho answers 500")
    assert place.run().made_by == ("llm:m",)
    place.say(60)
    place.run()
    assert len(place.honcho.asked) == 1


def test_local_text_reaches_no_model_elsewhere(place):
    place.say(60, reason="mode")
    assert place.run().made_by == ("extractive",)
    assert (place.llm.sent, place.honcho.asked) == ([], [])
    assert place.store.summaries[0].stays_here
    # Nor a summary of such text, however it is now, and however far back it was said.
    for _ in range(3):
        place.say(60)
        assert place.run().made_by == ("extractive",)
        assert place.store.summaries[-1].stays_here
    assert place.llm.sent == []


def test_text_is_local_from_the_moment_that_a_mode_is(place):
    place.say(60)
    with_settings(place.store, userMemoryMode="local")
    assert place.run().made_by == ("extractive",)
    assert place.llm.sent == []


def test_a_model_on_this_machine_may_read_local_text(place):
    place.llm.here = True
    place.say(60, reason="mode")
    assert place.run().made_by == ("llm:m",)


def test_two_at_once_compact_once(place):
    place.say(60)
    twin = []
    place.llm.complete = lambda *_, **__: twin.append(place.run()) or "A summary."
    assert place.run().outcome == "compacted"
    assert [one.outcome for one in twin] == ["busy"] * len(twin)
    assert len(place.store.summaries) == len(twin) == 1


def test_one_that_froze_past_its_lease_stores_nothing(place):
    place.say(60)

    def froze(*_, **__):
        place.clock.pass_(100)
        place.llm.complete = lambda *_, **__: "The other's."
        assert place.run().outcome == "compacted"
        return "Too late."

    place.llm.complete = froze
    assert place.run().outcome == "busy"
    assert [one.text for one in place.store.summaries] == ["The other's."]


def test_a_kill_in_the_middle_loses_nothing(place):
    place.llm_window = 2000
    place.say(120)

    def killed(*_, **__):
        if len(place.store.summaries) == 1:
            raise Crash
        return "The first step."

    place.llm.complete = killed
    with pytest.raises(Crash):
        place.run()
    assert (place.store.wanted, len(place.store.summaries)) == (True, 1)
    assert place.run().outcome == "busy"  # until the lease has run out
    place.clock.pass_(60 + LIMITS.lease)
    place.llm.complete = lambda messages, **_: place.llm.sent.append(messages) or "What follows."
    assert place.run().outcome == "compacted"
    assert "The first step." in str(place.llm.sent[0])  # it goes on from what was stored
    ends = [one.covers_to for one in place.store.summaries]
    assert ends == sorted(set(ends))


def test_a_run_does_its_share_and_leaves_the_rest(place):
    place.llm_window = 2000
    place.say(200)
    ask = place.llm.complete

    def slow(*said, **more):
        place.clock.pass_(20)
        return ask(*said, **more)

    place.llm.complete = slow
    assert place.run().outcome == "more"
    assert (len(place.store.summaries), place.store.wanted) == (2, True)
    while place.run().outcome == "more":
        pass
    assert place.run().outcome == "nothing"
