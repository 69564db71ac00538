"""The page on who is who: its examples run, and its peers are those that it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "who.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(agent_env, number):
    exec(compile(EXAMPLES[number], "docs/who.md", "exec"), {})


def test_the_peers_are_those_that_it_says(agent_env, look, capsys):
    for example in EXAMPLES:
        exec(compile(example, "docs/who.md", "exec"), {})
    assert capsys.readouterr().out == "agent-researcher\n"
    said = [row["peer"] for row in look.rows("group-9")]
    assert said == ["telegram-1234", "agent", "telegram-5678", "agent"]
    assert [row["peer"] for row in look.rows("telegram-1234")] == ["telegram-1234", "agent"]
