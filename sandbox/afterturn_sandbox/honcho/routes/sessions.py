"""Sessions: got or created, listed, updated, deleted, cloned; their context and search."""

from typing import Any

from afterturn_sandbox.honcho import context, knowledge, records, search
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.columns import MESSAGES, SESSIONS
from afterturn_sandbox.honcho.errors import invalid, not_found, unauthorized
from afterturn_sandbox.honcho.filters import Condition, compile_filter
from afterturn_sandbox.honcho.models import ConfiguredUpdate, Listing, Search, SessionCreate
from afterturn_sandbox.honcho.queries import CloneQuery, SessionContextQuery
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.routes import members, peers, recall, scopes
from afterturn_sandbox.honcho.values import (
    count_tokens,
    dumps,
    message_ids,
    new_ids,
    now_us,
    place_of,
)


def get_or_create(call: Call) -> Reply:
    """POST …/sessions: 201 when created; metadata replaces, configuration merges, peers join."""
    body = call.parse(SessionCreate)
    who = call.identity
    if who.peer or (who.session and who.session != body.id):
        raise unauthorized("the key is not for this session")
    if body.scopes and who.session:
        raise unauthorized("a session is put into scopes with a key for its workspace")
    store = call.state.store
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        key, created = records.ensure_session(store, home, body.id)
        _replace(call, key, body)
        if body.peers:
            members.add(call.state.store, home, (key, body.id), body.peers)
        for name in body.scopes or ():
            scope, _ = scopes.ensure(store, home, name)
            scopes.include(call.state, scope, [key])
    return Reply(records.read_session(store, key), 201 if created else 200)


def _replace(call: Call, key: int, body: ConfiguredUpdate) -> None:
    store = call.state.store
    if body.metadata is not None:
        store.run("UPDATE sessions SET metadata = ? WHERE pk = ?", (dumps(body.metadata), key))
    if body.configuration is not None:
        old = store.value("SELECT configuration FROM sessions WHERE pk = ?", (key,))
        new = records.merged(old, body.configuration.model_dump(exclude_none=True))
        store.run("UPDATE sessions SET configuration = ? WHERE pk = ?", (new, key))


def list_all(call: Call) -> Reply:
    """POST …/sessions/list."""
    found = compile_filter(SESSIONS, call.parse_optional(Listing).filters)
    condition = Condition(f"w.name = ? AND ({found.sql})", [call.workspace, *found.params])
    return peers.page_of_sessions(call, condition, "t.pk")


def update(call: Call) -> Reply:
    """PUT …/sessions/{session_id}: created when missing."""
    body = call.parse(ConfiguredUpdate)
    store = call.state.store
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        key, _ = records.ensure_session(store, home, call.params["session_id"])
        _replace(call, key, body)
    return Reply(records.read_session(store, key))


def _require(call: Call) -> int:
    return records.require_session(call.state.store, call.workspace, call.params["session_id"])


def delete(call: Call) -> Reply:
    """DELETE …/sessions/{session_id}: with all its messages, at once; Honcho does it later."""
    key = _require(call)
    store = call.state.store
    with store.transaction():
        for table in ("messages", "members", "backfills", "conclusions"):
            store.run(f"DELETE FROM {table} WHERE session = ?", (key,))  # noqa: S608  # constants
        store.run("DELETE FROM sessions WHERE pk = ?", (key,))
    return Reply({"message": "the session is deleted"}, 202)


def clone(call: Call) -> Reply:
    """POST …/sessions/{session_id}/clone: under a new id, perhaps up to one message."""
    cut = call.parse_query(CloneQuery).message_id
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    old = records.find_session(store, home, call.params["session_id"])
    if not old:
        raise not_found("there is no such session to clone")
    last = store.value("SELECT messages FROM sessions WHERE pk = ?", (old,))
    if cut is not None:
        last = store.value(
            "SELECT seq FROM messages WHERE session = ? AND seq = ? AND id = ?",
            (old, place_of(cut), cut),
        )
        if last is None:
            raise not_found("the session has no such message")
    with store.transaction():
        key = _copy(call, old, int(last))
    return Reply(records.read_session(store, key), 201)


