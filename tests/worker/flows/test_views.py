"""Views: how far recall reaches, under which scope, and with whom the agent is alone."""

from __future__ import annotations

import pytest

from afterturn_models.profile import SessionProfile
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.settings import Settings, load
from afterturn_models.store.facts import SessionFacts
from afterturn_models.values import Scope
from afterturn_worker.flows.views import own_word, settings_of, view_of
from afterturn_worker.honcho.recall_port import View


def facts(**profile) -> SessionFacts:
    return SessionFacts(1, "w", "s", "ann", "bot", profile=SessionProfile(**profile))


def test_a_view_is_of_the_sessions_peers():
    assert view_of(facts(), RecallSettings(), {}, asked=False) == View(
        "w", "s", "ann", "bot", scope="bot"
    )


@pytest.mark.parametrize(("asked", "reach"), [(False, "session"), (True, "scope")])
def test_what_is_injected_and_what_is_asked_for_reach_as_each_is_set(asked, reach):
    settings = RecallSettings(recallAutomatic="session", recallAsk="scope")
    assert view_of(facts(), settings, {}, asked=asked).reach == reach


def test_a_scope_is_the_one_named_or_the_agents_own():
    assert view_of(facts(), RecallSettings(recallScope="work"), {}, asked=True).scope == "work"
    assert view_of(facts(), RecallSettings(), {}, asked=True).scope == "bot"


@pytest.mark.parametrize(
    ("owner", "user", "alone"),
    [
        (None, None, False), ("ann", None, False), ("bob", None, True),
        ("ann", "bob", True), ("bob", "bob", False), (None, "bob", False),
    ],
)  # fmt: skip
def test_with_anyone_but_its_owner_the_agent_is_alone(owner, user, alone):
    view = view_of(facts(owner=owner), RecallSettings(), {}, asked=True, user=user)
    assert (view.user, view.alone) == (user or "ann", alone)


def test_a_workers_own_word_is_what_some_source_says(monkeypatch, empty_environment):
    assert own_word(load().settings) == {}
    monkeypatch.setenv("AFTERTURN_DIALECTIC_CADENCE", "3")
    monkeypatch.setenv("AFTERTURN_DIALECTIC_DEPTH_LEVELS", '["low"]')
    empty_environment.mkdir(parents=True)
    (empty_environment / "config.json").write_text('{"dialecticCadence": 7, "recallMode": "tools"}')
    said = {"dialecticCadence": 3, "recallMode": "tools", "dialecticDepthLevels": ["low"]}
    assert own_word(load().settings) == said


def test_a_workers_own_word_comes_last():
    own = own_word(Settings(contextCadence=9, dialecticCadence=9, contextTokens=999))
    session = SessionFacts(
        1, "w", "s", "ann", "bot",
        profile=SessionProfile(rest={"dialecticCadence": 5}),
        said={Scope.WORKSPACE: {"contextCadence": 2}},
    )  # fmt: skip
    found = settings_of(session, own)
    assert (found.context_cadence, found.dialectic_cadence, found.context_tokens) == (2, 5, 999)
