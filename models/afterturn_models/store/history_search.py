"""Search in histories: the words of messages, indexed by workers after the turn, and read to the end.

A capture writes no index. What no worker has come to yet is looked through by the search itself, so
that it is always complete; how far the index goes is in `history_indexes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, UUID
from sqlalchemy.types import Text

from afterturn_models.policy.search_query import PUNCTUATION, UNSPACED
from afterturn_models.store.history import as_message

if TYPE_CHECKING:
    import datetime as dt
    import uuid

    from afterturn_models.policy.search_query import SearchQuery
    from afterturn_models.values import Message, Role

# Pairs of characters begin at the first character of a run, and then at the second: each character
# of a script without spaces begins one, or stands alone at the end.
_PAIRED = f"regexp_replace({{}}, '([{UNSPACED}])([{UNSPACED}])?', ' \\1\\2 ', 'g')"
_EVEN = _PAIRED.format(f"regexp_replace(said.text, '[{PUNCTUATION}]+', ' ', 'g')")
_ODD = _PAIRED.format(
    f"regexp_replace(said.text, '(^|[^{UNSPACED}]+)[{UNSPACED}]|[^{UNSPACED}]+', ' ', 'g')"
)
# Normalising costs as much as the rest together, and does nothing to ASCII.
_NORMAL = """CASE WHEN octet_length(m.content) = length(m.content) THEN m.content
            ELSE normalize(m.content, NFKC) END"""
# The words of `said.text`, which is normalised.
_WORDS = f"""
SELECT CASE WHEN said.text ~ '[{UNSPACED}]'
            THEN to_tsvector('simple', {_EVEN}) || to_tsvector('simple', {_ODD})
            ELSE to_tsvector('simple', {_EVEN}) END AS words
"""
_BEGIN = text("""
INSERT INTO history_indexes (session_id)
SELECT id FROM sessions WHERE id = :session FOR KEY SHARE  -- it may be deleted in this moment
ON CONFLICT (session_id) DO NOTHING
""")
# SKIP LOCKED: whoever holds the row is at the same work, and goes on until there is none.
_INDEX_SQL = """
WITH mine AS (
    SELECT session_id, upto FROM history_indexes WHERE session_id = :session FOR UPDATE SKIP LOCKED
), batch AS (
    SELECT m.session_id, m.index, m.role, m.at, {normal} AS text
    FROM mine JOIN messages m ON m.session_id = mine.session_id AND m.index > mine.upto
    ORDER BY m.index LIMIT :limit
), written AS (
    INSERT INTO message_texts (session_id, index, role, at, words)
    SELECT said.session_id, said.index, said.role, said.at, cut.words
    FROM batch said CROSS JOIN LATERAL ({words}) cut
    ON CONFLICT (session_id, index) DO NOTHING
)
UPDATE history_indexes SET upto = done.upto
FROM (SELECT max(index) AS upto, count(*) AS messages FROM batch) done
WHERE session_id = :session AND done.upto IS NOT NULL
RETURNING done.messages
"""
_INDEX = text(_INDEX_SQL.format(normal=_NORMAL, words=_WORDS))


def begin_index(connection: Connection, session_id: uuid.UUID) -> None:
    """Make the row that says how far a session is indexed, where the session is there."""
    connection.execute(_BEGIN, {"session": session_id})


def index_messages(connection: Connection, session_id: uuid.UUID, *, limit: int) -> int:
    """Index the next `limit` messages; gives how many it were.

    0 where there are no more, or another is at it.
    """
    found = connection.execute(_INDEX, {"session": session_id, "limit": limit})
    return int(found.scalar() or 0)


# A page of all sessions in the order of their ids, which have none: each tick of a relay does one.
_SWEEP = text("""
WITH page AS (
    SELECT s.id, s.next_index, s.last_turn_at FROM sessions s
    WHERE s.id > :after ORDER BY s.id LIMIT :most
), behind AS (
    SELECT s.id FROM page JOIN sessions s ON s.id = page.id
    LEFT JOIN history_indexes h ON h.session_id = page.id
    WHERE page.next_index - 1 - coalesce(h.upto, 0) >= CASE
        WHEN page.last_turn_at < statement_timestamp() - make_interval(secs => :idle) THEN 1
        ELSE :enough END
      AND (h.hinted_at IS NULL
           OR h.hinted_at <= statement_timestamp() - make_interval(secs => :again))
    FOR KEY SHARE OF s SKIP LOCKED  -- one may be deleted in this moment
), hinted AS (
    INSERT INTO history_indexes (session_id, hinted_at)
    SELECT id, clock_timestamp() FROM behind ORDER BY id
    ON CONFLICT (session_id) DO UPDATE SET hinted_at = excluded.hinted_at
    WHERE history_indexes.hinted_at IS NULL
       OR history_indexes.hinted_at <= excluded.hinted_at - make_interval(secs => :again)
    RETURNING session_id
)
SELECT (SELECT array_agg(session_id) FROM hinted) AS found,
       (SELECT CAST(id AS text) FROM page ORDER BY id OFFSET :most - 1 LIMIT 1) AS last
