"""What is stored, told quickly and in full: for tests and benches that count rows."""

import json
from collections import Counter
from typing import Any

from afterturn_sandbox.honcho import records
from afterturn_sandbox.honcho.storage import Store


def rows_of(store: Store, workspace: str, session: str) -> list[dict[str, Any]]:
    """Every message of a session in the order it was stored."""
    home = records.find_workspace(store, workspace)
    rows = store.rows(
        "SELECT m.seq, m.id, p.name, m.content, m.metadata, m.created_at, m.stored_at "
        "FROM messages m JOIN peers p ON p.pk = m.peer WHERE m.session = ? ORDER BY m.seq",
        (records.find_session(store, home, session),),
    )
    return [
        {
            "seq": seq,
            "id": public_id,
            "peer_id": peer,
            "content": content,
            "metadata": json.loads(metadata),
            "created_at_us": created,
            "stored_at_us": stored,
        }
        for seq, public_id, peer, content, metadata, created, stored in rows
    ]


def audit(store: Store, workspace: str, key: str, order: str | None) -> dict[str, Any]:
    """Per session and in all: rows, rows without `key`, doubles by `key`, and misordered by `order`.

    A double is each row beyond the first with the same value in the whole workspace. A row is
    misordered when its `order`, a number, is less than one stored before it in its session.
    """
    home = records.find_workspace(store, workspace)
    seen: Counter[str] = Counter()
    sessions: dict[str, dict[str, int]] = {}
    highest: dict[str, float] = {}
    for session, metadata in store.each(
        "SELECT s.name, m.metadata FROM messages m JOIN sessions s ON s.pk = m.session "
        "WHERE s.workspace = ? ORDER BY m.session, m.seq",
        (home,),
    ):
        found = sessions.setdefault(
            session, {"stored": 0, "duplicates": 0, "without_key": 0, "misordered": 0}
        )
        marks = json.loads(metadata)
        found["stored"] += 1
        _count_double(found, seen, marks.get(key))
        _count_misordered(found, highest, session, marks.get(order) if order else None)
    names = ("stored", "duplicates", "without_key", "misordered")
    total = {name: sum(one[name] for one in sessions.values()) for name in names}
    return {"workspace": workspace, "total": total, "sessions": sessions}


def _count_double(found: dict[str, int], seen: Counter[str], value: Any) -> None:
    if value is None:
        found["without_key"] += 1
        return
    mark = value if isinstance(value, str) else json.dumps(value)
    seen[mark] += 1
    if seen[mark] > 1:
        found["duplicates"] += 1


def _count_misordered(
    found: dict[str, int], highest: dict[str, float], session: str, value: Any
) -> None:
    try:
        place = float(value)
    except (TypeError, ValueError):
        return
    if place < highest.get(session, place):
        found["misordered"] += 1
    highest[session] = max(place, highest.get(session, place))
