"""The page about tools: complete, and its examples run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afterturn import Memory
from afterturn.tools.table import TOOLS
from afterturn_models.asks import Failure

PAGE = (Path(__file__).parents[3] / "docs" / "tools.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ROWS = {
    cells[0].strip("`"): set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cells[1])))
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_every_tool_stands_there_with_its_parameters(tool) -> None:
    assert ROWS[tool.name] == {parameter.name for parameter in tool.parameters}


def test_every_failure_stands_there() -> None:
    assert {failure.value for failure in Failure} <= set(ROWS)


class Model:
    """A client of OpenAI's chat API whose model searches once, then answers."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.chat = SimpleNamespace(completions=self)

    def create(self, **request: Any) -> Any:
        self.requests.append({**request, "messages": list(request["messages"])})
        last = request["messages"][-1]
        if isinstance(last, dict) and last["role"] == "tool":
            message = SimpleNamespace(content="On the shelf.", tool_calls=None)
        else:
            function = SimpleNamespace(name="memory_search", arguments='{"query": "keys"}')
            call = SimpleNamespace(id="call_1", function=function)
            message = SimpleNamespace(content=None, tool_calls=[call])
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])


def test_the_loop_runs(agent_env, tmp_path) -> None:
    (tmp_path / "USER.md").write_text("Her keys are on the shelf.")
    names: dict[str, Any] = {}
    exec(compile(EXAMPLES[0], "docs/tools.md", "exec"), names)
    with Memory.open(memory_folder=str(tmp_path)) as memory:
        session, model = memory.session(name="cli"), Model()
        assert names["reply"](model, "any", session, "Where are my keys?") == "On the shelf."
        assert [one.content for one in session.history()] == ["Where are my keys?", "On the shelf."]
    first, second = model.requests
    assert first["tools"] == second["tools"]
    assert "on the shelf" in second["messages"][-1]["content"]


def test_the_short_example_runs_and_without_workers_says_so(agent_env, capsys) -> None:
    exec(compile(EXAMPLES[1], "docs/tools.md", "exec"), {})
    for line in capsys.readouterr().out.splitlines():
        assert json.loads(line)["failure"] == "outage"


def test_the_folder_of_the_example_is_used(agent_env) -> None:
    with Memory.open() as memory:
        session = memory.session(name="cli")
        exec(compile(EXAMPLES[2], "docs/tools.md", "exec"), {"session": session})
        assert "memory_search" in json.dumps(session.tools())
