"""Workspaces: got or created, listed, updated, deleted, searched; their queue and dreams."""

from typing import Any

from afterturn_sandbox.honcho import knowledge, records, search
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.columns import MESSAGES, WORKSPACES
from afterturn_sandbox.honcho.errors import conflict, invalid, unauthorized
from afterturn_sandbox.honcho.filters import compile_filter
from afterturn_sandbox.honcho.models import (
    ConfiguredUpdate,
    Dream,
    Listing,
    WorkspaceCreate,
    WorkspaceSearch,
)
from afterturn_sandbox.honcho.queries import QueueQuery
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.values import dumps


def _read(call: Call, key: int) -> dict[str, Any]:
    row = call.state.store.one(
        f"SELECT {records.WORKSPACE_COLUMNS} FROM workspaces t WHERE t.pk = ?",  # noqa: S608  # constants
        (key,),
    )
    assert row is not None  # the caller has just found it
    return records.show_workspace(row)


def get_or_create(call: Call) -> Reply:
    """POST /v3/workspaces: 201 when created; an existing one is given back as it is."""
    body = call.parse(WorkspaceCreate)
    who = call.identity
    if not who.admin and who.workspace != body.id:
        raise unauthorized("the key is not for this workspace")
    store = call.state.store
    found = records.find_workspace(store, body.id)
    if found:
        return Reply(_read(call, found))
    with store.transaction():
        key = records.ensure_workspace(store, body.id)
        store.run(
            "UPDATE workspaces SET metadata = ?, configuration = ? WHERE pk = ?",
            (dumps(body.metadata), dumps(body.configuration.model_dump(exclude_none=True)), key),
        )
    return Reply(_read(call, key), 201)


def list_all(call: Call) -> Reply:
    """POST /v3/workspaces/list."""
    found = compile_filter(WORKSPACES, call.parse_optional(Listing).filters)
    page = call.page()
    store = call.state.store
    total = store.value(
        f"SELECT count(*) FROM workspaces t WHERE {found.sql}",  # noqa: S608  # compiled, values bound
        found.params,
    )
    rows = store.rows(
        f"SELECT {records.WORKSPACE_COLUMNS} FROM workspaces t WHERE {found.sql} "  # noqa: S608  # compiled, values bound
        f"ORDER BY t.pk {'DESC' if page.reverse else 'ASC'} LIMIT ? OFFSET ?",
        (*found.params, page.size, page.offset),
    )
    return page.answer([records.show_workspace(row) for row in rows], total)


def update(call: Call) -> Reply:
    """PUT /v3/workspaces/{workspace_id}: metadata replaces, configuration is merged by key."""
    body = call.parse(ConfiguredUpdate)
    store = call.state.store
    with store.transaction():
        key = records.ensure_workspace(store, call.workspace)
        if body.metadata is not None:
            store.run(
                "UPDATE workspaces SET metadata = ? WHERE pk = ?", (dumps(body.metadata), key)
            )
        if body.configuration is not None:
            old = store.value("SELECT configuration FROM workspaces WHERE pk = ?", (key,))
            new = records.merged(old, body.configuration.model_dump(exclude_none=True))
            store.run("UPDATE workspaces SET configuration = ? WHERE pk = ?", (new, key))
    return Reply(_read(call, key))


def delete(call: Call) -> Reply:
    """DELETE /v3/workspaces/{workspace_id}: 409 while it has sessions; done at once here."""
    store = call.state.store
    key = records.find_workspace(store, call.workspace)
    if store.value("SELECT 1 FROM sessions WHERE workspace = ? LIMIT 1", (key,)):
        raise conflict(
            f"the workspace {call.workspace!r} still has sessions; they have to be deleted before it"
        )
    with store.transaction():
        store.run(
            "DELETE FROM cards WHERE observer IN (SELECT pk FROM peers WHERE workspace = ?)",
            (key,),
        )
        for table in ("conclusions", "webhooks", "peers"):
            store.run(f"DELETE FROM {table} WHERE workspace = ?", (key,))  # noqa: S608  # constants
        store.run("DELETE FROM workspaces WHERE pk = ?", (key,))
    return Reply({"message": "the workspace is deleted"}, 202)


