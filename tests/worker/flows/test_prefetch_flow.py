"""What is read and asked after a turn and before the first, and what never is."""

from __future__ import annotations

import uuid

import pytest

from afterturn_models.errors import StoreUnavailableError
from afterturn_models.prefetched import context_payload, dialectic_payload
from afterturn_models.values import ContextResult
from afterturn_worker.flows.prefetch import LeftAloneError

KNOWN = ContextResult("lives in Lisbon", ("card",), "is a bot", "they talked")
BOTH = ["context", "dialectic"]


class TestContext:
    """What is read for the next turn."""

    def test_it_is_read_through_the_agents_eyes_within_the_budget(self, ground):
        ground.honcho.known = KNOWN
        ground.own = {"contextTokens": 1234, "recallAutomatic": "session"}
        turn = ground.say("Where do I live?", "Hm.")
        prepared = context_payload(turn, KNOWN, about="ann", tokens=1234, beside=200)
        assert ground.context(turn) == prepared
        (call,) = ground.honcho.calls
        assert (call.on.user, call.on.agent, call.on.reach) == ("ann", "bot", "session")
        assert call.arguments == {"tokens": 1234, "deadline": 9.0, "query": "Where do I live?"}

    @pytest.mark.parametrize(("cadence", "cut"), [(1, True), (0, False)])
    def test_it_leaves_room_for_an_answer_where_one_may_come(self, ground, cadence, cut):
        whole = "word " * 190
        ground.honcho.known = ContextResult(representation=whole)
        ground.own = {"contextTokens": 250, "dialecticCadence": cadence}
        found = ground.context(ground.say("Where do I live?", "Hm."))
        assert (len(found["context"]["representation"]) < len(whole.strip())) is cut

    def test_nobody_is_searched_for_by_thanks(self, ground):
        ground.context(ground.say("Thanks!", "Hm."))
        assert ground.honcho.calls[0].arguments["query"] is None

    def test_nor_by_local_text(self, ground):
        turn = ground.say("my secret question", "Hm.")
        ground.sql("UPDATE messages SET delivery = 'local', reason = 'mode' WHERE role = 'user'")
        assert ground.context(turn) is not None
        assert ground.honcho.calls[0].arguments["query"] is None

    def test_it_may_be_read_again(self, ground):
        """A session is opened again, or the task ran twice: it costs no LLM call."""
        turn = ground.say("Where do I live?", "Hm.")
        assert ground.context(turn) == ground.context(turn) is not None


class TestDialectic:
    """What is asked for the next turn."""

    def test_it_is_asked_about_what_was_said(self, ground):
        ground.honcho.answers.append("Lisbon")
        turn = ground.say("Where do I live?", "Hm.")
        assert ground.dialectic(turn) == dialectic_payload(turn, "Lisbon", about="ann")
        (call,) = ground.honcho.calls
        assert call.arguments["query"].endswith("Where do I live?")
        assert call.arguments["level"] == "low"
        assert call.arguments["deadline"] <= 9.0

    @pytest.mark.parametrize(("length", "level"), [(119, "low"), (120, "medium"), (400, "high")])
    def test_the_level_follows_the_message_and_not_our_phrasing(self, ground, length, level):
        ground.dialectic(ground.say("x" * length, "Hm."))
        assert ground.honcho.calls[0].arguments["level"] == level

    @pytest.mark.parametrize("rewrite", [True, False])
    def test_a_rewritten_query_carries_the_turn_before(self, ground, rewrite):
        ground.own = {"queryRewrite": rewrite}
        ground.say("Where are my red keys?", "On the shelf.")
        ground.dialectic(ground.say("And the blue ones?", "Hm."))
        query = ground.honcho.calls[0].arguments["query"]
        assert ("Where are my red keys?\nOn the shelf." in query) is rewrite
        assert query.endswith("And the blue ones?")

    def test_an_answer_is_cut_for_the_prompt(self, ground):
        ground.own = {"dialecticMaxChars": 50}
        ground.honcho.answers.append("word " * 100)
        found = ground.dialectic(ground.say("Where do I live?", "Hm."))
        assert len(found["dialectic"]) <= 50
        assert found["dialectic"].endswith("word…")

    def test_local_text_is_never_a_query(self, ground):
        turn = ground.say("my secret question", "Hm.")
        ground.sql("UPDATE messages SET delivery = 'local', reason = 'mode' WHERE role = 'user'")
        assert "dialectic" not in ground.fired()
        assert ground.dialectic(turn) is None
        assert not ground.honcho.calls

    def test_a_turn_is_asked_about_once(self, ground):
        """The second run leaves the first one's result where it is."""
        ground.honcho.answers.extend(["Lisbon", "Lisbon"])
        turn = ground.say("Where do I live?", "Hm.")
        assert ground.dialectic(turn)
        with pytest.raises(LeftAloneError):
            ground.dialectic(turn)
        assert len(ground.honcho.calls) == 1

    def test_an_answer_outlives_a_postgres_that_goes_away_meanwhile(self, ground, monkeypatch):
        def away(*args, **more):
            raise StoreUnavailableError("away")

        monkeypatch.setattr(ground.store, "note_dialectic", away)
        ground.honcho.answers.append("Lisbon")
        assert ground.dialectic(ground.say("Where do I live?", "Hm.")) is not None

    def test_the_budget_of_the_session_holds(self, ground):
        ground.profile(given={"dialecticPeerCallsPerDay": 1})
        ground.honcho.answers.extend(["Lisbon", "Porto"])
        assert ground.dialectic(ground.say("Where do I live?", "Hm."))
        assert ground.dialectic(ground.say("Where did I live?", "Hm.")) is None
        assert ground.outcomes() == ["answered", "refused"]


