"""`afterturn chat` at a real pseudo-terminal, against an endpoint that streams as it is told to."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from support.llm_server import Answer, Gate
from support.terminals import Terminals
from support.waiting import eventually

PROMPT = ">\x08\x1b[2C"  # as prompt_toolkit draws "> "
STEERING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\x08]")


@pytest.fixture(scope="module")
def terminals():
    opened = Terminals(str(Path(__file__).parents[2]), "openai", "prompt_toolkit")
    yield opened
    opened.close()


@pytest.fixture
def chat(terminals, agent_env, monkeypatch):
    """Give a function that starts a chat at a terminal; it gives what was said up to the prompt."""
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("TERM", "xterm")

    def start(*words):
        dialogue = terminals.run("chat", *words)
        return dialogue, dialogue.expect(PROMPT)

    return start


@pytest.fixture
def with_model(llm, monkeypatch):
    monkeypatch.setenv("AFTERTURN_LLM_BASE_URL", llm.url)
    monkeypatch.setenv("AFTERTURN_LLM_MODEL", "test-model")
    monkeypatch.setenv("AFTERTURN_LLM_API_KEY", "sk-of-ann")


def say(dialogue, text):
    """Type a line; gives what is said until the next prompt, without what steers a terminal."""
    dialogue.send(f"{text}\r")
    return STEERING.sub("", dialogue.expect(PROMPT))


def test_the_first_word_is_shown_while_the_endpoint_holds_the_rest(chat, with_model, llm, look):
    gate = Gate(1)
    llm.script(Answer(chunks=["Porto", " is by", " the sea.\x1b]0;x\x07"], gate=gate))
    dialogue, _ = chat("plans")
    dialogue.send("Where is Porto?\r")
    dialogue.expect("…\r\x1b[KPorto")
    assert "by" not in dialogue.said.rpartition("Porto")[2]
    gate.open()
    dialogue.expect(" is by the sea.]0;x\n")  # and no title of the terminal is set by a model
    assert "tokens read" in dialogue.expect(PROMPT)
    dialogue.send("\x04")
    assert dialogue.ended() == 0
    assert look.said("plans")[0] == "Where is Porto?"
    assert "sk-of-ann" not in dialogue.said


def test_ctrl_c_keeps_what_was_shown_and_the_chat_goes_on_and_is_resumed(
    chat, with_model, llm, look, empty_environment
):
    gate = Gate(2)
    llm.script(Answer(chunks=["It is", " by", " the sea."], gate=gate), "Yes.")
    dialogue, _ = chat("plans")
    dialogue.send("Where is Porto?\r")
    dialogue.expect("It is by")
    dialogue.interrupt()
    dialogue.expect("stopped; what was shown is kept")
    dialogue.expect(PROMPT)
    rows = look.rows("plans")
    assert [row["content"] for row in rows] == ["Where is Porto?", "It is by"]
    assert rows[1]["details"] == {"interrupted": True}
    eventually(lambda: llm.dropped == 1)
    assert "Yes." in say(dialogue, "By the sea?")
    assert llm.asked[1].messages[2] == {"role": "assistant", "content": "It is by"}
    dialogue.interrupt()
    dialogue.expect("Ctrl-C again ends this")
    dialogue.expect(PROMPT)
    dialogue.interrupt()
    assert dialogue.ended() == 0
    assert stat.S_IMODE((empty_environment / "chat_history").stat().st_mode) == 0o600

    again, shown = chat("plans")
    assert "you: Where is Porto?" in shown
    assert "it: It is by" in shown
    say(again, "And Lisbon?")
    said = [message["content"] for message in llm.asked[2].messages[1:]]
    assert said == ["Where is Porto?", "It is by", "By the sea?", "Yes.", "And Lisbon?"]
    again.send("\x04")
    assert again.ended() == 0


def test_what_may_be_typed_beside_messages(chat, with_model, llm, look):
    dialogue, _ = chat("plans")
    assert "/memory" in say(dialogue, "/help")
    assert "There is no command /memry; did you mean /memory?" in say(dialogue, "/memry")
    shown = say(dialogue, "/memory")
    assert "No turn yet" in shown
    assert "memory cannot be reached now: no worker runs" in shown
    assert "is local in Postgres (session plans)" in say(dialogue, "/mode local user")
    assert "lokal" in say(dialogue, "/mode lokal")
    say(dialogue, "Hello.")
    rows = look.rows("plans")
    assert [(row["role"], row["reason"]) for row in rows] == [("user", "mode"), ("assistant", None)]
    assert "Nothing was injected" in say(dialogue, "/memory")
    assert "come back with: afterturn chat spring" in say(dialogue, "/title spring")
    assert "spring" in say(dialogue, "/sessions")
    assert "no worker" in say(dialogue, "/compact")
    assert "Postgres" in say(dialogue, "/status")
    dialogue.send("\x1b[200~one\ntwo\n/three\x1b[201~")  # as a terminal brings what is pasted
    say(dialogue, "")
    assert llm.asked[-1].messages[-1]["content"] == "one\ntwo\n/three"
    say(dialogue, "/home/ann is a path")
    assert len(llm.asked) == 3
    dialogue.send("/quit\r")
    assert dialogue.ended() == 0
    assert "Traceback" not in dialogue.said


def test_without_a_model_it_is_said_how_to_have_one_and_the_scripted_one_is_labelled(
    chat, look, monkeypatch
):
    monkeypatch.setenv("NO_COLOR", "1")
    dialogue, shown = chat("plans")
    assert "scripted model: no language model is configured" in shown
    assert "AFTERTURN_LLM_API_KEY" in shown
    assert "\x1b[2m" not in dialogue.said
    assert "[scripted] You said: I drink tea." in say(dialogue, "I drink tea.")
    look.put("plans", 1, context="She drinks tea.")
    assert "She drinks tea." in say(dialogue, "So?").partition("Memory that came with it")[2]
    assert (
        "tea" not in look.said("plans")[3]
    )  # repeated memory is not captured as the agent's words
    shown = say(dialogue, "What do you know about me?")
    assert "memory: honcho_context" in shown
    assert "no worker runs" in shown.partition("[scripted] Memory answers:")[2]
    dialogue.send("\x04")
    assert dialogue.ended() == 0