def find(call: Call) -> Reply:
    """POST /v3/workspaces/{workspace_id}/search, perhaps within a scope's sessions."""
    body = call.parse(WorkspaceSearch)
    store = call.state.store
    sessions = None
    if body.scope is not None:
        if body.filters and "session_id" in body.filters:
            raise invalid("scope does not go together with a filter by session_id")
        scope = knowledge.require_scope(call.state, call.workspace, body.scope)
        sessions = knowledge.scope_sessions(call.state, scope)
    key = records.find_workspace(store, call.workspace)
    condition = compile_filter(MESSAGES, body.filters)
    return Reply(
        search.find(
            store,
            body.query,
            body.limit,
            scope=f"w{key}",
            sessions=sessions,
            condition=condition,
        )
    )


def queue_status(call: Call) -> Reply:
    """GET /v3/workspaces/{workspace_id}/queue/status: pending until the deriver's delay is over."""
    asked = call.parse_query(QueueQuery)
    rows = _queue_rows(call, asked)
    sessions = {name: _units(total, pending, name) for name, total, pending in rows}
    whole = _units(sum(row[1] for row in rows), sum(row[2] for row in rows))
    del whole["session_id"]
    return Reply({**whole, "sessions": None if asked.session_id else sessions})


def _queue_rows(call: Call, asked: QueueQuery) -> list[tuple[Any, ...]]:
    """Return (session, messages, those still pending) for what is asked."""
    store = call.state.store
    if not call.state.deriver_delay_us and not (asked.sender_id or asked.observer_id):
        # Nothing is ever pending: the sessions' own counts do, however many messages there are.
        return store.rows(
            "SELECT name, messages, 0 FROM sessions "
            "WHERE workspace = ? AND messages > 0 AND name = coalesce(?, name) ORDER BY pk",
            (records.find_workspace(store, call.workspace), asked.session_id),
        )
    where, params = _queue_filter(call, asked)
    return store.rows(
        "SELECT s.name, count(*), sum(m.stored_at > ?) FROM messages m "  # noqa: S608  # constants
        "JOIN sessions s ON s.pk = m.session JOIN peers p ON p.pk = m.peer "
        f"WHERE {where} GROUP BY s.pk ORDER BY s.pk",
        (call.state.derived_until(), *params),
    )


def _queue_filter(call: Call, asked: QueueQuery) -> tuple[str, list[Any]]:
    where = ["s.workspace = ?"]
    params: list[Any] = [records.find_workspace(call.state.store, call.workspace)]
    if asked.session_id:
        where.append("s.name = ?")
        params.append(asked.session_id)
    # Every message is a unit of its sender's own representation, so an observer's units here
    # are those of the messages it sent itself.
    for name in (asked.sender_id, asked.observer_id):
        if name:
            where.append("p.name = ?")
            params.append(name)
    return " AND ".join(where), params


def _units(total: int, pending: int, session: str | None = None) -> dict[str, Any]:
    return {
        "session_id": session,
        "total_work_units": total,
        "completed_work_units": total - pending,
        "in_progress_work_units": 0,
        "pending_work_units": pending,
    }


def schedule_dream(call: Call) -> Reply:
    """POST /v3/workspaces/{workspace_id}/schedule_dream: accepted; without a model nothing runs."""
    call.parse(Dream)
    return Reply(status=204)


_ONE = "/v3/workspaces/{workspace_id}"
ROUTES = [
    Route("POST", "/v3/workspaces", get_or_create, "open"),
    Route("POST", "/v3/workspaces/list", list_all, "admin"),
    Route("PUT", _ONE, update),
    Route("DELETE", _ONE, delete),
    Route("POST", f"{_ONE}/search", find, searches=True),
    Route("GET", f"{_ONE}/queue/status", queue_status),
    Route("POST", f"{_ONE}/schedule_dream", schedule_dream),
]
