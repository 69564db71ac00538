"""`afterturn config set` and `unset`: changed where it belongs, and it holds from the next turn."""

from __future__ import annotations

import json
import stat

import psycopg
import pytest

from afterturn import Memory
from support.configured import KEY, NOWHERE, got, write


def test_what_is_shared_goes_to_postgres_and_the_rest_into_our_file(done, room, file):
    assert "is 5 in Postgres (workspace " in done("set", "writeFrequency", "5")
    assert not file.exists()
    assert done("set", "peerName", "ann") == f"peerName is ann in {file}.\n"
    assert json.loads(file.read_text()) == {"peerName": "ann"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert done("set", "recallMode", "tools", "--file").startswith(f"recallMode is tools in {file}")
    assert got(done, "writeFrequency") == ("5", f"Postgres (workspace {room})")
    assert got(done, "recallMode") == ("tools", str(file))


def test_values_are_kept_as_what_they_are(done, file):
    for key, value in (("saveMessages", "false"), ("contextTokens", "500"), ("timeout", "2.5"),
                       ("noisePatterns", '["a"]'), ("observation", '{"ai": {"observeMe": false}}'),
                       ("injectionFrequency", "first-turn"), ("recallMode", "auto")):  # fmt: skip
        done("set", key, value, "--file")
    assert json.loads(file.read_text()) == {
        "saveMessages": False, "contextTokens": 500, "requestSeconds": 2.5, "noisePatterns": ["a"],
        "observation": {"ai": {"observeMe": False}}, "injection": "first-turn",
        "recallMode": "hybrid",
    }  # fmt: skip


def test_unset_takes_back_what_was_set(done, room, file):
    done("set", "memoryMode", "local", "--session", "talk")
    assert "is not said any more in Postgres (session talk)" in done(
        "unset", "memoryMode", "--session", "talk"
    )
    assert "was not said in Postgres (session talk)" in done(
        "unset", "memoryMode", "--session", "talk"
    )
    done("set", "peerName", "ann")
    assert json.loads(done("unset", "peerName", "--json"))["unset"] is True
    assert json.loads(file.read_text()) == {}


def test_what_comes_first_instead_is_said(done, room, file, monkeypatch):
    done("set", "writeFrequency", "turn")
    said = done("set", "writeFrequency", "5", "--file")
    assert f"It does not count here: Postgres (workspace {room}) comes first." in said
    done("set", "memoryMode", "local", "--agent", "agent")
    said = done("set", "userMemoryMode", "honcho")
    assert "It does not count here: Postgres (agent agent) comes first." in said
    monkeypatch.setenv("AFTERTURN_PEER_NAME", "bob")
    report = json.loads(done("set", "peerName", "ann", "--json"))
    assert report["shadowed"] == "the environment (AFTERTURN_PEER_NAME)"


def test_the_map_of_directories(done, room):
    done("set", "sessions", '{"/code/app": "app"}')
    assert got(done, "sessions") == ({"/code/app": "app"}, f"Postgres (workspace {room})")
    done("unset", "sessions")
    assert got(done, "sessions") == ({}, "default")


def test_a_workspace_that_nobody_has_spoken_in_yet(done, room):
    env = {"AFTERTURN_WORKSPACE": f"{room}-new"}
    assert got(done, "memoryMode")[0] is None
    done("set", "memoryMode", "honcho", env=env)
    assert got(done, "memoryMode") == ("honcho", f"Postgres (workspace {room}-new)")


def test_a_wrong_file_is_mended_by_the_command(done, refused, file):
    write(file, {"writeFrequency": "often", "apiKey": KEY})
    assert "writeFrequency" in refused("show")
    done("set", "writeFrequency", "turn", "--file")
    assert json.loads(file.read_text()) == {"apiKey": KEY, "writeFrequency": "turn"}
    write(file, {"leaseSeconds": 3})
    assert "leaseSeconds" in refused("get", "workspace")
    done("unset", "leaseSeconds")
    assert done("get", "leaseSeconds") == "20.0\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["get", "memorymode"], "did you mean memoryMode?"),
     (["set", "writeFreq", "5"], "did you mean writeFrequency?"),
     (["set", "writeFrequency", "often"], "async, turn, session, or a number of turns"),
     (["set", "contextTokens", "5", "--file"], "greater than or equal to 100"),
     (["set", "noisePatterns", "PING"], "is written as JSON"),
     (["set", "noisePatterns", '["/(/"]'], "not a regular expression"),
     (["set", "leaseSeconds", "5"], "must exceed requestSeconds"),
     (["set", "dialecticDepthLevels", '["low", "low"]', "--file"], "more passes than"),
     (["set", "databaseUrl", "postgresql://h/d", "--agent", "ada"], "belongs to one machine"),
     (["set", "sessionStrategy", "global", "--session", "talk"], "not for one session"),
     (["set", "memoryMode", "local", "--file", "--agent", "a"], "choose one of"),
     (["unset", "apiKey"], "is a secret"),
     (["get", "apiKey"], "read by workers only")],
)  # fmt: skip
def test_what_cannot_be_is_said_and_changes_nothing(refused, file, arguments, said):
    assert said in refused(*arguments)
    assert not file.exists()


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [("apiKey", KEY, "AFTERTURN_HONCHO_API_KEY"), ("targets", "{}", "AFTERTURN_TARGETS"),
     ("databaseUrl", NOWHERE, "AFTERTURN_DATABASE_URL"),
     ("redisUrl", "redis://:hunter2@h/0", "AFTERTURN_REDIS_URL"),
     ("baseUrl", "http://u:hunter2@h", "AFTERTURN_HONCHO_URL")],
)  # fmt: skip
def test_secrets_are_refused_with_where_they_go(refused, file, key, value, place):
    said = refused("set", key, value)
    assert f"set {place} in the environment" in said
    assert f"chmod 600 {file}" in said
    assert "hunter2" not in said
    assert KEY not in said
    assert not file.exists()


