"""A message of a model's is the same in whatever pieces it is streamed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn.chat.assembling import Assembly, Said, sendable
from afterturn_models.values import ToolCall

CALL = st.builds(
    ToolCall,
    id=st.uuids().map(str),
    name=st.sampled_from(["honcho_search", "memory_get", "honcho_recall"]),
    arguments=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3).map(
        json.dumps
    ),
)
CALLS = st.lists(CALL, max_size=4, unique_by=lambda call: call.id)


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def pieces(data, text):
    """Cut a text anywhere."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def assembled(chunks):
    assembly = Assembly()
    shown = "".join(assembly.take(one) for one in chunks)
    said = assembly.said()
    assert shown == said.text
    return said


def tool(index, *, head=None, arguments=""):
    function = {"arguments": arguments} | ({"name": head.name} if head else {})
    known = {"id": head.id, "type": "function"} if head else {}
    return {"tool_calls": [{"index": index, **known, "function": function}]}


@given(st.data(), st.text(max_size=60), CALLS)
def test_any_chunking_gives_the_same_message(data, text, calls):
    chunks = [chunk({"role": "assistant", "content": piece}) for piece in pieces(data, text)]
    streams = []
    for index, call in enumerate(calls):
        parts = pieces(data, call.arguments)
        streams.append(
            [chunk(tool(index, head=call)), *(chunk(tool(index, arguments=p)) for p in parts)]
        )
    # The calls' pieces may come mixed, each call's own in order; heads come in the calls' order.
    chunks += [one.pop(0) for one in streams]
    while any(streams):
        chunks.append(data.draw(st.sampled_from([one for one in streams if one])).pop(0))
    chunks += [
        chunk({}, "stop"),
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    ]
    assert assembled(chunks) == Said(text, tuple(calls), "stop", 7, 3)


@given(CALLS)
def test_calls_that_come_whole_are_told_apart_however_they_are_numbered(calls):
    for number in (lambda place: place, lambda _: 0, lambda _: None):
        chunks = [
            chunk(tool(number(place), head=call, arguments=call.arguments))
            for place, call in enumerate(calls)
        ]
        assert assembled(chunks).calls == tuple(calls)


def test_what_endpoints_do_differently_is_taken():
    said = assembled(
        [
            {"choices": [{"delta": {"reasoning_content": "hm"}}]},
            chunk({"content": [{"type": "text", "text": "So"}, {"type": "image"}]}),
            chunk({"content": None, "refusal": "!"}),
            chunk({"tool_calls": [{"function": {"name": "a", "arguments": {"x": 1}}}]}),
            chunk({"tool_calls": [{"function": {"name": "b"}}]}),
            chunk({"tool_calls": [{"function": {"arguments": "{}"}}]}, "tool_calls"),
        ]
    )
    assert said.text == "So!"
    assert said.calls == (ToolCall("call_1", "a", '{"x": 1}'), ToolCall("call_2", "b", "{}"))


def test_a_name_that_is_said_with_every_piece_is_one_name():
    again = {"index": 0, "function": {"name": "a", "arguments": "{"}}
    said = assembled([chunk({"tool_calls": [again]}), chunk({"tool_calls": [again]})])
    assert said.calls == (ToolCall("call_1", "a", "{{"),)


def test_a_thought_begins_the_answer_and_is_not_shown():
    assembly = Assembly()
    assert (assembly.take(chunk({"role": "assistant", "content": ""})), assembly.begun) == (
        "",
        False,
    )
    assert (assembly.take(chunk({"reasoning": "hm"})), assembly.begun) == ("", True)


@pytest.mark.parametrize("broken", ["", "{", "[1]", "nonsense", "[" * 100_000])
def test_arguments_that_are_no_object_go_into_no_request(broken):
    assert sendable(broken) == "{}"
    request = Said("", (ToolCall("1", "a", broken),)).as_request()
    assert request["content"] is None
    assert request["tool_calls"][0]["function"]["arguments"] == "{}"
