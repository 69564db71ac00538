"""Compaction's settings: by scope, through a session's profile, to every worker."""

from __future__ import annotations

import pytest

from afterturn.services import _policy, _profile
from afterturn_models.compaction_settings import CompactionSettings, resolve
from afterturn_models.errors import ConfigurationError
from afterturn_models.policy.compaction import CompactionRules
from afterturn_models.profile import SessionProfile
from afterturn_models.secret_values import shown
from afterturn_models.settings import load, read
from afterturn_models.shared import shareable
from afterturn_models.values import Scope


def test_defaults_are_rules():
    assert CompactionSettings().rules() == CompactionRules(128_000, 0.5, 0.2, 1, 6, 1500)


def test_the_first_layer_that_says_something_sensible_counts():
    found = resolve(
        [
            {"compactionSummary": "llm", "contextWindow": "wide"},
            {"contextWindow": 8000, "compactionSummary": "off", "recallMode": "tools"},
            {"compactionKeep": ["vault", "7719"]},
        ]
    )
    assert (found.compaction_summary, found.context_window) == ("llm", 8000)
    assert found.compaction_keep == ("vault", "7719")


def test_what_an_agent_was_told_reaches_workers_on_the_session():
    loaded = load({"context_window": 32_000}, {"AFTERTURN_COMPACTION_TAIL_TURNS": "3"})
    stored = _profile(loaded, _policy(loaded)).as_json()
    profile = SessionProfile.of(stored)
    said = {
        Scope.AGENT: {"contextWindow": 64_000, "compactionTailTurns": 9},
        Scope.SESSION: {"compactionHeadTurns": 0},
        Scope.WORKSPACE: {"compactionTailTurns": 12},
    }
    found = profile.compaction(said, {"compactionSummaryTokens": 900, "compactionTailTurns": 1})
    assert found.context_window == 32_000  # a keyword argument comes first
    assert found.compaction_head_turns == 0
    assert found.compaction_tail_turns == 9
    assert found.compaction_summary_tokens == 900
    assert profile.compaction({}).compaction_tail_turns == 3


def test_where_they_may_be_said():
    for key in ("contextWindow", "compactionKeep", "compactionSummary"):
        value = {"contextWindow": 9000, "compactionKeep": ["x"], "compactionSummary": "off"}[key]
        for scope in Scope:
            assert shareable(key, value, scope) == (key, value)
    # A worker sends its key to this address: whoever may write to Postgres does not choose it.
    for key in ("llmBaseUrl", "llmModel", "tokenVocabulary"):
        with pytest.raises(ConfigurationError, match="belongs to one machine"):
            shareable(key, "x", Scope.WORKSPACE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("compaction_threshold", 0),
        ("compaction_threshold", 1.5),
        ("compaction_target", 1),
        ("compaction_tail_turns", 0),
        ("compaction_summary", "magic"),
        ("compaction_keep", [" "]),
        ("context_window", 100),
        ("token_encoding", "gpt2"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(key, value):
    with pytest.raises(ConfigurationError, match="keyword arguments"):
        read({key: value}, {})


def test_the_models_key_is_no_setting_and_no_odd_variable():
    loaded = read({}, {"AFTERTURN_LLM_API_KEY": "sk-secret"})
    assert loaded.warnings == ()
    assert "sk-secret" not in repr(loaded)


def test_a_password_in_the_endpoint_is_not_shown():
    assert shown("llm_base_url", "http://me:secret@host/v1") == "http://me:***@host/v1"
