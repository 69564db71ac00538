"""The dialectic: levels, passes, the account, and what is told apart from nothing known."""

from __future__ import annotations

import time

import pytest

from afterturn_models.errors import (
    AccessRefused,
    InvalidIdError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    StoreUnavailableError,
    Unreachable,
)
from afterturn_models.policy.dialectic import MAX_QUERY
from afterturn_worker.flows.dialectic import Consulted

ENOUGH = "x" * 300


def test_a_question_is_asked_in_the_session_and_paid_for(ground):
    ground.honcho.answers.append("Lisbon")
    assert ground.consult() == Consulted("Lisbon", "low")
    (call,) = ground.honcho.calls
    assert (call.on.session, call.on.user, call.on.agent) == (
        ground.captures.honcho_session(ground.session), "ann", "bot",
    )  # fmt: skip
    assert call.arguments["query"] == "Where?"
    assert call.arguments["about"] == "user"
    assert 0 < call.arguments["deadline"] <= 9
    (row,) = ground.sql("SELECT peer, level, weight, outcome FROM dialectic_calls")
    assert tuple(row) == ("ann", "low", 2, "answered")


@pytest.mark.parametrize(
    ("length", "more", "level"),
    [
        (119, {}, "low"), (120, {}, "medium"), (400, {}, "high"),
        (10, {"floor": "minimal"}, "minimal"), (400, {"floor": "medium"}, "high"),
        (400, {"reasoningHeuristic": False}, "low"),
        (400, {"reasoningLevelCap": "medium"}, "medium"),
        (400, {"reasoningLevelCap": "max", "dialecticReasoningLevel": "high"}, "max"),
        (10, {"dialecticReasoningLevel": "max"}, "high"),
        (400, {"level": "minimal"}, "minimal"), (10, {"level": "max"}, "high"),
        (10, {"level": "high", "dialecticDynamic": False}, "low"),
        (9000, {"said": "short"}, "low"), (10, {"said": "x" * 400}, "high"),
    ],
)  # fmt: skip
def test_the_level(ground, length, more, level):
    came = ground.consult("x" * length, **more)
    assert came.level == level
    assert ground.honcho.calls[0].arguments["level"] == level
    assert ground.sql("SELECT level FROM dialectic_calls")[0].level == level


def test_it_asks_about_whom_and_for_whom_it_is_told(ground):
    ground.profile(owner="ann")
    ground.consult(about="agent", user="bob", asked=True, recallAsk="session")
    (call,) = ground.honcho.calls
    assert call.arguments["about"] == "agent"
    assert (call.on.user, call.on.reach, call.on.alone) == ("bob", "session", True)
    assert ground.sql("SELECT peer FROM dialectic_calls")[0].peer == "bob"  # who has it asked


@pytest.mark.parametrize("most", [100, MAX_QUERY])
def test_a_question_is_cut_to_the_limit(ground, most):
    ground.consult("x" * 20_000, dialecticMaxInputChars=most)
    assert len(ground.honcho.calls[0].arguments["query"]) == most


@pytest.mark.parametrize("answer", [None, "", "  \n\u200b"])
def test_nothing_known_is_no_refusal(ground, answer):
    ground.honcho.answers.append(answer)
    assert ground.consult() == Consulted(None, "low")
    assert ground.outcomes() == ["empty"]


