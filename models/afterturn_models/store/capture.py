"""Capture: a turn into Postgres in one statement, which is one transaction and one round trip.

The statement reads the memory modes and the write frequency, hands out the indexes, inserts the
rows with what is to become of them, and raises the cursor's `due_index` where a sync is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID
from sqlalchemy.types import Integer, SmallInteger, Text

from afterturn_models.policy.write_frequency import ASYNC
from afterturn_models.values import Captured, Mode, NewMessage

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

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


_TEXT_LISTS = ("roles", "peers", "contents", "reasons")
_TEXTS = (
    "agent",
    "given_user",
    "given_agent",
    "given_frequency",
    "given_save",
    "else_user",
    "else_agent",
    "else_frequency",
    "else_save",
)

# `said` holds what Postgres says by scope and key. The nearest scope that says anything wins;
# within it the per-peer field comes before the shorthand.
_CAPTURE = text("""
WITH said AS (
    SELECT coalesce(jsonb_object_agg(scope || '.' || key, value) FILTER (WHERE key IN (
               'userMemoryMode', 'agentMemoryMode', 'memoryMode', 'writeFrequency', 'saveMessages'
           )), '{}') AS v,
           count(*) || ' ' || coalesce(CAST(max(updated_at) AS text), '') AS stamp
    FROM settings
    WHERE workspace_id = :workspace
      AND (scope = 'workspace' OR (scope = 'agent' AND subject = :agent)
           OR (scope = 'session' AND subject = CAST(:session AS text)))
), decided AS (
    SELECT coalesce(:given_user,
                    v->>'session.userMemoryMode', v->>'session.memoryMode',
                    v->>'agent.userMemoryMode', v->>'agent.memoryMode',
                    v->>'workspace.userMemoryMode', v->>'workspace.memoryMode',
                    :else_user) AS user_mode,
           coalesce(:given_agent,
                    v->>'session.agentMemoryMode', v->>'session.memoryMode',
                    v->>'agent.agentMemoryMode', v->>'agent.memoryMode',
                    v->>'workspace.agentMemoryMode', v->>'workspace.memoryMode',
                    :else_agent) AS agent_mode,
           coalesce(:given_frequency,
                    v->>'session.writeFrequency', v->>'agent.writeFrequency',
                    v->>'workspace.writeFrequency', :else_frequency) AS frequency,
           coalesce(:given_save,
                    v->>'session.saveMessages', v->>'agent.saveMessages',
                    v->>'workspace.saveMessages', :else_save) = 'true' AS save
    FROM said
), numbered AS (
    UPDATE sessions s
    SET next_index = s.next_index + :count,
        turns = s.turns + 1,
        turn_first_index = s.next_index,
        last_turn_at = clock_timestamp(),
        token_total = s.token_total + :tokens_total,
        closed_at = NULL,
        due_turn = CASE
            WHEN decided.frequency IN ('async', 'turn') THEN s.turns + 1
            WHEN decided.frequency = 'session' THEN s.due_turn
            WHEN s.turns + 1 - s.due_turn >= CAST(decided.frequency AS bigint) THEN s.turns + 1
            ELSE s.due_turn END
    FROM decided
    WHERE s.id = :session
      AND NOT EXISTS (SELECT FROM messages WHERE id = :first_row)
    RETURNING s.turn_first_index AS first, s.turns AS turn, s.due_turn = s.turns AS due,
              s.honcho_session, s.parent_id IS NOT NULL OR s.details ? 'observer' AS delegated
), inserted AS (
    INSERT INTO messages
        (id, session_id, index, turn_id, turn, role, peer, honcho_session, content,
         delivery, reason, part, parts, tokens, details, at)
    SELECT r.id, :session, numbered.first + r.place - 1, :turn_id, numbered.turn, r.role, r.peer,
           numbered.honcho_session, r.content,
           CASE WHEN k.reason IS NULL THEN 'send' ELSE 'local' END, k.reason,
           r.part, r.parts, r.tokens, r.details, coalesce(r.at, clock_timestamp())
    FROM numbered, decided,
         unnest(:ids, :roles, :peers, :contents, :reasons, :parts_at, :parts_of, :tokens,
                :details, :ats) WITH ORDINALITY
             AS r (id, role, peer, content, reason, part, parts, tokens, details, at, place),
         LATERAL (SELECT CASE
             WHEN r.reason IS NOT NULL THEN r.reason
             WHEN NOT decided.save THEN 'saveMessages'
             WHEN r.role = 'user' AND decided.user_mode = 'local' THEN 'mode'
             -- In a subagent's session an agent speaks in the user's place.
             WHEN (r.role <> 'user' OR numbered.delegated) AND decided.agent_mode = 'local'
                 THEN 'mode'
         END AS reason) k
), raised AS (
    UPDATE cursors SET due_index = numbered.first + :count - 1
    FROM numbered WHERE cursors.session_id = :session AND numbered.due
)
SELECT numbered.first, numbered.turn, numbered.due,
       decided.frequency, decided.user_mode, decided.agent_mode, said.stamp
