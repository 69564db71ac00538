"""What is known of a peer: its context, its representation, and questions about it."""

import json
import re
from typing import Any

from afterturn_sandbox.honcho import knowledge, records
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.errors import invalid, unauthorized
from afterturn_sandbox.honcho.fields import NAME_PATTERN
from afterturn_sandbox.honcho.models import Dialectic, Recall, RepresentationGet
from afterturn_sandbox.honcho.queries import PeerContextQuery
from afterturn_sandbox.honcho.router import Route

_MOST_SESSIONS = 1_000


def allowlist(entries: list[Any], field: str, must: str | None) -> list[str]:
    """Session ids that confine a view, each once.

    Raises:
        ApiError: 422 for too many, a malformed one, or `must` not among them.
    """
    if len(entries) > _MOST_SESSIONS:
        raise invalid(f"{field} names more than {_MOST_SESSIONS} sessions")
    wrong = [
        entry
        for entry in entries
        if not (isinstance(entry, str) and re.fullmatch(NAME_PATTERN, entry))
    ]
    if wrong:
        raise invalid(f"{field} takes ids of sessions ({NAME_PATTERN}), not {wrong[0]!r}")
    if must is not None and must not in entries:
        raise invalid(f"{field} leaves out the session that is asked about, {must}")
    return list(dict.fromkeys(entries))


def _allowed(body: Recall) -> list[str] | None:
    """Return the sessions that the filters confine a view to; None for every one."""
    if body.filters is None:
        return None
    if set(body.filters) != {"session_id"}:
        raise invalid(f"the filters here name sessions by 'session_id', not {sorted(body.filters)}")
    value = body.filters["session_id"]
    if isinstance(value, dict) and set(value) == {"in"}:
        value = value["in"]
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list):
        raise invalid("filters.session_id takes one id, a list of them, or a list under 'in'")
    return allowlist(entries, "filters.session_id", body.session_id)


def _check_scope(call: Call, body: Recall) -> None:
    if body.scope is None:
        return
    if body.session_id or body.filters is not None:
        raise invalid("a scope goes together with neither filters nor a session_id")
    if call.identity.peer is not None:
        raise unauthorized("a scope is asked with a key for the workspace, or an admin's")


def _view(call: Call, body: Recall, only: list[str] | None) -> knowledge.View | None:
    name = call.params["peer_id"]
    target = body.target or name
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    action = "A scope neither observes by itself nor is observed."
    records.reject_scopes(store, home, [name, target], action)
    _check_scope(call, body)
    return knowledge.view_of(call.state, call.workspace, name, target, only, body.scope)


def representation(call: Call) -> Reply:
    """POST …/peers/{peer_id}/representation: empty text when nothing is known."""
    body = call.parse(RepresentationGet)
    allowed = _allowed(body)
    view = _view(call, body, [body.session_id] if body.session_id else allowed)
    most = body.max_conclusions
    text = knowledge.represent(call.state, view, body.search_query, most) if view else ""
    return Reply({"representation": text})


def context(call: Call) -> Reply:
    """GET …/peers/{peer_id}/context: representation and card; 404 for an unknown peer."""
    asked = call.parse_query(PeerContextQuery)
    name = call.params["peer_id"]
    target = asked.target or name
    observer = records.require_peer(call.state.store, call.workspace, name)
    view = knowledge.view_of(call.state, call.workspace, name, target)
    text = ""
    if view:
        text = knowledge.represent(call.state, view, asked.search_query, asked.max_conclusions)
    return Reply(
        {
            "peer_id": name,
            "target_id": target,
            "representation": text,
            "peer_card": knowledge.read_card(call.state, observer, target),
        }
    )


def chat(call: Call) -> Reply:
    """POST …/peers/{peer_id}/chat: stored statements that bear on the question, or null.

    404 for an unknown target or session; the peer itself is created when missing.
    """
    body = call.parse(Dialectic)
    store = call.state.store
    name = call.params["peer_id"]
    if body.response_format is not None and body.response_format.get("type") != "object":
        raise invalid("a response_format describes an object")
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        records.ensure_peers(store, home, [name])
    if body.target:
        records.require_peer(store, call.workspace, body.target)
    if body.session_id:
        session = records.require_session(store, call.workspace, body.session_id)
        _check_member(call, session)
    # As in Honcho's own source, a session lends its history and confines nothing: filters do.
    view = _view(call, body, _allowed(body))
    content = knowledge.answer(call.state, view, body.query) if view else None
    call.state.counters.chats += 1  # an LLM would have been asked by now
    if body.response_format is not None:
        content = json.dumps(_shaped(body.response_format, content or ""), ensure_ascii=False)
    if body.stream:
        return Reply(events=_events(content))
    return Reply({"content": content})


def _check_member(call: Call, session: int) -> None:
    peer = call.identity.peer
    if peer is None:
        return
    found = call.state.store.value(
        "SELECT 1 FROM members n JOIN peers p ON p.pk = n.peer "
        "WHERE n.session = ? AND p.name = ? AND n.left_at IS NULL",
        (session, peer),
    )
    if not found:
        raise unauthorized()


def _events(content: str | None) -> list[str]:
    pieces = re.findall(r"\S+\s*", content or "")
    deltas = [{"delta": {"content": piece}, "done": False} for piece in pieces]
    return [f"data: {json.dumps(event)}\n\n" for event in [*deltas, {"done": True}]]


def _shaped(schema: dict[str, Any], text: str) -> Any:
    """Return the least value of a JSON schema, with `text` wherever it takes a string."""
    branches = schema.get("anyOf")
    if branches:
        return _shaped(branches[0], text)
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {key: _shaped(sub, text) for key, sub in schema.get("properties", {}).items()}
    if kind == "array":
        return [_shaped(schema.get("items", {}), text)] if text else []
    least: dict[str, Any] = {"string": text, "integer": 0, "number": 0.0, "boolean": False}
    return least.get(str(kind))


_ONE = "/v3/workspaces/{workspace_id}/peers/{peer_id}"
ROUTES = [
    Route("POST", f"{_ONE}/chat", chat, "peer", searches=True),
    Route("POST", f"{_ONE}/representation", representation, "peer"),
    Route("GET", f"{_ONE}/context", context, "peer"),
]
