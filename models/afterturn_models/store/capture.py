"""Capture: a turn into Postgres in one statement, which is one transaction and one round trip.

The statement reads the memory modes and the write frequency, hands out the indexes, inserts the
rows with what is to become of them, and raises the cursor's `due_index` where a sync is due.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from afterturn_models.policy.write_frequency import ASYNC
from afterturn_models.values import Captured, Mode, NewMessage

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    import psycopg

    from afterturn_models.store.sessions import OpenSession


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """The writer's own word on modes and frequency.

    `given` are keyword arguments, which come before what Postgres holds; `fallback` is what
    holds where Postgres says nothing (environment, files, defaults). Keys are the spec's names:
    userMemoryMode, agentMemoryMode, memoryMode, writeFrequency, saveMessages, as text.
    """

    given: tuple[tuple[str, str], ...] = ()
    fallback: tuple[tuple[str, str], ...] = ()

    def parameters(self) -> dict[str, str | None]:
        """Give the statement's parameters: one value a key, None where nothing is said."""
        given, fallback = dict(self.given), dict(self.fallback)
        return {
            "given_user": given.get("userMemoryMode", given.get("memoryMode")),
            "given_agent": given.get("agentMemoryMode", given.get("memoryMode")),
            "given_frequency": given.get("writeFrequency"),
            "given_save": given.get("saveMessages"),
            "else_user": fallback.get("userMemoryMode", fallback.get("memoryMode", Mode.HYBRID)),
            "else_agent": fallback.get("agentMemoryMode", fallback.get("memoryMode", Mode.HYBRID)),
            "else_frequency": fallback.get("writeFrequency", ASYNC),
            "else_save": fallback.get("saveMessages", "true"),
        }


# `said` holds what Postgres says by scope and key. The nearest scope that says anything wins;
# within it the per-peer field comes before the shorthand.
# A turn's rows come as one JSON text, and the writer's own word as another: ten arrays and eight
# texts took the driver longer to write than Postgres to run the statement. For the same reason it
# stays under 4,096 characters, beyond which psycopg takes it apart anew each time.
# In a subagent's session (`delegated`) an agent speaks in the user's place.
_STATEMENT = """
WITH said AS (
    SELECT coalesce(jsonb_object_agg(scope || '.' || key, value) FILTER (WHERE key IN (
               'userMemoryMode', 'agentMemoryMode', 'memoryMode', 'writeFrequency', 'saveMessages'
           )), '{}') AS v,
           count(*) || ' ' || coalesce(CAST(max(updated_at) AS text), '') AS stamp
    FROM settings
    WHERE workspace_id = %(workspace)s::int
      AND (scope = 'workspace' OR (scope = 'agent' AND subject = %(agent)s::text)
           OR (scope = 'session' AND subject = CAST(%(session)s::uuid AS text)))
), decided AS MATERIALIZED (
    SELECT stamp,
           coalesce(g->>'given_user',
                    v->>'session.userMemoryMode', v->>'session.memoryMode',
                    v->>'agent.userMemoryMode', v->>'agent.memoryMode',
                    v->>'workspace.userMemoryMode', v->>'workspace.memoryMode',
                    g->>'else_user') AS user_mode,
           coalesce(g->>'given_agent',
                    v->>'session.agentMemoryMode', v->>'session.memoryMode',
                    v->>'agent.agentMemoryMode', v->>'agent.memoryMode',
                    v->>'workspace.agentMemoryMode', v->>'workspace.memoryMode',
                    g->>'else_agent') AS agent_mode,
           coalesce(g->>'given_frequency',
                    v->>'session.writeFrequency', v->>'agent.writeFrequency',
                    v->>'workspace.writeFrequency', g->>'else_frequency') AS frequency,
           coalesce(g->>'given_save',
                    v->>'session.saveMessages', v->>'agent.saveMessages',
                    v->>'workspace.saveMessages', g->>'else_save') = 'true' AS save
    FROM said, (SELECT %(policy)s::jsonb AS g) AS writer
), numbered AS (
    UPDATE sessions s
    SET next_index = s.next_index + %(count)s::int,
        turns = s.turns + 1,
        turn_first_index = s.next_index,
        last_turn_at = clock_timestamp(),
        token_total = s.token_total + %(tokens_total)s::int,
        closed_at = NULL,
        due_turn = CASE
            WHEN decided.frequency IN ('async', 'turn') THEN s.turns + 1
            WHEN decided.frequency = 'session' THEN s.due_turn
            WHEN s.turns + 1 - s.due_turn >= CAST(decided.frequency AS bigint) THEN s.turns + 1
            ELSE s.due_turn END
    FROM decided
    WHERE s.id = %(session)s::uuid
      AND NOT EXISTS (SELECT FROM messages WHERE id = %(first_row)s::uuid)
    RETURNING s.turn_first_index AS first, s.turns AS turn, s.due_turn = s.turns AS due,
              s.honcho_session, s.parent_id IS NOT NULL OR s.details ? 'observer' AS delegated,
              s.token_total - s.covered_tokens AS uncovered, decided.*
), inserted AS (
    INSERT INTO messages
        (id, session_id, index, turn_id, turn, role, peer, honcho_session, content,
         delivery, reason, part, parts, tokens, details, at)
    SELECT r.id, %(session)s::uuid, numbered.first + r.place - 1, %(turn_id)s::uuid, numbered.turn, r.role, r.peer,
           numbered.honcho_session, r.content,
           CASE WHEN k.reason IS NULL THEN 'send' ELSE 'local' END, k.reason,
           r.part, r.parts, r.tokens, r.details, coalesce(r.at, clock_timestamp())
    FROM numbered,
         ROWS FROM (json_to_recordset(%(rows)s::json) AS (
             id uuid, role text, peer text, content text, reason text, part smallint,
             parts smallint, tokens integer, details jsonb, at timestamptz
         )) WITH ORDINALITY
             AS r (id, role, peer, content, reason, part, parts, tokens, details, at, place),
         LATERAL (SELECT CASE
             WHEN r.reason IS NOT NULL THEN r.reason
             WHEN NOT numbered.save THEN 'saveMessages'
             WHEN r.role = 'user' AND numbered.user_mode = 'local' THEN 'mode'
             WHEN (r.role <> 'user' OR numbered.delegated) AND numbered.agent_mode = 'local'
                 THEN 'mode'
         END AS reason) k
), raised AS (
    UPDATE cursors SET due_index = numbered.first + %(count)s::int - 1
    FROM numbered WHERE cursors.session_id = %(session)s::uuid AND numbered.due
)
SELECT first, turn, due, frequency, user_mode, agent_mode, stamp, uncovered FROM numbered
"""
_CAPTURE = " ".join(_STATEMENT.split())
_CAPTURE_BYTES = _CAPTURE.encode()  # the driver would encode it, and hash it, for each turn

