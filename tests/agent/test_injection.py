"""Injection: in each turn, in the first, or frozen; and never the same news twice."""

from __future__ import annotations

import pytest

from afterturn.injection import Injection
from afterturn.recall import Recall, over
from afterturn_models.policy.block import SAID_BEFORE, SAID_NOW
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.values import ContextResult

HEADER = "# Memory"


def recalled(context=None, dialectic=None, turn=1, counts=None):
    return Recall(
        context=ContextResult(representation=context) if context else None,
        dialectic=dialectic,
        context_turn=turn if context else 0,
        dialectic_turn=turn if dialectic else 0,
        counts=counts or {},
    )


class Told:
    """An injection under some settings, turn after turn."""

    def __init__(self, turns=0, frozen=None, **settings):
        self.settings = RecallSettings(**settings)
        self.injection = Injection(HEADER)
        self.injection.resume(self.settings, turns, frozen, "ann")

    def turn(self, recall=None, about="ann"):
        return self.injection.place(recall, about, self.settings)


def test_every_turn_has_what_was_recalled_for_it_and_one_system():
    told = Told()
    first, second, third = (
        told.turn(),
        told.turn(recalled("tea", "offer tea")),
        told.turn(recalled(dialectic="coffee")),
    )
    assert (first.context, first.recall) == ("", None)
    assert "tea" in second.context
    assert "offer tea" in second.context
    assert "coffee" in third.context
    assert "tea" not in third.context
    assert {one.system for one in (first, second, third)} == {HEADER}
    assert {one.frozen for one in (first, second, third)} == {None}


@pytest.mark.parametrize("cadence", [1, 2, 3, 5])
def test_a_context_serves_until_its_cadence_lets_a_newer_one_come(cadence):
    told = Told(context_cadence=cadence)
    told.turn()
    shown = [told.turn(recalled("tea", turn=1))]
    shown += [told.turn() for _ in range(cadence + 1)]
    assert ["tea" in one.context for one in shown] == [True] * cadence + [False] * 2
    assert [one.recall.context_turn if one.recall else 0 for one in shown] == [1] * cadence + [0, 0]


def test_a_newer_context_takes_the_place_of_the_kept_one():
    told = Told(context_cadence=5)
    told.turn(recalled("tea"))
    assert "coffee" in told.turn(recalled("coffee")).context
    kept = told.turn()
    assert "coffee" in kept.context
    assert "tea" not in kept.context


def test_an_answer_of_the_dialectic_is_injected_once():
    told = Told(context_cadence=3, dialectic_cadence=3)
    told.turn(recalled("likes tea", "offer it now"))
    second = told.turn()
    assert "likes tea" in second.context
    assert "offer it now" not in second.context
    assert second.recall.dialectic is None
    third = told.turn(recalled(dialectic="a new answer"))
    assert "likes tea" in third.context
    assert "a new answer" in third.context


def test_what_is_kept_about_one_speaker_is_shown_to_no_other():
    told = Told(context_cadence=4)
    told.turn(recalled("ann is ill"), about="ann")
    assert told.turn(about="bob").context == ""
    assert "ann is ill" in told.turn(about="ann").context
    told.turn(recalled("bob is well"), about="bob")
    assert told.turn(about="ann").context == ""


def test_the_first_turn_that_has_anything_is_the_only_one():
    told = Told(injection="first-turn")
    assert told.turn().context == ""
    assert "tea" in told.turn(recalled("tea")).context
    later = told.turn(recalled("coffee", "offer it"))
    assert later.context == ""
    assert later.recall.dialectic == "offer it"  # the agent may do with it what it likes
    assert later.system == HEADER


def test_a_conversation_that_is_opened_again_has_had_its_first_turn():
    told = Told(turns=3, injection="first-turn")
    assert not told.injection.wants(told.settings)
    assert told.turn(recalled("tea")).context == ""