FROM numbered, decided, said
""").bindparams(
    bindparam("session", type_=UUID(as_uuid=True)),
    bindparam("first_row", type_=UUID(as_uuid=True)),
    bindparam("turn_id", type_=UUID(as_uuid=True)),
    bindparam("ids", type_=ARRAY(UUID(as_uuid=True))),
    bindparam("parts_at", type_=ARRAY(SmallInteger())),
    bindparam("parts_of", type_=ARRAY(SmallInteger())),
    bindparam("tokens", type_=ARRAY(Integer())),
    bindparam("details", type_=ARRAY(JSONB(none_as_null=True))),
    bindparam("ats", type_=ARRAY(TIMESTAMP(timezone=True))),
    *(bindparam(name, type_=ARRAY(Text())) for name in _TEXT_LISTS),
    *(bindparam(name, type_=Text()) for name in _TEXTS),
)

_AGAIN = text("""
SELECT min(m.index) AS first, max(m.index) AS last, min(m.turn) AS turn
FROM messages m JOIN messages f ON f.session_id = m.session_id AND f.turn = m.turn
WHERE f.id = :first_row AND m.index >= f.index
""")


def capture_turn(
    connection: Connection,
    session: OpenSession,
    agent_peer: str,
    turn_id: uuid.UUID,
    rows: Sequence[NewMessage],
    policy: WritePolicy,
) -> Captured | None:
    """Capture the rows of one turn; None where the session was deleted.

    A turn that was captured before (a retried commit, a spool drained twice) is not captured
    again: what came of it is given, as not due. `rows` has at least one row.
    """
    found = connection.execute(_CAPTURE, _parameters(session, agent_peer, turn_id, rows, policy))
    row = found.one_or_none()
    if row is not None:
        return Captured(
            first_index=row.first,
            last_index=row.first + len(rows) - 1,
            turn=row.turn,
            due=row.due,
            frequency=row.frequency,
            user_mode=Mode(row.user_mode),
            agent_mode=Mode(row.agent_mode),
            stamp=row.stamp,
        )
    again = connection.execute(_AGAIN, {"first_row": rows[0].id}).one()
    if again.first is None:
        return None
    return Captured(
        again.first,
        again.last,
        again.turn,
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
        **policy.parameters(),
        "workspace": session.workspace_id,
        "session": session.id,
        "agent": agent_peer,
        "turn_id": turn_id,
        "first_row": rows[0].id,
        "count": len(rows),
        "tokens_total": sum(row.tokens or 0 for row in rows),
        "ids": [row.id for row in rows],
        "roles": [row.role.value for row in rows],
        "peers": [row.peer for row in rows],
        "contents": [row.content for row in rows],
        "reasons": [row.local for row in rows],
        "parts_at": [row.part for row in rows],
        "parts_of": [row.parts for row in rows],
        "tokens": [row.tokens for row in rows],
        "details": [row.metadata or None for row in rows],
        "ats": [row.at for row in rows],
    }
