"""Where workers find Honcho's key, and when they refuse it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afterturn_models.errors import ConfigurationError
from afterturn_worker.honcho.key import honcho_key

KEY = "hch-v3-key"


def write(path: Path, values: object, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    path.chmod(mode)
    return path


@pytest.fixture
def ours(empty_environment: Path) -> Path:
    return empty_environment / "config.json"


@pytest.fixture
def theirs() -> Path:
    return Path.home() / ".honcho" / "config.json"


def test_there_is_none_by_default() -> None:
    assert honcho_key() is None


def test_the_environment_comes_first(ours: Path, theirs: Path, monkeypatch) -> None:
    write(theirs, {"apiKey": "c", "hosts": {"afterturn": {"apiKey": "b"}}})
    assert honcho_key() == "b"
    write(ours, {"apiKey": "a"})
    assert honcho_key() == "a"
    monkeypatch.setenv("HONCHO_API_KEY", "e2")
    assert honcho_key() == "e2"
    monkeypatch.setenv("AFTERTURN_HONCHO_API_KEY", "e1")
    assert honcho_key() == "e1"


def test_another_hosts_key_is_not_ours(theirs: Path) -> None:
    write(theirs, {"hosts": {"other": {"apiKey": KEY}, "afterturn": {}}})
    assert honcho_key() is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_can_reach_is_refused_without_its_key(ours: Path, mode: int) -> None:
    write(ours, {"apiKey": KEY}, mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as found:
        honcho_key()
    assert KEY not in str(found.value)


def test_a_file_without_a_key_may_be_read_by_others(ours: Path) -> None:
    write(ours, {"workspace": "w"}, 0o644)
    assert honcho_key() is None


@pytest.mark.parametrize(
    "values", ["{", "[]", "7", {"apiKey": 7}, {"hosts": []}, {"hosts": {"afterturn": 3}}]
)
def test_what_is_no_configuration_holds_no_key(ours: Path, values: object) -> None:
    write(ours, values)
    assert honcho_key() is None


def test_the_end_of_a_line_is_no_part_of_it(monkeypatch) -> None:
    monkeypatch.setenv("HONCHO_API_KEY", f" {KEY}\n")
    assert honcho_key() == KEY
    monkeypatch.setenv("HONCHO_API_KEY", " \n")
    assert honcho_key() is None


@pytest.mark.parametrize("wrong", [f"{KEY}\n{KEY}", f"{KEY} {KEY}", f"{KEY}ü", f"{KEY}\x07"])
def test_a_key_that_no_header_can_hold_is_refused_unnamed(monkeypatch, wrong: str) -> None:
    monkeypatch.setenv("HONCHO_API_KEY", wrong)
    with pytest.raises(ConfigurationError, match="HONCHO_API_KEY") as found:
        honcho_key()
    assert KEY not in str(found.value)
