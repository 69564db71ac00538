"""Facts: what a worker needs to know of a session, and of its last turn, to recall for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from afterturn_models.policy.mode import USER_KEYS, resolve_mode
from afterturn_models.profile import SessionProfile
from afterturn_models.store.sessions import SAID, SAID_OF_SESSION, by_scope
from afterturn_models.values import Mode, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy import Row


@dataclass(frozen=True, slots=True)
class Met:
    """Where a subagent's human was met: the agent there, and what holds for that session."""

    agent_peer: str
    profile: SessionProfile = field(default_factory=SessionProfile)
    said: Mapping[Scope, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a worker needs to know of a session to recall for it.

    `user_peer` is the one whom recall is about, `agent_peer` the one who asks. `user_local`: the
    user's words are no query. `said` is Postgres' word on settings by scope. `met` is the session
    in which people speak and for which, through however many others, a subagent's is; None for
    any other, and where that session was deleted.
    """

    workspace_id: int
    workspace: str
    honcho_session: str
    user_peer: str
    agent_peer: str
    user_local: bool = False
    profile: SessionProfile = field(default_factory=SessionProfile)
    said: Mapping[Scope, Mapping[str, Any]] = field(default_factory=dict)
    met: Met | None = None


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """A session's last turn: its number (0: there is none yet), what the user said, and before it.

    Both texts are None where the user's mode keeps them out of Honcho: local text is never a
    query. `before` is what was said in the turn before, by both.
    """

    session: SessionFacts
    turn: int
    user_text: str | None = None
    before: str | None = None


_SESSION_SQL = """
SELECT s.id, s.turns AS turn, s.workspace_id, w.name AS workspace, s.honcho_session,
       s.user_peer, s.agent_peer, s.details,
       s.turn_first_index, {said} AS said,
       met.agent_peer AS met_agent, met.details AS met_details, {met_said} AS met_said
FROM sessions s JOIN workspaces w ON w.id = s.workspace_id
LEFT JOIN LATERAL (
    -- In a session with an observer an agent speaks for another: people are further up.
    WITH RECURSIVE above AS (
        SELECT p.* FROM sessions p WHERE p.id = s.parent_id AND s.details ? 'observer'
        UNION ALL
        SELECT p.* FROM above JOIN sessions p ON p.id = above.parent_id
        WHERE above.details ? 'observer'
    )
    SELECT above.* FROM above WHERE NOT above.details ? 'observer'
) met ON true
WHERE s.id = :session
"""
_SESSION = _SESSION_SQL.format(
    said=SAID_OF_SESSION,
    met_said=SAID.format(workspace="met.workspace_id", agent="met.agent_peer", session="met.id"),
)
_FACTS = text(_SESSION)
_TURN_SQL = """
WITH session AS ({session})
SELECT session.*, m.turn AS row_turn, m.role, m.peer, m.content, m.delivery, m.reason,
       m.honcho_session AS row_session
FROM session
LEFT JOIN messages m ON m.session_id = session.id AND m.role IN ('user', 'assistant')
     AND m.turn >= session.turn - 1 AND m.index >= session.turn_first_index - :most
ORDER BY m.index
"""
_TURN = text(_TURN_SQL.format(session=_SESSION))
_MOST_BEFORE = 32  # rows of the turn before that are looked at


def session_facts(connection: Connection, session_id: UUID) -> SessionFacts | None:
    """Read what recall needs to know of a session; None where it is gone."""
    row = connection.execute(_FACTS, {"session": session_id}).one_or_none()
    return None if row is None else _facts(row)


def last_turn(connection: Connection, session_id: UUID) -> TurnFacts | None:
    """Read what was said last, and by whom; None where the session is gone."""
    parameters = {"session": session_id, "most": _MOST_BEFORE}
    rows = connection.execute(_TURN, parameters).all()
    if not rows:
        return None
    first = rows[0]
    last = [row for row in rows if row.row_turn == first.turn]
    users = [row for row in last if row.role == "user"]
    agents = [row for row in last if row.role == "assistant"]
    sent = [row.content for row in users if row.delivery == "send"]
    before = [
        row.content for row in rows if row.row_turn == first.turn - 1 and row.delivery == "send"
    ]
    facts = _facts(first)
    facts = replace(
        facts,
        honcho_session=last[0].row_session if last else facts.honcho_session,
        user_peer=facts.profile.about or (users[0].peer if users else facts.user_peer),
        agent_peer=agents[0].peer if agents else facts.agent_peer,
        user_local=facts.user_local or any(row.reason == "mode" for row in users),
    )
    return TurnFacts(
        session=facts,
        turn=first.turn,
        user_text="\n".join(sent) if sent else None,
        before="\n".join(before) if before and sent else None,
    )


def _facts(row: Row[Any]) -> SessionFacts:
    profile, said = SessionProfile.of(row.details), by_scope(row.said)
    return SessionFacts(
        workspace_id=row.workspace_id,
        workspace=row.workspace,
        honcho_session=row.honcho_session,
        user_peer=profile.about or row.user_peer,
        agent_peer=row.agent_peer,
        user_local=resolve_mode(profile.layers(said), USER_KEYS) is Mode.LOCAL,
        profile=profile,
        said=said,
        met=_met(row),
    )


def _met(row: Row[Any]) -> Met | None:
    if row.met_agent is None:
        return None
    return Met(row.met_agent, SessionProfile.of(row.met_details), by_scope(row.met_said))
