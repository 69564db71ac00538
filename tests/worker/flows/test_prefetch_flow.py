"""What a prefetch asks Honcho, and what it never does."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from afterturn_models.errors import HonchoFailure, OutcomeUnknown
from afterturn_models.prefetched import context_payload
from afterturn_models.settings import Settings
from afterturn_models.store.facts import SessionFacts, TurnFacts
from afterturn_models.values import ContextResult
from afterturn_worker.flows.prefetch import (
    MAX_QUERY,
    dialectic_query,
    prefetch_context,
    prefetch_dialectic,
)

SESSION = uuid.uuid4()
FACTS = TurnFacts(
    SessionFacts(
        workspace_id=1, workspace="w", honcho_session="s", user_peer="ann", agent_peer="bot"
    ),
    turn=3,
    user_text="where do I live?",
)
KNOWN = ContextResult("lives in Lisbon", ("card",), "is a bot", "they talked")
SETTINGS = Settings(contextTokens=1234, requestSeconds=7, chatSeconds=55)


class Turns:
    def __init__(self, facts: TurnFacts | None) -> None:
        self._facts = facts

    def last_turn(self, session_id: uuid.UUID) -> TurnFacts | None:
        assert session_id == SESSION
        return self._facts


class Asked:
    """A `HonchoPort` that notes what it is asked."""

    def __init__(self, answer: str | None = "Lisbon", failure: HonchoFailure | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._answer = answer
        self._failure = failure

    def context(self, workspace: str, session: str, **more: Any) -> ContextResult:
        self._note(workspace, session, more)
        return KNOWN

    def ask(self, workspace: str, session: str, **more: Any) -> str | None:
        self._note(workspace, session, more)
        return self._answer

    def _note(self, workspace: str, session: str, more: dict[str, Any]) -> None:
        self.calls.append({"place": (workspace, session), **more})
        if self._failure:
            raise self._failure


BOTH = pytest.mark.parametrize("prefetch", [prefetch_context, prefetch_dialectic])


@BOTH
@pytest.mark.parametrize("turn", [2, 4])
def test_another_turns_prefetch_asks_nothing(prefetch, turn: int) -> None:
    honcho = Asked()
    assert prefetch(SESSION, turn, Turns(FACTS), honcho, SETTINGS) is None
    assert not honcho.calls


@BOTH
def test_a_session_that_is_gone_asks_nothing(prefetch) -> None:
    honcho = Asked()
    assert prefetch(SESSION, 3, Turns(None), honcho, SETTINGS) is None
    assert not honcho.calls


@BOTH
def test_an_outage_is_not_nothing_known(prefetch) -> None:
    with pytest.raises(OutcomeUnknown):
        prefetch(SESSION, 3, Turns(FACTS), Asked(failure=OutcomeUnknown("500")), SETTINGS)


def test_context_is_read_through_the_agents_eyes_within_the_budget() -> None:
    honcho = Asked()
    found = prefetch_context(SESSION, 3, Turns(FACTS), honcho, SETTINGS)
    assert found == context_payload(3, KNOWN, about="ann")
    assert honcho.calls == [
        {"place": ("w", "s"), "user": "ann", "agent": "bot", "tokens": 1234, "deadline": 7}
    ]


def test_the_dialectic_is_asked_about_what_was_said() -> None:
    honcho = Asked()
    found = prefetch_dialectic(SESSION, 3, Turns(FACTS), honcho, SETTINGS)
    assert found == {"turn": 3, "about": "ann", "dialectic": "Lisbon"}
    (call,) = honcho.calls
    assert call.pop("query").endswith("where do I live?")
    assert call == {
        "place": ("w", "s"),
        "user": "ann",
        "agent": "bot",
        "level": "low",
        "deadline": 55,
    }


def test_local_text_is_never_a_query_and_context_is_read_all_the_same() -> None:
    local, honcho = Turns(replace(FACTS, user_text=None)), Asked()
    assert prefetch_dialectic(SESSION, 3, local, honcho, SETTINGS) is None
    assert not honcho.calls
    assert prefetch_context(SESSION, 3, local, honcho, SETTINGS)
    assert "query" not in honcho.calls[0]


@pytest.mark.parametrize("answer", [None, ""])
def test_an_answer_that_says_nothing_is_none(answer: str | None) -> None:
    assert prefetch_dialectic(SESSION, 3, Turns(FACTS), Asked(answer), SETTINGS) is None


@pytest.mark.parametrize("said", ["x" * 50_000, "\U0001f600" * 50_000, ""])
def test_a_query_fits_honchos_limit(said: str) -> None:
    query = dialectic_query(said)
    assert len(query) <= MAX_QUERY
    assert query.endswith(said[:9000])


@pytest.mark.parametrize(
    ("length", "floor", "level"),
    [
        (119, "low", "low"),
        (120, "low", "medium"),
        (400, "low", "high"),
        (400, "high", "high"),
        (10, "minimal", "minimal"),
    ],
)
def test_the_level_follows_the_message(length: int, floor: str, level: str) -> None:
    honcho = Asked()
    settings = Settings(dialecticReasoningLevel=floor)
    turns = Turns(replace(FACTS, user_text="x" * length))
    prefetch_dialectic(SESSION, 3, turns, honcho, settings)
    assert honcho.calls[0]["level"] == level
