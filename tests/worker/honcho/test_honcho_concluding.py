"""Conclusions: an agent's own, found, written and taken back."""

from __future__ import annotations

import pytest

from afterturn_models.errors import OutcomeUnknown, Rejected
from afterturn_worker.honcho.wording import MAX_CONCLUSION


def conclude(world, text="Likes figs.", about="user", view=None):
    return world.client.conclude(view or world.view(), about, text, deadline=10)


def conclusions(world, query=None, about="user", view=None, limit=10):
    found = world.client.conclusions(
        view or world.view(), about, query=query, limit=limit, deadline=10
    )
    return [one.text for one in found]


def unconclude(world, made, about="user", view=None):
    return world.client.unconclude(view or world.view(), about, made.id, deadline=10)


def test_it_is_there_at_once(met):
    made = conclude(met)
    assert made.text == "Likes figs."
    assert made.at.tzinfo is not None
    assert conclusions(met) == conclusions(met, "figs") == ["Likes figs."]
    assert "Likes figs." in met.client.context(met.view(), tokens=500, deadline=9).representation


def test_the_newest_come_first_and_no_more_than_the_limit(met):
    for number in range(4):
        conclude(met, f"Likes fig {number}.")
    assert conclusions(met, limit=2) == ["Likes fig 3.", "Likes fig 2."]
    assert len(conclusions(met, "fig", limit=3)) == 3
    assert len(conclusions(met, limit=1000)) == 4


def test_it_is_taken_back_by_two_requests(met):
    made = conclude(met)
    assert met.counted(lambda: unconclude(met, made)) == (2, True)
    assert conclusions(met) == []
    assert met.counted(lambda: unconclude(met, made)) == (1, False)


def test_somebody_elses_stays(met):
    """Honcho itself would delete any, by its id."""
    met.say("e", ("eve", "I am Eve."))
    others = [
        (conclude(met, view=met.view("e", "eve")), "user"),  # about another
        (conclude(met, about="agent"), "user"),  # about the agent itself
        (conclude(met, view=met.view(agent="other")), "user"),  # of another observer
        (conclude(met), "agent"),
    ]
    assert [unconclude(met, made, about) for made, about in others] == [False] * 4
    assert conclusions(met, view=met.view("e", "eve")) == ["Likes figs."]
    assert conclusions(met, view=met.view(agent="other")) == ["Likes figs."]


def test_one_deleted_meanwhile_was_not_there(met):
    made = conclude(met)
    met.control.add_rule("status", method="DELETE", path=".*", status=404)
    assert unconclude(met, made) is False


@pytest.mark.parametrize("about", ["user", "agent"])
def test_what_is_not_there_yet_is_made_first(world, about):
    """And without settings: those come with the first message."""
    assert world.counted(lambda: conclude(world, about=about))[0] == 5
    assert conclusions(world, about=about) == ["Likes figs."]
    world.say("s", ("ann", "I live in Lisbon."), ("bot", "I use short answers."))
    known = world.client.context(world.view(), tokens=500, deadline=9)
    assert "Lisbon" in known.representation


def test_an_outage_writes_once_at_most(met):
    met.control.add_rule("lose_response", method="POST", path=".*/conclusions")
    with pytest.raises(OutcomeUnknown):
        conclude(met)
    met.control.clear()
    assert conclusions(met) == ["Likes figs."]


@pytest.mark.parametrize("about", ["user", "agent"])
def test_confined_to_the_session_no_other_is_reached(met, about):
    met.say("t", ("ann", "I work at night."))
    here, there = (
        conclude(met, "Sails here.", about),
        conclude(met, "Sails there.", about, met.view("t")),
    )
    view = met.view(alone=True) if about == "agent" else met.view(reach="session")
    assert conclusions(met, None, about, view) == conclusions(met, "sails", about, view)
    assert conclusions(met, None, about, view) == ["Sails here."]
    assert not unconclude(met, there, about, view)
    assert unconclude(met, here, about, view)
    assert conclusions(met, about=about) == ["Sails there."]


def test_in_a_scope_its_sessions_are_reached(met):
    met.say("t", ("ann", "I work at night."))
    met.client.join_scope(met.workspace, "work", "t", deadline=10)
    there, _ = conclude(met, "Sails there.", view=met.view("t")), conclude(met, "Sails here.")
    view = met.view(reach="scope", scope="work")
    assert met.counted(lambda: conclusions(met, view=view)) == (2, ["Sails there."])
    assert conclusions(met, "sails", view=view) == ["Sails there."]
    assert conclusions(met, view=met.view(reach="scope", scope="none")) == []
    assert unconclude(met, there, view=view)


@pytest.mark.parametrize("text", ["", " \x00\n", "x" * (MAX_CONCLUSION + 1)])
def test_what_honcho_does_not_take_is_not_sent(met, text):
    with met.watched() as requests:
        with pytest.raises(Rejected, match="conclusion"):
            conclude(met, text)
        assert requests() == 0


def test_what_would_be_refused_for_how_it_is_written_is_mended(met):
    made = conclude(met, "Says <|endoftext|> and \ud800.")
    assert made.text.startswith("Says <")
    assert conclusions(met) == [made.text]


@pytest.mark.parametrize(("query", "limit"), [("", 5), ("\x00", 5), (None, 0)])
def test_nothing_is_looked_for_without_a_query_or_a_limit(met, query, limit):
    with met.watched() as requests:
        with pytest.raises(Rejected):
            conclusions(met, query, limit=limit)
        assert requests() == 0
