"""The identity ledger as a person reads it: what was ever seeded, and how far each seed is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.types import Text

from afterturn_models.policy import identity as policy
from afterturn_models.policy.identity import Kind

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Row

    from afterturn_models.store.identity import Pair


@dataclass(frozen=True, slots=True)
class Seeded:
    """One line of the ledger, as a person reads it.

    `state`: waiting (for a worker), captured, sent, quarantined, or gone (its session was deleted).
    """

    kind: Kind
    peer: str
    source: str
    at: dt.datetime
    state: str
    last_error: str | None


_LEDGER = text("""
SELECT s.kind, s.peer, s.source, s.created_at, s.done_at, s.turn_id, s.last_error
FROM identity_seeds s JOIN workspaces w ON w.id = s.workspace_id
WHERE w.name = :workspace AND s.peer = ANY(:peers)
ORDER BY s.created_at, s.source
""").bindparams(bindparam("peers", type_=ARRAY(Text())))

_STATES = text("""
SELECT m.id, CASE WHEN m.delivery <> 'send' THEN m.delivery
                  WHEN m.index + m.parts - 1 <= c.last_saved_index THEN 'sent'
                  ELSE 'captured' END AS state
FROM messages m JOIN cursors c ON c.session_id = m.session_id
WHERE m.id = ANY(:rows)
""").bindparams(bindparam("rows", type_=ARRAY(UUID(as_uuid=True))))


def ledger(connection: Connection, pair: Pair) -> list[Seeded]:
    """Read what was seeded of an agent and its owner, oldest first."""
    found = connection.execute(
        _LEDGER, {"workspace": pair.workspace, "peers": [pair.agent, pair.owner]}
    ).all()
    firsts = {policy.seed_row(row.turn_id, 0): row for row in found}
    states = {row.id: row.state for row in connection.execute(_STATES, {"rows": list(firsts)})}
    return [
        Seeded(
            kind=Kind(row.kind),
            peer=row.peer,
            source=row.source,
            at=row.created_at,
            state=_state(row, states.get(first)),
            last_error=row.last_error,
        )
        for first, row in firsts.items()
    ]


def _state(row: Row[Any], captured: str | None) -> str:
    if row.done_at is None:
        return "waiting"
    return "sent" if Kind(row.kind) is Kind.NAME else captured or "gone"
