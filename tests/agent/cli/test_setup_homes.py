"""What setup finds in homes of Hermes, OpenClaw and nanobot: settings, personas, each once for ever."""

from __future__ import annotations

import io
import json
import sys

import psycopg
import pytest

from afterturn.setup.homes import find_homes
from afterturn.setup.personas import find_personas
from afterturn.setup.taking_over import KeyAt, offers
from afterturn_models.errors import ConfigurationError
from afterturn_models.lenient_json import read_lenient
from afterturn_models.settings import read
from afterturn_models.store.identity import Pair

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def user(empty_environment):
    """Give the user's home folder."""
    return empty_environment.parent


@pytest.fixture
def setup(called, monkeypatch):
    def run(*words, env=None):
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        return called("setup", *words, "--yes", env=env)

    return run


@pytest.fixture
def env(database_url, redis_url):
    return {"AFTERTURN_DATABASE_URL": database_url, "AFTERTURN_REDIS_URL": redis_url}


def seeds(database_url):
    with psycopg.connect(database_url) as there:
        return there.execute(
            "SELECT w.name, s.peer, s.source FROM identity_seeds s"
            " JOIN workspaces w ON w.id = s.workspace_id ORDER BY 2, 3"
        ).fetchall()


def test_openclaw_is_taken_over_with_its_agents(setup, env, config, user, write, database_url):
    home = user / ".openclaw"
    elsewhere = user / "elsewhere"
    root = {
        "agents": {
            "defaults": {"workspace": str(elsewhere)},
            "list": [{"id": "Main", "default": True}, {"id": "scout"}],
        },
        "plugins": {
            "entries": {
                "openclaw-honcho": {
                    "config": {
                        "workspaceId": "oc",
                        "timeoutMs": 4000,
                        "noisePatterns": ["PING"],
                        "recall": {"automatic": "session"},
                    }
                }
            }
        },
    }
    write(home / "openclaw.json", "// mine\n" + json.dumps(root)[:-1] + ",}")
    write(elsewhere / "SOUL.md", "I am kind.")
    write(elsewhere / "USER.md", "Ann likes tea.")
    write(home / "workspace" / "USER.md", "Ann likes tea.\n")  # the same text, twice
    write(home / "workspace" / "MEMORY.md", "We met in May.")
    write(home / "workspace-scout" / "SOUL.md", "I look around.")
    write(home / "workspace-scout" / "USER.md", "Ann walks.")
    (home / "workspace-link").symlink_to(home / "workspace")
    done = setup("--honcho-url", "embedded", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(config.read_text()) == {
        "workspace": "oc",
        "peerName": "owner",
        "aiPeer": "agent-main",
        "requestSeconds": 4.0,
        "noisePatterns": ["PING"],
        "recallAutomatic": "session",
    }
    assert seeds(database_url) == [
        ("oc", "agent-main", "MEMORY.md"),
        ("oc", "agent-main", "SOUL.md"),
        ("oc", "agent-main", "card/name"),
        ("oc", "agent-scout", "SOUL.md"),
        ("oc", "agent-scout", "card/name"),
        ("oc", "owner", "USER.md"),
        ("oc", "owner", "USER.md"),
    ]
    again = setup("--honcho-url", "embedded", env=env)
    assert "All of it is as it should be" in again.stderr
    assert len(seeds(database_url)) == 7


def test_a_file_that_changes_is_seeded_anew_and_the_rest_is_not(
    setup, env, user, write, database_url
):
    """Seeding that repeats filled others' memories with copies of the same file."""
    write(user / ".hermes" / "SOUL.md", "I am kind.")
    write(user / ".hermes" / "memories" / "USER.md", "Ann likes tea.")
    for _ in range(3):
        assert setup("--honcho-url", "embedded", env=env).returncode == 0
    assert len(seeds(database_url)) == 2
    write(user / ".hermes" / "SOUL.md", "I am kind, and exact.")
    done = setup("--honcho-url", "embedded", "--json", env=env)
    assert json.loads(done.stdout)["done"]["seeded"] == [str(user / ".hermes" / "SOUL.md")]
    assert [source for _, _, source in seeds(database_url)] == ["SOUL.md", "SOUL.md", "USER.md"]


def test_nothing_of_others_is_taken_where_one_says_no(
    setup, env, config, user, write, database_url
):
    write(user / ".hermes" / "honcho.json", {"peerName": "ann"})
    write(user / ".hermes" / "SOUL.md", "I am kind.")
    done = setup("--honcho-url", "embedded", "--no-take-over", "--no-seed", env=env)
    assert done.returncode == 0
    assert not config.exists()
    assert seeds(database_url) == []


def test_nanobot_has_a_section_of_its_own_and_memory_in_a_folder(user, write):
    home = user / ".nanobot"
    write(home / "config.json", {"honcho": {"enabled": False, "contextTokens": 900}})
    write(home / "workspace" / "SOUL.md", "I am small.")
    write(home / "workspace" / "memory" / "MEMORY.md", "We met.")
    (found,) = find_homes({})
    (offer,) = offers([found], read())
    assert offer.values == {"workspace": "nanobot", "context_tokens": 900}
    names = [one.name for one in find_personas([found], Pair("w", "ada", "ann"))]
    assert names == ["SOUL.md", "MEMORY.md"]


def test_hermes_block_in_the_file_that_all_share(user, write):
    block = {"workspace": "h", "apiKey": "hch-1", "writeFrequency": "sometimes", "surprise": 1}
    write(user / ".honcho" / "config.json", {"hosts": {"hermes": block}, "peerName": "ann"})
    (user / ".hermes").mkdir()
    (offer,) = offers(find_homes({}), read())
    assert offer.values == {"workspace": "h", "ai_peer": "hermes"}  # what all share counts anyway
    assert offer.key == KeyAt(user / ".honcho" / "config.json", ("hosts", "hermes"))
    assert ["writeFrequency" in one or "surprise" in one for one in offer.left] == [True, True]
    assert "hch-1" not in repr(offer)


def test_what_we_say_ourselves_is_not_offered(user, write, config, monkeypatch):
    write(user / ".hermes" / "honcho.json", {"workspace": "h", "peerName": "ann", "aiPeer": "x"})
    write(config, {"workspace": "ours"})
    monkeypatch.setenv("AFTERTURN_PEER_NAME", "bob")
    (offer,) = offers(find_homes({}), read())
    assert offer.values == {"ai_peer": "x"}


def test_homes_are_where_their_own_variables_say(user, write):
    write(user / "h" / "honcho.json", {"workspace": "h"})
    write(user / "o" / "conf.json", {"plugins": {"openclaw-honcho": {"config": {"baseUrl": "u"}}}})
    env = {
        "HERMES_HOME": str(user / "h"),
        "OPENCLAW_STATE_DIR": str(user / "o"),
        "OPENCLAW_CONFIG_PATH": str(user / "o" / "conf.json"),
    }
    found = {one.program: one for one in find_homes(env)}
    assert set(found) == {"Hermes", "OpenClaw"}
    assert found["OpenClaw"].said.blocks == (("plugins", "openclaw-honcho", "config"),)


def test_a_configuration_that_is_none_is_said_and_personas_are_found_all_the_same(
    setup, env, user, write, database_url
):
    write(user / ".openclaw" / "openclaw.json", '{"apiKey": "hch-1", nonsense')
    write(user / ".openclaw" / "workspace" / "SOUL.md", "I am kind.")
    done = setup("--honcho-url", "embedded", env=env)
    assert done.returncode == 0
    assert "openclaw.json is not JSON, nor JSON with comments" in done.stderr
    assert "hch-1" not in done.stderr
    assert [source for *_, source in seeds(database_url)] == ["SOUL.md"]


def test_links_binaries_and_empty_files_are_not_seeded(user, write):
    folder = user / ".hermes"
    write(user / "secret", "secret")
    folder.mkdir()
    (folder / "SOUL.md").symlink_to(user / "secret")
    (folder / "AGENTS.md").write_bytes(b"\0\1")
    write(folder / "IDENTITY.md", "  \n")
    write(folder / "BOOTSTRAP.md", "x" * (1024 * 1024 + 1))
    found = {one.name: one.refused for one in find_personas(find_homes({}), Pair("w", "a", "u"))}
    assert set(found) == {"SOUL.md", "AGENTS.md", "BOOTSTRAP.md"}
    assert "is a symbolic link" in found["SOUL.md"]
    assert "is binary" in found["AGENTS.md"]
    assert "would be larger" in found["BOOTSTRAP.md"]


def test_seeds_of_an_unreachable_database_are_not_done_and_said(setup, user, write, config):
    write(user / ".hermes" / "SOUL.md", "I am kind.")
    write(
        config,
        {"databaseUrl": "postgresql://127.0.0.1:1/x", "redisUrl": "redis://127.0.0.1:1/0"},
    )
    done = setup("--honcho-url", "embedded", "--untested")
    assert done.returncode == 1
    assert "Not done: seeding: Postgres: " in done.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("\ufeff{a: 'it\\'s', b: 'say \"x\"', // c\n c: [1, 2,], /* d */}",
         {"a": "it's", "b": 'say "x"', "c": [1, 2]}),
        ('{"a": "http://x, }", $b: "//",}', {"a": "http://x, }", "$b": "//"}),
        ("{'a': 'x\\\\', \"b\": \"'\"}", {"a": "x\\", "b": "'"}),
    ],
)  # fmt: skip
def test_json_as_people_write_it(tmp_path, text, value):
    (tmp_path / "f.json").write_text(text, encoding="utf-8")
    assert read_lenient(tmp_path / "f.json") == value


@pytest.mark.parametrize("text", ["", "[1]", "{a: }", '{"a": "hch-1', "[" * 100_000])
def test_what_is_no_object_is_a_sentence_that_quotes_nothing(tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_lenient(tmp_path / "f.json")
    assert "hch-1" not in str(raised.value)
    assert str(tmp_path / "f.json") in str(raised.value)