class TestBeforeTheFirstTurn:
    """Pre-warm: a session opens, and nothing has been said."""

    def test_context_is_read(self, ground):
        ground.honcho.known = KNOWN
        assert ground.context(0) == context_payload(0, KNOWN, about="ann", beside=200)
        assert ground.honcho.calls[0].arguments["query"] is None

    def test_the_dialectic_is_asked_in_general_at_the_floor_in_one_pass(self, ground):
        ground.own = {"dialecticDepth": 3, "dialecticReasoningLevel": "minimal"}
        ground.honcho.answers.append("Likes tea.")
        assert ground.dialectic(0) == dialectic_payload(0, "Likes tea.", about="ann")
        made, asked = ground.honcho.calls
        assert made.method == "note_session"  # Honcho answers 404 in a session that it has not
        assert asked.arguments["level"] == "minimal"
        assert "begins" in asked.arguments["query"]

    def test_once_a_session(self, ground):
        assert ground.dialectic(0) is None  # nothing known
        with pytest.raises(LeftAloneError):
            ground.dialectic(0)
        assert len(ground.honcho.asked("ask")) == 1

    def test_and_the_first_turn_fires_all_the_same(self, ground):
        ground.own = {"dialecticCadence": 5, "contextCadence": 5}
        ground.context(0)
        ground.dialectic(0)
        ground.say("Where do I live?", "Hm.")
        assert ground.fired() == BOTH
        assert ground.cursor()["empty_dialectics"] == 0  # it says nothing of what comes

    def test_not_once_something_was_said(self, ground):
        ground.say("Where do I live?", "Hm.")
        assert ground.dialectic(0) is None
        assert ground.context(0) is None
        assert not ground.honcho.calls

    @pytest.mark.parametrize(
        "said", [{"userMemoryMode": "local"}, {"memoryMode": "local"}, {"saveMessages": "false"}]
    )
    def test_of_a_local_user_nothing_is_asked_nor_made_at_honcho(self, ground, said):
        ground.profile(given=said)
        assert ground.dialectic(0) is None
        assert not ground.honcho.calls
        assert ground.context(0) is not None

    def test_a_session_opened_again_is_read_again(self, ground):
        ground.own = {"contextCadence": 5}
        for _ in range(2):
            turn = ground.say("Where do I live?", "Hm.")
        assert ground.context(turn) is not None
        ground.say("Where do I live?", "Hm.")
        assert "context" not in ground.fired()  # and its cadence counts from there


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("turn", [1, 3])
def test_another_turns_prefetch_asks_nothing(ground, kind, turn):
    for _ in range(2):
        ground.say("Where do I live?", "Hm.")
    assert getattr(ground, kind)(turn) is None
    assert not ground.honcho.calls


@pytest.mark.parametrize("kind", BOTH)
def test_a_session_that_is_gone_asks_nothing(ground, kind):
    ground.session = ground.gone() or uuid.uuid4()
    assert getattr(ground, kind)(0) is None
    assert not ground.honcho.calls
