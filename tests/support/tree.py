"""The checkout's own files, as the tests of packaging and deployment read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)(?: ; (?P<marker>.+))? \\$")


def read(name: str) -> str:
    """Give the text of a file at the top of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def pins(lock: str) -> dict[str, tuple[str, str]]:
    """Give each name of a lock file with its version and its marker, which may be empty."""
    found = {}
    for line in read(lock).splitlines():
        if match := _PIN.match(line):
            found[match["name"]] = (match["version"], match["marker"] or "")
    return found
