"""Peers: got or created, listed, updated, their sessions, cards and messages."""

from typing import Any

from afterturn_sandbox.honcho import knowledge, records, search
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.columns import MESSAGES, PEERS, SESSIONS
from afterturn_sandbox.honcho.errors import invalid, unauthorized
from afterturn_sandbox.honcho.filters import Condition, compile_filter
from afterturn_sandbox.honcho.models import (
    CardSet,
    Listing,
    PeerCreate,
    PeerListing,
    PeerUpdate,
    Search,
)
from afterturn_sandbox.honcho.queries import TargetQuery
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.values import dumps

_KINDS = {None: "t.kind = 'peer'", "scope": "t.kind = 'scope'", "all": "1"}


def get_or_create(call: Call) -> Reply:
    """POST …/peers: 201 when created; given metadata or configuration replaces what was."""
    body = call.parse(PeerCreate)
    who = call.identity
    if who.session or (who.peer and who.peer != body.id):
        raise unauthorized("the key is not for this peer")
    store = call.state.store
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        created = not records.find_peer(store, home, body.id)
        key = records.ensure_peers(store, home, [body.id])[body.id]
        _replace(call, key, body)
    return Reply(records.read_peer(store, key), 201 if created else 200)


def _replace(call: Call, key: int, body: PeerUpdate) -> None:
    store = call.state.store
    if body.metadata is not None:
        store.run("UPDATE peers SET metadata = ? WHERE pk = ?", (dumps(body.metadata), key))
    if body.configuration is not None:
        store.run(
            "UPDATE peers SET configuration = ? WHERE pk = ?", (dumps(body.configuration), key)
        )


def list_all(call: Call) -> Reply:
    """POST …/peers/list: scopes only where `kind` asks for them."""
    body = call.parse_optional(PeerListing)
    found = compile_filter(PEERS, body.filters)
    where = f"w.name = ? AND {_KINDS[body.kind]} AND ({found.sql})"
    condition = Condition(where, [call.workspace, *found.params])
    return page_of_peers(call, condition, "t.pk")


def page_of_peers(call: Call, condition: Condition, order: str, extra: str = "") -> Reply:
    """Return a page of the peers that match; `extra` joins a table that the condition needs."""
    page = call.page()
    store = call.state.store
    source = f"FROM peers t JOIN workspaces w ON w.pk = t.workspace {extra} WHERE {condition.sql}"
    total = store.value(f"SELECT count(*) {source}", condition.params)
    rows = store.rows(
        f"SELECT {records.PEER_COLUMNS} {source} "
        f"ORDER BY {order} {'DESC' if page.reverse else 'ASC'} LIMIT ? OFFSET ?",
        (*condition.params, page.size, page.offset),
    )
    return page.answer([records.show_peer(row) for row in rows], total)


def update(call: Call) -> Reply:
    """PUT …/peers/{peer_id}: created when missing; metadata and configuration are replaced."""
    body = call.parse(PeerUpdate)
    name = call.params["peer_id"]
    store = call.state.store
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        key = records.ensure_peers(store, home, [name])[name]
        if store.value("SELECT kind FROM peers WHERE pk = ?", (key,)) == "scope":
            raise invalid(f"{name!r} is a scope; it is changed through the routes of scopes")
        _replace(call, key, body)
    return Reply(records.read_peer(store, key))


def sessions(call: Call) -> Reply:
    """POST …/peers/{peer_id}/sessions: those it is or was a member of."""
    found = compile_filter(SESSIONS, call.parse_optional(Listing).filters)
    key = _key(call)
    condition = Condition(f"n.peer = ? AND ({found.sql})", [key, *found.params])
    return page_of_sessions(call, condition, "t.pk", "JOIN members n ON n.session = t.pk")


def page_of_sessions(call: Call, condition: Condition, order: str, extra: str = "") -> Reply:
    """Return a page of the sessions that match; `extra` joins a table that the condition needs."""
    page = call.page()
    store = call.state.store
    source = (
        f"FROM sessions t JOIN workspaces w ON w.pk = t.workspace {extra} WHERE {condition.sql}"
    )
    total = store.value(f"SELECT count(*) {source}", condition.params)
    rows = store.rows(
        f"SELECT {records.SESSION_COLUMNS} {source} "
        f"ORDER BY {order} {'DESC' if page.reverse else 'ASC'} LIMIT ? OFFSET ?",
        (*condition.params, page.size, page.offset),
    )
    return page.answer([records.show_session(row) for row in rows], total)


def _key(call: Call) -> int:
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    return records.find_peer(store, home, call.params["peer_id"])


def find(call: Call) -> Reply:
    """POST …/peers/{peer_id}/search: the peer's own messages."""
    body = call.parse(Search)
    condition = compile_filter(MESSAGES, body.filters)
    scope = f"p{_key(call)}"
    return Reply(
        search.find(call.state.store, body.query, body.limit, scope=scope, condition=condition)
    )


def get_card(call: Call) -> Reply:
    """GET …/peers/{peer_id}/card: null until one is set; 404 for an unknown peer."""
    name = call.params["peer_id"]
    target = call.parse_query(TargetQuery).target or name
    observer = records.require_peer(call.state.store, call.workspace, name)
    return _card(knowledge.read_card(call.state, observer, target))


def _card(lines: list[str] | None) -> Reply:
    body: dict[str, Any] = {"peer_card": lines}
    return Reply(body)


def set_card(call: Call) -> Reply:
    """PUT …/peers/{peer_id}/card: kept as given; the observer is created when missing."""
    body = call.parse(CardSet)
    name = call.params["peer_id"]
    target = call.parse_query(TargetQuery).target or name
    store = call.state.store
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        records.reject_scopes(store, home, [target], "Cards are about peers.")
        observer = records.ensure_peers(store, home, [name])[name]
        store.run(
            "INSERT OR REPLACE INTO cards (observer, observed, card) VALUES (?, ?, ?)",
            (observer, target, dumps(body.peer_card)),
        )
    return _card(body.peer_card)


_ALL = "/v3/workspaces/{workspace_id}/peers"
_ONE = f"{_ALL}/{{peer_id}}"
ROUTES = [
    Route("POST", _ALL, get_or_create, "open"),
    Route("POST", f"{_ALL}/list", list_all),
    Route("PUT", _ONE, update, "peer"),
    Route("POST", f"{_ONE}/sessions", sessions, "peer"),
    Route("POST", f"{_ONE}/search", find, "peer", searches=True),
    Route("GET", f"{_ONE}/card", get_card, "peer"),
    Route("PUT", f"{_ONE}/card", set_card, "peer"),
]
