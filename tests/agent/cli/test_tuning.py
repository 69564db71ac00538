"""`afterturn recall`, `frequency`, `strategy`, `tokens` and `peer`: shown, set, and in force."""

from __future__ import annotations

import json

import pytest

from support.configured import KEY


@pytest.fixture
def said(called, agent_env):
    """Give a function that runs a command, which is to work, and gives what it says."""

    def run(*words):
        done = called(*words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.mark.parametrize(
    ("command", "key", "default", "value"),
    [
        ("recall", "recallMode", "hybrid", "tools"),
        ("frequency", "writeFrequency", "async", "5"),
        ("strategy", "sessionStrategy", "per-directory", "per-repo"),
    ],
)
def test_one_setting_is_shown_and_set_for_the_workspace(
    said, workspace, command, key, default, value
):
    assert said(command) == f"{key}: {default} (default)\n"
    assert f"{key} is {value} in Postgres (workspace {workspace})." in said(command, value)
    assert json.loads(said(command, "--json")) == {
        key: {"value": value, "origin": f"Postgres (workspace {workspace})"}
    }


def test_for_one_session_or_one_agent(memory, said):
    memory.session(name="talk").begin_turn("hello").end("hi")
    said("frequency", "session", "--session", "talk")
    said("recall", "context", "--session", "talk")
    said("recall", "tools", "--agent", "ada")
    assert said("frequency", "--session", "talk").startswith("writeFrequency: session (Postgres")
    assert said("recall", "--session", "talk").startswith("recallMode: context (Postgres")
    assert said("recall", "--agent", "ada").startswith("recallMode: tools (Postgres (agent ada))")
    assert said("recall") == "recallMode: hybrid (default)\n"


def test_a_frequency_holds_from_the_next_turn(memory, said, look):
    session = memory.session(name="talk")
    session.begin_turn("one").end("one")
    assert look.session("talk")["due_index"] == 2
    assert "from the next turn" in said("frequency", "session")
    session.begin_turn("two").end("two")
    assert look.session("talk")["due_index"] == 2


def test_tokens_together_or_one_by_one(said):
    assert said("tokens") == "contextTokens: 2000 (default)\ndialecticMaxChars: 600 (default)\n"
    shown = said("tokens", "--context", "4000", "--dialectic", "1200")
    assert shown.count("in Postgres (workspace ") == 2
    report = json.loads(said("tokens", "--dialectic", "900", "--json"))
    assert [(one["key"], one["value"]) for one in report["changed"]] == [("dialecticMaxChars", 900)]
    found = json.loads(said("tokens", "--json"))
    assert {key: one["value"] for key, one in found.items()} == {
        "contextTokens": 4000,
        "dialecticMaxChars": 900,
    }


def test_of_two_values_a_wrong_one_keeps_both_out(said, called):
    done = called("tokens", "--context", "4000", "--dialectic", "3")
    assert done.returncode == 2
    assert "dialecticMaxChars" in done.stderr
    assert said("tokens").startswith("contextTokens: 2000 (default)")


def test_peers_names_are_this_machines_and_the_level_is_everybodys(
    said, empty_environment, workspace
):
    file = empty_environment / "config.json"
    shown = said("peer", "--user", "ann", "--ai", "clerk", "--reasoning", "medium")
    assert f"peerName is ann in {file}." in shown
    assert f"dialecticReasoningLevel is medium in Postgres (workspace {workspace})." in shown
    assert "Sessions that are opened from now on have it" in shown
    assert json.loads(file.read_text()) == {"peerName": "ann", "aiPeer": "clerk"}
    assert said("peer").startswith(f"peerName: ann ({file})\naiPeer: clerk ({file})\n")


def test_the_user_of_every_agent_is_named_where_that_is_asked_for(said, called, workspace):
    place = f"Postgres (workspace {workspace})"
    assert f"peerName is ann in {place}." in said("peer", "--user", "ann", "--workspace-wide")
    assert f"It does not count here: {place} comes first." in said("peer", "--user", "bob")
    assert said("peer").startswith(f"peerName: ann ({place})\n")
    refused = called("peer", "--user", "eve", "--ai", "clerk", "--workspace-wide")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "aiPeer belongs to one machine" in refused.stderr
    assert said("peer").startswith(f"peerName: ann ({place})\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["recall", "never"], "'hybrid', 'context' or 'tools'"),
        (["recall", "tools", "--agent", "a", "--session", "b"], "choose one of"),
        (["frequency", "0"], "a number of turns from 1 to 10000"),
        (["frequency", "often"], "use async, turn, session"),
        (["frequency", "turn", "--session", "attic"], "there is no session called 'attic'"),
        (["strategy", "per-moon"], "'per-directory', 'per-repo', 'per-session' or 'global'"),
        (["tokens", "--context", "5"], "greater than or equal to 100"),
        (["peer", "--reasoning", "wild"], "'minimal', 'low'"),
        (["peer", "--user", "   "], "peerName: String should have at least 1 character"),
        (["tokens", "--context", "many"], "--context"),
    ],
)
def test_what_cannot_be_is_said(called, agent_env, words, why):
    done = called(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_no_secret_is_shown(said, empty_environment):
    empty_environment.mkdir()
    file = empty_environment / "config.json"
    file.write_text(json.dumps({"apiKey": KEY}))
    file.chmod(0o600)
    assert KEY not in said("peer", "--user", "ann") + said("peer", "--json")
    assert json.loads(file.read_text())["apiKey"] == KEY
