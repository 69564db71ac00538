"""Honcho's key as setup handles it: tried by a process of the workers', and never kept by this one.

A key that is typed lives in a `Secret` until the configuration is written. It travels to that
process on its stdin: arguments and environment of a process are read by others.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import MissingExtraError

if TYPE_CHECKING:
    from afterturn.setup.taking_over import KeyAt

_MODULE = "afterturn_worker.honcho.try_key"  # by name: workers' code is never imported here
_NEEDS = ("honcho", "httpx")
_DEADLINE = 8.0  # seconds for Honcho's answer
_WITHIN = 40.0  # for the process as a whole, its imports on a busy machine among them


class Secret:
    """A key that shows itself nowhere: not in a log, a traceback or a report."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give it to whoever writes it down or hands it to a worker's process."""
        return self._value

    def __repr__(self) -> str:
        """Show that it is there."""
        return "***"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a trial. `state`: ok, refused, away, wrong, or untested; `key`: there was one."""

    state: str
    said: str
    key: bool = False

    @property
    def ok(self) -> bool:
        """Tell whether Honcho took it."""
        return self.state == "ok"


def try_key(url: str, workspace: str, key: Secret | KeyAt | None = None) -> Trial:
    """Try a key at a Honcho: the one given, or the one that workers started here would use."""
    return _ask({"url": url, "workspace": workspace, "deadline": _DEADLINE, **_told(key)})


def keep_key(key: KeyAt) -> Trial:
    """Have a worker's process copy another program's key into our file, which then has mode 600."""
    return _ask({"keep": True, **_told(key)})


def _told(key: Secret | KeyAt | None) -> dict[str, Any]:
    if key is None:
        return {}
    if isinstance(key, Secret):
        return {"key": key.reveal()}
    return {"file": str(key.file), "block": list(key.block)}


def _ask(question: dict[str, Any]) -> Trial:
    if not all(find_spec(module) for module in _NEEDS):
        return Trial("untested", f"not tested here: {MissingExtraError('the worker', 'worker')}")
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", _MODULE],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            check=False,
        )
        found = json.loads(done.stdout)
        return Trial(str(found["state"]), str(found["said"]), bool(found["key"]))
    except subprocess.TimeoutExpired:
        return Trial("away", f"no answer within {_WITHIN:.0f} s")
    except (ValueError, KeyError, TypeError):
        # What it wrote on stderr is not repeated: a traceback quotes what it was asked.
        return Trial("untested", "not tested: the workers' part of afterturn does not run here")
