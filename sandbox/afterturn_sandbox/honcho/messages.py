"""Messages: stored a batch at a time, whole and in order, and listed with filters."""

import json
from dataclasses import dataclass
from typing import Any

from afterturn_sandbox.honcho import records
from afterturn_sandbox.honcho.call import Page
from afterturn_sandbox.honcho.columns import MESSAGES
from afterturn_sandbox.honcho.errors import not_found
from afterturn_sandbox.honcho.filters import compile_filter
from afterturn_sandbox.honcho.models import MessageCreate
from afterturn_sandbox.honcho.storage import Store
from afterturn_sandbox.honcho.values import (
    count_tokens,
    dumps,
    iso,
    message_ids,
    now_us,
    place_of,
    to_us,
)

COLUMNS = "m.id, m.content, p.name, s.name, m.metadata, m.created_at, w.name, m.tokens"
SOURCE = (
    "FROM messages m JOIN peers p ON p.pk = m.peer JOIN sessions s ON s.pk = m.session "
    "JOIN workspaces w ON w.pk = s.workspace"
)
_INSERT = (
    "INSERT INTO messages (session, seq, peer, id, content, metadata, tokens, reasoning, "
    "created_at, stored_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch after its commit: the answer's body and where it ended in its session."""

    answer: list[dict[str, Any]]
    session: int
    last: int


def show(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a message's body from COLUMNS."""
    return {
        "id": row[0],
        "content": row[1],
        "peer_id": row[2],
        "session_id": row[3],
        "metadata": json.loads(row[4]),
        "created_at": iso(row[5]),
        "workspace_id": row[6],
        "token_count": row[7],
    }


def store_batch(store: Store, workspace: str, session: str, batch: list[MessageCreate]) -> Stored:
    """Store `batch` at the session's end, in one transaction.

    Workspace, session and peers that are missing are created, the peers with an empty
    configuration in the session (FACTS). Nothing makes a second send of the same batch harmless.

    Raises:
        ApiError: 422 for a peer's bad name, 500 for a session's; nothing is stored then.
    """
    now = now_us()
    with store.transaction():
        home = records.ensure_workspace(store, workspace)
        key, _ = records.ensure_session(store, home, session)
        peers = records.ensure_peers(store, home, (one.peer_id for one in batch))
        records.join(store, key, dict.fromkeys(peers.values()))
        first = 1 + int(store.value("SELECT messages FROM sessions WHERE pk = ?", (key,)))
        last = first + len(batch) - 1
        rows = _rows(batch, key, first, peers, now)
        store.run_many(_INSERT, rows)
        store.run("UPDATE sessions SET messages = ? WHERE pk = ?", (last, key))
    answer = [
        {
            "id": row[3],
            "content": row[4],
            "peer_id": one.peer_id,
            "session_id": session,
            "metadata": one.metadata or {},
            "created_at": iso(row[8]),
            "workspace_id": workspace,
            "token_count": row[6],
        }
        for one, row in zip(batch, rows, strict=True)
    ]
    return Stored(answer, key, last)


def _rows(
    batch: list[MessageCreate], session: int, first: int, peers: dict[str, int], now: int
) -> list[tuple[Any, ...]]:
    return [
        (
            session,
            first + at,
            peers[one.peer_id],
            public_id,
            one.content,
            dumps(one.metadata) if one.metadata else "{}",
            count_tokens(one.content),
            int(_reasoned(one)),
            to_us(one.created_at) if one.created_at else now,
            now,
        )
        for at, (one, public_id) in enumerate(
            zip(batch, message_ids(first, len(batch)), strict=True)
        )
    ]


def _reasoned(message: MessageCreate) -> bool:
    reasoning = message.configuration and message.configuration.reasoning
    return not reasoning or reasoning.enabled is not False


def page_of(
    store: Store, session: int, filters: dict[str, Any] | None, page: Page
) -> tuple[list[dict[str, Any]], int]:
    """One page of a session's messages in the order they were stored, and how many match.

    Raises:
        ApiError: 422 for a bad filter.
        sqlite3.OperationalError: a numeric operator met a stored value that is no number.
    """
    found = compile_filter(MESSAGES, filters)
    total = store.value(
        f"SELECT count(*) {SOURCE} WHERE m.session = ? AND ({found.sql})",  # compiled, values bound
        (session, *found.params),
    )
    order = "DESC" if page.reverse else "ASC"
    rows = store.rows(
        f"SELECT {COLUMNS} {SOURCE} WHERE m.session = ? AND ({found.sql}) "  # compiled, values bound
        f"ORDER BY m.seq {order} LIMIT ? OFFSET ?",
        (session, *found.params, page.size, page.offset),
    )
    return [show(row) for row in rows], int(total)


def get(store: Store, session: int, message: str) -> dict[str, Any]:
    """One message by its public id.

    Raises:
        ApiError: 404 when the session has none.
    """
    row = store.one(
        f"SELECT {COLUMNS} {SOURCE} WHERE m.session = ? AND m.seq = ? AND m.id = ?",  # constants
        (session, place_of(message), message),
    )
    if row is None:
        raise not_found(f"Message with ID {message} not found")
    return show(row)
