"""Deleting a session by a worker: at Honcho first, under the lease, and nothing that is another's."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from afterturn_models.asks import Answer, Failure, Op
from afterturn_models.errors import OutcomeUnknown, Unreachable
from afterturn_models.profile import SessionProfile
from afterturn_models.store.deleting import Deletion, Place
from afterturn_models.store.facts import SessionFacts
from afterturn_worker.flows.ask import answer
from support.memory_recall import MemoryRecall

SESSION = uuid.uuid4()
FACTS = SessionFacts(1, "w", "plans", "ann", "clerk", profile=SessionProfile(owner="ann"))


class Shelf:
    """A store with one session, which may be held."""

    def __init__(self, *named: Place, held: int | Deletion = 7, messages: int | None = 4) -> None:
        self.named = list(named)
        self.held = held
        self.messages = messages
        self.log: list[Any] = []

    def session_facts(self, session_id: uuid.UUID) -> SessionFacts:
        return FACTS

    def hold(self, session_id: uuid.UUID, *, lease: float) -> int | Deletion:
        self.log.append("hold")
        assert lease > 30
        return self.held

    def let_go(self, session_id: uuid.UUID, epoch: int) -> None:
        self.log.append(("let go", epoch))

    def places(self, session_id: uuid.UUID) -> list[Place]:
        return self.named

    def delete_held(self, session_id: uuid.UUID, epoch: int, *, gone: list[str]) -> int | None:
        self.log.append(("delete", epoch, gone))
        return self.messages


def delete(shelf: Shelf, honcho: MemoryRecall) -> Answer:
    return answer(
        SESSION, Op.DELETE_SESSION, {}, user="ann", own={}, store=shelf, honcho=honcho, seconds=30,
    )  # fmt: skip


@pytest.fixture
def honcho():
    made = MemoryRecall()
    made.sessions["w", "plans"] = {}
    return made


def test_its_own_go_at_honcho_and_then_here(honcho):
    shelf = Shelf(Place("plans", shared=False), Place("old", shared=False), Place("x", shared=True))
    came = delete(shelf, honcho)
    assert came.value == {
        "deleted": ["plans"], "absent": ["old"], "shared": ["x"], "messages": 4,
    }  # fmt: skip
    assert [call.arguments["session"] for call in honcho.asked("delete_session")] == [
        "plans",
        "old",
    ]
    assert shelf.log == ["hold", ("delete", 7, ["plans", "old"])]


@pytest.mark.parametrize("why", [Deletion.GONE, Deletion.SENDING, Deletion.UNKNOWN])
def test_what_cannot_be_held_is_left_alone(honcho, why):
    shelf = Shelf(Place("plans", shared=False), held=why)
    came = delete(shelf, honcho)
    assert came.failure is Failure.REFUSED
    assert came.sentence
    assert honcho.calls == []
    assert shelf.log == ["hold"]


@pytest.mark.parametrize("error", [Unreachable("no way"), OutcomeUnknown("cut off")])
def test_where_honcho_fails_it_stays_here_and_is_let_go(honcho, error):
    honcho.fail("delete_session", error)
    shelf = Shelf(Place("plans", shared=False))
    came = delete(shelf, honcho)
    assert came.failure is Failure.OUTAGE
    assert ("may have been made" in came.sentence) == isinstance(error, OutcomeUnknown)
    assert shelf.log == ["hold", ("let go", 7)]
    assert delete(shelf, honcho).value["deleted"] == ["plans"]


def test_a_lease_that_was_lost_is_said(honcho):
    came = delete(Shelf(Place("plans", shared=False), messages=None), honcho)
    assert came.failure is Failure.REFUSED
    assert "Nothing was deleted here" in came.sentence