_AGAIN = """
SELECT min(m.index) AS first, max(m.index) AS last, min(m.turn) AS turn
FROM messages m JOIN messages f ON f.session_id = m.session_id AND f.turn = m.turn
WHERE f.id = %(first_row)s::uuid AND m.index >= f.index
"""


def capture_turn(
    connection: Connection | psycopg.Connection[Any],
    session: OpenSession,
    agent_peer: str,
    turn_id: uuid.UUID,
    rows: Sequence[NewMessage],
    policy: WritePolicy,
) -> Captured | None:
    """Capture the rows of one turn; None where the session was deleted.

    A turn that was captured before (a retried commit, a spool drained twice) is not captured
    again: what came of it is given, as not due. `rows` has at least one row. `connection` is
    Core's, as part of more, or the driver's own, which is quicker.
    """
    parameters = _parameters(session, agent_peer, turn_id, rows, policy)
    if isinstance(connection, Connection):
        found: Any = connection.exec_driver_sql(_CAPTURE, parameters).fetchone()
    else:
        found = connection.execute(_CAPTURE_BYTES, parameters, prepare=True).fetchone()
    if found is None:
        return _captured_before(connection, rows[0].id)
    first, turn, due, frequency, user_mode, agent_mode, stamp, uncovered = found
    return Captured(
        first,
        first + len(rows) - 1,
        turn,
        due,
        frequency,
        Mode(user_mode),
        Mode(agent_mode),
        stamp,
        uncovered,
    )


def _captured_before(
    connection: Connection | psycopg.Connection[Any], first_row: uuid.UUID
) -> Captured | None:
    asked = {"first_row": first_row}
    if isinstance(connection, Connection):
        found: Any = connection.exec_driver_sql(_AGAIN, asked).fetchone()
    else:
        found = connection.execute(_AGAIN.encode(), asked).fetchone()
    first, last, turn = found
    if first is None:
        return None
    return Captured(
        first,
        last,
        turn,
        due=False,
        frequency=ASYNC,
        # Which held then is not read again. Until the next capture says, the strictest does: text
        # of a local user is no query.
        user_mode=Mode.LOCAL,
        agent_mode=Mode.LOCAL,
    )


def _parameters(
    session: OpenSession,
    agent_peer: str,
    turn_id: uuid.UUID,
    rows: Sequence[NewMessage],
    policy: WritePolicy,
) -> dict[str, Any]:
    return {
        "policy": _word(policy),
        "workspace": session.workspace_id,
        "session": session.id,
        "agent": agent_peer,
        "turn_id": turn_id,
        "first_row": rows[0].id,
        "count": len(rows),
        "tokens_total": sum(row.tokens or 0 for row in rows),
        "rows": json.dumps([_row(row) for row in rows]),
    }


@lru_cache(maxsize=64)
def _word(policy: WritePolicy) -> str:
    return json.dumps(policy.parameters())


def _row(row: NewMessage) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "role": row.role,
        "peer": row.peer,
        "content": row.content,
        "reason": row.local,
        "part": row.part,
        "parts": row.parts,
        "tokens": row.tokens,
        "details": row.metadata or None,
        "at": row.at.isoformat() if row.at else None,
    }
