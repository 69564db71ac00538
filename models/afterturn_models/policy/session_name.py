"""Session naming: which session of Honcho a conversation belongs to (spec: session naming)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from afterturn_models.policy.ids import honcho_id

if TYPE_CHECKING:
    from collections.abc import Mapping

GLOBAL = "global"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Naming:
    """How sessions are named: `strategy`, the manual map by directory, and the peer prefix."""

    strategy: str = "per-directory"
    sessions: tuple[tuple[str, str], ...] = ()
    peer_prefix: str | None = None

    @classmethod
    def of(
        cls, strategy: str, sessions: Mapping[str, str], peer_prefix: str | None = None
    ) -> Naming:
        """Make a `Naming` from configuration, where the map is a JSON object."""
        return cls(strategy, tuple(sorted(sessions.items())), peer_prefix)


def session_key(
    naming: Naming,
    *,
    name: str | None = None,
    directory: str | None = None,
    title: str | None = None,
    platform_key: str | None = None,
) -> str:
    """Give the session's key, an id of Honcho's.

    An explicit `name` comes first, then the spec's order: the manual map, the title, the
    directory's basename, the platform's key. The directory counts only where one was passed.
    """
    key = honcho_id(_raw_key(naming, name, directory, title, platform_key))
    if naming.peer_prefix and not name:
        return honcho_id(f"{naming.peer_prefix}-{key}")
    return key


def _raw_key(
    naming: Naming,
    name: str | None,
    directory: str | None,
    title: str | None,
    platform_key: str | None,
) -> str:
    if name:
        return name
    mapped = dict(naming.sessions).get(directory) if directory else None
    if mapped:
        return mapped
    if title and title.strip():
        return title.strip()
    if naming.strategy == "global":
        return GLOBAL
    if directory:
        return PurePath(directory).name or DEFAULT
    return platform_key or DEFAULT
