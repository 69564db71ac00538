"""The seeding flow: an agent's name on its card, once; what is kept here withdrawn."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import pytest

from afterturn_models.errors import OutcomeUnknown
from afterturn_models.policy.identity import Kind, identity_session
from afterturn_models.profile import SessionProfile
from afterturn_models.store.identity import Pair, Seed
from afterturn_worker.flows.identity import seed_identity
from afterturn_worker.flows.lease import SyncLimits

LIMITS = SyncLimits(lease=20, request=10, settling=12, margin=2)
SESSION = uuid.uuid4()


def seed(kind=Kind.NAME, kept=None):
    return Seed(
        7, kind, Pair("w", "clerk", "ann"), "clerk", "x", "clerk", uuid.uuid4(), SessionProfile(), kept
    )  # fmt: skip


@dataclass
class Seeds:
    """One seed in memory, and what became of it."""

    seed: Seed | None
    calls: list[object] = field(default_factory=list)

    def claim(self, seed_id, *, lease):
        self.calls.append(("claim", seed_id, lease))
        return self.seed

    def capture(self, seed):
        self.calls.append("capture")
        return SESSION

    def finish(self, seed_id):
        self.calls.append("finish")

    def withdraw(self, seed_id):
        self.calls.append("withdraw")

    def failed(self, seed_id, error):
        self.calls.append(("failed", error))


@dataclass
class Card:
    """A Honcho's card of the agent, which may lose answers."""

    lines: tuple[str, ...] = ()
    lost: int = 0
    sets: int = 0
    views: list[object] = field(default_factory=list)

    def card(self, view, about, *, deadline):
        assert (about, deadline) == ("agent", LIMITS.request)
        self.views.append(view)
        return self.lines

    def set_card(self, view, about, card, *, deadline):
        assert about == "agent"
        self.sets += 1
        self.lines = tuple(card)
        if self.lost:
            self.lost -= 1
            raise OutcomeUnknown("no answer")
        return self.lines


def test_the_name_is_merged_into_the_agents_own_card():
    store, honcho = Seeds(seed()), Card(("Works at night",))
    assert seed_identity(7, store, honcho, LIMITS) is None
    assert honcho.lines == ("Name: clerk", "Works at night")
    assert store.calls == [("claim", 7, 20), "finish"]
    (view,) = honcho.views
    assert (view.workspace, view.agent, view.user) == ("w", "clerk", "ann")
    assert (view.session, view.reach, view.alone) == (identity_session("clerk"), "workspace", False)


def test_a_card_that_says_the_name_is_not_written():
    store, honcho = Seeds(seed()), Card(("The agent is called Clerk.",))
    seed_identity(7, store, honcho, LIMITS)
    assert honcho.sets == 0
    assert store.calls[-1] == "finish"


def test_a_lost_answer_leaves_it_undone_and_the_next_try_writes_nothing_more():
    store, honcho = Seeds(seed()), Card(lost=1)
    with pytest.raises(OutcomeUnknown):
        seed_identity(7, store, honcho, LIMITS)
    assert store.calls[-1] == ("failed", "no answer")
    seed_identity(7, store, honcho, LIMITS)
    assert (honcho.lines, honcho.sets) == (("Name: clerk",), 1)
    assert store.calls[-1] == "finish"


def test_a_file_is_captured_and_asks_nothing_of_honcho():
    store, honcho = Seeds(seed(Kind.AGENT)), Card()
    assert seed_identity(7, store, honcho, LIMITS) == SESSION
    assert store.calls == [("claim", 7, 20), "capture"]
    assert honcho.views == []


@pytest.mark.parametrize("kind", list(Kind))
def test_what_a_setting_keeps_here_is_withdrawn(kind):
    store, honcho = Seeds(seed(kind, kept="agentMemoryMode is local")), Card()
    assert seed_identity(7, store, honcho, LIMITS) is None
    assert store.calls == [("claim", 7, 20), "withdraw"]
    assert honcho.views == []


def test_where_there_is_nothing_to_claim_nothing_is_done():
    store, honcho = Seeds(None), Card()
    assert seed_identity(7, store, honcho, LIMITS) is None
    assert store.calls == [("claim", 7, 20)]
