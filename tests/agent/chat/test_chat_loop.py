"""The loop: what a request has, tool calls and their limit, what is kept when a turn breaks off."""

from __future__ import annotations

import json
import threading

import pytest

from afterturn.chat.calls import answers, writes
from afterturn.chat.errors import ContextTooLongError, ModelError
from afterturn.tools.parameters import Who
from afterturn_models.values import ToolCall as Called
from support.llm_server import Answer, ToolCall
from support.tcp_proxy import TcpProxy

WHO = Who("user", "agent", "talk")
SEARCH = ToolCall("memory_search", {"query": "keys"}, "call_a")
GET = ToolCall("memory_get", {"path": "USER.md"}, "call_b")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "USER.md").write_text("Her keys are on the shelf.")
    return str(tmp_path)


def roles(messages):
    return [message["role"] for message in messages]


def test_memory_goes_beside_the_message_and_the_system_prompt_stays(agent, llm, look):
    talker = agent()
    llm.script("Hello.", "On the shelf.")
    assert talker.reply("Hi.") == "Hello."
    look.put("talk", 1, context="Her keys are on the shelf.")
    assert talker.reply("Where are my keys?") == "On the shelf."
    first, second = (asked.messages for asked in llm.asked)
    assert first[0] == second[0]
    assert roles(second) == ["system", "user", "assistant", "user"]
    assert second[-1]["content"].startswith("Where are my keys?\n\n<afterturn-memory>")
    assert "on the shelf" in second[-1]["content"]
    assert look.said("talk") == ["Hi.", "Hello.", "Where are my keys?", "On the shelf."]


def test_tools_are_run_and_kept_with_the_turn(agent, llm, screen, look, open_memory, folder):
    talker = agent(memory=open_memory(memory_folder=folder))
    llm.script(Answer(text="Let me look.", tool_calls=[SEARCH, GET]), "On the shelf.", "Again.")
    assert talker.reply("Where are my keys?") == "On the shelf."
    asked = llm.asked[1].messages
    assert roles(asked) == ["system", "user", "assistant", "tool", "tool"]
    assert [one["id"] for one in asked[2]["tool_calls"]] == ["call_a", "call_b"]
    assert [one["tool_call_id"] for one in asked[3:]] == ["call_a", "call_b"]
    assert all("on the shelf" in one["content"] for one in asked[3:])
    assert screen.called == [["memory_search", "memory_get"]]
    rows = look.rows("talk")
    assert [row["role"] for row in rows] == ["user", "assistant", "tool", "tool", "assistant"]
    assert rows[2]["details"]["call"] == {
        "id": "call_a", "name": "memory_search", "arguments": '{"query": "keys"}',
    }  # fmt: skip
    talker.reply("Sure?")
    again = llm.asked[2].messages
    assert again[1:6] == [*asked[1:5], {"role": "assistant", "content": "On the shelf."}]


def test_a_model_that_never_stops_calling_has_to_answer(agent, llm, screen, open_memory, folder):
    talker = agent(memory=open_memory(memory_folder=folder), iterations=3)
    llm.script(*[Answer(tool_calls=[SEARCH])] * 3, "Enough.")
    assert talker.reply("Where are my keys?") == "Enough."
    assert ["tools" in asked.body for asked in llm.asked] == [True, True, True, False]
    assert screen.notes == ["3 rounds of tool calls are enough: it has to answer now"]


def test_without_tools_none_are_offered(agent, llm):
    agent(tools=False).reply("Hi.")
    assert "tools" not in llm.asked[0].body


def test_what_a_model_writes_wrongly_is_told_to_it(agent, llm, open_memory, folder):
    talker = agent(memory=open_memory(memory_folder=folder))
    wrong = [ToolCall("memory_search", "{broken", "1"), ToolCall("memory_serch", {}, "2")]
    llm.script(Answer(tool_calls=wrong), "Sorry.")
    assert talker.reply("Where?") == "Sorry."
    asked = llm.asked[1].messages
    assert asked[2]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert "must be one JSON object" in asked[3]["content"]
    assert "did you mean memory_search?" in asked[4]["content"]


