"""Context, the dialectic and cards, through the real SDK."""

from __future__ import annotations

import pytest

from afterturn_models.errors import Rejected
from afterturn_models.values import USER_OBSERVING
from afterturn_worker.honcho.wording import MAX_CHAT

LONG = "\U0001f600 <|endoftext|> \ud800\x00" * 1000


def context(world, view=None, **more):
    return world.client.context(view or world.view(), tokens=2000, deadline=10, **more)


def ask(world, query="Where do I live?", view=None, **more):
    settings = {"level": "low", "deadline": 10, **more}
    return world.client.ask(view or world.view(), query=query, **settings)


class TestContext:
    def test_it_knows_the_user_the_agent_and_their_cards(self, met):
        met.client.set_card(met.view(), "user", ["Lisboeta"], deadline=10)
        met.client.set_card(met.view(), "agent", ["Terse"], deadline=10)
        known = context(met)
        assert "I live in Lisbon" in known.representation
        assert "I use short answers" in known.ai_representation
        assert (known.card, known.ai_card) == (("Lisboeta",), ("Terse",))
        assert known.summary == ""

    def test_it_holds_the_summary_of_a_long_session(self, world):
        world.say("s", *(("ann", f"I like fig number {n}.") for n in range(20)))
        assert "fig number" in context(world).summary

    def test_it_is_what_the_agent_has_seen_and_not_what_the_user_said_elsewhere(self, met):
        client, workspace = met.client, met.workspace
        client.add_peers(workspace, "private", {"ann": USER_OBSERVING}, deadline=10)
        client.send(
            workspace, "private", [met._row("private", "ann", "I hate Lisbon.")], deadline=10
        )
        assert "hate" not in context(met).representation

    def test_another_session_is_known_unless_recall_is_confined(self, met):
        met.say("t", ("ann", "I work at night."), ("bot", "I am awake."))
        assert "night" in context(met).representation
        here = context(met, met.view(reach="session"))
        assert ("night" in here.representation, "Lisbon" in here.representation) == (False, True)
        assert "awake" not in here.ai_representation

    def test_a_session_that_is_not_there_yet_still_has_its_user(self, met):
        assert "Lisbon" in context(met, met.view("tomorrow")).representation

    def test_a_user_who_is_not_there_yet_still_has_a_card(self, met):
        met.client.set_card(met.view(user="eve"), "user", ["New"], deadline=10)
        known = context(met, met.view(user="eve"))
        assert (known.card, known.representation) == (("New",), "")
        assert "short answers" in known.ai_representation

    def test_alone_the_agent_knows_of_itself_what_it_said_here(self, met):
        met.client.set_card(met.view(), "agent", ["Knows Ann's secret"], deadline=10)
        met.say("e", ("eve", "I am Eve."), ("bot", "I am glad to meet Eve."))
        known = context(met, met.view("e", "eve", alone=True))
        assert "glad to meet" in known.ai_representation
        assert "short answers" not in known.ai_representation
        assert known.ai_card == ()

    def test_a_query_brings_what_bears_on_it_to_the_front(self, met):
        figs = (("ann", f"I like fig number {n}.") for n in range(30))
        met.say("s", ("ann", "I like fado."), *figs)
        assert "fado" in context(met, query="fado").representation
        assert "fado" not in context(met).representation

    @pytest.mark.parametrize("query", ["", "  ", "\x00", LONG])
    def test_any_text_may_be_a_query(self, met, query):
        assert "Lisbon" in context(met, query=query).representation

    def test_any_budget_may_be_asked_for(self, met):
        for tokens in (0, 200_000):
            known = met.client.context(met.view(), tokens=tokens, deadline=10)
            assert "Lisbon" in known.representation

    def test_confined_reads_are_two_requests_as_well(self, met):
        met.client.join_scope(met.workspace, "work", "s", deadline=10)
        views = [met.view(reach="session"), met.view(reach="scope", scope="work")]
        for view in [*views, met.view(alone=True)]:
            assert met.counted(lambda view=view: context(met, view))[0] == 2


class TestScope:
    @pytest.fixture
    def scoped(self, met):
        met.say("t", ("ann", "I work at night."), ("bot", "I am awake."))
        met.client.join_scope(met.workspace, "work", "t", deadline=10)
        return met

    def test_it_sees_its_sessions_and_no_other(self, scoped):
        view = scoped.view(reach="scope", scope="work")
        known = context(scoped, view)
        assert "night" in known.representation
        assert "Lisbon" not in known.representation
        assert "awake" in known.ai_representation
        assert "short answers" not in known.ai_representation
        assert "night" in ask(scoped, "When do I work?", view)
        assert "Lisbon" not in ask(scoped, view=view)

    def test_the_agents_cards_are_not_its(self, scoped):
        scoped.client.set_card(scoped.view(), "user", ["Lisboeta"], deadline=10)
        view = scoped.view(reach="scope", scope="work")
        assert scoped.client.card(view, "user", deadline=10) == ()
        assert context(scoped, view).card == ()

    def test_one_that_is_not_there_knows_nothing(self, scoped):
        view = scoped.view(reach="scope", scope="none")
        assert not context(scoped, view)
        assert ask(scoped, view=view) is None
        assert scoped.client.card(view, "user", deadline=10) == ()

    def test_without_a_name_it_is_the_session(self, scoped):
        known = context(scoped, scoped.view(reach="scope"))
        assert ("night" in known.representation, "Lisbon" in known.representation) == (False, True)


