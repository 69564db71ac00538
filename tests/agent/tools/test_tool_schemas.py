"""What a model is told of the tools: complete, short, and the same bytes each time."""

from __future__ import annotations

import json

import pytest

from afterturn.tools.parameters import KINDS
from afterturn.tools.schemas import offered, schema
from afterturn.tools.table import TOOLS
from afterturn_models.policy.tokens import estimate_tokens

OURS = [
    "honcho_session",
    "honcho_profile",
    "honcho_search",
    "honcho_context",
    "honcho_search_conclusions",
    "honcho_recall",
    "honcho_analyze",
    "honcho_conclude",
    "memory_search",
    "memory_get",
]
SETS = {
    "afterturn": OURS,
    "hermes": [
        "honcho_profile",
        "honcho_search",
        "honcho_context",
        "honcho_conclude",
        "honcho_reasoning",
    ],
    "openclaw": [
        "honcho_session",
        "honcho_context",
        "honcho_search_conclusions",
        "memory_search",
        "memory_get",
        "honcho_ask",
        "honcho_search_messages",
    ],
    "nanobot": ["query_user_context"],
}
# What each rival's own tools take.
RIVALS = {
    "honcho_reasoning": {"query", "reasoning_level", "peer"},
    "honcho_ask": {"query", "depth", "about", "session_id"},
    "query_user_context": {"query"},
    "honcho_search_messages": {
        "query",
        "from",
        "about",
        "metadata",
        "created_after",
        "created_before",
        "limit",
    },
    "memory_search": {"query", "maxResults"},
    "memory_get": {"path", "from", "lines"},
}


def names(schemas: list[dict]) -> list[str]:
    return [one["function"]["name"] for one in schemas]


@pytest.mark.parametrize("of", SETS)
def test_a_set_of_names_is_offered_whole_and_in_order(of) -> None:
    assert names(offered(of, mode="hybrid", local=True)) == SETS[of]


@pytest.mark.parametrize("of", SETS)
def test_all_schemas_together_stay_under_1500_tokens(of) -> None:
    written = json.dumps(offered(of, mode="hybrid", local=True))
    assert estimate_tokens(written) < 1500


def test_local_files_are_offered_to_their_owner_only() -> None:
    assert names(offered("afterturn", mode="tools", local=False)) == OURS[:-2]


@pytest.mark.parametrize(("mode", "count"), [("hybrid", 10), ("tools", 10), ("context", 0)])
def test_the_recall_mode_decides_what_is_offered(mode, count) -> None:
    assert len(offered("afterturn", mode=mode, local=True)) == count


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ValueError, match="afterturn, hermes, openclaw or nanobot"):
        offered("rival", mode="hybrid", local=True)


def test_the_bytes_are_the_same_each_time() -> None:
    first, second = (json.dumps(offered("afterturn", mode="hybrid", local=True)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_each_schema_is_one_that_chat_models_take(tool) -> None:
    described = schema(tool)
    assert described["type"] == "function"
    function = described["function"]
    assert function["name"] == tool.name
    assert function["description"]
    parameters = function["parameters"]
    assert parameters["type"] == "object"
    assert set(parameters.get("required", ())) <= set(parameters["properties"])
    allowed = {"string", "integer", "boolean", "object", "array"}
    for one in parameters["properties"].values():
        assert one["type"] in allowed
        assert one["type"] != "array" or one["items"] == {"type": "string"}
        assert "enum" not in one or all(isinstance(value, str) for value in one["enum"])
    assert len({p.name for p in tool.parameters}) == len(tool.parameters)
    assert all(p.kind in KINDS for p in tool.parameters)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rivals_name_takes_the_rivals_parameters(name) -> None:
    assert {parameter.name for parameter in TOOLS[name].parameters} == RIVALS[name]
