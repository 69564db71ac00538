"""`docs/cli.md`: made from the program, and each command of others has a counterpart that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afterturn import Memory
from afterturn.cli.counterparts import COUNTERPARTS
from afterturn.cli.page import page

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
# The commands that the spec's CLI sections show, and those of the two rivals.
SPEC = {"status", "mode", "sessions", "map", "identity", "setup"}
HERMES = {
    "setup", "status", "peers", "sessions", "map", "peer", "mode", "strategy", "tokens",
    "identity", "migrate", "enable", "disable", "sync",
}  # fmt: skip
OPENCLAW = {"setup", "status", "ask", "search"}


def test_the_page_is_what_the_program_says():
    assert PAGE.read_text() == page(), "make it anew: python -m afterturn.cli.page > docs/cli.md"


@pytest.mark.parametrize(
    ("whose", "theirs"), [("the spec", SPEC), ("Hermes", HERMES), ("OpenClaw", OPENCLAW)]
)
def test_every_command_of_theirs_is_there(whose, theirs):
    found = {one.theirs.split()[1] for one in COUNTERPARTS if one.whose == whose}
    assert found == theirs


@pytest.mark.parametrize("command", sorted({one.ours.split()[0] for one in COUNTERPARTS}))
def test_every_counterpart_has_help(called, command):
    done = called(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def soul(tmp_path):
    path = tmp_path / "SOUL.md"
    path.write_text("I am Hal, and calm.")
    return path


def test_every_counterpart_does_its_work(
    called, stack_env, start_worker, soul, tmp_path, monkeypatch, empty_environment
):
    """Run each as a person would, on a real stack with a real worker."""
    start_worker().ready()
    folder = tmp_path / "foo"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with Memory.open() as memory:
        session = memory.session(directory=str(folder))
        session.begin_turn("I live in Porto, and drink tea.").end("Noted.")
        assert session.flush(20)
    expected = {
        "status": ("status", "Honcho"),
        "status --json": ("status --json", '"workers"'),
        "mode": ("mode", "user: hybrid (default)"),
        "recall": ("recall context", "recallMode is context"),
        "sessions": ("sessions", "foo"),
        "map NAME": ("map plans", " is plans from now on"),
        "map": ("map", "→ plans"),
        "identity FILE": (f"identity {soul}", "SOUL.md: on its way"),
        "identity --show": ("identity --show", "Agent: agent"),
        "setup": ("setup --yes --json", '"plan"'),
        "peers": ("peers", "agent"),
        "peers map": ("peers map", "main → agent"),
        "peer": ("peer", "peerName: user"),
        "peer --user NAME --ai NAME": ("peer --user ann --ai clerk", "aiPeer is clerk"),
        "peer --reasoning LEVEL": ("peer --reasoning medium", "Level is medium"),
        "strategy": ("strategy per-repo", "sessionStrategy is per-repo"),
        "tokens": ("tokens", "contextTokens: 2000"),
        "tokens --context N --dialectic CHARS": (
            "tokens --context 3000 --dialectic 900",
            "dialecticMaxChars is 900",
        ),
        "migrate-files": ("migrate-files --yes", "No home of Hermes"),
        "disable": ("disable", "Memory is off"),
        "enable": ("enable", "Memory is on"),
        "sync": ("sync --wait", "settled"),
        "ask QUERY": ("ask tea --session foo", "tea"),
        "search QUERY": ("search tea --session foo", "user: I live in Porto, and drink tea."),
    }
    assert set(expected) == {one.ours for one in COUNTERPARTS}
    # In this order: what is switched off is on again before it is asked for.
    for line, shown in expected.values():
        done = called(*line.split())
        assert done.returncode == 0, (line, done)
        assert shown in done.stdout, (line, done)
        assert "Traceback" not in done.stderr
    queue = json.loads(called("queue", "--session", "foo", "--json").stdout)
    assert queue["user"]["peer"] == "user"
