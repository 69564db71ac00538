"""`afterturn chat` by pipes and options: a message a line, one message, which session, what is missing."""

from __future__ import annotations

import importlib.abc
import os
import sys

import pytest

from afterturn.chat.terminal import _KEPT, _MOST, private_history
from support.configured import NOWHERE
from support.llm_server import Answer


@pytest.fixture
def with_model(llm, monkeypatch):
    monkeypatch.setenv("AFTERTURN_LLM_BASE_URL", llm.url)


def test_a_pipe_brings_a_message_a_line_and_gets_the_replies_alone(
    afterturn, agent_env, with_model, llm, look
):
    llm.script("At the sea.", Answer(fault="401"), "Hot.")
    lines = "Where is Porto?\n\n/help\nAnd Lisbon?\nAnd Faro?\n"
    done = afterturn("chat", "plans", input=lines)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert (first, last) == ("At the sea.", "Hot.")
    assert done.stderr.count("\n") == 1
    assert "wants a key" in done.stderr
    assert "\x1b" not in done.stdout
    assert look.said("plans") == [
        "Where is Porto?",
        "At the sea.",
        "And Lisbon?",
        "And Faro?",
        "Hot.",
    ]


def test_one_message_and_its_reply(called, agent_env, with_model, llm, look):
    llm.script("At the sea.", Answer(fault="401"))
    done = called("chat", "plans", "--once", "Where is Porto?")
    assert (done.returncode, done.stdout, done.stderr) == (0, "At the sea.\n", "")
    done = called("chat", "plans", "--once", "And Lisbon?")
    assert (done.returncode, done.stdout) == (1, "")
    assert "wants a key: set AFTERTURN_LLM_API_KEY" in done.stderr


def test_which_conversation_it_is(called, agent_env, look, tmp_path, monkeypatch):
    folder = tmp_path / "foo"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for words in (
        (), ("plans",), ("--title", "Spring"), ("--directory", str(tmp_path / "bar")),
        ("--new",), ("--new", "--title", "Autumn"),
    ):  # fmt: skip
        assert called("chat", *words, "--once", "hello", "--scripted").returncode == 0
    keys = [row["key"] for row in look.query(
        "SELECT s.key FROM sessions s JOIN workspaces w ON w.id = s.workspace_id"
        " WHERE w.name = %(name)s ORDER BY s.created_at", name=os.environ["AFTERTURN_WORKSPACE"]
    )]  # fmt: skip
    named = [key for key in keys if not key.startswith("foo-")]
    assert named == ["foo", "plans", "Spring", "bar", "Autumn"]
    assert len(keys) == 6
    done = called("chat", "plans", "--title", "x", "--once", "hello")
    assert (done.returncode, done.stdout) == (2, "")
    assert "say one of NAME, --title and --directory" in done.stderr
    assert called("chat", "plans", "--new", "--once", "hello").returncode == 2


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 2),
        ({"AFTERTURN_DATABASE_URL": NOWHERE, "AFTERTURN_REDIS_URL": "redis://127.0.0.1:1/0"}, 1),
    ],
)
def test_where_nothing_runs_it_says_what_starts_it(called, settings, status):
    done = called("chat", "plans", "--once", "hello", env=settings)
    assert (done.returncode, done.stdout) == (status, "")
    assert "afterturn up" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_without_redis_it_talks_and_says_so(called, agent_env, look):
    env = {"AFTERTURN_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = called("chat", "plans", "--once", "hello", "--scripted", env=env)
    assert done.returncode == 0
    assert "Redis cannot be reached" in done.stderr
    assert "afterturn up" in done.stderr
    assert look.said("plans")[0] == "hello"


class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "openai":
            raise ModuleNotFoundError(name=name)


def test_without_the_extra_it_says_what_to_install(called, agent_env, monkeypatch):
    for name in [one for one in sys.modules if one.partition(".")[0] == "openai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])
    words = ("chat", "plans", "--base-url", "http://127.0.0.1:1/v1", "--model", "m", "--once", "hi")
    done = called(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'afterturn[chat]'" in done.stderr
    done = called("chat", "plans", "--once", "hi", "--scripted")
    assert done.stdout.startswith("[scripted] You said: hi")


def test_the_history_of_what_was_typed_stays_private_and_short(tmp_path):
    path = tmp_path / "home" / "chat_history"
    private_history(path)
    path.chmod(0o644)
    path.write_text("".join(f"\n# then\n+line {number}\n" for number in range(60_000)))
    assert path.stat().st_size > _MOST
    private_history(path)
    assert path.stat().st_mode & 0o777 == 0o600
    kept = path.read_text()
    assert _KEPT // 2 < len(kept) <= _KEPT
    assert kept.startswith("\n# then\n+line ")
    assert kept.endswith("+line 59999\n")