""").bindparams(bindparam("after", type_=UUID(as_uuid=False)))
START = "00000000-0000-0000-0000-000000000000"


def take_unindexed(
    connection: Connection, *, after: str, enough: int, idle: float, again: float, most: int
) -> tuple[list[uuid.UUID], str]:
    """Look at the `most` sessions beyond the id `after`; gives whom to hint at, and the next id.

    That is `START` again behind the last one. A session is hinted at where `enough` of its
    messages are not indexed, or any and nobody spoke for `idle` seconds; once in `again` seconds.
    """
    row = connection.execute(
        _SWEEP, {"after": after, "enough": enough, "idle": idle, "again": again, "most": most}
    ).one()
    return list(row.found or ()), row.last or START


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search found, the session that it is in, and how well it fits."""

    session_id: uuid.UUID
    session: str
    message: Message
    rank: float


# Of what fits, the newest so many are ranked: a word of every message costs no more than that.
_RANKED = 2000
_FITS = "words @@ to_tsquery('simple', :query)"
_NARROWED = """(CAST(:role AS text) IS NULL OR role = :role)
      AND (CAST(:since AS timestamptz) IS NULL OR at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR at < :until)"""
# What is not indexed yet is cut into words only where it has the letters of one that is needed, and
# from the newest on until there is enough; each step is fenced off, since a planner knows neither.
_SEARCH_SQL = """
WITH places AS MATERIALIZED (
    SELECT s.id, s.key, coalesce(h.upto, 0) AS upto
    FROM sessions s LEFT JOIN history_indexes h ON h.session_id = s.id
    WHERE {where}
), indexed AS (
    SELECT session_id, index, at, words FROM message_texts
    WHERE session_id IN (SELECT id FROM places) AND {fits} AND {narrowed}
    ORDER BY at DESC LIMIT {ranked}
), rest AS MATERIALIZED (
    SELECT m.session_id, m.index, m.at, {normal} AS text
    FROM places JOIN messages m ON m.session_id = places.id AND m.index > places.upto
    WHERE {narrowed}
), likely AS MATERIALIZED (
    SELECT * FROM rest
    WHERE cardinality(:needed) = 0
       OR EXISTS (SELECT FROM unnest(:needed) one WHERE strpos(lower(rest.text), lower(one)) > 0)
    ORDER BY at DESC
), beyond AS (
    SELECT said.session_id, said.index, said.at, cut.words
    FROM (SELECT * FROM likely OFFSET 0) said CROSS JOIN LATERAL ({words} OFFSET 0) cut
    WHERE {fits}
    LIMIT {ranked}
), best AS (
    SELECT session_id, index, ts_rank(words, to_tsquery('simple', :query), 1) AS rank, at
    FROM (SELECT * FROM indexed UNION ALL SELECT * FROM beyond) AS fitting
    ORDER BY rank DESC, at DESC, index DESC LIMIT :limit
)
SELECT best.session_id, places.key AS session, best.rank,
       m.id, m.index, m.turn, m.role, m.peer, m.content, m.at, m.delivery, m.part, m.parts,
       m.tokens, m.details->>'sent' AS sent, m.details->'call' AS call
FROM best
JOIN places ON places.id = best.session_id
JOIN messages m ON m.session_id = best.session_id AND m.index = best.index
ORDER BY best.rank DESC, best.at DESC, best.index DESC
"""
_BOUND = (
    bindparam("query", type_=Text()),
    bindparam("needed", type_=ARRAY(Text())),
    bindparam("role", type_=Text()),
    bindparam("since", type_=TIMESTAMP(timezone=True)),
    bindparam("until", type_=TIMESTAMP(timezone=True)),
)


def _search(where: str) -> TextClause:
    statement = _SEARCH_SQL.format(
        where=where,
        fits=_FITS,
        narrowed=_NARROWED,
        ranked=_RANKED,
        normal=_NORMAL,
        words=_WORDS,
    )
    return text(statement).bindparams(*_BOUND)


_IN_SESSION = _search("s.id = :session")
_OF_PAIR = _search(
    """s.workspace_id = (SELECT id FROM workspaces WHERE name = :workspace)
      AND s.user_peer = :user AND s.agent_peer = :agent"""
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for: words, and whose, from when (inclusive) until when (exclusive)."""

    query: SearchQuery
    limit: int
    role: Role | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Give the statement's parameters."""
        return {
            "query": self.query.tsquery,
            "needed": list(self.query.needed),
            "limit": self.limit,
            "role": self.role,
            "since": self.since,
            "until": self.until,
        }


def search_session(connection: Connection, session_id: uuid.UUID, wanted: Wanted) -> list[Found]:
    """Find messages of one session, best first, the newer of two that fit alike."""
    parameters = {**wanted.parameters(), "session": session_id}
    return [_found(row) for row in connection.execute(_IN_SESSION, parameters).mappings()]


def search_pair(
    connection: Connection, workspace: str, user: str, agent: str, wanted: Wanted
) -> list[Found]:
    """Find messages in the sessions that are this user's with this agent, and in no other."""
    parameters = {**wanted.parameters(), "workspace": workspace, "user": user, "agent": agent}
    return [_found(row) for row in connection.execute(_OF_PAIR, parameters).mappings()]


def _found(row: Any) -> Found:
    known = dict(row)
    session_id, session, rank = (known.pop(name) for name in ("session_id", "session", "rank"))
    return Found(session_id, session, as_message(known), rank)
