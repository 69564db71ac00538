"""Full-text search over stored messages: SQLite's FTS5, indexed behind the writes."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from afterturn_sandbox.honcho import extract, messages
from afterturn_sandbox.honcho.filters import Condition
from afterturn_sandbox.honcho.storage import Store
from afterturn_sandbox.honcho.values import dumps

_SLICE = 1_000  # rows indexed between two looks at other requests
_MOST_WORDS = 32
_CANDIDATES = 200  # matches that are weighed
_WORD = re.compile(r"\w+")
_MARK = "indexed messages"


async def catch_up(store: Store) -> None:
    """Index what was stored since the last search, a slice at a time.

    Writes never pay for the index: it is brought up to date when somebody searches.
    """
    more = True
    while more:
        more = _index_slice(store)
        await asyncio.sleep(0)


def _index_slice(store: Store) -> bool:
    done = int(store.value("SELECT value FROM marks WHERE name = ?", (_MARK,)) or 0)
    rows = store.rows(
        "SELECT m.pk, m.content, s.workspace, m.session, m.peer FROM messages m "
        "JOIN sessions s ON s.pk = m.session WHERE m.pk > ? ORDER BY m.pk LIMIT ?",
        (done, _SLICE),
    )
    if not rows:
        return False
    with store.transaction():
        store.run_many(
            "INSERT INTO words (rowid, content, scope) VALUES (?, ?, ?)",
            [(pk, text, f"w{home} s{session} p{peer}") for pk, text, home, session, peer in rows],
        )
        store.run("INSERT OR REPLACE INTO marks VALUES (?, ?)", (_MARK, rows[-1][0]))
    return len(rows) == _SLICE


def find(
    store: Store,
    query: str,
    limit: int,
    *,
    scope: str,
    sessions: Sequence[int] | None = None,
    condition: Condition | None = None,
) -> list[dict[str, Any]]:
    """Return the messages that share most words with `query`, the newest first among equals.

    `scope` is a token of the index: `w1` a workspace, `s1` a session, `p1` a peer; `sessions`
    confines the search further; `condition` is a compiled filter. Messages with all the words are
    looked for first, then any with one of them; of each the newest are weighed, so that a common
    word costs no more than a rare one (BM25 over every match took seconds at a million messages).
    """
    wanted = extract.terms(query)
    words = [word for word in _WORD.findall(query.casefold()) if wanted & extract.terms(word)]
    where = condition or Condition()
    if sessions is not None:
        here = "m.session IN (SELECT value FROM json_each(?))"
        where = Condition(f"{here} AND ({where.sql})", [dumps(list(sessions)), *where.params])
    found: dict[int, tuple[Any, ...]] = {}
    for glue in (" AND ", " OR ") if words else ():
        content = glue.join(f'"{word}"' for word in words[:_MOST_WORDS])
        found |= _newest(store, f"content : ({content}) AND scope : {scope}", where)
        if len(found) >= _CANDIDATES:
            break
    best = sorted(
        found.items(), key=lambda row: (extract.overlap(wanted, row[1][1]), row[0]), reverse=True
    )
    return [messages.show(row) for _, row in best[:limit]]


def _newest(store: Store, match: str, where: Condition) -> dict[int, tuple[Any, ...]]:
    rows = store.rows(
        f"SELECT words.rowid, {messages.COLUMNS} FROM words "  # noqa: S608  # compiled, values bound
        "JOIN messages m ON m.pk = words.rowid JOIN peers p ON p.pk = m.peer "
        "JOIN sessions s ON s.pk = m.session JOIN workspaces w ON w.pk = s.workspace "
        f"WHERE words MATCH ? AND ({where.sql}) ORDER BY words.rowid DESC LIMIT ?",
        (match, *where.params, _CANDIDATES),
    )
    return {row[0]: row[1:] for row in rows}
