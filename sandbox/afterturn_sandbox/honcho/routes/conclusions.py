"""Conclusions: created in batches, listed, queried, deleted."""

from typing import Any

from afterturn_sandbox.honcho import extract, records
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.columns import CONCLUSIONS
from afterturn_sandbox.honcho.errors import invalid, not_found
from afterturn_sandbox.honcho.filters import compile_filter
from afterturn_sandbox.honcho.models import (
    ConclusionBatch,
    ConclusionCreate,
    ConclusionQuery,
    Listing,
)
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.values import iso, new_ids, now_us

_COLUMNS = "c.id, c.content, po.name, pd.name, s.name, c.level, c.created_at"
_SOURCE = (
    "FROM conclusions c JOIN workspaces w ON w.pk = c.workspace "
    "JOIN peers po ON po.pk = c.observer JOIN peers pd ON pd.pk = c.observed "
    "LEFT JOIN sessions s ON s.pk = c.session"
)


def _show(row: tuple[Any, ...]) -> dict[str, Any]:
    names = ("id", "content", "observer_id", "observed_id", "session_id", "level")
    return {**dict(zip(names, row, strict=False)), "created_at": iso(row[6])}


def create(call: Call) -> Reply:
    """POST …/conclusions: 404 for an unknown peer or session; in the representation at once."""
    batch = call.parse(ConclusionBatch).conclusions
    store = call.state.store
    with store.transaction():
        answer = [
            _insert(call, one, public_id)
            for one, public_id in zip(batch, new_ids(len(batch)), strict=True)
        ]
    return Reply(answer, 201)


def _insert(call: Call, one: ConclusionCreate, public_id: str) -> dict[str, Any]:
    store = call.state.store
    session = None
    if one.session_id is not None:
        session = records.require_session(store, call.workspace, one.session_id)
    home = records.find_workspace(store, call.workspace)
    observer = records.require_peer(store, call.workspace, one.observer_id)
    observed = records.require_peer(store, call.workspace, one.observed_id)
    action = "Conclusions are about peers."
    records.reject_scopes(store, home, [one.observed_id], action)
    now = now_us()
    store.insert(
        "INSERT INTO conclusions (workspace, id, observer, observed, session, content, level, "
        "created_at) VALUES (?, ?, ?, ?, ?, ?, 'explicit', ?)",
        (home, public_id, observer, observed, session, one.content, now),
    )
    shown = (public_id, one.content, one.observer_id, one.observed_id, one.session_id, "explicit")
    return _show((*shown, now))


def list_all(call: Call) -> Reply:
    """POST …/conclusions/list: the newest first unless `reverse`."""
    found = compile_filter(CONCLUSIONS, call.parse_optional(Listing).filters)
    page = call.page()
    store = call.state.store
    where = f"w.name = ? AND ({found.sql})"
    params = [call.workspace, *found.params]
    total = store.value(
        f"SELECT count(*) {_SOURCE} WHERE {where}", params
    )  # compiled, values bound
    rows = store.rows(
        f"SELECT {_COLUMNS} {_SOURCE} WHERE {where} "  # compiled, values bound
        f"ORDER BY c.pk {'ASC' if page.reverse else 'DESC'} LIMIT ? OFFSET ?",
        (*params, page.size, page.offset),
    )
    return page.answer([_show(row) for row in rows], total)


def query(call: Call) -> Reply:
    """POST …/conclusions/query: ranked by shared words, for lack of embeddings."""
    body = call.parse(ConclusionQuery)
    filters = body.filters or {}
    observer = filters.get("observer") or filters.get("observer_id")
    observed = filters.get("observed") or filters.get("observed_id")
    if not observer or not observed:
        raise invalid(
            "the filters have to say whose conclusions are searched, and about whom: "
            "'observer' and 'observed', each with or without '_id'"
        )
    found = compile_filter(CONCLUSIONS, filters)
    rows = call.state.store.rows(
        f"SELECT {_COLUMNS} {_SOURCE} WHERE w.name = ? AND ({found.sql}) ORDER BY c.pk DESC",  # compiled, values bound
        (call.workspace, *found.params),
    )
    wanted = extract.terms(body.query)
    scored = [(extract.overlap(wanted, row[1]), row) for row in rows]
    best = sorted((one for one in scored if one[0]), key=lambda one: one[0], reverse=True)
    return Reply([_show(row) for _, row in best[: body.top_k]])


def delete(call: Call) -> Reply:
    """DELETE …/conclusions/{conclusion_id}."""
    store = call.state.store
    name = call.params["conclusion_id"]
    home = records.find_workspace(store, call.workspace)
    with store.transaction():
        gone = store.run("DELETE FROM conclusions WHERE workspace = ? AND id = ?", (home, name))
    if not gone:
        raise not_found(f"the workspace {call.workspace} has no conclusion {name}")
    return Reply(status=204)


_ALL = "/v3/workspaces/{workspace_id}/conclusions"
ROUTES = [
    Route("POST", _ALL, create),
    Route("POST", f"{_ALL}/list", list_all),
    Route("POST", f"{_ALL}/query", query),
    Route("DELETE", f"{_ALL}/{{conclusion_id}}", delete),
]
