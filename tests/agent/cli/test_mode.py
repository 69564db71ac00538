"""`afterturn mode`, `enable` and `disable`, and what of a session holds then."""

from __future__ import annotations

import json

import pytest

from afterturn import Memory


@pytest.fixture
def talked(memory):
    """Have two conversations."""
    for name in ("kitchen", "garden"):
        memory.session(name=name).begin_turn("hello").end("hi")
    return memory


@pytest.fixture
def said(called):
    """Give a function that runs a command, which is to work, and gives what it says."""

    def run(*words, **more):
        done = called(*words, **more)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def modes(said, *words):
    found = json.loads(said("mode", "--json", *words))
    return {side: found[side]["mode"] for side in ("user", "agent") if side in found}


def kept(look, key):
    """Give how the last turn of a session was captured: the user's message, and the agent's."""
    return [row["reason"] for row in look.rows(key)[-2:]]


def test_nothing_said_is_hybrid(agent_env, said):
    assert said("mode") == "user: hybrid (default)\nagent: hybrid (default)\n"


def test_a_mode_holds_from_the_next_turn_of_an_agent_that_runs(talked, said, look, workspace):
    session = talked.session(name="kitchen")
    shown = said("mode", "local")
    assert f"memoryMode is local in Postgres (workspace {workspace})." in shown
    assert "from the next turn" in shown
    session.begin_turn("two").end("two")
    assert kept(look, "kitchen") == ["mode", "mode"]
    said("mode", "hybrid")
    session.begin_turn("three").end("three")
    assert kept(look, "kitchen") == [None, None]


@pytest.mark.parametrize(
    ("flags", "captured"), [(["--user"], ["mode", None]), (["--agent"], [None, "mode"]),
                            (["--user", "--agent"], ["mode", "mode"])],
)  # fmt: skip
def test_one_side_by_itself(talked, said, look, flags, captured):
    said("mode", "local", *flags)
    talked.session(name="kitchen").begin_turn("two").end("two")
    assert kept(look, "kitchen") == captured


def test_both_sides_means_both_whatever_was_said_of_one(talked, said, look):
    said("mode", "hybrid", "--user")
    said("mode", "local")
    assert modes(said) == {"user": "local", "agent": "local"}
    talked.session(name="kitchen").begin_turn("two").end("two")
    assert kept(look, "kitchen") == ["mode", "mode"]


def test_one_session_has_a_mode_of_its_own_and_others_name_it(talked, said, look):
    said("mode", "local", "--user", "--session", "kitchen")
    talked.session(name="garden").begin_turn("two").end("two")
    assert kept(look, "garden") == [None, None]
    assert modes(said, "--session", "kitchen") == {"user": "local", "agent": "hybrid"}
    assert modes(said) == {"user": "hybrid", "agent": "hybrid"}
    assert "Otherwise in kitchen (user local, agent hybrid)" in said("mode")
    assert "Otherwise in kitchen (user local, agent honcho)" in said("mode", "honcho")
    report = json.loads(said("mode", "hybrid", "--json"))
    assert report["otherwise"] == [{"session": "kitchen", "user": "local", "agent": "hybrid"}]
    assert modes(said, "--user") == {"user": "hybrid"}


def test_a_session_whose_agent_was_told_otherwise_is_named(agent_env, said):
    with Memory.open(user_memory_mode="honcho") as memory:
        memory.session(name="cellar").begin_turn("one").end("one")
    assert "Otherwise in cellar (user honcho, agent hybrid)" in said("mode", "local", "--user")
    shown = said("mode", "--session", "cellar")
    assert shown.startswith("user: honcho (as its agent is configured)\n")


def test_the_mode_is_among_what_sessions_show(talked, said):
    said("mode", "local", "--agent", "--session", "kitchen")
    listed = {line["key"]: line for line in json.loads(said("sessions", "--json"))}
    assert (listed["kitchen"]["user_mode"], listed["kitchen"]["agent_mode"]) == ("hybrid", "local")
    assert (listed["garden"]["agent_mode"], listed["garden"]["saves"]) == ("hybrid", True)
    assert "user hybrid, agent local" in said("sessions")
    assert "agent mode      local" in said("session", "show", "kitchen")


def test_disable_keeps_turns_here_and_enable_says_what_was_said_before(talked, said, look):
    said("config", "set", "contextCadence", "3")
    said("config", "set", "saveMessages", "true", "--session", "garden")
    shown = said("disable")
    assert "Memory is off in workspace " in shown
    assert "Otherwise in garden (sent)" in shown
    session = talked.session(name="kitchen")
    session.begin_turn("two").end("two")
    assert kept(look, "kitchen") == ["saveMessages", "saveMessages"]
    assert said("config", "get", "contextCadence") == "0\n"
    assert "Nothing is sent all the same" in said("mode", "--session", "kitchen")
    assert "off" in said("sessions")
    said("disable")  # twice is once
    said("config", "set", "dialecticCadence", "7")  # said meanwhile, so it stays
    assert "Memory is on in workspace " in said("enable")
    session.begin_turn("three").end("three")
    assert kept(look, "kitchen") == [None, None]
    assert said("config", "get", "contextCadence") == "3\n"
    assert said("config", "get", "dialecticCadence") == "7\n"
    assert said("config", "get", "recallMode") == "hybrid\n"
    assert said("enable").startswith("Memory was not switched off")


def test_what_is_kept_meanwhile_is_no_setting(agent_env, said):
    said("disable")
    assert json.loads(said("config", "show", "--json"))["warnings"] == []


def test_switching_says_what_it_did_in_json(agent_env, said, workspace):
    off = json.loads(said("disable", "--json"))
    assert (off["enabled"], off["workspace"], off["otherwise"]) == (False, workspace, [])
    assert {one["key"] for one in off["changed"]} == {
        "saveMessages", "contextCadence", "dialecticCadence", "recallMode",
    }  # fmt: skip
    on = json.loads(said("enable", "--json"))
    assert [one["unset"] for one in on["changed"]] == [True] * 4


def test_a_machine_that_is_off_by_its_file_is_told_so(agent_env, said, monkeypatch):
    said("disable")
    monkeypatch.setenv("AFTERTURN_ENABLED", "false")
    said_then = said("enable")
    assert "Agents of this machine stay off: enabled is false in the environment" in said_then


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["often"], 2, "'hybrid', 'honcho' or 'local'"),
        (["local", "--session", "attic"], 2, "there is no session called 'attic'"),
        (["--session", "attic"], 2, "there is no session called 'attic'"),
    ],
)
def test_what_cannot_be_is_a_sentence(talked, called, words, status, why):
    done = called("mode", *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_database_the_configuration_is_shown_and_nothing_is_set(called, monkeypatch):
    monkeypatch.setenv("AFTERTURN_USER_MEMORY_MODE", "local")
    assert called("mode").stdout.startswith("user: local (the environment (AFTERTURN_USER")
    done = called("mode", "local")
    assert done.returncode == 2
    assert "no database" in done.stderr


@pytest.mark.parametrize("command", [["mode"], ["mode", "local"], ["enable"], ["disable"]])
def test_a_database_that_is_away_is_a_sentence(called, command):
    env = {"AFTERTURN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}
    done = called(*command, env=env)
    assert done.returncode == 1
    assert "afterturn: Postgres: " in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