def test_what_is_frozen_is_in_the_system_prompt_for_good():
    told = Told(injection="frozen")
    assert told.injection.system("ann") == HEADER
    first = told.turn(recalled("tea"))
    assert first.system.startswith(HEADER + "\n\n<afterturn-memory>")
    assert "tea" in first.system
    assert (first.context, first.system) == ("", f"{HEADER}\n\n{first.frozen}")
    for one in [told.turn(recalled("coffee")), told.turn()]:
        assert (one.system, one.context, one.frozen) == (first.system, "", None)
    assert told.injection.system("ann") == first.system


def test_what_was_empty_when_it_froze_stays_empty():
    told = Told(injection="frozen")
    assert told.turn().frozen == ""
    later = told.turn(recalled("tea"))
    assert (later.system, later.context, later.frozen) == (HEADER, "", None)


@pytest.mark.parametrize("frozen", ["", "<block>"])
def test_what_was_frozen_before_is_frozen_still(frozen):
    told = Told(turns=7, frozen=frozen, injection="frozen")
    assert not told.injection.wants(told.settings)
    first = told.turn(recalled("tea"))
    assert first.system == (f"{HEADER}\n\n{frozen}" if frozen else HEADER)
    assert (first.context, first.frozen) == ("", None)


@pytest.mark.parametrize("again", [False, True])
def test_what_is_frozen_about_one_is_in_no_prompt_of_another(again):
    """As users report of others: one user's profile leaks to another in a shared chat."""
    told = Told(injection="frozen")
    first = told.turn(recalled("tea"), "ann")
    if again:
        told = Told(turns=1, frozen=first.frozen, injection="frozen")
    assert told.turn(recalled("coffee"), "bob").system == HEADER
    assert told.injection.system("bob") == HEADER
    assert told.turn(about="ann").system == first.system


def test_a_conversation_that_was_never_frozen_freezes_when_it_is_opened_so():
    told = Told(turns=7, frozen=None, injection="frozen")
    assert "tea" in told.turn(recalled("tea")).system


def test_settings_that_come_late_change_no_system_prompt():
    """Postgres was away at the open; what it says of freezing comes after the first turn."""
    told = Told()
    before = told.turn().system
    told.settings = RecallSettings(injection="frozen")
    told.injection.resume(told.settings, 1, "<block>", "ann")
    late = told.turn(recalled("tea"))
    assert (late.system, late.context) == (before, "")


def test_with_tools_only_nothing_is_injected():
    told = Told(recall_mode="tools")
    assert not told.injection.wants(told.settings)
    assert told.turn(recalled("tea", "offer tea")).context == ""


def test_the_budget_is_the_sessions():
    small, large = Told(context_tokens=100), Told(context_tokens=4000)
    long = recalled("a fact about tea. " * 500)
    assert len(small.turn(long).context) < len(large.turn(long).context) / 5


def test_one_over_the_other_is_each_piece_of_the_first_where_it_has_one():
    first, second = recalled("new", turn=4), recalled("old", "answer", turn=2)
    both = over(first, second)
    assert (both.context.representation, both.context_turn) == ("new", 4)
    assert (both.dialectic, both.dialectic_turn) == ("answer", 2)
    assert not both.behind
    assert over(None, second) is second
    assert over(first, None) is first
    assert over(None, None) is None


def test_counts_go_with_their_pieces():
    first = recalled("new", counts={"representation": 3})
    second = recalled("old", "answer", counts={"representation": 7, "card": 2, "dialectic": 5})
    assert over(first, second).counts == {"representation": 3, "dialectic": 5}
    assert over(second, first).counts == {"representation": 7, "card": 2, "dialectic": 5}
    told = Told(context_cadence=2)
    told.turn(second)
    assert told.turn().recall.counts == {"representation": 7, "card": 2}


def test_an_older_answer_beside_a_current_context_says_that_it_is_older():
    current = Recall(context=ContextResult(representation="tea"), current=True)
    mixed = over(current, recalled(dialectic="offer coffee"))
    assert (mixed.current, mixed.behind) == (True, True)
    assert SAID_BEFORE in Told().turn(mixed).context
    both = over(Recall(dialectic="offer tea", current=True), recalled("facts", "offer coffee"))
    assert (both.current, both.behind) == (True, False)
    assert SAID_NOW in Told().turn(both).context
