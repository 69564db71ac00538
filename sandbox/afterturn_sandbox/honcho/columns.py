"""What can be filtered on in each list, and where the stand-in keeps it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "time", "bool", "number", "json"]


@dataclass(frozen=True, slots=True)
class Column:
    """A filterable column: its SQL and what it holds."""

    sql: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Resource:
    """What can be filtered on in one list; `model` is what refusals call its rows."""

    model: str
    columns: dict[str, Column]


_SHARED = {
    "id": Column("t.name"),
    "created_at": Column("t.created_at", "time"),
    "metadata": Column("t.metadata", "json"),
}
WORKSPACES = Resource(
    "Workspace",
    _SHARED,
)
PEERS = Resource(
    "Peer",
    _SHARED | {"workspace_id": Column("w.name")},
)
SESSIONS = Resource(
    "Session",
    _SHARED | {"workspace_id": Column("w.name"), "is_active": Column("t.is_active", "bool")},
)
MESSAGES = Resource(
    "Message",
    {
        "workspace_id": Column("w.name"),
        "session_id": Column("s.name"),
        "peer_id": Column("p.name"),
        "token_count": Column("m.tokens", "number"),
        "created_at": Column("m.created_at", "time"),
        "metadata": Column("m.metadata", "json"),
    },
)
CONCLUSIONS = Resource(
    "Document",
    {
        "id": Column("c.id"),
        "content": Column("c.content"),
        "level": Column("c.level"),
        "created_at": Column("c.created_at", "time"),
        "session_id": Column("s.name"),
        "session_name": Column("s.name"),
        "workspace_id": Column("w.name"),
        "observer_id": Column("po.name"),
        "observer": Column("po.name"),
        "observed_id": Column("pd.name"),
        "observed": Column("pd.name"),
    },
)
