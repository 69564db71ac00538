"""Our file as commands change it: whole at every moment, private, with the rest as it was."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import pytest

from afterturn_models.config_file import set_in_file, unset_in_file
from afterturn_models.errors import ConfigurationError
from afterturn_models.key_place import key_place
from afterturn_models.secret_values import has_password, masked
from afterturn_models.settings import read
from afterturn_models.sources import honcho_file

KEY = "hch-v3-secret"


@pytest.fixture
def file(empty_environment):
    return empty_environment / "config.json"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_private_and_so_is_its_folder(file):
    set_in_file(file, "workspace", "workspace", "home")
    assert json.loads(file.read_text()) == {"workspace": "home"}
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert not file.with_name("config.json.bak").exists()


def test_the_rest_stays_as_it_was_and_its_former_text_beside_it(file):
    file.parent.mkdir()
    former = json.dumps({"apiKey": KEY, "hosts": {"hermes": {"x": 1}}, "workspace": "é", "z": [1]})
    file.write_text(former)
    file.chmod(0o640)
    set_in_file(file, "workspace", "workspace", "home")
    said = json.loads(file.read_text())
    assert said == {**json.loads(former), "workspace": "home"}
    assert (mode(file), mode(file.with_name("config.json.bak"))) == (0o640, 0o640)
    assert file.with_name("config.json.bak").read_text() == former
    assert sorted(one.name for one in file.parent.iterdir()) == [
        ".config.json.lock", "config.json", "config.json.bak",
    ]  # fmt: skip


def test_every_other_name_of_it_goes(file):
    file.parent.mkdir()
    block = {"recall": {"ask": "scope"}, "crossSessionSearch": False, "aiPeer": "bot"}
    file.write_text(json.dumps({"recall": {"ask": "session", "automatic": "session"},
                                "recall_ask": "session", "hosts": {"afterturn": block}}))  # fmt: skip
    set_in_file(file, "recall_ask", "recallAsk", "workspace")
    assert json.loads(file.read_text()) == {
        "recall": {"automatic": "session"}, "recallAsk": "workspace",
        "hosts": {"afterturn": {"aiPeer": "bot"}},
    }  # fmt: skip
    assert unset_in_file(file, "recall_ask") is True
    before = file.read_text()
    assert unset_in_file(file, "recall_ask") is False
    assert file.read_text() == before


def test_where_there_is_no_file_nothing_is_unset_and_none_is_made(file):
    assert unset_in_file(file, "workspace") is False
    assert not file.parent.exists()


def test_a_link_stays_one(file, tmp_path):
    there = tmp_path / "dotfiles" / "afterturn.json"
    there.parent.mkdir()
    there.write_text("{}")
    file.parent.mkdir()
    file.symlink_to(there)
    set_in_file(file, "workspace", "workspace", "home")
    assert file.is_symlink()
    assert json.loads(there.read_text()) == {"workspace": "home"}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"", b"[" * 100_000])
def test_a_file_that_is_none_is_left_as_it_is(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    for change in (lambda: set_in_file(file, "workspace", "workspace", "x"),
                   lambda: unset_in_file(file, "workspace")):  # fmt: skip
        with pytest.raises(ConfigurationError, match=r"config\.json"):
            change()
    assert file.read_bytes() == content


def test_a_write_that_fails_leaves_the_former_file(file, monkeypatch):
    set_in_file(file, "workspace", "workspace", "home")
    before = file.read_text()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("afterturn_models.config_file.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        set_in_file(file, "workspace", "workspace", "other")
    assert file.read_text() == before
    assert not [one for one in file.parent.iterdir() if one.name.startswith(".config.json-")]


SETTER = """
import sys
from pathlib import Path
from afterturn_models.config_file import set_in_file
for turn in range(20):
    set_in_file(Path(sys.argv[1]), f"field{sys.argv[2]}{turn}", f"field{sys.argv[2]}{turn}", turn)
