"""`afterturn history` and `afterturn export`, as a person runs them."""

from __future__ import annotations

import json
import stat

import pytest

from afterturn import Memory


@pytest.fixture
def talked(stack_env):
    """Have two conversations: one of them long enough to turn pages, with a call of a tool."""
    with Memory.open() as memory:
        session = memory.session(name="kitchen")
        for number in range(4):
            turn = session.begin_turn(f"I left key {number} on the shelf")
            if number == 3:
                turn.add("tool", "42 degrees")
            turn.end("Noted.")
        memory.session(name="search").begin_turn("a key\x1b[31m of another kind").end("Oh.")


def told(called, *words):
    done = called(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_last_messages_and_pages_beside_a_number(talked, called):
    shown = called("history", "kitchen", "--limit", "3").stdout
    assert "#9" in shown
    assert "Noted." in shown
    assert "#6" not in shown
    assert [m["index"] for m in told(called, "history", "kitchen", "--limit", "3")] == [7, 8, 9]
    pages = told(called, "history", "kitchen", "--limit", "2", "--before", "4")
    assert [m["index"] for m in pages] == [2, 3]
    assert [m["index"] for m in told(called, "history", "kitchen", "--after", "7")] == [8, 9]
    assert called("history", "kitchen", "--before", "1").stdout == "There is no message here.\n"


def test_a_session_that_is_called_like_a_command(talked, called):
    shown = called("history", "show", "search").stdout
    assert "a key[31m of another kind" in shown
    assert "\x1b" not in shown


def test_wrong_usage_is_said(talked, called):
    both = called("history", "kitchen", "--before", "4", "--after", "2")
    assert (both.returncode, both.stdout) == (2, "")
    assert "one of the two" in both.stderr
    assert "there is no session 'attic'" in called("history", "attic").stderr
    nothing = called("history", "search", "?!")
    assert nothing.returncode == 2
    assert "no word to search for" in nothing.stderr
    assert "user, assistant, tool" in called("history", "search", "a", "--role", "x").stderr
    assert "jsonl, json, markdown" in called("export", "kitchen", "--format", "pdf").stderr


def test_help_is_shown_for_the_group(talked, called):
    done = called("history", "--help")
    assert done.returncode == 0
    assert "search" in done.stdout


def test_words_are_found_in_all_sessions_or_in_one(talked, called):
    hits = told(called, "history", "search", "key")
    assert {hit["session"] for hit in hits} == {"kitchen", "search"}
    one = told(called, "history", "search", "key", "--session", "kitchen", "--limit", "2")
    assert [hit["session"] for hit in one] == ["kitchen"] * 2
    a, b = one[0]["marks"][0]
    assert one[0]["passage"][a:b] == "key"
    assert told(called, "history", "search", "key", "--until", "2020-01-01") == []
    assert called("history", "search", "figs").stdout == "No message has these words.\n"
    assert "\x1b[31m" not in called("history", "search", "another").stdout


def test_an_export_has_everything_in_its_order(talked, called, stack_env):
    lines = [json.loads(line) for line in called("export", "kitchen").stdout.splitlines()]
    assert [line["type"] for line in lines] == ["session", *["message"] * 9]
    assert (lines[0]["key"], lines[0]["messages"], lines[0]["turns"]) == ("kitchen", 9, 4)
    assert [line["index"] for line in lines[1:]] == list(range(1, 10))
    first = lines[1]
    assert (first["role"], first["content"]) == ("user", "I left key 0 on the shelf")
    assert {"peer", "at", "turn", "id"} <= set(first)
    assert lines[8]["role"] == "tool"
    whole = json.loads(called("export", "kitchen", "--format", "json").stdout)
    assert whole["session"]["key"] == "kitchen"
    assert [{"type": "message", **m} for m in whole["messages"]] == lines[1:]
    assert whole["compactions"] == []


def test_an_export_to_a_file_is_its_owners_and_whole(talked, called, tmp_path):
    path = tmp_path / "kitchen.md"
    done = called("export", "kitchen", "--format", "markdown", "-o", str(path))
    assert (done.returncode, done.stdout) == (0, "")
    assert "9 messages of kitchen" in done.stderr
    text = path.read_text()
    assert text.startswith("# kitchen\n")
    assert text.count("\n## ") == 9
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name != "home"] == ["kitchen.md"]
    away = called("export", "kitchen", "-o", str(tmp_path / "none" / "x"))
    assert away.returncode == 1
    assert "No such file" in away.stderr
