"""What one peer may know of another: whose messages count, representations, cards, conclusions."""

import json
from dataclasses import dataclass
from typing import Any

from afterturn_sandbox.honcho import extract, records, search
from afterturn_sandbox.honcho.errors import not_found
from afterturn_sandbox.honcho.extract import LABEL, Statement
from afterturn_sandbox.honcho.fields import SCOPE_PREFIX
from afterturn_sandbox.honcho.state import State
from afterturn_sandbox.honcho.values import dumps, iso

_DEFAULT_FACTS = 25
_LOOK_BACK = 500  # a peer's newest messages that a representation is made from


@dataclass(frozen=True, slots=True)
class View:
    """An observer's view of a peer, perhaps confined to some sessions (by key)."""

    workspace: int
    observer: int
    observed: int
    name: str
    only: tuple[int, ...] | None = None


def sessions_in_view(state: State, view: View) -> list[int]:
    """Return the sessions whose messages count.

    The peer must be observed there (its session's configuration, then its own, says no), reasoning
    must not be switched off, and an observer other than the peer itself must observe there.
    """
    watching = ""
    params: list[Any] = [view.observed]
    if view.observer != view.observed:
        watching = (
            "AND EXISTS (SELECT 1 FROM members o WHERE o.session = t.session AND o.peer = ? "
            "AND json_extract(o.configuration, '$.observe_others'))"
        )
        params.append(view.observer)
    rows = state.store.rows(
        "SELECT t.session FROM members t JOIN sessions s ON s.pk = t.session "  # noqa: S608  # constants
        "JOIN peers p ON p.pk = t.peer JOIN workspaces w ON w.pk = s.workspace WHERE t.peer = ? "
        "AND coalesce(json_extract(t.configuration, '$.observe_me'), "
        "json_extract(p.configuration, '$.observe_me'), 1) "
        "AND coalesce(json_extract(s.configuration, '$.reasoning.enabled'), "
        f"json_extract(w.configuration, '$.reasoning.enabled'), 1) {watching}",
        params,
    )
    found = [int(row[0]) for row in rows]
    return found if view.only is None else [key for key in found if key in view.only]


def facts(state: State, view: View) -> list[Statement]:
    """First-person statements in the peer's newest messages that are in view and derived."""
    sessions = sessions_in_view(state, view)
    if not sessions:
        return []
    rows = state.store.rows(
        "SELECT content, created_at FROM messages WHERE peer = ? AND stored_at <= ? AND reasoning "
        "AND session IN (SELECT value FROM json_each(?)) ORDER BY pk DESC LIMIT ?",
        (view.observed, state.derived_until(), dumps(sessions), _LOOK_BACK),
    )
    return extract.statements(rows)


def conclusions(state: State, view: View) -> list[Statement]:
    """Return the conclusions of this observer about this peer, newest first."""
    sql = "SELECT content, created_at FROM conclusions WHERE observer = ? AND observed = ? "
    params: list[Any] = [view.observer, view.observed]
    if view.only is not None:
        sql += "AND session IN (SELECT value FROM json_each(?)) "
        params.append(dumps(list(view.only)))
    rows = state.store.rows(f"{sql} ORDER BY pk DESC LIMIT ?", (*params, _LOOK_BACK))
    return [Statement(content, 3, at) for content, at in rows]


def represent(state: State, view: View, query: str | None = None, most: int | None = None) -> str:
    """Return the representation as text; empty when nothing is known."""
    limit = most or _DEFAULT_FACTS
    concluded = extract.ranked(conclusions(state, view), limit, query)
    said = extract.ranked(facts(state, view), limit - len(concluded), query)
    parts: list[str] = []
    if concluded:
        parts.append(f"## Conclusions about {view.name}\n\n{_lines(concluded)}")
    if said:
        parts.append(f"## {LABEL}: what {view.name} said\n\n{_lines(said)}")
    return "\n\n".join(parts)


def _lines(found: list[Statement]) -> str:
    return "\n".join(f"- [{iso(one.at)[:10]}] {one.text}" for one in found)


def read_card(state: State, observer: int, observed: str) -> list[str] | None:
    """Return the card as it was set; None before that."""
    found = state.store.value(
        "SELECT card FROM cards WHERE observer = ? AND observed = ?", (observer, observed)
    )
    if found is None:
        return None
    card: list[str] = json.loads(found)
    return card


def answer(state: State, view: View, query: str) -> str | None:
    """Return what is stored that bears on `query`, as text that says what it is; None for nothing.

    The index must have been brought up to date before.
    """
    said = [
        Statement(sentence, 1, 0)
        for message in search.find(
            state.store,
            query,
            10,
            scope=f"p{view.observed}",
            sessions=sessions_in_view(state, view),
        )
        for sentence in extract.sentences(message["content"])
    ]
    card = read_card(state, view.observer, view.name) or []
    noted = [Statement(line, 3, 0) for line in card] + conclusions(state, view)
    wanted = extract.terms(query)
    matching = [one for one in noted + said if extract.overlap(wanted, one.text)]
    if matching:
        best = extract.ranked(matching, 5, query)
        return f"{LABEL}, what is stored about this: {_quoted(best)}"
    known = extract.ranked(noted + facts(state, view), 5)
    if not known:
        return None
    return (
        f"{LABEL}: I don't know; no stored words match the question. "
        f"Known of {view.name}: {_quoted(known)}"
    )


def _quoted(found: list[Statement]) -> str:
    texts = dict.fromkeys(one.text for one in found)
    return " ".join(text if text[-1] in ".!?" else f"{text}." for text in texts)


def scope_sessions(state: State, scope: int) -> list[int]:
    """Return the keys of a scope's member sessions, the longest-standing first."""
    rows = state.store.rows(
        "SELECT session FROM members WHERE peer = ? AND left_at IS NULL ORDER BY joined_at, session",
        (scope,),
    )
    return [int(row[0]) for row in rows]


def view_of(
    state: State,
    workspace: str,
    observer: str,
    observed: str,
    only: list[str] | None = None,
    scope: str | list[str] | None = None,
) -> View | None:
    """Return the view that a request asks for; None when one of the peers does not exist.

    A single scope is the observer itself; several confine the view to their sessions.

    Raises:
        ApiError: 404 for an unknown scope.
    """
    home = records.find_workspace(state.store, workspace)
    seen = records.find_peer(state.store, home, observed)
    eye = records.find_peer(state.store, home, observer)
    keys = None if only is None else [records.find_session(state.store, home, one) for one in only]
    if isinstance(scope, str):
        eye = require_scope(state, workspace, scope)
    elif scope is not None:
        found = [require_scope(state, workspace, one) for one in scope]
        keys = [key for one in found for key in scope_sessions(state, one)]
    if not (seen and eye):
        return None
    return View(home, eye, seen, observed, None if keys is None else tuple(keys))


def require_scope(state: State, workspace: str, name: str) -> int:
    """Return a scope's key.

    Raises:
        ApiError: 404 when the workspace has no such scope.
    """
    home = records.find_workspace(state.store, workspace)
    found = state.store.value(
        "SELECT pk FROM peers WHERE workspace = ? AND name = ? AND kind = 'scope'",
        (home, f"{SCOPE_PREFIX}{name}"),
    )
    if not found:
        raise not_found(f"the workspace {workspace} has no scope {name}")
    return int(found)
