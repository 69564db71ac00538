"""A user seen through another agent, as a subagent sees its human: read as that one, written as itself."""

from __future__ import annotations

import pytest

from afterturn_models.errors import InvalidIdError, Rejected
from afterturn_models.values import AGENT_OBSERVING
from afterturn_worker.honcho.recall_port import Sight


@pytest.fixture
def subs(world):
    """Give the view of `sub`, whom `bot` set to work for ann, who told bot of figs."""
    world.say("talk", ("ann", "I like figs."), ("bot", "Noted."))
    peers = {"bot": AGENT_OBSERVING, "sub": AGENT_OBSERVING}
    world.client.add_peers(world.workspace, "s", peers, deadline=10)
    return world.view(agent="sub", through=Sight("bot", "workspace", "bot"))


def test_what_is_known_of_the_human_is_what_the_other_knows(world, subs):
    world.client.set_card(world.view("talk"), "user", ["Likes figs"], deadline=5)
    known = world.client.context(subs, tokens=500, deadline=5)
    assert "figs" in known.representation
    assert known.card == ("Likes figs",)
    assert world.client.card(subs, "user", deadline=5) == ("Likes figs",)
    assert "figs" in world.client.ask(subs, query="What does ann like?", level="low", deadline=5)
    itself = world.view(agent="sub")
    assert world.client.card(itself, "user", deadline=5) == ()


def test_of_itself_it_knows_what_it_knows(world, subs):
    world.client.set_card(world.view("talk"), "agent", ["I am bot"], deadline=5)
    world.client.set_card(subs, "agent", ["I am sub"], deadline=5)
    assert world.client.card(subs, "agent", deadline=5) == ("I am sub",)
    assert world.client.context(subs, tokens=500, deadline=5).ai_card == ("I am sub",)


def test_it_reads_the_others_conclusions_and_its_own_and_deletes_its_own_only(world, subs):
    client, bots = world.client, world.view("talk")
    theirs = client.conclude(bots, "user", "Ann is allergic to figs.", deadline=5)
    own = client.conclude(subs, "user", "Ann wants figs from Oslo.", deadline=5)
    for query in (None, "figs"):
        found = client.conclusions(subs, "user", query=query, limit=5, deadline=5)
        assert {own.id, theirs.id} <= {one.id for one in found}
        assert len({one.id for one in found}) == len(found)
        assert len(client.conclusions(subs, "user", query=query, limit=1, deadline=5)) == 1
    listed = client.conclusions(bots, "user", query=None, limit=5, deadline=5)
    assert own.id not in {one.id for one in listed}
    assert not client.unconclude(subs, "user", theirs.id, deadline=5)
    assert client.unconclude(subs, "user", own.id, deadline=5)


def test_the_card_is_not_its_own_to_replace(world, subs):
    with world.watched() as requests:
        with pytest.raises(Rejected, match="write a conclusion instead"):
            world.client.set_card(subs, "user", ["Hates figs"], deadline=5)
        assert requests() == 0


@pytest.mark.parametrize("sight", [Sight("a.b", "workspace"), Sight("bot", "scope", "../x")])
def test_no_request_is_made_for_what_is_no_id(world, sight):
    view = world.view(agent="sub", through=sight)
    with world.watched() as requests:
        with pytest.raises(InvalidIdError):
            world.client.context(view, tokens=500, deadline=5)
        assert requests() == 0
