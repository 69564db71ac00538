"""Pruning: head and tail within the budget, a count that is true, JSON that stays JSON."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.extractive import SaidLine
from afterturn_models.policy.pruning import prune_tool_output, pruned
from afterturn_models.policy.text import clean_text
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.values import Role

MARK = re.compile(r"\n?\[… (\d+) characters left out …\]\n?")
LOG = "\n".join(f"{n:05} GET /items/{n} 200" for n in range(5000))


@given(st.text(max_size=3000), st.integers(0, 400))
def test_it_is_within_its_budget_and_the_same_again(text, tokens):
    found = prune_tool_output(text, tokens)
    assert estimate_tokens(found) <= tokens
    assert found == prune_tool_output(text, tokens)
    if estimate_tokens(clean_text(text)) <= tokens:
        assert found == clean_text(text)


@given(st.text(min_size=200, max_size=3000), st.integers(20, 80))
def test_what_is_left_is_head_and_tail_and_the_count_is_true(text, tokens):
    text = f"x{clean_text(text)}"
    found = prune_tool_output(text, tokens)
    mark = MARK.search(found)
    if found == text or mark is None:
        return
    head, tail = found[: mark.start()], found[mark.end() :]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + int(mark.group(1)) + len(tail) == len(text)


def test_both_ends_are_there():
    found = prune_tool_output(LOG, 200)
    assert found.startswith("00000 GET")
    assert found.endswith("GET /items/4999 200")
    assert estimate_tokens(found) > 150


def test_json_stays_json_with_what_is_missing_said():
    rows = [{"id": n, "text": "word " * 200} for n in range(100)]
    found = prune_tool_output(json.dumps({"rows": rows, "total": 100}, indent=2), 800)
    read = json.loads(found)
    assert read["total"] == 100
    assert "items left out" in read["rows"][-1]
    assert "characters left out" in read["rows"][0]["text"]


def test_json_that_only_has_room_to_spare_loses_it_alone():
    plain = {"rows": list(range(60))}
    found = prune_tool_output(json.dumps(plain, indent=8), 150)
    assert json.loads(found) == plain


def test_what_cannot_be_parsed_is_text_like_any_other():
    for text in ("[" * 100_000, '{"a": ' + "1" * 6000, '{"\\ud800": "' + "x y " * 2000 + '"}'):
        assert estimate_tokens(prune_tool_output(text, 60)) <= 60


def test_another_counter_is_heeded():
    found = prune_tool_output(LOG, 300, len)
    assert len(found) <= 300
    assert found.startswith("00000 GET")


def test_only_tools_are_pruned():
    said = [SaidLine(role, role.value, LOG) for role in Role]
    user, assistant, tool = pruned(said, 50)
    assert (user, assistant) == (said[0], said[1])
    assert estimate_tokens(tool.text) <= 50
    assert tool.speaker == "tool"
