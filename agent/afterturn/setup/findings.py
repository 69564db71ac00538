"""What a check-up says of one thing: how it is, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing is: as it should be, worth knowing, worth mending, or not working."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` says how to put it right; "" where nothing is to be done."""

    name: str
    state: State
    said: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        """Give it as JSON."""
        return {**asdict(self), "state": self.state.value}


def ok(name: str, said: str) -> Finding:
    """Find a thing as it should be."""
    return Finding(name, State.OK, said)


def note(name: str, said: str, mend: str = "") -> Finding:
    """Find something worth knowing."""
    return Finding(name, State.NOTE, said, mend)


def warning(name: str, said: str, mend: str) -> Finding:
    """Find something that works and should be mended."""
    return Finding(name, State.WARNING, said, mend)


def wrong(name: str, said: str, mend: str) -> Finding:
    """Find something that does not work."""
    return Finding(name, State.WRONG, said, mend)
