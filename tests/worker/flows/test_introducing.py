"""Introducing: everybody is a member as configured before their first message, told once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from afterturn_models.profile import Observation, SessionProfile, observation
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.values import (
    AGENT_OBSERVING,
    PARENT_OBSERVING,
    USER_OBSERVING,
    Observing,
    Scope,
    Standing,
)
from afterturn_worker.flows.introducing import Introducing
from afterturn_worker.flows.sync import sync_session
from support.memory_honcho import MemoryHoncho
from support.memory_ports import Clock, MemoryStore
from support.memory_recall import MemoryRecall
from support.sync_world import LIMITS

ALL = Observing(True, True)
NONE = Observing(False, False)


class Everything(MemoryHoncho, MemoryRecall):
    """Both ports of one Honcho in memory."""

    def __init__(self, clock: Clock) -> None:
        MemoryHoncho.__init__(self, clock)
        MemoryRecall.__init__(self)


class Store(MemoryStore):
    """A store that counts its questions, and whose claims say what a test says."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.told: dict = {"user_peer": "ann"}
        self.questions = 0

    def claim(self, *args, **more):
        claim = super().claim(*args, **more)
        return claim and replace(claim, **self.told)

    def unknown_members(self, *args):
        self.questions += 1
        return super().unknown_members(*args)


class World:
    """A session whose sync runs on ports in memory."""

    def __init__(self) -> None:
        clock = Clock()
        self.store, self.honcho = Store(clock), Everything(clock)
        self.session = self.store.open("w", "s")

    def say(self, *speakers: str) -> None:
        for speaker in speakers:
            row = self.store.capture(self.session, "a" if speaker == "bot" else "u")[0]
            row.peer = speaker

    def sync(self, own=None) -> None:
        synced = sync_session(
            self.session, self.store, self.honcho, LIMITS, own=own, clock=self.store.clock
        )
        assert synced is Standing.SYNCED
        assert not self.honcho.strangers

    @property
    def members(self) -> dict[str, Observing]:
        return {peer: each for (_, _, peer), each in self.honcho.joined.items()}


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (USER_OBSERVING, AGENT_OBSERVING)),  # the spec's
        ({"observationMode": "directional"}, (ALL, ALL)),  # Hermes' presets
        ({"observationMode": "unified"}, (Observing(True, False), Observing(False, True))),
        ({"observationMode": "unified", "observation": {"ai": {"observeMe": True}}},
         (Observing(True, False), ALL)),
        ({"observation": {"user": {"observeMe": False}, "ai": {"observeOthers": False}}},
         (NONE, Observing(True, False))),
    ],
)  # fmt: skip
def test_presets_and_fields(settings, expected):
    made = observation(RecallSettings.model_validate(settings))
    assert (made.user, made.agent) == expected
    assert made.parent == PARENT_OBSERVING


def test_the_owner_alone_observes_others_where_that_is_asked_for():
    made = observation(RecallSettings(owner_observe_others=True))
    assert made == Observation(owner=ALL)
    silent = {"user": {"observeOthers": False}}
    told = RecallSettings(owner_observe_others=True, observation=silent)
    assert observation(told).owner == USER_OBSERVING


def test_a_guest_observes_nobody_whatever_the_preset():
    """Honcho takes ten observers a session; the eleventh speaker would stop it for good."""
    made = observation(RecallSettings(observation_mode="directional"))
    assert made.guest == USER_OBSERVING


def test_everybody_joins_before_their_first_message_and_is_asked_about_once_a_batch(world):
    world.say("ann", "bot", "bob")
    world.sync()
    assert world.members == {"ann": USER_OBSERVING, "bot": AGENT_OBSERVING, "bob": USER_OBSERVING}
    world.say("ann", "bot")
    world.sync()
    assert world.store.questions == world.honcho.posts == 2
    assert not world.honcho.calls  # no scope, nothing to note


