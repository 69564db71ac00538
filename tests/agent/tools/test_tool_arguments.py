"""What models give as arguments: read leniently, and refused by a sentence that says what fits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn.tools.arguments import checked
from afterturn.tools.parameters import ArgumentError, Who
from afterturn.tools.table import TOOLS
from afterturn_models.asks import Op

WHO = Who("tg-42", "clerk", "family")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def check(name: str, arguments: object) -> dict:
    return checked(TOOLS[name], arguments, WHO)


def op(name: str, arguments: object) -> Op:
    tool = TOOLS[name]
    return tool.op if isinstance(tool.op, Op) else tool.op(check(name, arguments))


@pytest.mark.parametrize("arguments", [None, "", "  ", {}, "{}", "null"])
def test_no_arguments_are_none(arguments) -> None:
    assert check("honcho_session", arguments) == {}


@pytest.mark.parametrize("arguments", ["[1]", "7", "nonsense", "{", [1], 7, "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(arguments) -> None:
    with pytest.raises(ArgumentError, match="must be one JSON object"):
        check("honcho_search", arguments)


def test_json_and_an_object_say_the_same() -> None:
    said = {"query": " tea ", "from": "user", "limit": 3}
    assert check("honcho_search", json.dumps(said)) == check("honcho_search", said)
    assert check("honcho_search", said) == {
        "query": "tea",
        "from_": "user",
        "limit": 3,
        "tokens": 800,
    }


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("honcho_search", {}, "query is needed"),
        ("honcho_search", {"query": "   "}, "query must be a text that is not blank"),
        ("honcho_search", {"query": 7}, "query must be a text that is not blank"),
        ("honcho_search", {"query": "x" * 10_001}, "query must be at most 10000 characters long"),
        ("honcho_search", {"query": "x", "limit": 0}, "limit must be 1 to 100"),
        ("honcho_search", {"query": "x", "limit": 101}, "limit must be 1 to 100"),
        ("honcho_search", {"query": "x", "limit": "many"}, "limit must be 1 to 100"),
        ("honcho_search", {"query": "x", "limit": True}, "limit must be 1 to 100"),
        ("honcho_search", {"query": "x", "limit": 2.5}, "limit must be 1 to 100"),
        ("honcho_search", {"query": "x", "limit": float("inf")}, "limit must be 1 to 100"),
        ("honcho_search", {"query": "x", "max_tokens": 2001}, "max_tokens must be 50 to 2000"),
        ("honcho_search", {"query": "x", "created_after": "soon"}, "created_after must be a time"),
        ("honcho_search", {"query": "x", "metadata": {"a": 1}}, "metadata must be an object of"),
        ("honcho_search", {"query": "x", "metadata": ["a"]}, "metadata must be an object of"),
        ("honcho_context", {"detail": "all"}, "detail must be one of card, full"),
        ("honcho_profile", {"card": [1]}, "card must be a list of 1 to 100 texts"),
        ("honcho_profile", {"card": ["x" * 1001]}, "card must be a list of 1 to 100 texts"),
        ("honcho_profile", {"card": ["x"] * 101}, "card must be a list of 1 to 100 texts"),
        ("honcho_conclude", {"list": "perhaps"}, "list must be true or false"),
        ("honcho_reasoning", {"query": "x", "reasoning_level": "deep"}, "reasoning_level must be"),
        ("honcho_ask", {"query": "x", "session_id": "other"}, "session_id must be this conv"),
        ("memory_get", {}, "path is needed"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(name, arguments, sentence) -> None:
    with pytest.raises(ArgumentError) as refused:
        check(name, arguments)
    assert str(refused.value).startswith(sentence)


def test_models_write_numbers_and_truths_as_text_and_fill_in_what_they_leave_out() -> None:
    said = {"query": "tea", "limit": "5", "from": "", "created_after": None, "metadata": {}}
    assert check("honcho_search", said)["limit"] == 5
    assert check("honcho_search", {"query": "tea", "limit": 5.0})["limit"] == 5
    assert check("honcho_search", said)["from_"] == "all"
    assert check("honcho_conclude", {"list": "true"})["list"] is True
    assert check("honcho_profile", {"card": []}) == {"about": "user"}


def test_unknown_keys_are_let_be() -> None:
    assert check("honcho_recall", {"query": "tea", "why": "because"})["query"] == "tea"


def test_text_that_cannot_be_sent_is_mended() -> None:
    assert check("honcho_recall", {"query": "te\x00a \ud83d"})["query"] == "tea \ufffd"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("user", "user"),
        ("USER", "user"),
        ("tg-42", "user"),
        ("ai", "agent"),
        ("agent", "agent"),
        ("assistant", "agent"),
        ("clerk", "agent"),
    ],
)
def test_a_peer_is_the_one_who_speaks_or_the_agent(said, meant) -> None:
    assert check("honcho_profile", {"peer": said})["about"] == meant
    assert check("honcho_search", {"query": "x", "from": said})["from_"] == meant
    assert check("honcho_ask", {"query": "x", "about": said})["about"] == meant


@pytest.mark.parametrize("said", ["tg-43", "TG-42", "all", "user ", "tg-42/../tg-43", 42, ["user"]])
@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        (tool.name, parameter.name)
        for tool in TOOLS.values()
        for parameter in tool.parameters
        if parameter.kind == "peer"
    ],
)
def test_nobody_else_can_be_named(name, parameter, said) -> None:
    with pytest.raises(ArgumentError, match=f"{parameter} must be user .* nobody else's memory"):
        check(name, {"query": "x", parameter: said})


def test_a_search_by_another_sender_is_refused() -> None:
    with pytest.raises(ArgumentError, match="from must be user"):
        check("honcho_search", {"query": "x", "from": "tg-43"})
    with pytest.raises(ArgumentError, match="about must be user"):
        check("honcho_search_messages", {"query": "x", "from": "user", "about": "tg-43"})


@pytest.mark.parametrize(
    ("said", "instant"),
    [
        ("2026-03-09", "2026-03-09T00:00:00+00:00"),
        ("2026-03-09T14:05:00Z", "2026-03-09T14:05:00+00:00"),
        ("2026-03-09T14:05:00+02:00", "2026-03-09T12:05:00+00:00"),
    ],
)
def test_times_are_instants(said, instant) -> None:
    assert check("honcho_search", {"query": "x", "created_after": said})["created_after"] == instant


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({"conclusion": "likes tea"}, Op.CONCLUDE),
        ({"delete_id": "abc"}, Op.UNCONCLUDE),
        ({"list": True}, Op.LIST_CONCLUSIONS),
        ({"list": True, "query": "tea"}, Op.CONCLUSIONS),
        ({"query": "tea"}, Op.CONCLUSIONS),
        ({"conclusion": "likes tea", "list": False}, Op.CONCLUDE),
    ],
)
def test_conclude_does_one_of_three_things(arguments, asked) -> None:
    assert op("honcho_conclude", arguments) is asked


@pytest.mark.parametrize(
    "arguments",
    [{}, {"list": False}, {"conclusion": "x", "delete_id": "y"}, {"conclusion": "x", "list": True}],
)
def test_conclude_does_no_two_of_them_at_once(arguments) -> None:
    with pytest.raises(ArgumentError, match="give one of conclusion, delete_id or list"):
        op("honcho_conclude", arguments)


def test_a_profile_is_read_or_set() -> None:
    assert op("honcho_profile", {}) is Op.PROFILE
    assert op("honcho_profile", {"card": "one\n\n two "}) is Op.SET_PROFILE
    assert check("honcho_profile", {"card": "one\n\n two "})["card"] == ["one", "two"]


def test_the_levels_of_the_llm_tools() -> None:
    assert TOOLS["honcho_recall"].fixed == {"floor": "minimal"}
    assert TOOLS["honcho_analyze"].fixed == {"floor": "medium"}
    assert check("honcho_ask", {"query": "x"})["level"] == "low"
    assert check("honcho_ask", {"query": "x", "depth": "thorough"})["level"] == "high"
    assert "level" not in check("honcho_reasoning", {"query": "x"})
    assert check("honcho_reasoning", {"query": "x", "reasoning_level": "max"})["level"] == "max"


@given(name=st.sampled_from(sorted(TOOLS)), values=st.data())
def test_whatever_a_model_says_is_read_or_refused(name, values) -> None:
    tool = TOOLS[name]
    said = values.draw(
        st.fixed_dictionaries({}, optional={one.name: JSON for one in tool.parameters})
    )
    try:
        found = checked(tool, said, WHO)
    except ArgumentError:
        return
    json.dumps(found, allow_nan=False).encode("utf-8")
    assert found.get("about", "user") in {"user", "agent"}
