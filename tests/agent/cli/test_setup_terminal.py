"""`afterturn setup` at a real terminal: every question, every way out of it, and Ctrl-C at each."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from afterturn_models.db import Database
from afterturn_models.migrate import current, head
from support.terminals import Terminals
from support.waiting import eventually

KEY = "hch-s3cret-of-ann"
WRONG = "hch-wr0ng"
POSTGRES, REDIS, HONCHO = (
    f"{name}: a number, embedded, or a URL" for name in ("Postgres", "Redis", "Honcho")
)
WORKSPACE, PEER, AGENT, STRATEGY = (
    "Workspace at Honcho",
    "Your name",
    "The agent's name",
    "A session for each",
)
PASSWORD, TYPED = "Its password (not shown", "Honcho's key (not shown"
NAMES = [(WORKSPACE, ""), (PEER, ""), (AGENT, ""), (STRATEGY, "")]


@pytest.fixture(scope="module")
def terminals():
    opened = Terminals(str(Path(__file__).parents[2]))
    yield opened
    opened.close()


@pytest.fixture
def setup(terminals, quiet_ports):
    return lambda *argv, ports=None: terminals.run("setup", *argv, ports=ports or quiet_ports)


def walk(dialogue, answers):
    for question, answer in answers:
        dialogue.answer(question, answer)


def without_password(url):
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return url.replace(parts.netloc, f"{user}{parts.hostname}:{parts.port}"), parts.password


@pytest.fixture
def hermes(empty_environment, write):
    """Give a home of Hermes with settings and personas, and the files that it has."""
    home = empty_environment.parent / ".hermes"
    write(home / "honcho.json", {"hosts": {"hermes": {"peerName": "ann", "aiPeer": "clerk"}}})
    write(home / "SOUL.md", "I am kind.")
    write(home / "memories" / "USER.md", "Ann likes tea.")
    return home


@pytest.fixture
def by_hand(empty_database_url, redis_url, keyed_honcho, hermes):
    """Give every question of a first run, with answers."""
    database, database_password = without_password(empty_database_url)
    redis, redis_password = without_password(redis_url)
    return [
        ("Take them over? [Y/n]", ""),
        (POSTGRES, database),
        *([(PASSWORD, database_password)] if database_password else []),
        ("Migrate it to this version's schema? [Y/n]", ""),
        (REDIS, redis),
        (PASSWORD, redis_password),
        (HONCHO, keyed_honcho),
        (WORKSPACE, "home"),
        (f"{PEER}, as the peer that you are [ann]", ""),
        (f"{AGENT}, as the peer that it is [clerk]", "ada"),
        (STRATEGY, "global"),
        (TYPED, KEY),
        ("Seed 2 files, each once for ever? [Y/n]", ""),
        ("Do it? [Y/n]", ""),
    ]


def test_a_first_run_by_hand(setup, by_hand, config, empty_database_url, redis_url, keyed_honcho):
    run = setup()
    walk(run, by_hand)
    assert run.ended() == 0, run.said
    said = json.loads(config.read_text())
    assert said == {
        "workspace": "home",
        "aiPeer": "ada",
        "peerName": "ann",
        "databaseUrl": empty_database_url,
        "redisUrl": redis_url,
        "honchoUrl": keyed_honcho,
        "sessionStrategy": "global",
        "apiKey": KEY,
    }
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    for secret in (KEY, urlsplit(redis_url).password, urlsplit(empty_database_url).password):
        assert secret not in run.said
    assert "2 files are on their way to Honcho." in run.said
    with psycopg.connect(empty_database_url) as there:
        seeds = there.execute("SELECT source, peer FROM identity_seeds ORDER BY source").fetchall()
    assert seeds == [("SOUL.md", "ada"), ("USER.md", "ann"), ("card/name", "ada")]

    before = config.read_text()
    again = setup()
    walk(again, [(POSTGRES, ""), (REDIS, ""), (HONCHO, ""), *NAMES])
    again.answer("Type another key? [y/N]", "")
    assert again.ended() == 0, again.said
    assert "All of it is as it should be: nothing was written" in again.said
    assert "SOUL.md: seeded for ada before" in again.said
    assert f"[{empty_database_url}]" not in again.said
    assert ":***@" in again.said
    assert KEY not in again.said
    assert config.read_text() == before
    assert not config.with_name("config.json.bak").exists()


def test_ctrl_c_at_any_question_leaves_everything_as_it_was(
    setup, by_hand, config, write, empty_database_url
):
    write(config, '{"noisePatterns": ["PING"],  "apiKey": "hch-former"}', 0o644)
    config.chmod(0o600)
    before = config.read_text()
    # Honcho refuses the former key, and so every question but that is asked.
    for number in range(len(by_hand)):
        run = setup()
        walk(run, by_hand[:number])
        run.expect(by_hand[number][0])
        assert run.echoes() is not by_hand[number][0].endswith("(not shown")
        run.interrupt()
        assert run.ended() == 130, (number, run.said)
        assert run.echoes()
        assert run.said.endswith("Nothing was changed.\n"), run.said
        assert config.read_text() == before
        assert {one.name for one in config.parent.iterdir()} == {"config.json"}
    database = Database(empty_database_url)
    assert current(database) is None
    database.close()


@pytest.mark.parametrize(
    "words",
    [
        ["--database-url", "postgresql://{}/x"],
        ["--database-url", "embedded", "--redis-url", "redis://{}/0"],
        ["--embedded", "--honcho-url", "http://{}"],
    ],
)
def test_ctrl_c_while_a_server_keeps_silent_is_a_way_out(setup, config, words):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        run = setup(*(word.format(f"127.0.0.1:{silent.getsockname()[1]}") for word in words))
        with silent.accept()[0]:
            run.interrupt()
            assert run.ended() == 130, run.said
    assert "Nothing was changed." in run.said
    assert not config.exists()


def test_the_end_of_the_input_is_a_way_out(setup, config):
    run = setup()
    run.expect(POSTGRES)
    run.send("\x04")
    assert run.ended() == 130
    assert "Nothing was changed." in run.said
    assert not config.parent.exists()


def test_no_is_an_answer(setup, config, hermes, database_url, redis_url, honcho):
    run = setup()
    run.answer("Take them over? [Y/n]", "what?")
    run.answer("Please answer y or n.", "n")
    run.answer(POSTGRES, database_url)
    run.answer(REDIS, redis_url)
    run.answer(HONCHO, honcho.url)
    walk(run, NAMES)
    run.answer("Type another key? [y/N]", "")
    run.answer("Seed 2 files", "n")
    run.answer("Do it? [Y/n]", "n")
    assert run.ended() == 0
    assert "Nothing was changed." in run.said
    assert not config.exists()


def test_what_does_not_answer_is_asked_for_again_or_taken_all_the_same(setup, config):
    run = setup()
    run.answer(POSTGRES, "mysql://u:hunter2@h/x")
    assert "the database URL is for mysql" in run.expect("Take it all the same? [y/N]")
    run.send("\n")
    run.answer(POSTGRES, "postgresql://127.0.0.1:1/x")
    run.answer("Take it all the same? [y/N]", "y")
    run.answer(REDIS, "redis://127.0.0.1:1/0")
    run.answer("Take it all the same? [y/N]", "n")
    run.answer(REDIS, "embedded")
    run.answer(HONCHO, "honcho")
    assert "It has the form https://api.honcho.dev" in run.expect("Take it all the same? [y/N]")
    run.send("n\n")
    run.answer(HONCHO, "embedded")
    run.answer(WORKSPACE, "w")
    run.answer(PEER, "")
    run.answer(AGENT, "")
    run.answer(STRATEGY, "per-mood")
    run.expect("sessionStrategy: ")
    run.answer(STRATEGY, "per-repo")
    run.answer("Start it in the background? [Y/n]", "n")
    run.answer("Do it? [Y/n]", "")
    assert run.ended() == 0, run.said
    assert json.loads(config.read_text()) == {
        "databaseUrl": "postgresql://127.0.0.1:1/x",
        "workspace": "w",
        "sessionStrategy": "per-repo",
    }
    assert "afterturn up --detach" in run.said


def test_a_key_that_is_refused_is_asked_for_again_or_kept_all_the_same(
    setup, config, keyed_honcho, monkeypatch
):
    monkeypatch.setenv("HONCHO_API_KEY", WRONG)
    run = setup("--embedded", "--no-start", "--honcho-url", keyed_honcho)
    walk(run, NAMES)
    assert "Honcho answers 401" in run.expect(TYPED)
    run.send("white space\n")
    run.answer(TYPED, f"{WRONG}2")
    run.answer("Keep it all the same? [y/N]", "n")
    run.answer(TYPED, f"{WRONG}3")
    run.answer("Keep it all the same? [y/N]", "y")
    assert "HONCHO_API_KEY in the environment comes first: unset it" in run.expect("Do it? [Y/n]")
    run.send("\n")
    assert run.ended() == 0
    assert json.loads(config.read_text())["apiKey"] == f"{WRONG}3"
    assert WRONG not in run.said


def test_the_key_may_be_left_to_the_environment(setup, config, keyed_honcho):
    run = setup("--embedded", "--no-start", "--honcho-url", keyed_honcho)
    walk(run, NAMES)
    run.answer(f"{TYPED}; Enter: leave it to the environment)", "")
    run.answer("Do it? [Y/n]", "")
    assert run.ended() == 0
    assert json.loads(config.read_text()) == {"honchoUrl": keyed_honcho}


def test_another_programs_key_is_copied_by_a_workers_process(
    setup, config, empty_environment, write, keyed_honcho
):
    block = {"apiKey": KEY, "baseUrl": keyed_honcho, "workspaceId": "shared", "timeoutMs": 9000}
    text = "// by hand\n" + json.dumps(
        {"plugins": {"entries": {"openclaw-honcho": {"config": block}}}}
    )
    write(empty_environment.parent / ".openclaw" / "openclaw.json", text)
    run = setup("--embedded", "--no-start", "--honcho-url", keyed_honcho)
    run.answer("Take them over? [Y/n]", "")
    walk(run, NAMES)
    assert "openclaw.json holds a key: Honcho takes the key." in run.expect("Copy it into")
    run.send("\n")
    run.answer("Do it? [Y/n]", "")
    assert run.ended() == 0, run.said
    assert json.loads(config.read_text()) == {
        "honchoUrl": keyed_honcho,
        "workspace": "shared",
        "peerName": "owner",
        "aiPeer": "agent-main",
        "requestSeconds": 9.0,
        "apiKey": KEY,
    }
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert KEY not in run.said


def test_what_listens_on_this_machine_is_offered_by_number(
    setup, config, database_url, redis_url, quiet_ports, honcho
):
    ports = {
        "database_url": urlsplit(database_url).port,
        "redis_url": urlsplit(redis_url).port,
        "honcho_url": urlsplit(honcho.url).port,
    }
    run = setup(ports=ports)
    found = run.expect(POSTGRES)
    assert f"1  postgresql://postgres@127.0.0.1:{ports['database_url']}/postgres" in found
    run.send("embedded\n")
    run.answer(REDIS, "1")
    run.answer(PASSWORD, urlsplit(redis_url).password)
    run.answer(HONCHO, "1")
    walk(run, NAMES)
    run.answer("Type another key? [y/N]", "")
    run.answer("Start it in the background? [Y/n]", "n")
    run.answer("Do it? [Y/n]", "")
    assert run.ended() == 0, run.said
    assert json.loads(config.read_text()) == {"redisUrl": redis_url, "honchoUrl": honcho.url}


def waits_for_a_lock(url):
    with psycopg.connect(url) as there:
        return there.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()


def test_ctrl_c_while_it_is_done_leaves_the_new_configuration_whole(
    setup, config, empty_database_url, redis_url, write
):
    """A migration waits for a lock that somebody holds; there it is interrupted."""
    write(config, {"redisUrl": redis_url})
    run = setup("--honcho-url", "embedded")
    run.answer(POSTGRES, empty_database_url)
    run.answer("Migrate it to this version's schema? [Y/n]", "")
    run.answer(REDIS, "")
    walk(run, [*NAMES[:3], (STRATEGY, "global")])
    run.answer("Start it in the background? [Y/n]", "n")
    with psycopg.connect(empty_database_url) as holder:
        holder.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        run.answer("Do it? [Y/n]", "")
        run.expect("is written.")
        eventually(lambda: waits_for_a_lock(empty_database_url), every=0.05)
        run.interrupt()
        assert run.ended() == 130, run.said
    assert "is written; run setup again for the rest" in run.said
    assert json.loads(config.read_text()) == {
        "redisUrl": redis_url,
        "databaseUrl": empty_database_url,
        "sessionStrategy": "global",
    }
    assert json.loads(config.with_name("config.json.bak").read_text()) == {"redisUrl": redis_url}
    again = setup()
    again.answer(POSTGRES, "")
    again.answer("Migrate it to this version's schema? [Y/n]", "")
    walk(again, [(REDIS, ""), (HONCHO, ""), *NAMES])
    walk(again, [("Start it in the background? [Y/n]", "n"), ("Do it? [Y/n]", "")])
    assert again.ended() == 0, again.said
    database = Database(empty_database_url)
    assert current(database) == head()
    database.close()


def test_the_embedded_servers_are_started_and_what_is_there_is_seeded(setup, config, hermes):
    run = setup()
    run.answer("Take them over? [Y/n]", "")
    walk(run, [(POSTGRES, ""), (REDIS, ""), (HONCHO, ""), *NAMES])
    run.answer("Start it in the background? [Y/n]", "")
    walk(run, [("Seed 2 files", ""), ("Do it? [Y/n]", "")])
    try:
        assert run.ended(within=120) == 0, run.said
        assert "They run in the background; afterturn down stops them." in run.said
        assert "2 files are on their way to Honcho." in run.said
        again = setup()
        walk(again, [(POSTGRES, ""), (REDIS, ""), (HONCHO, ""), *NAMES])
        assert again.ended() == 0, again.said
        assert "All of it is as it should be" in again.said
        assert "SOUL.md: seeded for clerk before" in again.said
    finally:
        subprocess.run([sys.executable, "-m", "afterturn", "down"], check=True, timeout=120)
    assert json.loads(config.read_text()) == {
        "workspace": "hermes",
        "aiPeer": "clerk",
        "peerName": "ann",
    }
