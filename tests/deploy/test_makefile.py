"""The Makefile: its help is complete, and it is written for the make that macOS ships."""

from __future__ import annotations

import re
import subprocess

from support.tree import ROOT, read


def _defined() -> set[str]:
    """Give the targets that are there, without those whose folders have not come yet."""
    absent = {
        name
        for name, place in {"bench": "bench/__main__.py", "faults": "tests/faults"}.items()
        if not (ROOT / place).exists()
    }
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE)) - absent


def test_help_lists_every_target_with_a_sentence() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = dict(re.findall(r"^  make (\S+) +(.+)$", said, re.MULTILINE))
    assert set(listed) == _defined()
    assert len(said.splitlines()) == len(listed)
    assert {"setup", "demo", "up", "test", "lint", "format", "lock", "clean"} <= set(listed)


def test_no_target_is_taken_for_a_file() -> None:
    phony = set(re.findall(r"^\.PHONY: ([a-z]+)$", read("Makefile"), re.MULTILINE))
    assert phony == set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def test_nothing_is_newer_than_make_3_81() -> None:
    newer = re.compile(r"\.ONESHELL|\.SHELLFLAGS|\$\(file |!=|::=|\$\(CURDIR\)|\$\(abspath ")
    assert not newer.search(read("Makefile"))


def test_what_ci_runs_is_there() -> None:
    for target in re.findall(r"^make ([a-z]+)$", read(".ci/run"), re.MULTILINE):
        assert target in _defined()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
