"""The JSON Schema for editors: valid itself, and of one mind with the model that validates."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic.alias_generators import to_camel

from afterturn_models.errors import ConfigurationError
from afterturn_models.keys import names_of
from afterturn_models.schema import config_schema
from afterturn_models.settings_model import FIELDS, Settings
from afterturn_models.shared import valid

SCHEMA = config_schema()
CHECK = Draft202012Validator(SCHEMA)


def test_it_is_a_schema_of_the_draft_that_it_names():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_has_a_description_and_its_default(field):
    said = SCHEMA["properties"][to_camel(field)]
    assert len(said["description"]) > 10
    default = Settings().model_dump(mode="json")[field]
    assert said.get("default") == default
    assert CHECK.is_valid({to_camel(field): default})
    assert CHECK.is_valid({"hosts": {"afterturn": {to_camel(field): default}}})


@pytest.mark.parametrize("field", FIELDS)
def test_every_name_that_files_may_use_is_in_it(field):
    for name in names_of(field):
        outer, _, inner = name.partition(".")
        if name in {field, "base_url"}:
            continue  # the spelling of Python, which no editor need propose
        found = SCHEMA["properties"][outer]
        assert not inner or inner in found["properties"]


WRONG = [
    {"memoryMode": "cloud"}, {"writeFrequency": "often"}, {"contextTokens": 5}, {"enabled": "on"},
    {"workspce": "x"}, {"recall": {"asks": "session"}}, {"sessions": ["a"]}, {"leaseSeconds": 0},
    {"dialecticDepthLevels": ["low", "low", "low", "low"]}, {"hosts": {"afterturn": {"x": 1}}},
    {"observation": {"user": {"observe": True}}}, {"timeoutMs": 0}, {"recallScope": "a b"},
]  # fmt: skip
RIGHT = [
    {}, {"$schema": "x", "//": "a note", "_note": 1}, {"apiKey": "k", "targets": {}},
    {"writeFrequency": 5}, {"writeFrequency": "5"}, {"enabled": "auto"}, {"enabled": False},
    {"recall": {"ask": "session", "scopeName": "team"}}, {"timeoutMs": 1500, "timeout": 5},
    {"hosts": {"afterturn": {"aiPeer": "bot"}, "hermes": {"anything": 1}}}, {"aiPeer": None},
    {"injection": {"sessionStart": []}}, {"crossSessionSearch": True},
    {"noisePatterns": ["/x/i"], "userPeerAliases": {"7": "ann"}},
]  # fmt: skip


@pytest.mark.parametrize("said", WRONG, ids=json.dumps)
def test_what_is_wrong_is_found(said):
    assert not CHECK.is_valid(said)


@pytest.mark.parametrize("said", RIGHT, ids=json.dumps)
def test_what_is_right_is_taken(said):
    assert list(CHECK.iter_errors(said)) == []


json_values = st.one_of(
    st.booleans(), st.integers(-5, 30_000), st.floats(-5, 100_000), st.text(max_size=6),
    st.sampled_from(["local", "low", "session", "tools", "unified", "turn", "per-repo", "auto"]),
    st.lists(st.sampled_from(["low", "max", "x"]), max_size=4),
    st.dictionaries(st.sampled_from(["user", "ai", "/d"]), st.text(max_size=3), max_size=2),
)  # fmt: skip


@given(st.sampled_from(FIELDS), json_values)
def test_what_the_schema_takes_the_model_takes(field, value):
    """The other way there is more: words for numbers, and what Hermes once called otherwise."""
    key = to_camel(field)
    if not CHECK.is_valid({key: value}) or (key == "injection" and isinstance(value, dict)):
        return
    with suppress_patterns():
        valid(key, value)


@contextmanager
def suppress_patterns():
    """Pass over what no schema can say: that an expression is one, and that none is blank."""
    try:
        yield
    except ConfigurationError as error:
        if "pattern" not in str(error) and "regular expression" not in str(error):
            raise


def test_the_documentation_names_every_setting_with_its_default():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == 4:
            rows[cells[0]] = cells[1]
    defaults = Settings().model_dump(mode="json")
    for field in FIELDS:
        default = defaults[field]
        shown = default if isinstance(default, str) else json.dumps(default)
        if isinstance(default, float):
            shown = f"{default:g}"
        assert rows.pop(to_camel(field)) == ("" if default is None else shown), field
    assert rows == {}
