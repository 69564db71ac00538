"""The streaming client: what is shown when, what is tried again, and each failure as a sentence."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from afterturn.chat.endpoint import HOW, OPENAI, endpoint
from afterturn.chat.errors import ContextTooLongError, ModelError, NothingConfiguredError
from afterturn_models.settings_model import Settings
from support.llm_server import Answer, ToolCall

ASKED = [{"role": "user", "content": "Where is Porto?"}]
TOOLS = [{"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}}]


def failing(model, error=ModelError):
    shown = []
    with pytest.raises(error) as raised:
        model.stream(ASKED, [], shown.append)
    assert "sk-of-ann" not in str(raised.value)
    return str(raised.value), "".join(shown)


def test_a_message_and_its_calls_come_as_they_were_streamed(model, llm):
    llm.script(Answer(text="Let me look.", tool_calls=[ToolCall("a", {"x": 1}), ToolCall("b")]))
    shown = []
    said = model().stream(ASKED, TOOLS, shown.append)
    assert shown == ["Let", " me", " look."]
    assert [(call.name, call.arguments) for call in said.calls] == [("a", '{"x": 1}'), ("b", "{}")]
    assert (said.text, said.finish) == ("Let me look.", "tool_calls")
    assert said.first is not None
    assert said.seconds >= said.first > 0
    assert said.read
    asked = llm.asked[0]
    assert asked.headers["authorization"] == "Bearer sk-of-ann"
    assert asked.body["tools"] == TOOLS


@pytest.mark.parametrize("fault", ["500", "429", "cut"])
def test_what_fails_before_the_first_word_is_tried_twice_more(model, llm, screen, fault):
    llm.script(*[Answer(text="never", fault=fault, cut_after=0)] * 2, "At the sea.")
    shown = []
    assert model().stream(ASKED, [], shown.append).text == "".join(shown) == "At the sea."
    assert len(llm.asked) == 3
    assert [note.split("; ")[1] for note in screen.notes] == ["once more in 0.01 s"] * 2
    llm.script(*[Answer(text="never", fault=fault, cut_after=0)] * 3)
    failing(model())
    assert len(llm.asked) == 6


def test_a_short_wait_that_is_asked_for_is_waited_and_a_long_one_is_told(model, llm):
    llm.script(Answer(fault="429", retry_after=0.02), "Yes.")
    assert model().stream(ASKED, [], lambda _: None).text == "Yes."
    llm.script(Answer(fault="429", retry_after=40))
    assert "it asks to wait 40 s" in failing(model())[0]
    assert len(llm.asked) == 3


def test_nothing_is_tried_again_once_a_word_was_shown(model, llm):
    llm.script(Answer(text="At the sea.", fault="cut", cut_after=2))
    sentence, shown = failing(model())
    assert sentence.endswith("broke off in the middle of the answer")
    assert shown == "At the"
    assert len(llm.asked) == 1


@pytest.mark.parametrize(
    ("answer", "more", "says"),
    [
        (Answer(fault="401"), {}, "refuses the key (401); see AFTERTURN_LLM_API_KEY"),
        (Answer(fault="401"), {"key": None}, "wants a key: set AFTERTURN_LLM_API_KEY"),
        (Answer(fault="404"), {}, "has no model 'test-model' (scripted 404); choose another"),
        (
            Answer(fault="400", text="no such thing: sk-of-ann"),
            {},
            "answered 400: no such thing: ***",
        ),
        (Answer(fault="garbage"), {}, "does not speak OpenAI's chat API"),
        (Answer(fault="hang"), {"patience": 0.2}, "said not a word for 0.2 s; see --patience"),
        (Answer(fault="drip"), {"patience": 0.2}, "said not a word for 0.2 s; see --patience"),
    ],
    ids=lambda value: value.fault if isinstance(value, Answer) else None,
)
def test_every_failure_is_a_sentence_at_once(model, llm, answer, more, says):
    llm.script(answer)
    sentence, _ = failing(model(**more))
    assert says in sentence
    assert len(llm.asked) == 1


def test_where_nobody_listens_is_said_at_once(model, screen):
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))  # bound and listened to by nobody
        url = f"http://ann:hunter2@127.0.0.1:{held.getsockname()[1]}/v1"
        sentence, _ = failing(model(base_url=url))
    assert sentence.startswith("cannot connect to http://ann:***@127.0.0.1:")
    assert "is it running" in sentence
    assert screen.notes == []


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens.",
        "the request exceeds the available context size (4096 tokens)",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_a_request_that_is_too_long_is_told_apart(model, llm, said):
    llm.script(Answer(fault="400", text=said))
    assert said in failing(model(), ContextTooLongError)[0]


def test_what_an_endpoint_does_not_take_is_left_out_from_then_on(model, llm, screen):
    llm.script(
        Answer(fault="400", text="unknown parameter: stream_options"),
        Answer(fault="400", text="m does not support tools"),
        "One.",
        "Two.",
    )
    client = model()
    for reply in ("One.", "Two."):
        assert client.stream(ASKED, TOOLS, lambda _: None).text == reply
    sent = [("stream_options" in asked.body, "tools" in asked.body) for asked in llm.asked]
    assert sent == [(True, True), (False, True), (False, False), (False, False)]
    assert screen.notes == ["this model takes no tools: memory is injected, and not asked for"]


def test_the_only_model_of_an_endpoint_need_not_be_named(model):
    assert model(model=None).label.startswith("test-model at http://127.0.0.1:")


def test_of_several_models_one_is_to_be_named(model, monkeypatch):
    from openai.types import Model

    known = [Model(id=name, created=0, object="model", owned_by="x") for name in ("a", "b")]
    monkeypatch.setattr(
        "openai.resources.models.Models.list", lambda _: type("Page", (), {"data": known})
    )
    with pytest.raises(NothingConfiguredError, match=r"say which model.*has a, b"):
        model(model=None)


def test_options_come_first_then_settings_and_the_key_is_the_environments():
    said = Settings(llm_base_url="http://there/v1", llm_model="m")
    env = {"OPENAI_API_KEY": "second", "AFTERTURN_LLM_API_KEY": " first "}
    found = endpoint(said, env=env)
    assert (found.base_url, found.model, found.key) == ("http://there/v1", "m", "first")
    assert "first" not in repr(found)
    found = endpoint(said, model="n", base_url="http://here/v1", env={})
    assert (found.base_url, found.model, found.key) == ("http://here/v1", "n", None)
    assert endpoint(Settings(), env={"OPENAI_API_KEY": "k"}).base_url == OPENAI
    assert endpoint(Settings(), env={}) is None
    assert "AFTERTURN_LLM_API_KEY" in HOW