def _copy(call: Call, old: int, last: int) -> int:
    store = call.state.store
    now = now_us()
    key = store.insert(
        "INSERT INTO sessions (workspace, name, is_active, metadata, configuration, created_at, "
        "messages) SELECT workspace, ?, 1, metadata, configuration, ?, ? FROM sessions "
        "WHERE pk = ?",
        (new_ids(1)[0], now, last, old),
    )
    store.run_many(
        "INSERT INTO messages (session, seq, peer, id, content, metadata, tokens, reasoning, "
        "created_at, stored_at) SELECT ?, seq, peer, ?, content, metadata, tokens, reasoning, "
        "?, ? FROM messages WHERE session = ? AND seq = ?",
        [(key, one, now, now, old, at) for at, one in enumerate(message_ids(1, last), 1)],
    )
    store.run(
        "INSERT INTO members (session, peer, configuration, joined_at) "
        "SELECT ?, peer, configuration, ? FROM members WHERE session = ?",
        (key, now, old),
    )
    return key


def find(call: Call) -> Reply:
    """POST …/sessions/{session_id}/search."""
    body = call.parse(Search)
    condition = compile_filter(MESSAGES, body.filters)
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    scope = f"s{records.find_session(store, home, call.params['session_id'])}"
    return Reply(search.find(store, body.query, body.limit, scope=scope, condition=condition))


def summaries(call: Call) -> Reply:
    """GET …/sessions/{session_id}/summaries."""
    return Reply({"id": call.params["session_id"], **context.summaries(call.state, _require(call))})


def get_context(call: Call) -> Reply:
    """GET …/sessions/{session_id}/context.

    A missing session is answered with an empty context, an unknown target with 404 (FACTS).
    """
    asked = call.parse_query(SessionContextQuery)
    tokens = context.MOST_TOKENS if asked.tokens is None else asked.tokens
    text, card = _target_part(call, asked) if asked.peer_target else (None, None)
    _check_context(asked)
    tokens -= count_tokens(text or "") + sum(count_tokens(line) for line in card or ())
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    name = call.params["session_id"]
    key = records.find_session(store, home, name)
    summary: dict[str, Any] | None = None
    found: list[dict[str, Any]] = []
    if key:
        summary, found = context.assemble(call.state, key, tokens, with_summary=asked.summary)
    return Reply(
        {
            "id": name,
            "messages": found,
            "summary": summary,
            "peer_representation": text,
            "peer_card": card,
        }
    )


def _check_context(asked: SessionContextQuery) -> None:
    if asked.peer_target:
        return
    for name in ("peer_perspective", "scope", "sessions"):
        if getattr(asked, name):
            raise invalid(f"{name} needs a peer_target beside it")


def _exclusive(first: str, second: str) -> None:
    raise invalid(f"{first} and {second} do not go together")


def _target_part(call: Call, asked: SessionContextQuery) -> tuple[str, list[str] | None]:
    target = str(asked.peer_target)
    if asked.scope is not None and asked.peer_perspective:
        _exclusive("scope", "peer_perspective")
    if asked.sessions is not None and asked.scope is not None:
        _exclusive("sessions", "scope")
    if asked.sessions is not None and asked.limit_to_session:
        _exclusive("sessions", "limit_to_session")
    observer = asked.peer_perspective or target
    if call.identity.peer not in {None, observer}:
        raise unauthorized()
    only = _only(call, asked)
    eye = records.require_peer(call.state.store, call.workspace, observer)
    view = knowledge.view_of(call.state, call.workspace, observer, target, only, asked.scope)
    text = ""
    if view:  # else the target is not there yet, and only its card may be
        eye = view.observer
        text = knowledge.represent(call.state, view, asked.search_query, asked.max_conclusions)
    # A card has no session of its own, so a confined view goes without it.
    card = None if only is not None else knowledge.read_card(call.state, eye, target)
    return text, card


def _only(call: Call, asked: SessionContextQuery) -> list[str] | None:
    session = call.params["session_id"]
    if asked.sessions is not None:
        return recall.allowlist(asked.sessions, "sessions", session)
    return [session] if asked.limit_to_session else None


_ALL = "/v3/workspaces/{workspace_id}/sessions"
_ONE = f"{_ALL}/{{session_id}}"
ROUTES = [
    Route("POST", _ALL, get_or_create, "open"),
    Route("POST", f"{_ALL}/list", list_all),
    Route("PUT", _ONE, update, "session"),
    Route("DELETE", _ONE, delete, "session"),
    Route("POST", f"{_ONE}/clone", clone, "session"),
    Route("GET", f"{_ONE}/context", get_context, "session-read"),
    Route("GET", f"{_ONE}/summaries", summaries, "session-read"),
    Route("POST", f"{_ONE}/search", find, "session-read", searches=True),
]
