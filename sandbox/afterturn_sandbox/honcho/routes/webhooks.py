"""Webhooks: their addresses, and a test event for them; the server delivers after the answer."""

from typing import Any

from afterturn_sandbox.honcho import records
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.errors import conflict, not_found
from afterturn_sandbox.honcho.models import WebhookCreate
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.values import iso, new_ids, now_us

_MOST = 10


def _show(call: Call, row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "id": row[0],
        "workspace_id": call.workspace,
        "url": row[1],
        "created_at": iso(row[2]),
    }


def _require(call: Call) -> int:
    key = records.find_workspace(call.state.store, call.workspace)
    if not key:
        raise not_found(f"there is no workspace {call.workspace}")
    return key


def get_or_create(call: Call) -> Reply:
    """POST …/webhooks: 201 when created, 409 past ten of them."""
    url = call.parse(WebhookCreate).url
    home = _require(call)
    store = call.state.store
    find = "SELECT id, url, created_at FROM webhooks WHERE workspace = ? AND url = ?"
    found = store.one(find, (home, url))
    if found:
        return Reply(_show(call, found))
    if store.value("SELECT count(*) FROM webhooks WHERE workspace = ?", (home,)) >= _MOST:
        raise conflict(f"the workspace has {_MOST} webhooks already, which is the most it may have")
    row = (new_ids(1)[0], url, now_us())
    with store.transaction():
        store.insert(
            "INSERT INTO webhooks (id, url, created_at, workspace) VALUES (?, ?, ?, ?)",
            (*row, home),
        )
    return Reply(_show(call, row), 201)


def list_all(call: Call) -> Reply:
    """GET …/webhooks."""
    page = call.page()
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    total = store.value("SELECT count(*) FROM webhooks WHERE workspace = ?", (home,))
    rows = store.rows(
        "SELECT id, url, created_at FROM webhooks WHERE workspace = ? ORDER BY pk LIMIT ? OFFSET ?",
        (home, page.size, page.offset),
    )
    return page.answer([_show(call, row) for row in rows], total)


def delete(call: Call) -> Reply:
    """DELETE …/webhooks/{endpoint_id}."""
    store = call.state.store
    name = call.params["endpoint_id"]
    with store.transaction():
        gone = store.run(
            "DELETE FROM webhooks WHERE workspace = ? AND id = ?", (_require(call), name)
        )
    if not gone:
        raise not_found(f"the workspace {call.workspace} has no webhook {name}")
    return Reply(status=204)


def send_test(call: Call) -> Reply:
    """GET …/webhooks/test: a `test.event` goes to every address, once."""
    home = records.find_workspace(call.state.store, call.workspace)
    call.state.announce(home, {"type": "test.event", "workspace_id": call.workspace})
    return Reply(None)


_ALL = "/v3/workspaces/{workspace_id}/webhooks"
ROUTES = [
    Route("POST", _ALL, get_or_create),
    Route("GET", _ALL, list_all),
    Route("DELETE", f"{_ALL}/{{endpoint_id}}", delete),
    Route("GET", f"{_ALL}/test", send_test),
]
