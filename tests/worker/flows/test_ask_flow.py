"""An ask's flow: what is asked of Honcho, for whom, for how long, and what becomes of failures."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from afterturn_models.asks import Answer, Failure, Op
from afterturn_models.errors import (
    AccessRefused,
    HonchoFailure,
    InvalidIdError,
    Missing,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    StoreUnavailableError,
    Unreachable,
)
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.prefetched import context_payload
from afterturn_models.profile import SessionProfile
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.store.counts import Counts
from afterturn_models.store.dialectic import Ask
from afterturn_models.store.facts import SessionFacts
from afterturn_models.values import ContextResult, Scope
from afterturn_worker.flows.ask import answer
from afterturn_worker.honcho.recall_port import Conclusion, Found, SearchFilter
from support.memory_recall import AT, MemoryRecall

SESSION = uuid.uuid4()
FACTS = SessionFacts(
    workspace_id=1,
    workspace="w",
    honcho_session="family",
    user_peer="ann",
    agent_peer="clerk",
    profile=SessionProfile(owner="ann"),
)
KNOWN = ContextResult("lives in Lisbon", ("drinks tea",), "is a clerk", "they talked", ("clerk",))
CARD = ("drinks tea",)


class Books:
    """A store with one session and a budget that may be spent."""

    def __init__(self, facts: SessionFacts | None = FACTS) -> None:
        self.facts = facts
        self.refusal = ""
        self.granted: list[Ask] = []

    def session_facts(self, session_id: uuid.UUID) -> SessionFacts | None:
        assert session_id == SESSION
        return self.facts

    def counts(self, session_id: uuid.UUID) -> Counts | None:
        return Counts(7, 2)

    def grant_call(self, ask: Ask, settings: RecallSettings) -> tuple[int | None, str]:
        self.granted.append(ask)
        return (None, self.refusal) if self.refusal else (1, "")

    def settle_call(self, call: int, outcome: str) -> None:
        pass

    def give_back_call(self, call: int) -> None:
        pass


@pytest.fixture
def honcho() -> MemoryRecall:
    known = MemoryRecall()
    known.known = KNOWN
    known.cards["w", "clerk", "ann"] = CARD
    known.cards["w", "clerk", "clerk"] = ("is a clerk",)
    return known


def ask(
    honcho: MemoryRecall,
    op: Op,
    arguments: Mapping[str, Any] | None = None,
    *,
    books: Books | None = None,
    user: str = "ann",
    own: Mapping[str, Any] | None = None,
    seconds: float = 8.0,
) -> Answer:
    return answer(
        SESSION,
        op,
        arguments or {},
        user=user,
        own=own or {},
        store=books or Books(),
        honcho=honcho,
        seconds=seconds,
    )


# every operation with what it needs, and the method of Honcho's that answers it
ASKS: dict[Op, tuple[dict[str, Any], str]] = {
    Op.SESSION: ({}, "describe"),
    Op.PROFILE: ({}, "card"),
    Op.SET_PROFILE: ({"card": ["new"]}, "set_card"),
    Op.SEARCH: ({"query": "tea"}, "search"),
    Op.CONTEXT: ({}, "context"),
    Op.CONCLUSIONS: ({"query": "tea"}, "conclusions"),
    Op.LIST_CONCLUSIONS: ({}, "conclusions"),
    Op.CONCLUDE: ({"text": "likes figs"}, "conclude"),
    Op.UNCONCLUDE: ({"id": "c1"}, "unconclude"),
    Op.DIALECTIC: ({"query": "tea?"}, "ask"),
    Op.QUEUE: ({}, "pending"),
    Op.QUEUE: ({}, "pending"),
    Op.RECALL: ({"query": "tea?"}, "context"),
}
# Deleting a session asks Postgres first, and has tests of its own.
EVERY = pytest.mark.parametrize("op", ASKS)


def test_every_operation_is_here() -> None:
    assert set(ASKS) == set(Op) - {Op.DELETE_SESSION}


@EVERY
def test_it_is_one_call_about_the_one_who_speaks_within_what_is_left(honcho, op) -> None:
    arguments, method = ASKS[op]
    honcho.concluded["w", "clerk", "bob"] = [Conclusion("c1", "x", AT)]
    books = Books(replace(FACTS, profile=SessionProfile(owner="ann")))
    assert ask(honcho, op, arguments, books=books, user="bob").failure is None
    (call,) = honcho.calls
    assert call.method == method
    assert (call.on.user, call.on.agent, call.on.session) == ("bob", "clerk", "family")
    assert call.on.alone  # bob is not the owner
    assert 7.0 < call.arguments["deadline"] <= 8.0


@EVERY
def test_how_far_it_reaches_is_what_is_set_for_asks(honcho, op) -> None:
    arguments, _ = ASKS[op]
    honcho.concluded["w", "clerk", "ann"] = [Conclusion("c1", "x", AT)]
    own = {"recallAsk": "session", "recallAutomatic": "scope", "recallScope": "team"}
    ask(honcho, op, arguments, own=own)
    expected = "scope" if op is Op.RECALL else "session"  # recall comes by itself
    assert honcho.calls[0].on.reach == expected


def test_a_session_is_described_with_what_postgres_counts(honcho) -> None:
    honcho.described = {"summary": "they talked", "peers": ["ann", "clerk"]}
    assert ask(honcho, Op.SESSION).value == {
        "session": "family",
        "messages": 7,
        "unsent": 2,
        "summary": "they talked",
        "peers": ["ann", "clerk"],
    }


def test_a_session_is_described_in_part_while_honcho_is_away(honcho) -> None:
    honcho.fail("describe", Unreachable("refused"))
    value = ask(honcho, Op.SESSION).value
    assert (value["messages"], value["unsent"], value["summary"]) == (7, 2, "")
    assert value["note"] == "Honcho cannot be reached now; go on without it."


@pytest.mark.parametrize(("about", "card"), [("user", ["drinks tea"]), ("agent", ["is a clerk"])])
def test_a_card_is_read_and_set(honcho, about, card) -> None:
    assert ask(honcho, Op.PROFILE, {"about": about}).value == {"peer": about, "card": card}
    set_ = ask(honcho, Op.SET_PROFILE, {"about": about, "card": ["a", "b"]})
    assert set_.value == {"peer": about, "card": ["a", "b"]}
    assert ask(honcho, Op.PROFILE, {"about": about}).value["card"] == ["a", "b"]


def test_a_search_is_narrowed(honcho) -> None:
    honcho.found = [Found("ann", AT, "tea"), Found("clerk", AT, "noted"), Found("bob", AT, "hi")]
    found = ask(
        honcho,
        Op.SEARCH,
        {
            "query": "tea",
            "from_": "user",
            "created_after": "2026-01-01",
            "created_before": "2026-02-01T00:00:00+00:00",
            "metadata": {"a": "b"},
            "limit": 3,
        },
    )
    assert [one["by"] for one in found.value["messages"]] == ["user", "agent", "bob"]
    assert found.value["messages"][0] == {"by": "user", "at": AT.isoformat(), "text": "tea"}
    assert honcho.calls[0].arguments["limit"] == 3
    assert honcho.calls[0].arguments["narrowed"] == SearchFilter(
        "user",
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 2, 1, tzinfo=dt.UTC),
        {"a": "b"},
    )


def test_found_messages_keep_within_their_tokens(honcho) -> None:
    honcho.found = [Found("ann", AT, f"{n} tea and more of it. " * 100) for n in range(50)]
    found = ask(honcho, Op.SEARCH, {"query": "tea", "tokens": 700, "limit": 100})
    texts = [one["text"] for one in found.value["messages"]]
    assert 1 <= len(texts) < 5
    assert sum(map(estimate_tokens, texts)) <= 700


def test_context_is_the_users_or_the_agents(honcho) -> None:
    full = ask(honcho, Op.CONTEXT, {"query": "tea"}, own={"contextTokens": 1234})
    assert full.value == {
        "card": ["drinks tea"],
        "representation": "lives in Lisbon",
        "summary": "they talked",
    }
    assert honcho.calls[0].arguments["tokens"] == 1234
    assert honcho.calls[0].arguments["query"] == "tea"
    assert ask(honcho, Op.CONTEXT, {"about": "agent"}).value == {
        "card": ["clerk"],
        "representation": "is a clerk",
        "summary": "they talked",
    }
    card = ask(honcho, Op.CONTEXT, {"detail": "card", "about": "agent"}).value
    assert card == {"card": ["is a clerk"], "representation": "", "summary": ""}


def test_recall_is_what_a_prefetch_would_have_left(honcho) -> None:
    value = ask(honcho, Op.RECALL, {"query": "tea?"}, user="ann").value
    assert value == context_payload(0, KNOWN, about="ann")


def test_conclusions_are_found_listed_written_and_deleted(honcho) -> None:
    written = ask(honcho, Op.CONCLUDE, {"text": "likes figs", "about": "agent"}).value
    assert written == {"id": "c1", "text": "likes figs"}
    listed = ask(honcho, Op.LIST_CONCLUSIONS, {"about": "agent", "query": ""}).value
    assert listed == {"conclusions": [{"id": "c1", "text": "likes figs", "at": AT.isoformat()}]}
    assert ask(honcho, Op.CONCLUSIONS, {"about": "agent", "query": "figs"}).value == listed
    assert [call.arguments["query"] for call in honcho.asked("conclusions")] == [None, "figs"]
    assert ask(honcho, Op.UNCONCLUDE, {"about": "agent", "id": "c1"}).value == {"deleted": "c1"}
    gone = ask(honcho, Op.UNCONCLUDE, {"about": "agent", "id": "c1"})
    assert gone == Answer(
        failure=Failure.REFUSED, sentence="You have no conclusion 'c1' about the agent."
    )


@pytest.mark.parametrize(
    ("arguments", "own", "level"),
    [
        ({"floor": "minimal"}, {}, "minimal"),
        ({"floor": "medium"}, {}, "medium"),
        ({"query": "tea? " * 30, "floor": "minimal"}, {}, "low"),
        ({"query": "tea? " * 100, "floor": "medium"}, {}, "high"),
        ({}, {"dialecticReasoningLevel": "medium"}, "medium"),
        ({"level": "high"}, {}, "high"),
        ({"level": "high"}, {"dialecticDynamic": False}, "low"),
        ({"level": "max"}, {"reasoningLevelCap": "medium"}, "medium"),
        ({"floor": "minimal", "query": "tea? " * 100}, {"reasoningHeuristic": False}, "minimal"),
    ],
)
def test_the_level_of_a_question(honcho, arguments, own, level) -> None:
    honcho.answers.append("tea")
    said = ask(honcho, Op.DIALECTIC, {"query": "tea?", **arguments}, own=own)
    assert said.value == {"answer": "tea", "level": level}
    assert honcho.calls[0].arguments["level"] == level


def test_what_is_asked_takes_one_pass_and_reaches_as_far_as_it_was_asked(honcho) -> None:
    own = {"dialecticDepth": 3, "recallAsk": "workspace", "recallAutomatic": "session"}
    honcho.answers += ["a", "b", "c"]
    ask(honcho, Op.DIALECTIC, {"query": "tea?"}, own=own)
    ask(honcho, Op.DIALECTIC, {"query": "tea?", "asked": False}, own=own)
    assert [call.on.reach for call in honcho.calls] == ["workspace", "session"]


def test_nothing_known_is_a_value_and_not_a_failure(honcho) -> None:
    assert ask(honcho, Op.DIALECTIC, {"query": "tea?"}).value == {"answer": None, "level": "low"}


def test_a_spent_budget_is_a_sentence_and_no_request(honcho) -> None:
    books = Books()
    books.refusal = "The budget is spent; there is room again in 12 minutes."
    said = ask(honcho, Op.DIALECTIC, {"query": "tea?", "about": "agent"}, books=books)
    assert said == Answer(failure=Failure.BUDGET, sentence=books.refusal)
    assert not honcho.calls
    assert [asked.peer for asked in books.granted] == ["ann"]


LOCAL = SessionProfile(given={"userMemoryMode": "local"})
AGENT_LOCAL = SessionProfile(rest={"agentMemoryMode": "local"})
UNSAVED = SessionProfile(given={"saveMessages": "false"})


@pytest.mark.parametrize(
    "facts", [replace(FACTS, user_local=True), replace(FACTS, profile=UNSAVED)]
)
@EVERY
def test_nothing_of_a_user_whose_memory_is_local_leaves(honcho, op, facts) -> None:
    arguments, _ = ASKS[op]
    honcho.concluded["w", "clerk", "ann"] = [Conclusion("c1", "x", AT)]
    said = ask(honcho, op, arguments, books=Books(facts))
    if op in {Op.SEARCH, Op.CONCLUSIONS, Op.DIALECTIC, Op.RECALL, Op.CONCLUDE, Op.SET_PROFILE}:
        assert said.failure is Failure.LOCAL
        assert "their machine" in said.sentence
        assert not honcho.calls
    else:
        assert said.failure is None
        assert len(honcho.calls) == 1


def test_a_context_is_read_without_its_query_only(honcho) -> None:
    local = Books(replace(FACTS, user_local=True))
    assert ask(honcho, Op.CONTEXT, {"query": "tea"}, books=local).failure is Failure.LOCAL
    assert ask(honcho, Op.CONTEXT, {}, books=local).value["card"] == ["drinks tea"]


@pytest.mark.parametrize("op", [Op.CONCLUDE, Op.SET_PROFILE])
def test_facts_about_an_agent_whose_memory_is_local_stay_too(honcho, op) -> None:
    arguments, _ = ASKS[op]
    books = Books(replace(FACTS, profile=AGENT_LOCAL))
    assert ask(honcho, op, {**arguments, "about": "agent"}, books=books).failure is Failure.LOCAL
    assert ask(honcho, op, arguments, books=books).failure is None
    by_postgres = replace(FACTS, said={Scope.WORKSPACE: {"memoryMode": "local"}})
    said = ask(honcho, op, {**arguments, "about": "agent"}, books=Books(by_postgres))
    assert said.failure is Failure.LOCAL


@pytest.mark.parametrize(
    ("op", "arguments", "sentence"),
    [
        (Op.SEARCH, {}, "query is needed."),
        (Op.SEARCH, {"query": " "}, "query is needed."),
        (Op.SEARCH, {"query": 7}, "query is needed."),
        (Op.SEARCH, {"query": "x", "created_after": "soon"}, "created_after is no time in ISO"),
        (Op.SEARCH, {"query": "x", "metadata": {"a": 1}}, "metadata must be an object of texts."),
        (Op.CONCLUSIONS, {}, "query is needed."),
        (Op.CONCLUDE, {}, "text is needed."),
        (Op.UNCONCLUDE, {}, "id is needed."),
        (Op.SET_PROFILE, {"card": "x"}, "card must be a list of texts."),
        (Op.SET_PROFILE, {"card": [1]}, "card must be a list of texts."),
        (Op.DIALECTIC, {}, "query is needed."),
        (Op.DIALECTIC, {"query": "x", "floor": 7}, "floor is needed."),
        (Op.RECALL, {}, "query is needed."),
    ],
)
def test_arguments_are_checked_here_as_well(honcho, op, arguments, sentence) -> None:
    said = ask(honcho, op, arguments)
    assert said.failure is Failure.REFUSED
    assert said.sentence.startswith(sentence)
    assert not honcho.calls


@pytest.mark.parametrize("limit", [0, -3, 10_000, "many", True, None])
def test_a_limit_is_brought_within_bounds(honcho, limit) -> None:
    ask(honcho, Op.LIST_CONCLUSIONS, {"limit": limit})
    assert 1 <= honcho.calls[0].arguments["limit"] <= 100


def test_a_session_that_is_gone_is_said(honcho) -> None:
    said = ask(honcho, Op.PROFILE, books=Books(None))
    assert said.failure is Failure.REFUSED
    assert "not known any more" in said.sentence


FAILURES: list[tuple[HonchoFailure, Failure, str]] = [
    (OutcomeUnknown("Honcho answers 500", status=500), Failure.OUTAGE, "Honcho failed (Honcho"),
    (OutcomeUnknown("Honcho did not answer in full"), Failure.OUTAGE, "Honcho failed (Honcho did"),
    (Unreachable("refused"), Failure.OUTAGE, "Honcho cannot be reached now"),
    (
        RateLimited("429", retry_after=7.2),
        Failure.OUTAGE,
        "Honcho takes no more requests now; wait",
    ),
    (RateLimited("429"), Failure.OUTAGE, "Honcho takes no more requests now; wait."),
    (AccessRefused("401", status=401), Failure.REFUSED, "Honcho refuses the workers' key"),
    (Rejected("422: too long", status=422), Failure.REFUSED, "Honcho does not take it: 422"),
    (InvalidIdError("no id"), Failure.REFUSED, "Honcho does not take it: no id"),
    (Missing("404", status=404), Failure.REFUSED, "Honcho does not know it (404)"),
]


@pytest.mark.parametrize("op", [op for op in ASKS if op is not Op.SESSION])
@pytest.mark.parametrize(("error", "failure", "sentence"), FAILURES, ids=lambda v: str(v)[:20])
def test_a_failure_of_honchos_is_a_sentence(honcho, op, error, failure, sentence) -> None:
    arguments, method = ASKS[op]
    honcho.fail(method, error)
    said = ask(honcho, op, arguments)
    assert said.value is None
    assert said.failure is failure
    assert said.sentence.startswith(sentence)
    writes = op in {Op.SET_PROFILE, Op.CONCLUDE, Op.UNCONCLUDE}
    unknown = isinstance(error, OutcomeUnknown)
    assert ("may have been made" in said.sentence) == (writes and unknown)


@EVERY
def test_a_deadline_that_passes_is_a_timeout(honcho, op) -> None:
    arguments, method = ASKS[op]
    honcho.before = lambda asked: time.sleep(0.3)
    honcho.fail(method, OutcomeUnknown("Honcho did not answer in full: timed out"))
    said = ask(honcho, op, arguments, seconds=0.3)
    if op is Op.SESSION:
        assert "did not answer within 0.3 s" in said.value["note"]
    else:
        assert said.failure is Failure.TIMEOUT
        assert said.sentence.startswith("Honcho did not answer within 0.3 s")


@EVERY
def test_without_time_left_nothing_is_asked(honcho, op) -> None:
    arguments, _ = ASKS[op]
    said = ask(honcho, op, arguments, seconds=0.02)
    assert said.failure is Failure.TIMEOUT
    assert not honcho.calls


def test_postgres_away_is_raised(honcho) -> None:
    class Away(Books):
        def session_facts(self, session_id: uuid.UUID) -> SessionFacts | None:
            raise StoreUnavailableError("away")

    with pytest.raises(StoreUnavailableError):
        ask(honcho, Op.PROFILE, books=Away())


@EVERY
def test_every_answer_is_json_and_comes_back(honcho, op) -> None:
    import json

    from afterturn_models.asks import decode_answer

    arguments, _ = ASKS[op]
    honcho.found = [Found("ann", AT, "tea")]
    honcho.concluded["w", "clerk", "ann"] = [Conclusion("c1", "x", AT)]
    said = ask(honcho, op, arguments)
    stored = json.dumps({"status": "SUCCESS", "result": said.as_json()})
    assert decode_answer(stored) == said
