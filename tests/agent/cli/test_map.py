"""`afterturn map`: a directory's session by hand, and what an agent calls it then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afterturn import Memory
from support.waiting import eventually


@pytest.fixture
def here(agent_env, tmp_path, monkeypatch):
    """Go into a directory, and give it."""
    folder = tmp_path / "foo"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return str(folder)


def mapped(called):
    return json.loads(called("map", "--json").stdout)


def opened(here):
    with Memory.open() as memory:
        return memory.session(directory=here).key


def test_a_session_opened_there_has_that_name(here, called, workspace):
    done = called("map", "The plans")
    assert (done.returncode, done.stderr) == (0, "")
    key = json.loads(called("map", "The plans", "--json").stdout)["key"]
    assert f"A session that is opened in {here} is {key} from now on." in done.stdout
    assert opened(here) == key
    assert mapped(called) == [
        {"directory": here, "session": "The plans", "origin": f"Postgres (workspace {workspace})"}
    ]
    assert called("map").stdout.startswith(f"{here} → The plans (Postgres (workspace ")


def test_a_running_agent_goes_by_it_when_it_opens_a_session(here, called):
    with Memory.open() as memory:
        assert memory.session(platform_key="chat").key == "chat"  # names were read, and are kept
        called("map", "plans")
        eventually(lambda: memory.session(directory=here).key == "plans", every=0.1)


def test_it_is_mapped_no_longer(here, called):
    called("map", "plans")
    assert called("map", "--remove").stdout.startswith(f"{here} is not mapped any more in ")
    assert json.loads(called("map", "--remove", "--json").stdout)["removed"] is False
    assert opened(here) == "foo"
    assert called("map").stdout.startswith("No directory is mapped")


def test_another_directory_by_any_of_its_names(here, called):
    called("map", "plans", "--directory", "../foo/./")
    assert opened(here) == "plans"
    called("map", "home", "--directory", "~")
    assert {one["directory"] for one in mapped(called)} == {here, str(Path.home())}
    gone = "/a/folder/that/is/gone"
    called("map", "old", "--directory", gone)
    assert "is not mapped any more" in called("map", "--remove", "--directory", gone).stdout


def test_what_a_file_maps_is_listed_and_named_where_it_stays(here, called, empty_environment):
    empty_environment.mkdir()
    file = empty_environment / "config.json"
    file.write_text(json.dumps({"sessions": {here: "by-file", "/else": "other"}}))
    called("map", "plans")
    assert [one["session"] for one in mapped(called)] == ["other", "plans"]
    shown = called("map", "--remove").stdout
    assert f"; {file} says by-file for it." in shown
    assert opened(here) == "by-file"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["  "], "at least one character that can be seen"),
        (["plans", "--remove"], "say a name or --remove"),
        (["--directory", "/x"], "goes with a name or --remove"),
    ],
)
def test_what_cannot_be_is_said(here, called, words, why):
    done = called("map", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert mapped(called) == []


def test_a_directory_whose_name_is_no_text(here, called, tmp_path):
    done = called("map", "plans", "--directory", str(tmp_path / "a\udcffb"))
    assert done.returncode == 2
    assert "its name is no text" in done.stderr
