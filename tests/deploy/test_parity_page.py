"""`docs/parity.md` names tests, and every one of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`((?:tests/\S+/)?test_\w+(?:\.py)?)`", (ROOT / "docs/parity.md").read_text())


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 60


def test_every_test_it_names_exists() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    known = {file.name for file in files} | functions
    assert [name for name in NAMED if Path(name).name not in known] == []
