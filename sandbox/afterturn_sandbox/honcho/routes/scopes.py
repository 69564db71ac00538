"""Scopes: named sets of sessions, kept as observing peers under a reserved name, as in Honcho."""

import json
from typing import Any

from afterturn_sandbox.honcho import extract, knowledge, records
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.errors import conflict, not_found
from afterturn_sandbox.honcho.fields import SCOPE_PREFIX
from afterturn_sandbox.honcho.filters import Condition
from afterturn_sandbox.honcho.models import MemberConfig, ScopeCreate, ScopeSessions
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.routes.peers import page_of_sessions
from afterturn_sandbox.honcho.state import State
from afterturn_sandbox.honcho.storage import Store
from afterturn_sandbox.honcho.values import dumps, iso, now_us

_MEMBERSHIP = MemberConfig(observe_me=False, observe_others=True)


def ensure(store: Store, workspace: int, name: str) -> tuple[int, bool]:
    """Return a scope's key and whether it was created now.

    Raises:
        ApiError: 409 when an ordinary peer has the reserved name.
    """
    peer = f"{SCOPE_PREFIX}{name}"
    found = records.find_peer(store, workspace, peer)
    if not found:
        return records.create_peer(store, workspace, peer, "scope"), True
    if store.value("SELECT kind FROM peers WHERE pk = ?", (found,)) != "scope":
        raise conflict(f"the scope cannot be made: an ordinary peer has its name, {peer!r}")
    return found, False


def include(state: State, scope: int, sessions: list[int]) -> None:
    """Make a scope observe sessions; those with messages count as backfilled at once."""
    store = state.store
    for session in sessions:
        records.join(store, session, {scope: _MEMBERSHIP})
        rows = store.rows("SELECT content, created_at FROM messages WHERE session = ?", (session,))
        if rows:
            store.run(
                "INSERT OR REPLACE INTO backfills VALUES (?, ?, ?, ?)",
                (scope, session, now_us(), len(extract.statements(rows))),
            )


def _show(row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "id": row[0].removeprefix(SCOPE_PREFIX),
        "metadata": json.loads(row[1]),
        "created_at": iso(row[2]),
    }


def _read(call: Call, key: int) -> dict[str, Any]:
    row = call.state.store.one("SELECT name, metadata, created_at FROM peers WHERE pk = ?", (key,))
    assert row is not None  # the caller has just found it
    return _show(row)


def _require(call: Call) -> int:
    return knowledge.require_scope(call.state, call.workspace, call.params["scope_id"])


def get_or_create(call: Call) -> Reply:
    """POST …/scopes: 201 when created."""
    body = call.parse(ScopeCreate)
    store = call.state.store
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        key, created = ensure(store, home, body.id)
        if body.metadata is not None:
            store.run("UPDATE peers SET metadata = ? WHERE pk = ?", (dumps(body.metadata), key))
    return Reply(_read(call, key), 201 if created else 200)


def list_all(call: Call) -> Reply:
    """POST …/scopes/list."""
    page = call.page()
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    where = "WHERE workspace = ? AND kind = 'scope'"
    total = store.value(f"SELECT count(*) FROM peers {where}", (home,))  # noqa: S608  # constants
    rows = store.rows(
        f"SELECT name, metadata, created_at FROM peers {where} "  # noqa: S608  # constants
        f"ORDER BY pk {'DESC' if page.reverse else 'ASC'} LIMIT ? OFFSET ?",
        (home, page.size, page.offset),
    )
    return page.answer([_show(row) for row in rows], total)


def get(call: Call) -> Reply:
    """GET …/scopes/{scope_id}."""
    return Reply(_read(call, _require(call)))


def add_sessions(call: Call) -> Reply:
    """POST …/scopes/{scope_id}/sessions: 404 unless every named session exists."""
    names = call.parse(ScopeSessions).session_ids
    scope = _require(call)
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    found = {name: records.find_session(store, home, name) for name in names}
    missing = sorted(name for name, key in found.items() if not key)
    if missing:
        raise not_found(f"the workspace {call.workspace} lacks these sessions: {missing}")
    with store.transaction():
        include(call.state, scope, list(found.values()))
    return Reply(status=204)


def remove_session(call: Call) -> Reply:
    """DELETE …/scopes/{scope_id}/sessions/{session_id}: what it observed there is forgotten."""
    scope = _require(call)
    store = call.state.store
    session = records.require_session(store, call.workspace, call.params["session_id"])
    with store.transaction():
        store.run("DELETE FROM members WHERE session = ? AND peer = ?", (session, scope))
        store.run("DELETE FROM backfills WHERE session = ? AND scope = ?", (session, scope))
    return Reply(status=204)


def list_sessions(call: Call) -> Reply:
    """POST …/scopes/{scope_id}/sessions/list: the longest-standing member first."""
    condition = Condition("n.peer = ? AND n.left_at IS NULL", [_require(call)])
    join = "JOIN members n ON n.session = t.pk"
    return page_of_sessions(call, condition, "n.joined_at", join)


def status(call: Call) -> Reply:
    """GET …/scopes/{scope_id}/status: every backfill is complete, since it is done at once."""
    rows = call.state.store.rows(
        "SELECT s.name, b.updated_at, b.copied FROM backfills b "
        "JOIN sessions s ON s.pk = b.session WHERE b.scope = ?",
        (_require(call),),
    )
    jobs = {
        name: {"state": "completed", "updated_at": iso(at), "docs_copied": copied}
        for name, at, copied in rows
    }
    return Reply({"backfill_status": jobs})


_ALL = "/v3/workspaces/{workspace_id}/scopes"
_ONE = f"{_ALL}/{{scope_id}}"
ROUTES = [
    Route("POST", _ALL, get_or_create),
    Route("POST", f"{_ALL}/list", list_all),
    Route("GET", _ONE, get),
    Route("POST", f"{_ONE}/sessions", add_sessions),
    Route("DELETE", f"{_ONE}/sessions/{{session_id}}", remove_session),
    Route("POST", f"{_ONE}/sessions/list", list_sessions),
    Route("GET", f"{_ONE}/status", status),
]
