"""Searching one's own history: by words, in one session or in all that a user has with an agent."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn_models.policy.highlight import passage
from afterturn_models.policy.search_query import parse_query
from afterturn_models.store.history_search import Wanted, search_pair, search_session
from afterturn_models.values import Role

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.store.history_search import Found
    from afterturn_models.values import Message

MOST = 100  # hits
_ROLES = ", ".join(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that a search found, and the session that it is in.

    `passage` is the part of it that fits, `marks` where in that the words are: from, to. `rank`
    says how well it fits; it compares hits of one search only.
    """

    session: str
    message: Message
    passage: str
    marks: tuple[tuple[int, int], ...]
    rank: float


def wanted(
    query: str,
    limit: int,
    role: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
) -> Wanted:
    """Check what is searched for. Raises ValueError, which says what is wrong.

    An instant without a zone is one in UTC.
    """
    if not 1 <= limit <= MOST:
        raise ValueError(f"limit is from 1 to {MOST}, not {limit}")
    if role is not None and role not in set(Role):
        raise ValueError(f"role is one of {_ROLES}, not {role!r}")
    return Wanted(
        parse_query(query), limit, None if role is None else Role(role), _utc(since), _utc(until)
    )


def in_session(database: Database, session_id: UUID, asked: Wanted) -> list[Hit]:
    """Search one session. Raises StoreUnavailableError."""
    with database.statement() as connection:
        return [_hit(one, asked) for one in search_session(connection, session_id, asked)]


def of_pair(database: Database, workspace: str, user: str, agent: str, asked: Wanted) -> list[Hit]:
    """Search the sessions that are this user's with this agent. Raises StoreUnavailableError."""
    with database.statement() as connection:
        return [_hit(one, asked) for one in search_pair(connection, workspace, user, agent, asked)]


def _hit(found: Found, asked: Wanted) -> Hit:
    shown = passage(found.message.content, asked.query.phrases)
    return Hit(found.session, found.message, shown.text, shown.marks, found.rank)


def _utc(at: dt.datetime | None) -> dt.datetime | None:
    return at if at is None or at.tzinfo else at.replace(tzinfo=dt.UTC)
