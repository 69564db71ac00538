"""The page about the chat: its agent runs, and it names each command and option."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from openai import OpenAI

from afterturn.chat.commands import HELP
from support.llm_server import Answer, ToolCall

PAGE = (Path(__file__).parents[3] / "docs" / "chat.md").read_text()
EXAMPLE = re.search(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]


@pytest.mark.parametrize("name", HELP)
def test_every_command_stands_there(name):
    assert f"`/{name}" in PAGE


@pytest.mark.parametrize("option", ["--title", "--directory", "--new", "--model", "--base-url", "--patience", "--once", "--no-memory-tools", "--scripted"])  # fmt: skip
def test_every_option_stands_there(option):
    assert option in PAGE


def test_the_agent_of_the_page_runs(agent_env, llm, look, capsys, tmp_path, monkeypatch):
    (tmp_path / "USER.md").write_text("Her keys are on the shelf.")
    monkeypatch.setenv("AFTERTURN_MEMORY_FOLDER", str(tmp_path))
    names = {}
    exec(compile(EXAMPLE, "docs/chat.md", "exec"), names)
    search = ToolCall("memory_search", {"query": "keys"}, "call_a")
    llm.script(Answer(tool_calls=[search]), "On the shelf.", "Sure.")
    with OpenAI(api_key="none", base_url=llm.url) as client:
        names["main"](client, "test-model")
        names["main"](client, "test-model")
    assert capsys.readouterr().out == "On the shelf.\nSure.\n"
    first = [message["role"] for message in llm.asked[1].messages]
    assert first == ["system", "user", "assistant", "tool"]
    again = [message["role"] for message in llm.asked[2].messages]
    assert again == [*first, "assistant", "user"]
    assert [row["role"] for row in look.rows("clerk")][:4] == first[1:] + ["assistant"]
