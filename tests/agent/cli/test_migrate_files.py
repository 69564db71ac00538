"""`afterturn migrate-files`: persona files of other agents' homes, each seeded once for ever."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("agent_env")


@pytest.fixture
def user(empty_environment):
    """Give the user's home folder."""
    return empty_environment.parent


@pytest.fixture
def hermes(user, write):
    """Make a home of Hermes with two files in it, and one that is refused."""
    home = user / ".hermes"
    write(home / "SOUL.md", "I am Hal, and calm.")
    write(home / "memories" / "USER.md", "Ann is kind.")
    (home / "AGENTS.md").symlink_to("/etc/hostname")
    return home


@pytest.fixture
def seeds(look, workspace):
    """Give a function that tells what the ledger has."""

    def read():
        rows = look.query(
            "SELECT s.peer, s.source FROM identity_seeds s JOIN workspaces w"
            " ON w.id = s.workspace_id WHERE w.name = %(name)s ORDER BY s.source",
            name=workspace,
        )
        return [(row["peer"], row["source"]) for row in rows]

    return read


def test_a_home_is_found_shown_and_seeded_once(hermes, called, seeds):
    done = called("migrate-files", "--yes")
    assert done.returncode == 1  # one file is refused
    assert f"{hermes / 'SOUL.md'}: about agent\n" in done.stdout
    assert f"{hermes / 'memories' / 'USER.md'}: about user\n" in done.stdout
    assert "AGENTS.md is a symbolic link" in done.stdout
    assert "2 files are on their way to Honcho." in done.stderr
    assert seeds() == [("agent", "SOUL.md"), ("user", "USER.md")]
    again = called("migrate-files", "--yes")
    assert "seeded for agent before" in again.stdout
    assert "on their way" not in again.stderr
    assert len(seeds()) == 2


def test_a_dry_run_changes_nothing(hermes, called, seeds):
    report = json.loads(called("migrate-files", "--dry-run", "--json").stdout)
    assert report["dryRun"] is True
    assert {(one["program"], one["peer"], one["known"]) for one in report["found"]} == {
        ("Hermes", "agent", False),
        ("Hermes", "user", False),
    }
    assert report["done"]["seeded"] == []
    assert seeds() == []


def test_any_folder_is_taken_for_a_home(called, seeds, tmp_path, write):
    home = tmp_path / "old"
    write(home / "openclaw.json", {"agents": {"list": [{"id": "main"}, {"id": "scout"}]}})
    write(home / "workspace" / "SOUL.md", "I am Hal.")
    write(home / "workspace" / "memory" / "MEMORY.md", "It rained.")
    write(home / "workspace-scout" / "IDENTITY.md", "I am the scout.")
    done = called("migrate-files", str(home), "--yes", "--json")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["done"]["seeded"]) == 3
    assert seeds() == [("agent-scout", "IDENTITY.md"), ("agent", "MEMORY.md"), ("agent", "SOUL.md"),
                       ("agent-scout", "card/name")]  # fmt: skip


def test_a_mode_keeps_files_here_and_that_is_said(hermes, called, seeds):
    (hermes / "AGENTS.md").unlink()
    called("mode", "local", "--agent")
    done = called("migrate-files", "--yes")
    assert done.returncode == 0
    assert "Not seeded: " in done.stderr
    assert "agentMemoryMode is local" in done.stderr
    assert seeds() == [("user", "USER.md")]


def test_a_home_whose_configuration_cannot_be_read_is_searched_all_the_same(
    user, called, write, seeds
):
    home = user / ".openclaw"
    write(home / "openclaw.json", "{nonsense")
    write(home / "workspace" / "SOUL.md", "I am Hal.")
    done = called("migrate-files", str(home), "--yes")
    assert done.returncode == 0
    assert "Note: " in done.stderr
    assert seeds() == [("agent", "SOUL.md")]


def test_nothing_is_there(called, tmp_path):
    assert "No home of Hermes, OpenClaw or nanobot" in called("migrate-files", "--yes").stdout
    (tmp_path / "empty").mkdir()
    done = called("migrate-files", str(tmp_path / "empty"), "--yes")
    assert (done.returncode, done.stdout) == (0, f"No persona file in {tmp_path / 'empty'}.\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [([], "there is no terminal to ask at"), (["/no/such/folder", "--yes"], "is no folder")],
)
def test_wrong_usage_is_a_sentence(called, hermes, monkeypatch, words, why):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    done = called("migrate-files", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