def test_reads_run_together_and_writes_one_by_one_in_their_place():
    both = threading.Barrier(2, timeout=20)
    under_way, most, order = set(), [], []

    def run(name, arguments):
        under_way.add(name)
        if name == "honcho_search":
            both.wait()  # passed only where both searches are under way at once
        most.append(len(under_way) if name == "honcho_conclude" else 0)
        order.append(name)
        under_way.discard(name)
        return f"{name} {arguments}"

    def call(number, name, arguments):
        return Called(str(number), name, json.dumps(arguments))

    calls = [
        call(1, "honcho_search", {"query": "a"}),
        call(2, "honcho_search", {"query": "b"}),
        call(3, "honcho_conclude", {"conclusion": "c"}),
        call(4, "honcho_conclude", {"conclusion": "d"}),
        call(5, "honcho_profile", {}),
    ]
    found = list(answers(calls, run, WHO))
    assert [(one, f"{one.name} {one.arguments}") for one in calls] == found
    assert max(most) == 1
    assert order[2:] == ["honcho_conclude", "honcho_conclude", "honcho_profile"]


@pytest.mark.parametrize(
    ("name", "arguments", "changes"),
    [
        ("honcho_profile", {}, False),
        ("honcho_profile", {"card": ["a"], "peer": "user"}, True),
        ("honcho_conclude", {"list": True}, False),
        ("honcho_conclude", {"delete_id": "x"}, True),
        ("honcho_search", {"query": "x"}, False),
        ("memory_get", {"path": "x"}, False),
        ("honcho_conclude", {}, False),
        ("nothing", {}, False),
    ],
)
def test_what_writes_is_known_from_its_arguments(name, arguments, changes):
    assert writes(Called("1", name, json.dumps(arguments)), WHO) is changes


class Stopping:
    """A screen at which somebody presses Ctrl-C once so many pieces were shown."""

    def __init__(self, screen, after):
        self.screen, self.after = screen, after

    def __getattr__(self, name):
        return getattr(self.screen, name)

    def say(self, piece):
        self.screen.say(piece)
        self.after -= 1
        if not self.after:
            raise KeyboardInterrupt


def test_what_was_shown_before_a_ctrl_c_is_kept_and_said_again(agent, llm, screen, look):
    talker = agent()
    talker._screen = Stopping(screen, 2)
    llm.script("It is by the sea.", "Yes.")
    with pytest.raises(KeyboardInterrupt):
        talker.reply("Where is Porto?")
    rows = look.rows("talk")
    assert [row["content"] for row in rows] == ["Where is Porto?", "It is"]
    assert rows[1]["details"] == {"interrupted": True}
    talker._screen = screen
    talker.reply("By the sea?")
    assert llm.asked[1].messages[2] == {"role": "assistant", "content": "It is"}
    assert look.said("talk")[2:] == ["By the sea?", "Yes."]


def test_an_endpoint_that_fails_in_the_middle_leaves_what_was_shown(agent, llm, look):
    llm.script(Answer(text="It is by the sea.", fault="cut", cut_after=2), Answer(fault="401"))
    talker = agent()
    for _ in range(2):
        with pytest.raises(ModelError):
            talker.reply("Where is Porto?")
    assert look.said("talk") == ["Where is Porto?", "It is", "Where is Porto?"]


def test_a_request_that_is_too_long_goes_once_more_with_less_history(agent, llm, screen):
    talker = agent(budget=2000)
    for number in range(8):
        llm.script(f"{number} " + "word " * 150)
        talker.reply(f"{number}?")
    llm.forget()
    llm.script(Answer(fault="400", text="maximum context length is 900"), "Fine.")
    assert talker.reply("And now?") == "Fine."
    long, short = (asked.messages for asked in llm.asked)
    assert len(short) < len(long)
    assert short[-1] == long[-1]
    assert screen.notes == ["too long for this model: once more with less of the history"]
    llm.script(*[Answer(fault="400", text="maximum context length is 9")] * 2)
    with pytest.raises(ContextTooLongError):
        talker.reply("Still?")


def test_the_conversation_goes_on_while_postgres_is_away(
    agent, llm, open_memory, shared_database, look
):
    with TcpProxy(shared_database) as proxy:
        talker = agent(memory=open_memory(database_url=proxy.url))
        talker.reply("One.")
        proxy.refuse()
        talker.reply("Two.")
        talker.reply("Three.")
        said = [message["content"] for message in llm.asked[2].messages[1:]]
        assert said == ["One.", "Understood.", "Two.", "Understood.", "Three."]
        proxy.accept()
    assert look.said("talk") == ["One.", "Understood."]
