"""`afterturn identity`: seeding from files, and what it says of what it refuses."""

from __future__ import annotations

import json

import pytest

from afterturn.identity import pair_of
from afterturn.identity_view import IdentityView
from afterturn.services import Services
from afterturn_models.settings import load
from afterturn_models.store.identity_ledger import ledger


@pytest.fixture
def home(agent_env, tmp_path, monkeypatch):
    monkeypatch.setenv("AFTERTURN_AI_PEER", "clerk")
    monkeypatch.setenv("AFTERTURN_PEER_NAME", "ann")
    folder = tmp_path / "persona"
    folder.mkdir()
    (folder / "SOUL.md").write_text("I am kind.")
    (folder / "USER.md").write_text("Ann likes tea.")
    return folder


def seeds():
    services = Services(load())
    try:
        with services.database.statement() as connection:
            return {one.source: one.peer for one in ledger(connection, pair_of(services.settings))}
    finally:
        services.close()


def test_a_folder_is_seeded_and_known_ever_after(called, home):
    done = called("identity", str(home))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "SOUL.md: on its way to Honcho",
        "USER.md: on its way to Honcho",
    ]
    assert seeds() == {"SOUL.md": "clerk", "USER.md": "ann", "card/name": "clerk"}
    again = called("identity", str(home), "--json")
    assert json.loads(again.stdout) == {
        "new": [],
        "known": ["SOUL.md", "USER.md"],
        "skipped": {},
        "refused": {},
    }


def test_files_are_seeded_for_whom_one_says(called, home):
    (home / "about-ann.md").write_text("likes walks")
    done = called("identity", str(home / "about-ann.md"), "--peer", "user")
    assert done.returncode == 0
    done = called("identity", str(home / "SOUL.md"), str(home / "USER.md"))
    assert done.returncode == 0
    assert seeds() == {
        "about-ann.md": "ann",
        "SOUL.md": "clerk",
        "USER.md": "ann",
        "card/name": "clerk",
    }


def test_what_is_refused_has_a_reason_and_the_rest_is_seeded(called, home, tmp_path):
    (tmp_path / "secret.md").write_text("secret")
    (home / "link.md").symlink_to(tmp_path / "secret.md")
    (home / "IDENTITY.md").write_text("")
    done = called("identity", str(home), str(home / "link.md"), str(home / "gone.md"))
    assert done.returncode == 1
    assert "SOUL.md: on its way to Honcho" in done.stdout
    assert "IDENTITY.md: is empty" in done.stdout
    assert done.stderr.splitlines() == [
        "refused: link.md is a symbolic link, which is not followed.",
        "refused: gone.md is not there.",
    ]
    refused = json.loads(called("identity", str(home / "link.md"), "--json").stdout)["refused"]
    assert list(refused) == ["link.md"]
    assert "link.md" not in seeds()


def test_the_owners_file_is_not_the_agents(called, home):
    done = called("identity", str(home / "USER.md"), "--peer", "agent")
    assert done.returncode == 1
    assert "USER.md is about the owner, and seeded for that peer only" in done.stderr
    assert seeds() == {}


def test_a_folder_without_any_such_file_says_what_was_looked_for(called, home, tmp_path):
    (tmp_path / "empty").mkdir()
    done = called("identity", str(tmp_path / "empty"))
    assert done.returncode == 0
    assert "SOUL.md, IDENTITY.md, AGENTS.md, BOOTSTRAP.md, USER.md" in done.stdout


def test_what_stays_here_says_so(called, home):
    done = called("identity", str(home), env={"AFTERTURN_AGENT_MEMORY_MODE": "local"})
    assert done.returncode == 0
    assert "SOUL.md: stays here: agentMemoryMode is local" in done.stdout
    assert seeds() == {"USER.md": "ann"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name files or a folder to seed, or say --show"),
        (["--show", "SOUL.md"], "name files or a folder to seed, or say --show"),
        (["SOUL.md", "--peer", "name"], "--peer is agent or user, not 'name'"),
    ],
)
def test_wrong_usage_is_a_sentence(called, home, words, said):
    done = called("identity", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_database_that_is_away_is_a_sentence(called, home):
    env = {"AFTERTURN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}
    done = called("identity", str(home), env=env)
    assert done.returncode == 1
    assert done.stderr.startswith("afterturn: Postgres: ")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_the_help_has_examples(called):
    assert "afterturn identity --show" in called("identity", "--help").stdout


def test_show_says_why_nothing_could_be_asked_and_what_is_on_its_way(called, home):
    called("identity", str(home))
    env = {"AFTERTURN_ASK_SECONDS": "0.3"}
    done = called("identity", "--show", env=env)
    assert done.returncode == 1
    assert "Honcho was not asked: Memory did not answer within 0.3 s" in done.stdout
    assert "SOUL.md, clerk, " in done.stdout
    assert ": waiting" in done.stdout
    found = json.loads(called("identity", "--show", "--json", env=env).stdout)
    assert (found["agent"], found["card"], found["deriving"]) == ("clerk", [], None)
    assert {one["source"]: one["state"] for one in found["seeds"]} == {
        "SOUL.md": "waiting",
        "USER.md": "waiting",
        "card/name": "waiting",
    }


@pytest.mark.parametrize(
    ("deriving", "said"),
    [
        (3, "Deriving: not done, 3 units of work are left"),
        (0, "Deriving: nothing is left to derive"),
        (None, "Deriving: Honcho did not say"),
    ],
)
def test_what_honcho_has_is_laid_out(deriving, said):
    view = IdentityView("clerk", (), ("Name: clerk",), "Kind.\nExact.", deriving)
    assert view.lines() == [
        "Agent: clerk",
        "Card:",
        "    Name: clerk",
        "Representation:",
        "    Kind.",
        "    Exact.",
        said,
        "Seeds:",
        "    none; begin with: afterturn identity FOLDER",
    ]