def test_the_agent_joins_with_the_first_message_whoever_speaks(world):
    world.say("ann")
    world.sync()
    assert world.members == {"ann": USER_OBSERVING, "bot": AGENT_OBSERVING}


@pytest.mark.parametrize("where", ["given", "said", "rest", "own"])
def test_settings_come_from_the_session_postgres_and_the_worker(world, where):
    """What comes first wins: keyword arguments, Postgres, the agent's rest, the worker's own."""
    order = ["given", "said", "rest", "own"]
    later = order[order.index(where) + 1 :]
    layers = {name: {"observationMode": "unified"} for name in later}
    layers[where] = {"observationMode": "directional"}
    profile = SessionProfile(given=layers.get("given", {}), rest=layers.get("rest", {}))
    world.store.told |= {
        "details": profile.as_json(),
        "said": {Scope.WORKSPACE: layers.get("said", {})},
    }
    world.say("ann", "bot", "bob")
    world.sync(own=layers.get("own", {}))
    assert world.members == {"ann": ALL, "bot": ALL, "bob": USER_OBSERVING}


def test_only_the_owner_is_the_owner(world):
    told = SessionProfile(given={"ownerObserveOthers": True}, owner="ann")
    world.store.told |= {"details": told.as_json()}
    world.say("ann", "bob")
    world.sync()
    assert (world.members["ann"], world.members["bob"]) == (ALL, USER_OBSERVING)


def test_a_subagents_parent_observes_and_is_noted_once(world):
    told = SessionProfile(observer="boss", about="ann", owner="ann")
    world.store.told |= {"details": told.as_json(), "user_peer": "boss"}
    world.say("boss", "bot")
    world.sync()
    assert world.members == {"boss": PARENT_OBSERVING, "bot": AGENT_OBSERVING}
    world.say("boss", "bot")
    world.sync()
    assert world.honcho.sessions["w", "s"] == {"parentPeerId": "boss"}
    assert len(world.honcho.asked("note_session")) == 1


def test_a_parent_joins_with_the_first_message_whoever_speaks(world):
    told = SessionProfile(observer="boss", about="ann")
    world.store.told |= {"details": told.as_json(), "user_peer": "boss"}
    world.say("bot")
    world.sync()
    assert world.members == {"boss": PARENT_OBSERVING, "bot": AGENT_OBSERVING}


def test_an_agent_that_works_for_itself_is_observed_as_an_agent(world):
    told = SessionProfile(observer="bot", about="ann")
    world.store.told |= {"details": told.as_json(), "user_peer": "bot"}
    world.say("bot")
    world.sync()
    assert world.members == {"bot": AGENT_OBSERVING}


@pytest.mark.parametrize("key", ["recallAutomatic", "recallAsk"])
def test_where_recall_is_by_scope_the_session_joins_it_once(world, key):
    world.store.told |= {"said": {Scope.WORKSPACE: {key: "scope", "recallScope": "home"}}}
    for _ in range(2):
        world.say("ann", "bot")
        world.sync()
    assert world.honcho.scopes == {("w", "home"): ["s"]}
    assert len(world.honcho.asked("join_scope")) == 1
    assert set(world.members) == {"ann", "bot"}


def test_a_scope_that_nobody_named_is_each_agents_own(world):
    world.say("ann", "bot")
    world.sync(own={"recallAutomatic": "scope"})
    assert world.honcho.scopes == {("w", "bot"): ["s"]}


def test_a_scope_that_is_named_later_is_joined_with_the_next_message(world):
    world.say("ann", "bot")
    world.sync()
    world.say("ann")
    world.sync(own={"recallAutomatic": "scope", "recallScope": "home"})
    assert world.honcho.scopes == {("w", "home"): ["s"]}


def test_what_is_no_id_is_left_to_the_message_that_has_it(world):
    world.say("ann", "no id")
    claim = world.store.claim(world.session, lease=20)
    rows = world.store.outgoing(world.session, after=0, upto=2, limit=2)
    assert set(Introducing(claim, {}).wanted(rows)) == {"ann", "bot"}
