"""Session naming: which session of Honcho a conversation belongs to (spec: session naming)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from afterturn_models.policy.ids import MAX_LENGTH, honcho_id

if TYPE_CHECKING:
    from collections.abc import Mapping

PER_DIRECTORY, PER_REPO, PER_SESSION, GLOBAL = (
    "per-directory",
    "per-repo",
    "per-session",
    "global",
)
STRATEGIES = (PER_DIRECTORY, PER_REPO, PER_SESSION, GLOBAL)
DEFAULT = "default"
CHOSEN = "name"  # the kind of source that a person chose, which joins whatever has that key
_DIGEST = 16  # hex digits: 64 bits


@dataclass(frozen=True, slots=True)
class Naming:
    """How sessions are named: `strategy`, the manual map by directory, and the peer prefix.

    `gateway_first` is Hermes' rule: a platform's key comes before the map, the title and the
    directory; else it comes last, as in the spec.
    """

    strategy: str = PER_DIRECTORY
    sessions: tuple[tuple[str, str], ...] = ()
    peer_prefix: str | None = None
    gateway_first: bool = False

    @classmethod
    def of(
        cls,
        strategy: str,
        sessions: Mapping[str, str],
        peer_prefix: str | None = None,
        *,
        gateway_first: bool = False,
    ) -> Naming:
        """Make a `Naming` from configuration, where the map is a JSON object."""
        return cls(strategy, tuple(sorted(sessions.items())), peer_prefix, gateway_first)


@dataclass(frozen=True, slots=True)
class SessionName:
    """What a session is called, and what that was made from.

    `key` is an id of Honcho's as a person would expect it, such as a directory's basename.
    `apart` is the id to use where `key` belongs to another `source` already: two directories with
    one basename, or a title that reads like a directory, never share a session by accident.
    """

    key: str
    apart: str
    source: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is known of a conversation when its session is opened; all optional.

    `repository` is the root of the repository that `directory` lies in, `fresh` an id that no
    other conversation has, for the strategy per-session where the platform gives none.
    """

    name: str | None = None
    directory: str | None = None
    title: str | None = None
    platform_key: str | None = None
    repository: str | None = None
    fresh: str | None = None


def session_name(naming: Naming, said: Conversation) -> SessionName:
    """Name a conversation's session, the same in every process.

    An explicit `name` comes first, then the spec's order: the manual map, the title, what the
    strategy makes of the place (the directory's or the repository's basename, one for all, one
    for each conversation), the platform's key. The directory counts only where one was passed.
    """
    kind, raw, whole = _chosen(naming, said)
    prefix = naming.peer_prefix if naming.peer_prefix and not said.name else None
    source = f"{kind}:{whole}" if prefix is None else f"{prefix}/{kind}:{whole}"
    key = honcho_id(raw)
    if prefix is not None:
        key = honcho_id(f"{prefix}-{key}")
    return SessionName(key, _apart(key, source), source)


def _apart(key: str, source: str) -> str:
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{key[: MAX_LENGTH - _DIGEST - 1].rstrip('-_') or DEFAULT}-{digest}"


def _chosen(naming: Naming, said: Conversation) -> tuple[str, str, str]:
    """Give the kind of source that decides, the text that the key is made of, and all of it."""
    if said.name:
        return CHOSEN, said.name, said.name
    if naming.gateway_first and said.platform_key:
        return "platform", said.platform_key, said.platform_key
    mapped = dict(naming.sessions).get(said.directory) if said.directory else None
    if mapped:
        return CHOSEN, mapped, mapped
    title = (said.title or "").strip()
    if title:
        return "title", title, title
    return _placed(naming.strategy, said)


def _placed(strategy: str, said: Conversation) -> tuple[str, str, str]:
    if strategy == GLOBAL:
        return GLOBAL, GLOBAL, ""
    if strategy == PER_SESSION:
        own = said.platform_key or said.fresh
        return ("session", own, own) if own else (DEFAULT, DEFAULT, "")
    if strategy == PER_REPO and said.repository:
        return "repository", PurePath(said.repository).name or DEFAULT, said.repository
    if said.directory:
        return "directory", PurePath(said.directory).name or DEFAULT, said.directory
    if said.platform_key:
        return "platform", said.platform_key, said.platform_key
    return DEFAULT, DEFAULT, ""
