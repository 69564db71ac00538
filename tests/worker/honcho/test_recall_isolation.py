"""Two users of one agent: nothing of one is in what is recalled for the other."""

from __future__ import annotations

import itertools

import pytest

from afterturn_worker.honcho.recall_port import SearchFilter

SECRETS = {"ann": "aardvark", "eve": "elephant"}
ABOUT = ("user", "agent")


@pytest.fixture
def both(world):
    """Give ann and eve, each in two sessions with the same bot, with secrets in every place."""
    for user, secret in SECRETS.items():
        for session in (f"{user}-1", f"{user}-2"):
            heard = f"I use the {secret} of {user} in {session}."
            world.say(session, (user, f"I own an {secret} in {session}."), ("bot", heard))
        view = world.view(f"{user}-1", user)
        world.client.set_card(view, "user", [f"Owns an {secret}"], deadline=10)
        world.client.conclude(view, "user", f"Loves the {secret}.", deadline=10)
        world.client.conclude(view, "agent", f"Feeds the {secret}.", deadline=10)
    world.client.set_card(world.view("ann-1"), "agent", ["Guards the aardvark"], deadline=10)
    return world


def recalled(world, view) -> str:
    """Give the text of everything that can be recalled in a view."""
    client, query = world.client, "Who owns the aardvark or the elephant?"
    everything = [client.context(view, tokens=2000, deadline=10, query=query)]
    everything.append(client.context(view, tokens=2000, deadline=10))
    for about in ABOUT:
        everything.append(client.ask(view, query=query, level="low", deadline=10, about=about))
        everything.append(client.card(view, about, deadline=10))
        for asked in (query, None):
            found = client.conclusions(view, about, query=asked, limit=100, deadline=10)
            everything.append(found)
    for by in ("user", "agent", "all"):
        narrowed = SearchFilter(by=by)
        everything.append(client.search(view, query, narrowed, limit=100, deadline=10))
    everything.append(client.describe(view, deadline=10))
    return repr(everything)


@pytest.mark.parametrize("reach", ["session", "scope", "workspace"])
@pytest.mark.parametrize(("user", "other"), list(itertools.permutations(SECRETS)))
def test_nothing_of_the_other_user_is_recalled(both, user, other, reach):
    session = f"{user}-2"
    both.client.join_scope(both.workspace, f"of-{user}", session, deadline=10)
    view = both.view(session, user, reach=reach, scope=f"of-{user}", alone=True)
    text = recalled(both, view)
    assert SECRETS[user] in text
    assert SECRETS[other] not in text
    assert other not in text


def test_the_owner_recalls_the_agent_whole_and_no_other_user(both):
    """What the agent concluded of itself is its owner's to read; what eve said is not."""
    view = both.view("ann-2", "ann")
    known = both.client.context(view, tokens=2000, deadline=10)
    assert "elephant" in known.ai_representation
    assert "elephant" not in known.representation + "".join(known.card)
    found = both.client.search(view, "elephant", SearchFilter(), limit=100, deadline=10)
    assert not [one for one in found if "elephant" in one.text]


def test_two_workspaces_share_nothing(both):
    away = both.view("ann-1", "ann")
    away = type(away)("w-elsewhere", away.session, away.user, away.agent)
    assert "aardvark" not in recalled(both, away).replace("Who owns the aardvark", "")
