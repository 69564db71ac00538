"""Names of sessions in Postgres: renamed in the middle of a conversation, found, listed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode, saves_messages
from afterturn_models.profile import SessionProfile
from afterturn_models.store.sessions import SAID_OF_SESSION, by_scope

if TYPE_CHECKING:
    import datetime as dt
    from uuid import UUID

    from sqlalchemy import Row

    from afterturn_models.policy.session_name import SessionName
    from afterturn_models.values import Mode

# New rows go to the session of that name at Honcho; those captured before keep theirs, so that
# nothing in flight is split or sent again, and the local history stays one.
_RENAME = text("""
WITH free AS (
    SELECT candidate.key, candidate.place
    FROM unnest(:keys) WITH ORDINALITY AS candidate (key, place)
    WHERE NOT EXISTS (
        SELECT FROM sessions other, sessions mine
        WHERE mine.id = :session AND other.workspace_id = mine.workspace_id
          AND other.key = candidate.key AND other.id <> mine.id)
    ORDER BY candidate.place LIMIT 1
)
UPDATE sessions s
SET key = free.key, honcho_session = free.key, title = coalesce(:title, s.title),
    source = CASE WHEN free.place < 3 THEN :source ELSE :source || '#' || s.id END
FROM free WHERE s.id = :session
RETURNING s.key, s.source
""").bindparams(
    bindparam("keys", type_=ARRAY(Text())),
    bindparam("title", type_=Text()),
    bindparam("source", type_=Text()),
)


def rename_session(
    connection: Connection, session_id: UUID, name: SessionName, *, title: str | None = None
) -> tuple[str, str] | None:
    """Rename a session from its next turn on; gives its key and source, None where it is gone.

    A name that another session has is not shared: this one gets `apart`, or where that is taken
    as well (two conversations with one title), one with its own id in it. Raises IntegrityError
    where another session took the name in the same moment: say it again.
    """
    own = hashlib.sha256(f"{name.source}#{session_id}".encode()).hexdigest()[:16]
    keys = [name.key, name.apart, f"{name.key[:83]}-{own}"]
    parameters = {"session": session_id, "keys": keys, "source": name.source, "title": title}
    row = connection.execute(_RENAME, parameters).one_or_none()
    return None if row is None else (row.key, row.source)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as a list shows it; `lag` is how many of its rows are not settled yet.

    The modes are those of its next turn, as its agent was configured when it opened the session;
    `saves`: messages go to Honcho at all (saveMessages).
    """

    id: UUID
    key: str
    honcho_session: str
    user_peer: str
    agent_peer: str
    source: str | None
    title: str | None
    directory: str | None
    turns: int
    messages: int
    lag: int
    parked: str | None
    last_turn_at: dt.datetime | None
    closed_at: dt.datetime | None
    user_mode: Mode
    agent_mode: Mode
    saves: bool


_LIST_SQL = """
SELECT s.id, s.key, s.honcho_session, s.user_peer, s.agent_peer, s.source, s.title, s.directory,
       s.turns, s.next_index - 1 AS messages, s.next_index - 1 - c.last_saved_index AS lag,
       c.parked, s.last_turn_at, s.closed_at, s.details, {said} AS said
FROM sessions s JOIN cursors c ON c.session_id = s.id
JOIN workspaces w ON w.id = s.workspace_id
WHERE w.name = :workspace AND (CAST(:key AS text) IS NULL OR s.key = :key)
  AND (NOT :waiting OR c.last_saved_index < s.next_index - 1)
ORDER BY s.last_turn_at DESC NULLS LAST, s.key LIMIT :most
"""
_LIST = text(_LIST_SQL.format(said=SAID_OF_SESSION))


def list_sessions(
    connection: Connection,
    workspace: str,
    *,
    key: str | None = None,
    waiting: bool = False,
    most: int = 100,
) -> list[SessionLine]:
    """Give a workspace's sessions, those with the latest turn first.

    Of `key` only, where given; with `waiting` those that have a row which is not settled yet.
    """
    parameters = {"workspace": workspace, "key": key, "waiting": waiting, "most": most}
    return [_line(row) for row in connection.execute(_LIST, parameters)]


def _line(row: Row[Any]) -> SessionLine:
    known = dict(row._mapping)
    profile, said = SessionProfile.of(known.pop("details")), by_scope(known.pop("said"))
    layers = profile.layers(said)
    return SessionLine(
        **known,
        user_mode=resolve_mode(layers, USER_KEYS),
        agent_mode=resolve_mode(layers, AGENT_KEYS),
        saves=saves_messages(layers),
    )
