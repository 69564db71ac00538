"""Every name of a setting, in every place: one field, and the nearest place is heard."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from afterturn_models.errors import ConfigurationError
from afterturn_models.keys import ALIASES, IGNORED, UNSUPPORTED, names_of, translate
from afterturn_models.policy.reasoning import LEVELS
from afterturn_models.policy.session_name import STRATEGIES
from afterturn_models.recall_settings import Level
from afterturn_models.settings import load, read
from afterturn_models.settings_model import FIELDS, JSON_FIELDS, Settings
from afterturn_models.sources import Source

# The keys of the others as their own documentation has them, each with a value of theirs.
SPEC = {
    "workspaceId": "w", "baseUrl": "http://h", "memoryMode": "local", "userMemoryMode": "honcho",
    "agentMemoryMode": "hybrid", "dialecticReasoningLevel": "medium", "writeFrequency": 4,
    "sessionStrategy": "global", "sessionPeerPrefix": True, "sessions": {"/d": "k"},
}  # fmt: skip
HERMES = {
    "baseUrl": "http://h", "environment": "local", "enabled": True, "workspace": "w",
    "timeout": 45, "peerName": "ann", "aiPeer": "bot", "pinUserPeer": True,
    "userPeerAliases": {"telegram_1": "ann"}, "runtimePeerPrefix": "telegram_",
    "saveMessages": False, "writeFrequency": "session", "messageMaxChars": 25_000,
    "recallMode": "auto", "recallSync": True, "injectionFrequency": "first-turn",
    "contextCadence": 2, "contextTokens": 800, "queryRewrite": True, "firstTurnBaseWait": 3.0,
    "firstTurnDialecticWait": 2.0, "dialecticCadence": 3, "dialecticDepth": 2,
    "dialecticDepthLevels": ["minimal", "low"], "dialecticReasoningLevel": "low",
    "dialecticDynamic": False, "dialecticMaxChars": 600, "dialecticMaxInputChars": 10_000,
    "reasoningHeuristic": False, "reasoningLevelCap": "max", "observationMode": "shared",
    "observation": {"user": {"observeMe": True}, "ai": {"observeOthers": False}},
    "sessionStrategy": "per-repo", "sessionPeerPrefix": True, "sessions": {"/d": "k"},
    "initOnSessionStart": True, "logging": True, "injection": {"sessionStart": ["summary"]},
}  # fmt: skip
OPENCLAW = {
    "workspaceId": "w", "baseUrl": "http://h", "timeoutMs": 60_000, "noisePatterns": ["PING"],
    "disableDefaultNoisePatterns": True, "ownerObserveOthers": True, "crossSessionSearch": False,
    "enableMemoryCompatibilityTools": True,
    "recall": {"automatic": "session", "ask": "scope", "scopeName": "team"},
}  # fmt: skip


@pytest.fixture
def files(empty_environment: Path) -> dict[str, Path]:
    found = {
        "ours": empty_environment / "config.json",
        "shared": Path.home() / ".honcho" / "config.json",
    }
    for path in found.values():
        path.parent.mkdir(parents=True)
    return found


def write(path: Path, said: object, mode: int = 0o600) -> None:
    path.write_text(json.dumps(said))
    path.chmod(mode)


@pytest.mark.parametrize("place", ["ours", "shared"])
@pytest.mark.parametrize("said", [SPEC, HERMES, OPENCLAW], ids=["spec", "Hermes", "OpenClaw"])
def test_a_configuration_of_another_integration_is_taken_as_it_is(files, place, said):
    write(files[place], {**said, "apiKey": "k"})
    loaded = read()
    assert loaded.warnings == ()
    assert set(loaded.origins) >= {"honcho_url", "workspace"}


def test_what_it_comes_to(files):
    write(files["shared"], {"hosts": {"afterturn": HERMES}})
    write(files["ours"], OPENCLAW)
    said = read().settings
    assert (said.request_seconds, said.lease_seconds) == (60.0, 70.0)
    assert (said.recall_automatic, said.recall_ask, said.recall_scope) == (
        "session", "scope", "team",
    )  # fmt: skip
    assert (said.recall_mode, said.observation_mode, said.injection) == (
        "hybrid", "unified", "first-turn",
    )  # fmt: skip
    assert said.dialectic_depth_levels == ("minimal", "low")
    assert said.observation == {"user": {"observeMe": True}, "ai": {"observeOthers": False}}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [({"timeout": 5}, 5.0), ({"timeoutMs": 1500}, 1.5), ({"timeoutMs": "1500"}, 1.5),
     ({"requestTimeout": 7, "timeoutMs": 1}, 7.0), ({"requestSeconds": 3, "timeout": 9}, 3.0)],
)  # fmt: skip
def test_timeouts_of_either_unit(files, said, seconds):
    write(files["ours"], said)
    assert read().settings.request_seconds == seconds


@pytest.mark.parametrize(("said", "ask"), [(True, "workspace"), (False, "session")])
def test_cross_session_search_is_how_far_a_tool_reaches(files, said, ask):
    write(files["ours"], {"crossSessionSearch": said})
    assert read().settings.recall_ask == ask
    write(files["ours"], {"crossSessionSearch": said, "recall": {"ask": "scope"}})
    assert read().settings.recall_ask == "scope"


def test_a_lease_that_was_said_is_not_stretched(files):
    write(files["ours"], {"timeout": 45, "leaseSeconds": 20})
    with pytest.raises(ConfigurationError, match="must exceed requestSeconds"):
        read()


@pytest.mark.parametrize("value", ["soon", [1], True])
def test_a_timeout_that_is_none_is_named_as_it_was_written(files, value):
    write(files["ours"], {"timeoutMs": value})
    if value is True:
        assert read().settings.request_seconds == 1.0  # as pydantic reads it
        return
    with pytest.raises(ConfigurationError, match="timeoutMs: Input should be a valid"):
        read()


def test_the_environment_local_is_honchos_own_place(files, monkeypatch):
    monkeypatch.setenv("HONCHO_ENVIRONMENT", "local")
    write(files["ours"].with_name("stack.json"), {"honchoUrl": "http://stack"})
    loaded = read()
    assert loaded.settings.honcho_url == "http://localhost:8000"
    assert loaded.origins["honcho_url"] == "the environment (HONCHO_ENVIRONMENT)"
    write(files["shared"], {"baseUrl": "http://said"})
    assert read().settings.honcho_url == "http://said"
    monkeypatch.setenv("HONCHO_ENVIRONMENT", "production")
    files["shared"].unlink()
    assert read().settings.honcho_url == "http://stack"


@pytest.mark.parametrize("word", [False, "false", "0"])
def test_not_enabled_is_not_overruled_by_anything(files, word):
    write(files["shared"], {"enabled": word})
    loaded = read({"save_messages": True, "recall_mode": "tools"})
    said = loaded.settings
    assert (said.save_messages, said.recall_mode) == (False, "context")
    assert (said.context_cadence, said.dialectic_cadence) == (0, 0)
    shared = [Source("Postgres (workspace w)", {"save_messages": True})]
    after = loaded.with_shared(shared)
    assert after.settings.save_messages is False
    assert after.origins["save_messages"] == "keyword arguments"  # what nothing comes before


@pytest.mark.parametrize("word", [True, "auto", None])
def test_enabled_changes_nothing(files, word):
    write(files["shared"], {"enabled": word, "saveMessages": True})
    assert read().settings.save_messages is True


@pytest.mark.parametrize(
    ("variable", "field", "value"),
    [("HONCHO_URL", "honcho_url", "http://u"), ("HONCHO_BASE_URL", "honcho_url", "http://u"),
     ("HONCHO_WORKSPACE", "workspace", "w"), ("HONCHO_TIMEOUT", "request_seconds", "5"),
     ("HONCHO_PEER_NAME", "peer_name", "ann"), ("AFTERTURN_BASE_URL", "honcho_url", "http://u"),
     ("AFTERTURN_TIMEOUT", "request_seconds", "5"), ("AFTERTURN_RECALL_ASK", "recall_ask", "scope"),
     ("AFTERTURN_WORKSPACE_ID", "workspace", "w")],
)  # fmt: skip
def test_variables_of_others_and_other_names_in_ours(variable, field, value):
    loaded = read(env={variable: value})
    assert str(getattr(loaded.settings, field)).removesuffix(".0") == value
    assert loaded.origins[field] == f"the environment ({variable})"
    assert loaded.warnings == ()


# Names that are none.


@pytest.mark.parametrize(
    ("key", "meant"),
    [("memorymode", "memoryMode"), ("memoryMod", "memoryMode"), ("writeFreq", "writeFrequency"),
     ("base-url", "baseUrl"), ("workspace_ID", "workspaceId"), ("timeoutMS", "timeoutMs"),
     ("peer", "aiPeer"), ("dialecticReasonigLevel", "dialecticReasoningLevel")],
)  # fmt: skip
def test_a_name_that_is_none_is_a_warning_with_the_nearest(files, key, meant):
    write(files["ours"], {key: 1})
    [warning] = read().warnings
    assert warning.startswith(f"{files['ours']}: there is no setting called {key!r}")
    assert warning.endswith(f"did you mean {meant}?")


def test_a_name_like_no_other_is_a_warning_too(files):
    write(files["shared"], {"hosts": {"afterturn": {"zzz": 1}}, "recall": {"zzz": 1}})
    first, second = read().warnings
    assert first == f"{files['shared']} (host afterturn): there is no setting called 'zzz'"
    assert "'recall.zzz'" in second


def test_what_has_no_counterpart_is_said(files):
    write(files["ours"], dict.fromkeys(UNSUPPORTED, True))
    assert len(read().warnings) == len(UNSUPPORTED)
    assert all("has no effect here" in one for one in read().warnings)


def test_known_keys_of_others_comments_and_schemas_are_passed_over(files):
    said = {**{key: {} for key in IGNORED}, "$schema": "x", "//": "a note", "_note": "another"}
    write(files["ours"], said)
    assert read().warnings == ()


def test_two_names_of_one_field_that_differ_are_a_warning(files):
    write(files["ours"], {"baseUrl": "http://a", "honchoUrl": "http://b"})
    loaded = read()
    assert loaded.settings.honcho_url == "http://b"
    assert "baseUrl is not looked at, since honchoUrl is said" in loaded.warnings[0]
    write(files["ours"], {"baseUrl": "http://b", "honchoUrl": "http://b"})
    assert read().warnings == ()


def test_a_variable_that_looks_like_a_setting_is_a_warning():
    env = {"AFTERTURN_MEMORY_MOD": "local", "AFTERTURN_CONCURRENCY": "4", "AFTERTURN_ZZZ": "1"}
    assert read(env=env).warnings == (
        "the environment: AFTERTURN_MEMORY_MOD is no setting; did you mean AFTERTURN_MEMORY_MODE?",
    )


def test_warnings_are_logged_once_a_process(files, caplog):
    write(files["ours"], {"loggedOnlyOnce": 1})
    with caplog.at_level(logging.WARNING, "afterturn.settings"):
        load()
        load()
    assert [one.getMessage().count("loggedOnlyOnce") for one in caplog.records] == [1]


# Whatever is said wherever: properties.

VALUES = {
    "workspace": st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    "honcho_url": st.from_regex(r"http://[a-z]{1,8}", fullmatch=True),
    "injection": st.sampled_from(["every-turn", "first-turn", "frozen"]),
    "recall_ask": st.sampled_from(["session", "scope", "workspace"]),
    "pin_user_peer": st.booleans(),
    "context_tokens": st.integers(100, 5000),
    "dialectic_reasoning_level": st.sampled_from(LEVELS),
    "write_frequency": st.sampled_from(["async", "turn", "session"]),
}
FILES = ("own host", "ours", "host", "root")


@st.composite
def places(draw):
    """Draw what each place says, under which name."""
    said = {}
    for place in draw(st.sets(st.sampled_from(["keyword", "environment", *FILES]))):
        fields = draw(st.sets(st.sampled_from(sorted(VALUES)), min_size=1))
        names = [name for name in ALIASES if name.name != "crossSessionSearch"]
        known = {
            f: [n for n in names_of(f) if n in {a.name for a in names} | {f, to_camel(f)}]
            for f in fields
        }
        said[place] = {
            field: (draw(st.sampled_from(known[field])), draw(VALUES[field])) for field in fields
        }
    return said


def nested(said):
    """Write names with a dot as objects in objects."""
    found: dict[str, object] = {}
    for name, value in said.values():
        outer, _, inner = name.partition(".")
        if inner:
            found.setdefault(outer, {})[inner] = value  # type: ignore[index]
        else:
            found[outer] = value
    return found


@given(places())
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_name_in_any_place_and_the_nearest_place_wins(files, said):
    blocks = {place: nested(said.get(place, {})) for place in FILES}
    write(files["ours"], {**blocks["ours"], "hosts": {"afterturn": blocks["own host"]}})
    write(files["shared"], {**blocks["root"], "hosts": {"afterturn": blocks["host"]}})
    env = {"AFTERTURN_HOME": str(files["ours"].parent)}
    for field, (_, value) in said.get("environment", {}).items():
        env[f"AFTERTURN_{field.upper()}"] = (
            str(value).lower() if value in {True, False} else str(value)
        )
    keywords = {field: value for field, (_, value) in said.get("keyword", {}).items()}
    loaded = read(keywords, env)
    assert loaded.warnings == ()
    order = ["keyword", "environment", *FILES]
    for field in VALUES:
        nearest = next((said[p][field][1] for p in order if field in said.get(p, {})), None)
        expected = Settings.model_fields[field].default if nearest is None else nearest
        assert getattr(loaded.settings, field) == expected
        assert (field in loaded.origins) == (nearest is not None)


@given(st.sampled_from(FIELDS), st.data())
def test_every_name_of_a_field_is_that_field(field, data):
    name = data.draw(st.sampled_from(names_of(field)))
    read_as = translate({name: "x"}, FIELDS, "here")
    assert read_as.values.keys() == {field}
    assert (read_as.written, read_as.warnings) == ({field: name}, ())


@given(st.dictionaries(st.text(max_size=12), st.none() | st.integers() | st.text(max_size=3)))
def test_whatever_a_file_holds_is_translated_or_named(said):
    found = translate(said, FIELDS, "here")
    assert set(found.values) <= set(FIELDS)
    assert all(warning.startswith("here: ") for warning in found.warnings)


def test_no_name_is_taken_twice():
    names = [name for field in FIELDS for name in names_of(field)]
    assert len(names) == len(set(names))
    assert not set(names) & (set(IGNORED) | set(UNSUPPORTED))


def test_lists_that_stand_twice_agree():
    assert get_args(Level) == LEVELS
    assert get_args(Settings.model_fields["session_strategy"].annotation) == STRATEGIES
    assert {"sessions", "noise_patterns", "observation", "dialectic_depth_levels"} <= JSON_FIELDS
    assert "workspace" not in JSON_FIELDS
