"""Workspaces, peers, sessions and memberships: found, created and shown as Honcho shows them."""

import json
import re
from collections.abc import Iterable
from typing import Any

from afterturn_sandbox.honcho.errors import (
    ApiError,
    invalid,
    missing_peer,
    missing_session,
    unexpected,
)
from afterturn_sandbox.honcho.fields import NAME_PATTERN, SCOPE_PREFIX
from afterturn_sandbox.honcho.models import MemberConfig
from afterturn_sandbox.honcho.storage import Store
from afterturn_sandbox.honcho.values import dumps, iso, now_us

MAX_OBSERVERS = 10
_MAX_NAME = 512
_NAME = re.compile(NAME_PATTERN)

WORKSPACE_COLUMNS = "t.name, t.metadata, t.configuration, t.created_at"
PEER_COLUMNS = "t.name, w.name, t.created_at, t.metadata, t.configuration"
SESSION_COLUMNS = "t.name, t.is_active, w.name, t.metadata, t.configuration, t.created_at"


def show_workspace(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a workspace's body from WORKSPACE_COLUMNS."""
    return {
        "id": row[0],
        "metadata": json.loads(row[1]),
        "configuration": json.loads(row[2]),
        "created_at": iso(row[3]),
    }


def show_peer(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a peer's body from PEER_COLUMNS."""
    return {
        "id": row[0],
        "workspace_id": row[1],
        "created_at": iso(row[2]),
        "metadata": json.loads(row[3]),
        "configuration": json.loads(row[4]),
    }


def show_session(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a session's body from SESSION_COLUMNS."""
    return {
        "id": row[0],
        "is_active": bool(row[1]),
        "workspace_id": row[2],
        "metadata": json.loads(row[3]),
        "configuration": json.loads(row[4]),
        "created_at": iso(row[5]),
    }


def find_workspace(store: Store, name: str) -> int:
    """Return the workspace's key; 0, which no row has, when there is none."""
    return int(store.value("SELECT pk FROM workspaces WHERE name = ?", (name,)) or 0)


def ensure_workspace(store: Store, name: str) -> int:
    """Return the workspace's key, created when missing.

    Raises:
        ApiError: 500 for a name that Honcho's own schema refuses (FACTS: the server fails on it).
    """
    found = find_workspace(store, name)
    if found:
        return found
    _check_path_name(name)
    return store.insert(
        "INSERT INTO workspaces (name, metadata, configuration, created_at) VALUES (?, ?, ?, ?)",
        (name, "{}", "{}", now_us()),
    )


def _check_path_name(name: str) -> None:
    # A name in a path is not validated by Honcho's routes but deeper inside, where it fails.
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise unexpected()


def _check_new_peers(names: list[str]) -> None:
    if any("\x00" in name for name in names):
        raise invalid("a peer's name holds no NUL")
    long = sorted({name for name in names if len(name) > _MAX_NAME})
    if long:
        raise invalid(f"longer than a peer's name may be, {_MAX_NAME} characters: {long}")
    reserved = sorted({name for name in names if name.startswith(SCOPE_PREFIX)})
    if reserved:
        raise invalid(
            f"only scopes have names that begin with {SCOPE_PREFIX!r}, and their own routes make "
            f"them: {reserved}"
        )
    bad = sorted({name for name in names if not _NAME.fullmatch(name)})
    if bad:
        raise invalid(f"Peer name(s) {bad} must match pattern {NAME_PATTERN}")


def ensure_peers(store: Store, workspace: int, names: Iterable[str]) -> dict[str, int]:
    """Return the keys of the peers called `names`, those that are missing created.

    Raises:
        ApiError: 422 for a name that no peer may have.
    """
    keys: dict[str, int] = {}
    missing: list[str] = []
    for name in dict.fromkeys(names):
        found = find_peer(store, workspace, name)
        if found:
            keys[name] = found
        else:
            missing.append(name)
    _check_new_peers(missing)
    for name in missing:
        keys[name] = create_peer(store, workspace, name)
    return keys


def create_peer(store: Store, workspace: int, name: str, kind: str = "peer") -> int:
    """Return a new peer's key; `kind` is `peer` or `scope`."""
    return store.insert(
        "INSERT INTO peers (workspace, name, kind, metadata, configuration, created_at) "
        "VALUES (?, ?, ?, '{}', '{}', ?)",
        (workspace, name, kind, now_us()),
    )


def find_peer(store: Store, workspace: int, name: str) -> int:
    """Return the peer's key; 0 when there is none."""
    found = store.value("SELECT pk FROM peers WHERE workspace = ? AND name = ?", (workspace, name))
    return int(found or 0)


def require_peer(store: Store, workspace: str, name: str) -> int:
    """Return the peer's key.

    Raises:
        ApiError: 404 when the workspace has no such peer.
    """
    found = find_peer(store, find_workspace(store, workspace), name)
    if not found:
        raise missing_peer(name, workspace)
    return found


def reject_scopes(store: Store, workspace: int, names: Iterable[str], action: str) -> None:
    """Refuse names of scopes where only peers may stand.

    Raises:
        ApiError: 422 that names them and says what to do instead.
    """
    offenders = [
        name
        for name in sorted(set(names))
        if name.startswith(SCOPE_PREFIX)
        and store.value(
            "SELECT 1 FROM peers WHERE workspace = ? AND name = ? AND kind = 'scope'",
            (workspace, name),
        )
    ]
    if offenders:
        raise invalid(f"these are scopes and no peers: {offenders}. {action}")


def find_session(store: Store, workspace: int, name: str) -> int:
    """Return the session's key; 0 when there is none."""
    found = store.value(
        "SELECT pk FROM sessions WHERE workspace = ? AND name = ?", (workspace, name)
    )
    return int(found or 0)


def require_session(store: Store, workspace: str, name: str) -> int:
    """Return the session's key.

    Raises:
        ApiError: 404 when the workspace has no such session.
    """
    found = find_session(store, find_workspace(store, workspace), name)
    if not found:
        raise missing_session(name, workspace)
    return found


def ensure_session(store: Store, workspace: int, name: str) -> tuple[int, bool]:
    """Return the session's key and whether it was created now.

    Raises:
        ApiError: 500 for a name that Honcho's own schema refuses (FACTS: the server fails on it).
    """
    found = find_session(store, workspace, name)
    if found:
        return found, False
    _check_path_name(name)
    key = store.insert(
        "INSERT INTO sessions (workspace, name, is_active, metadata, configuration, created_at, "
        "messages) VALUES (?, ?, 1, '{}', '{}', ?, 0)",
        (workspace, name, now_us()),
    )
    return key, True


def read_session(store: Store, key: int) -> dict[str, Any]:
    """Return a session's body by its key."""
    row = store.one(
        f"SELECT {SESSION_COLUMNS} FROM sessions t JOIN workspaces w ON w.pk = t.workspace "  # noqa: S608  # constants
        "WHERE t.pk = ?",
        (key,),
    )
    assert row is not None  # the caller has just found it
    return show_session(row)


def read_peer(store: Store, key: int) -> dict[str, Any]:
    """Return a peer's body by its key."""
    row = store.one(
        f"SELECT {PEER_COLUMNS} FROM peers t JOIN workspaces w ON w.pk = t.workspace "  # noqa: S608  # constants
        "WHERE t.pk = ?",
        (key,),
    )
    assert row is not None  # the caller has just found it
    return show_peer(row)


def merged(old: str, new: dict[str, Any]) -> str:
    """Return a configuration after an update: given keys replace, the others stay."""
    return dumps({**json.loads(old), **new})


def join(store: Store, session: int, members: dict[int, MemberConfig | None]) -> None:
    """Make peers members of a session.

    An active member keeps its configuration whatever is given (FACTS: add_peers does not change
    it); one that had left comes back with the given one; None is what a message's sender gets.
    """
    now = now_us()
    store.run_many(
        "INSERT INTO members (session, peer, configuration, joined_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (session, peer) DO UPDATE SET configuration = excluded.configuration, "
        "joined_at = excluded.joined_at, left_at = NULL WHERE left_at IS NOT NULL",
        [
            (session, peer, dumps(config.model_dump()) if config else "{}", now)
            for peer, config in members.items()
        ],
    )


def observers(store: Store, session: int, apart_from: Iterable[int]) -> int:
    """How many active members observe the others, scopes and `apart_from` not counted."""
    return int(
        store.value(
            "SELECT count(*) FROM members m JOIN peers p ON p.pk = m.peer WHERE m.session = ? "
            "AND m.left_at IS NULL AND p.kind <> 'scope' "
            "AND json_extract(m.configuration, '$.observe_others') "
            "AND m.peer NOT IN (SELECT value FROM json_each(?))",
            (session, dumps(list(apart_from))),
        )
    )


def too_many_observers(session: str, count: int) -> ApiError:
    """400: more peers of a session would observe the others than Honcho allows."""
    return ApiError(
        400,
        f"Cannot create session {session} with {count} observers. Maximum allowed is "
        f"{MAX_OBSERVERS} observers per session. "
        "Observers are peers with 'observe_others' set to true.",
    )
