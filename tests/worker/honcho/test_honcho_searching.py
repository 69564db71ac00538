"""Searching messages: within the session everything, beyond it the user's own words only."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from afterturn_models.errors import Rejected
from afterturn_models.values import Outgoing, Role
from afterturn_worker.honcho.recall_port import SearchFilter
from support.recall_world import BEGAN


@pytest.fixture
def told(world):
    """Give ann's figs in two sessions, and what the bot said of them to her and to eve."""
    world.say("s", ("ann", "I eat figs."), ("bot", "Figs are sweet."))
    world.say("t", ("ann", "My tree has figs."), ("bot", "Figs need sun."))
    world.say("e", ("eve", "Eve steals figs."), ("bot", "Eve should not steal figs."))
    return world


def texts(world, query="figs", view=None, limit=10, **narrowed):
    found = world.client.search(
        view or world.view(), query, SearchFilter(**narrowed), limit=limit, deadline=10
    )
    return {one.text for one in found}


def test_the_session_whole_and_elsewhere_the_user_alone(told):
    assert texts(told) == {"I eat figs.", "Figs are sweet.", "My tree has figs."}


def test_it_says_who_when_and_what(told):
    found = told.client.search(
        told.view(), "sweet figs", SearchFilter(by="agent"), limit=1, deadline=10
    )
    assert [(one.peer, one.at, one.text) for one in found] == [
        ("bot", BEGAN + timedelta(minutes=2), "Figs are sweet.")
    ]


@pytest.mark.parametrize(
    ("by", "found", "requests"),
    [
        ("user", {"I eat figs.", "My tree has figs."}, 1),
        ("agent", {"Figs are sweet."}, 1),
        ("all", {"I eat figs.", "Figs are sweet.", "My tree has figs."}, 2),
    ],
)
def test_it_is_narrowed_by_who_spoke(told, by, found, requests):
    assert told.counted(lambda: texts(told, by=by)) == (requests, found)


@pytest.mark.parametrize(
    ("by", "found"),
    [
        ("user", {"I eat figs."}),
        ("agent", {"Figs are sweet."}),
        ("all", {"I eat figs.", "Figs are sweet."}),
    ],
)
def test_confined_to_the_session_it_is_one_request(told, by, found):
    view = told.view(reach="session")
    assert told.counted(lambda: texts(told, view=view, by=by)) == (1, found)


def test_in_a_scope_it_is_the_scopes_sessions(told):
    told.client.join_scope(told.workspace, "orchard", "t", deadline=10)
    told.say("u", ("ann", "I sell figs."))
    view = told.view(reach="scope", scope="orchard")
    assert texts(told, view=view) == {"I eat figs.", "Figs are sweet.", "My tree has figs."}
    assert texts(told, view=view, by="user") == {"My tree has figs."}
    nowhere = told.view(reach="scope", scope="none")
    assert texts(told, view=nowhere) == {"I eat figs.", "Figs are sweet."}


def test_it_is_narrowed_by_time_inclusively(told):
    second, third = (BEGAN + timedelta(minutes=n) for n in (2, 3))
    assert texts(told, created_after=second) == {"Figs are sweet.", "My tree has figs."}
    assert texts(told, created_before=second) == {"I eat figs.", "Figs are sweet."}
    assert texts(told, created_after=third, created_before=third) == {"My tree has figs."}


def test_it_is_narrowed_by_metadata(told):
    at = BEGAN + timedelta(days=1)
    row = Outgoing(uuid.uuid4(), 9, Role.USER, "ann", "s", "More figs.", at, part=1, parts=2)
    told.client.send(told.workspace, "s", [row], deadline=10)
    assert texts(told, metadata={"part": "1"}) == {"More figs."}
    assert texts(told, metadata={"part": "1", "parts": "3"}) == set()


def test_no_message_is_found_twice_and_no_more_than_the_limit(world):
    world.say("s", *(("ann", f"I eat fig number {n}.") for n in range(60)))
    world.say("t", *(("ann", f"I ate fig number {n}.") for n in range(60)))
    found = world.client.search(world.view(), "fig", SearchFilter(), limit=500, deadline=10)
    assert len(found) == len({one.text for one in found}) == 100
    assert len(texts(world, "fig", limit=7)) == 7
    here = texts(world, "fig", limit=10)
    assert 0 < sum("ate" in text for text in here) < 10  # the lists take turns


@pytest.mark.parametrize(("query", "limit"), [("", 5), (" \x00", 5), ("figs", 0), ("figs", -1)])
def test_what_honcho_does_not_take_is_not_sent(told, query, limit):
    with told.watched() as requests:
        with pytest.raises(Rejected):
            texts(told, query, limit=limit)
        assert requests() == 0


def test_any_text_may_be_searched_for(told):
    assert "I eat figs." in texts(told, "figs <|endoftext|> \ud800" + "?" * 50_000)