def test_what_cannot_be_together_in_postgres_is_refused(done, refused, room):
    done("set", "dialecticDepth", "2", "--agent", "ada")
    done("set", "dialecticDepthLevels", '["low", "max"]', "--agent", "ada")
    assert "more passes" in refused("set", "dialecticDepth", "1", "--agent", "ada")
    assert "more passes" in refused("unset", "dialecticDepth", "--agent", "ada")
    assert "more passes" in refused("set", "dialecticDepth", "1", "--session", "talk")
    assert got(done, "dialecticDepth", "--agent", "ada")[0] == 2


def test_a_session_that_is_none(refused, room):
    for arguments in (["show"], ["get", "memoryMode"], ["set", "memoryMode", "local"]):
        assert "no session called 'walk'" in refused(*arguments, "--session", "walk")


def test_without_postgres_what_is_shared_is_refused_with_the_way_out(refused, monkeypatch):
    assert "say --file" in refused("set", "memoryMode", "local")
    assert "AFTERTURN_DATABASE_URL" in refused("show", "--session", "talk")
    monkeypatch.setenv("AFTERTURN_DATABASE_URL", NOWHERE)
    said = refused("set", "memoryMode", "local", status=1)
    assert said.startswith("Postgres: ")
    assert "hunter2" not in said


def test_a_change_holds_from_the_next_turn_of_an_agent_that_runs(
    done, room, redis_url, configured_database
):
    def deliveries():
        with psycopg.connect(configured_database) as there:
            found = there.execute(
                "SELECT m.role, m.delivery, m.reason FROM messages m"
                " JOIN sessions s ON s.id = m.session_id JOIN workspaces w ON w.id = s.workspace_id"
                " WHERE w.name = %s ORDER BY m.index",
                [room],
            ).fetchall()
        return [tuple(row) for row in found][-2:]

    with Memory.open(redis_url=redis_url) as memory:
        session = memory.session(name="live")
        session.begin_turn("a").end("b")
        assert deliveries() == [("user", "send", None), ("assistant", "send", None)]
        done("set", "userMemoryMode", "local", "--session", "live")
        session.begin_turn("a").end("b")
        assert deliveries() == [("user", "local", "mode"), ("assistant", "send", None)]
        done("set", "saveMessages", "false")
        session.begin_turn("a").end("b")
        assert [delivery for _, delivery, _ in deliveries()] == ["local", "local"]
        done("unset", "saveMessages")
        done("unset", "userMemoryMode", "--session", "live")
        session.begin_turn("a").end("b")
        assert deliveries() == [("user", "send", None), ("assistant", "send", None)]


def test_a_message_is_split_as_configured(done, room, redis_url, configured_database):
    done("set", "messageMaxChars", "1000")
    with Memory.open(redis_url=redis_url) as memory:
        memory.session(name="long").begin_turn("word " * 500).end("b")
    with psycopg.connect(configured_database) as there:
        found = there.execute(
            "SELECT max(length(m.content)), max(m.parts) FROM messages m"
            " JOIN sessions s ON s.id = m.session_id JOIN workspaces w ON w.id = s.workspace_id"
            " WHERE w.name = %s",
            [room],
        ).fetchone()
    assert found is not None
    assert found[0] <= 1000
    assert found[1] >= 3