"""


def test_processes_at_once_take_turns_and_lose_nothing(file):
    runs = [
        subprocess.Popen([sys.executable, "-c", SETTER, str(file), str(one)]) for one in range(3)
    ]
    seen = 0
    while any(run.poll() is None for run in runs):
        if file.exists():
            seen = max(seen, len(json.loads(file.read_text())))  # whole whenever one looks
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(json.loads(file.read_text())) == 60
    assert seen > 0


# Secrets.


@pytest.mark.parametrize(
    ("url", "shown"),
    [("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
     ("postgresql://u:p#s/s?@x@h:5432/d", "postgresql://u:***@h:5432/d"),
     ("redis://:p@h:6379/0", "redis://:***@h:6379/0"),
     ("postgresql://h/d?user=u&password=p&x=1", "postgresql://h/d?user=u&password=***&x=1"),
     ("postgresql://u:a\nb@h/d", "postgresql://u:***@h/d")],
)  # fmt: skip
def test_passwords_are_masked_however_they_are_written(url, shown):
    assert (masked(url), has_password(url)) == (shown, True)


@pytest.mark.parametrize("url", ["postgresql://h:5432/d", "postgresql://u@h/d", "x", "", None, 5])
def test_what_has_no_password_is_shown(url):
    assert (masked(url), has_password(url)) == (url, False)


@pytest.mark.parametrize("place", ["config.json", "stack.json", "theirs", "block"])
def test_a_password_that_others_can_read_is_refused_without_it(file, place):
    file.parent.mkdir()
    honcho_file().parent.mkdir()
    said = {"redisUrl": "redis://:hunter2@h/0"}
    path = honcho_file() if place in {"theirs", "block"} else file.with_name(place)
    path.write_text(json.dumps({"hosts": {"afterturn": said}} if place == "block" else said))
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}") as raised:
        read()
    assert "hunter2" not in str(raised.value)
    path.chmod(0o600)
    assert read().settings.redis_url == "redis://:hunter2@h/0"


def test_what_is_loaded_shows_and_holds_no_key(file):
    file.parent.mkdir()
    file.write_text(json.dumps({"apiKey": KEY, "targets": {"x": {"apiKey": KEY}}, "oauth": {}}))
    loaded = read({"database_url": "postgresql://u:hunter2@h/d"})
    assert KEY not in repr(loaded) + repr([source.values for source in loaded.sources])
    assert "hunter2" not in repr(loaded.sources)


def test_the_place_of_the_key_is_told_without_it(file, monkeypatch):
    assert key_place() is None
    honcho_file().parent.mkdir()
    honcho_file().write_text(json.dumps({"apiKey": KEY}))
    honcho_file().chmod(0o644)
    found = key_place()
    assert found.place == str(honcho_file())
    assert "chmod 600" in found.refused
    honcho_file().chmod(0o600)
    assert key_place().refused is None
    file.parent.mkdir()
    file.write_text(json.dumps({"apiKey": " ", "hosts": {"afterturn": {"apiKey": KEY}}}))
    file.chmod(0o600)
    assert key_place().place == str(file)
    monkeypatch.setenv("HONCHO_API_KEY", KEY)
    assert key_place().place == "HONCHO_API_KEY in the environment"
    monkeypatch.setenv("AFTERTURN_HONCHO_API_KEY", KEY)
    assert key_place().place == "AFTERTURN_HONCHO_API_KEY in the environment"
    assert KEY not in repr(key_place())


def test_it_is_where_workers_find_it(file, monkeypatch):
    from afterturn_worker.honcho.key import honcho_key

    file.parent.mkdir()
    for said in ({}, {"apiKey": KEY}, {"apiKey": 5}, {"hosts": {"afterturn": {"apiKey": KEY}}},
                 {"hosts": {"hermes": {"apiKey": KEY}}}, {"apiKey": ""}):  # fmt: skip
        file.write_text(json.dumps(said))
        file.chmod(0o600)
        assert (key_place() is None) == (honcho_key() is None), said
