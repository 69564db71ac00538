"""The locks: complete, hashed, free of addresses, in step with each other and with what runs."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.tree import pins, read

LOCKS = ["requirements-dev.lock", "requirements.lock", "requirements-build.lock"]
# What measurements need beside them: their plots, and rivals with pins of their own.
BENCH, RIVAL = "requirements-bench.lock", "bench/rivals/hermes.lock"


def _wanted() -> list[Requirement]:
    """Give every requirement of pyproject.toml, whichever list it stands in."""
    project = tomllib.loads(read("pyproject.toml"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *(lines for name, lines in project["dependency-groups"].items() if name != "bench"),
        project["build-system"]["requires"],
    ]
    found = [Requirement(line) for lines in lists for line in lines if isinstance(line, str)]
    return [requirement for requirement in found if requirement.name != "afterturn"]


@pytest.mark.parametrize("lock", [*LOCKS, BENCH, RIVAL])
def test_every_entry_carries_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", read(lock))
    unhashed = [entry.partition(" ")[0] for entry in entries[1:] if "--hash=sha256:" not in entry]
    assert not unhashed
    names = {entry.partition("==")[0] for entry in entries[1:]}  # one may have a version a Python
    assert names == set(pins(lock)), "an entry that is not name==version"


@pytest.mark.parametrize("lock", [*LOCKS, BENCH, RIVAL])
def test_no_address_and_no_path(lock: str) -> None:
    text = read(lock)
    assert "://" not in text
    assert not re.search(
        r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links)\b", text, re.MULTILINE
    )
    assert not re.search(r"(^|[\s=])(/|~/|\.\.?/)[a-z]", text, re.MULTILINE)
    assert " @ " not in text


def test_the_lock_meets_every_requirement() -> None:
    locked = pins("requirements-dev.lock")
    for requirement in _wanted():
        found, _ = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(found), f"{requirement}: {found} is locked"


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_the_locks_agree(lock: str) -> None:
    everything = pins("requirements-dev.lock")
    assert {name: everything.get(name, ("", ""))[0] for name in pins(lock)} == {
        name: found for name, (found, _) in pins(lock).items()
    }


def test_what_measurements_need_changes_nothing_that_is_tested() -> None:
    everything, bench = pins("requirements-dev.lock"), pins(BENCH)
    wanted = tomllib.loads(read("pyproject.toml"))["dependency-groups"]["bench"]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(bench[canonicalize_name(requirement.name)][0])
    shared = set(bench) & set(everything)
    assert {name: bench[name][0] for name in shared} == {n: everything[n][0] for n in shared}


def test_what_is_tested_is_what_is_locked() -> None:
    here = {
        name: found
        for name, (found, marker) in pins("requirements-dev.lock").items()
        if not marker or Marker(marker).evaluate()
    }
    assert {name: version(name) for name in here} == here


def test_the_image_gets_no_tools() -> None:
    assert not {"pytest", "mypy", "ruff", "hypothesis"} & set(pins("requirements.lock"))
