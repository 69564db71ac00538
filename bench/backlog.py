"""A backlog: conversations that are captured and due, and how fast workers bring them to Honcho."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn.dispatch import Dispatcher
from bench.lab import said, until

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

    from afterturn import Memory
    from afterturn_models.signatures import Signature
    from bench.lab import Place

# The rows that so many turns would have left: real texts, every column as a capture fills it.
_FILL = """
WITH texts AS (
    SELECT t.text, t.n FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS t(text, n)
), filled AS (
    INSERT INTO messages (id, session_id, index, turn_id, turn, role, peer, honcho_session, content,
                          delivery, tokens, at)
    SELECT gen_random_uuid(), s.id, s.next_index + g, gen_random_uuid(), s.turns + 1 + g / 2,
           CASE g %% 2 WHEN 0 THEN 'user' ELSE 'assistant' END,
           CASE g %% 2 WHEN 0 THEN s.user_peer ELSE s.agent_peer END, s.honcho_session,
           texts.text, 'send', length(texts.text) / 4, clock_timestamp()
    FROM sessions s CROSS JOIN generate_series(0, %(messages)s - 1) AS g
    JOIN texts ON texts.n = 1 + g %% (SELECT count(*) FROM texts)
    WHERE s.id = ANY(%(sessions)s)
), counted AS (
    UPDATE sessions SET next_index = next_index + %(messages)s, turns = turns + %(messages)s / 2,
                        turn_first_index = next_index + %(messages)s - 2,
                        due_turn = turns + %(messages)s / 2, last_turn_at = clock_timestamp()
    WHERE id = ANY(%(sessions)s) RETURNING id, next_index
)
UPDATE cursors SET due_index = counted.next_index - 1, run_at = clock_timestamp(),
                   relayed_at = clock_timestamp(),
                   last_saved_index = CASE WHEN %(settled)s THEN counted.next_index - 1
                                           ELSE last_saved_index END
FROM counted WHERE session_id = counted.id
"""
_LEFT = "SELECT count(*) FROM cursors WHERE last_saved_index < due_index"


@dataclass(frozen=True, slots=True)
class Backlog:
    """So many sessions, each with messages that no worker has seen."""

    sessions: tuple[UUID, ...]
    messages: int

    @property
    def total(self) -> int:
        """How many messages it has in all."""
        return len(self.sessions) * self.messages


def conversations(memory: Memory, connection: psycopg.Connection, count: int) -> tuple[UUID, ...]:
    """Open so many sessions; gives their ids."""
    names = [f"talk-{n}" for n in range(count)]
    for name in names:
        memory.session(name=name)
    found = connection.execute("SELECT id FROM sessions WHERE key = ANY(%s)", (names,)).fetchall()
    return tuple(row[0] for row in found)


def fill(
    connection: psycopg.Connection,
    sessions: tuple[UUID, ...],
    messages: int,
    *,
    settled: bool = False,
) -> Backlog:
    """Give each session so many messages more (an even number), due, or `settled` already."""
    texts = [text for turn in said()[:200] for text in turn]
    connection.execute(
        _FILL,
        {"texts": texts, "messages": messages, "sessions": [*sessions], "settled": settled},
    )
    connection.execute("ANALYZE messages, cursors, sessions")
    return Backlog(sessions, messages)


def drain(
    place: Place,
    connection: psycopg.Connection,
    backlog: Backlog,
    *,
    task: Signature | None = None,
    within: float = 120.0,
) -> float:
    """Hint at every session at once, or send one `task`; gives the seconds until all is settled."""
    dispatcher = Dispatcher(place.redis_url)
    began = time.perf_counter()
    if task is not None:
        dispatcher.send(task)
    else:
        for session in backlog.sessions:
            dispatcher.hint(session)
    until(lambda: connection.execute(_LEFT).fetchone() == (0,), within=within, every=0.01)
    took = time.perf_counter() - began
    dispatcher.close()
    return took