class TestAsk:
    def test_it_answers_about_the_user_and_about_the_agent(self, met):
        assert "Lisbon" in ask(met)
        assert "short answers" in ask(met, "Which answers?", about="agent")

    def test_a_session_that_is_not_there_yet_takes_nothing_from_what_is_known(self, met):
        """Honcho answers 404 for it; a conversation's first message is asked about all the same."""
        assert "Lisbon" in ask(met, view=met.view("tomorrow"))
        assert ask(met, view=met.view("tomorrow", reach="session")) is None

    def test_a_session_confines_nothing_by_itself(self, met):
        met.say("t", ("ann", "I work at night."))
        assert "Lisbon" in ask(met, view=met.view("t"))

    def test_confined_to_the_session_it_knows_no_other(self, met):
        met.say("t", ("ann", "I work at night."))
        answer = ask(met, view=met.view("t", reach="session"))
        assert "Lisbon" not in answer
        assert "night" in answer

    def test_nobody_is_asked_about_someone_unknown(self, met):
        assert ask(met, view=met.view(user="eve")) is None

    def test_alone_the_agent_tells_of_itself_what_it_said_here_and_not_its_card(self, met):
        met.client.set_card(met.view(), "agent", ["Knows Ann's secret"], deadline=10)
        met.say("e", ("eve", "I am Eve."), ("bot", "I am glad to meet Eve."))
        view = met.view("e", "eve", alone=True)
        requests, answer = met.counted(lambda: ask(met, "Who are you?", view, about="agent"))
        assert requests == 1
        assert "glad to meet" in answer
        assert "secret" not in answer
        assert "short answers" not in answer
        empty = met.view("nowhere", "eve", alone=True)
        assert ask(met, "Who are you?", empty, about="agent") is None

    @pytest.mark.parametrize("query", ["", " \n", "\x00\x00"])
    def test_nothing_is_asked_for_nothing(self, met, query):
        with met.watched() as requests:
            with pytest.raises(Rejected, match="empty"):
                ask(met, query)
            assert requests() == 0

    def test_no_level_but_honchos(self, met):
        with pytest.raises(Rejected, match="no reasoning level"):
            ask(met, level="odd")

    def test_a_query_of_any_length_and_kind_is_cut_to_what_honcho_takes(self, met):
        assert len(LONG) > MAX_CHAT
        assert "Lisbon" in ask(met, LONG + "Lisbon")
        assert "Lisbon" in ask(met, "Lisbon" + "?" * MAX_CHAT)

    def test_the_deadline_is_longer_than_the_sdks_own_where_it_is_said(self, met):
        met.control.add_rule("latency", path=".*/chat", seconds=0.3)
        assert "Lisbon" in ask(met, deadline=90)


class TestCard:
    def test_what_is_set_is_what_context_shows(self, met):
        given = met.client.set_card(
            met.view(), "user", ["Lisboeta", " ", "Likes figs\x00"], deadline=9
        )
        assert given == ("Lisboeta", "Likes figs")
        assert met.client.card(met.view(), "user", deadline=9) == given
        assert context(met).card == given
        assert met.client.card(met.view("elsewhere"), "user", deadline=9) == given

    def test_an_empty_card_is_a_card(self, met):
        met.client.set_card(met.view(), "user", ["x"], deadline=9)
        assert met.client.set_card(met.view(), "user", [], deadline=9) == ()
        assert context(met).card == ()

    def test_each_pair_has_its_own(self, met):
        met.client.set_card(met.view(), "user", ["Lisboeta"], deadline=9)
        others = [met.view(user="eve"), met.view(agent="other")]
        assert [met.client.card(view, "user", deadline=9) for view in others] == [(), ()]
        assert met.client.card(met.view(), "agent", deadline=9) == ()

    def test_confined_recall_neither_reads_nor_writes_what_every_session_sees(self, met):
        met.client.set_card(met.view(), "user", ["Lisboeta"], deadline=9)
        met.client.set_card(met.view(), "agent", ["Terse"], deadline=9)
        with met.watched() as requests:
            for view, about in (
                (met.view(reach="session"), "user"),
                (met.view(alone=True), "agent"),
            ):
                assert met.client.card(view, about, deadline=9) == ()
                with pytest.raises(Rejected, match="confined"):
                    met.client.set_card(view, about, ["x"], deadline=9)
            assert requests() == 0
        assert met.client.card(met.view(alone=True), "user", deadline=9) == ("Lisboeta",)


class TestDescribe:
    def test_a_session_has_its_peers_and_its_summary(self, world):
        world.say("s", *(("ann", f"I like fig number {n}.") for n in range(20)))
        known = world.client.describe(world.view(), deadline=10)
        assert set(known["peers"]) == {"ann", "bot"}
        assert "fig number" in known["summary"]