class TestPasses:
    """Depth 1 to 3, each pass a call of the budget."""

    def levels(self, ground):
        return [call.arguments["level"] for call in ground.honcho.calls]

    def test_one_by_default(self, ground):
        ground.honcho.answers.append("short")
        ground.consult()
        assert self.levels(ground) == ["low"]

    def test_a_short_answer_is_followed_up(self, ground):
        ground.honcho.answers.extend(["tea", "green tea", "green tea, at four"])
        came = ground.consult("x" * 130, dialecticDepth=3)
        assert came == Consulted("green tea, at four", "low")
        assert self.levels(ground) == ["minimal", "medium", "low"]
        assert ground.outcomes() == ["answered"] * 3
        queries = [call.arguments["query"] for call in ground.honcho.calls]
        assert "tea" in queries[1]
        assert "green tea" in queries[2]

    def test_an_answer_that_is_enough_ends_it(self, ground):
        ground.honcho.answers.extend(["short", ENOUGH, "never asked"])
        assert ground.consult(dialecticDepth=3).answer == ENOUGH
        assert self.levels(ground) == ["minimal", "low"]

    def test_so_does_one_that_fills_what_is_injected(self, ground):
        ground.honcho.answers.append("x" * 50)
        assert ground.consult(dialecticDepth=3, dialecticMaxChars=50).answer == "x" * 50
        assert self.levels(ground) == ["minimal"]

    def test_levels_of_passes_as_configured(self, ground):
        ground.consult(dialecticDepth=3, dialecticDepthLevels=["medium", "high", "max"])
        assert self.levels(ground) == ["medium", "high", "high"]

    def test_after_nothing_the_question_itself_is_asked_again(self, ground):
        ground.honcho.answers.extend([None, "found"])
        assert ground.consult(dialecticDepth=2) == Consulted("found", "low")
        assert {call.arguments["query"] for call in ground.honcho.calls} == {"Where?"}

    @pytest.mark.parametrize("more", [{"asked": True}, {"one_pass": True}])
    def test_what_is_asked_for_takes_one(self, ground, more):
        ground.consult(dialecticDepth=3, **more)
        assert self.levels(ground) == ["low"]

    def test_what_was_found_outlives_a_pass_that_fails(self, ground):
        ground.honcho.answers.append("found")
        ground.honcho.before = lambda asked: ground.honcho.fail(
            "ask", *([OutcomeUnknown("500")] if len(ground.honcho.calls) == 2 else [])
        )
        assert ground.consult(dialecticDepth=3) == Consulted("found", "minimal")
        assert ground.outcomes() == ["answered", "failed"]

    def test_what_was_found_outlives_a_budget_that_ends(self, ground):
        ground.honcho.answers.append("found")
        came = ground.consult(dialecticDepth=3, dialecticCallsPerHour=1)
        assert came == Consulted("found", "minimal")
        assert ground.outcomes() == ["answered", "refused"]

    def test_all_passes_share_the_deadline(self, ground):
        ground.honcho.answers.extend(["one", "two", "three"])
        ground.honcho.before = lambda asked: time.sleep(0.3)
        came = ground.consult(dialecticDepth=3, deadline=1.4)
        assert came.answer == "two"
        deadlines = [call.arguments["deadline"] for call in ground.honcho.calls]
        assert deadlines[1] < deadlines[0] <= 1.4


class TestBudget:
    """Refusals and failures, told apart."""

    def test_a_refusal_says_why_and_asks_nothing(self, ground):
        ground.consult(dialecticCallsPerHour=1)
        came = ground.consult(dialecticCallsPerHour=1)
        assert came == Consulted(
            None, "low",
            "the budget for asking is spent: in this workspace 1 of 1 calls were made in the last"
            " hour (dialecticCallsPerHour)",
        )  # fmt: skip
        assert len(ground.honcho.calls) == 1
        assert ground.outcomes() == ["empty", "refused"]

    def test_a_user_who_has_spent_theirs_leaves_the_others_theirs(self, ground):
        limit = {"dialecticPeerCallsPerDay": 1}
        assert not ground.consult(**limit).refused
        assert "for this user" in str(ground.consult(**limit).refused)
        assert not ground.consult(user="bob", **limit).refused

    @pytest.mark.parametrize(
        "error", [Unreachable("refused"), InvalidIdError("no id"), Rejected("empty")]
    )
    def test_what_certainly_never_reached_honcho_is_given_back(self, ground, error):
        ground.honcho.fail("ask", error)
        with pytest.raises(type(error)):
            ground.consult()
        assert ground.outcomes() == []

    @pytest.mark.parametrize(
        "error",
        [
            OutcomeUnknown("timeout"), OutcomeUnknown("500", status=500), RateLimited("429"),
            AccessRefused("401", status=401), Rejected("422", status=422),
        ],
    )  # fmt: skip
    def test_what_may_run_there_is_not(self, ground, error):
        """An abandoned chat runs to its end at Honcho, and costs."""
        ground.honcho.fail("ask", error)
        with pytest.raises(type(error)):
            ground.consult()
        assert ground.outcomes() == ["failed"]

    def test_without_postgres_nothing_is_asked(self, ground, monkeypatch):
        def away(*args: object) -> None:
            raise StoreUnavailableError("away")

        monkeypatch.setattr(ground.store, "grant_call", away)
        with pytest.raises(StoreUnavailableError):
            ground.consult()
        assert not ground.honcho.calls

    def test_an_answer_outlives_a_postgres_that_goes_away_meanwhile(self, ground, monkeypatch):
        def away(*args: object) -> None:
            raise StoreUnavailableError("away")

        monkeypatch.setattr(ground.store, "settle_call", away)
        ground.honcho.answers.append("Lisbon")
        assert ground.consult().answer == "Lisbon"
        assert ground.outcomes() == ["asked"]  # paid for

    def test_no_transaction_is_open_while_honcho_thinks(self, ground):
        """Neither a lock nor a connection of the account is held over HTTP."""
        seen = []
        ground.honcho.before = lambda asked: seen.extend(
            ground.sql(
                "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                "        AND classid = 1634104420) AS locks,"
                " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                "  AND state LIKE 'idle in transaction%') AS held"
            )
        )
        ground.consult()
        assert [tuple(row) for row in seen] == [(0, 0)]
