"""The dialectic's account: calls are granted here first, so that no budget is ever overrun.

A budget is so many calls, and so much weight by level, in any hour and in any day, for a workspace
and for each user in it. It lives in Postgres, whose clock the windows slide on: all workers draw
on it, and flushing Redis gives nothing of it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from afterturn_models.policy.reasoning import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn_models.recall_settings import RecallSettings

_HOUR, _DAY = 3600, 86_400
_LOCK = 0x61667464  # our own class of advisory locks, beside Alembic's
# Of the settings `dialectic_…`: what they limit, in the order in which a refusal names them.
LIMITS = tuple(
    f"{whose}{what}_per_{window}"
    for whose in ("", "peer_")
    for window in ("hour", "day")
    for what in ("calls", "weight")
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that somebody wants to make: for which user, at which level."""

    workspace_id: int
    peer: str
    level: str

    @property
    def weight(self) -> int:
        """What it counts for."""
        return WEIGHTS[self.level]


# statement_timestamp() is the clock that an index can be searched by. It is read when a statement
# arrives, and here that is after the lock was got.
_USED = text("""
SELECT count(*) FILTER (WHERE hour) AS calls_per_hour,
       count(*) AS calls_per_day,
       coalesce(sum(weight) FILTER (WHERE hour), 0) AS weight_per_hour,
       coalesce(sum(weight), 0) AS weight_per_day,
       count(*) FILTER (WHERE hour AND own) AS peer_calls_per_hour,
       count(*) FILTER (WHERE own) AS peer_calls_per_day,
       coalesce(sum(weight) FILTER (WHERE hour AND own), 0) AS peer_weight_per_hour,
       coalesce(sum(weight) FILTER (WHERE own), 0) AS peer_weight_per_day
FROM (
    SELECT weight, peer = :peer AS own,
           at > statement_timestamp() - make_interval(secs => 3600) AS hour
    FROM dialectic_calls
    WHERE workspace_id = :workspace AND outcome <> 'refused'
      AND at > statement_timestamp() - make_interval(secs => :span)
) AS calls
""")


def overrun(connection: Connection, ask: Ask, settings: RecallSettings) -> str | None:
    """Tell in a sentence which limit a call would overrun as things are; None where none."""
    limits = _limits(settings)
    if not limits:
        return None
    parameters = {"workspace": ask.workspace_id, "peer": ask.peer, "span": _span(limits)}
    used = connection.execute(_USED, parameters).one()._mapping
    for name, most in limits.items():
        more = ask.weight if "weight" in name else 1
        if used[name] + more > most:
            return _sentence(name, used[name], more, most)
    return None


_QUEUE = text("SELECT pg_advisory_xact_lock(:ours, (:workspace % 2147483647)::integer)")
_INSERT = text("""
WITH old AS (
    DELETE FROM dialectic_calls WHERE id IN (
        SELECT id FROM dialectic_calls
        WHERE workspace_id = :workspace AND outcome <> 'refused'
          AND at < statement_timestamp() - interval '1 day'
        ORDER BY at LIMIT 100 FOR UPDATE SKIP LOCKED)
)
INSERT INTO dialectic_calls (workspace_id, peer, level, weight, outcome)
VALUES (:workspace, :peer, :level, :weight, 'asked')
RETURNING id
""")


def grant(connection: Connection, ask: Ask, settings: RecallSettings) -> tuple[int | None, str]:
    """Enter a call, within a transaction of its own: its number, or None and why it is refused.

    Those who count at the same time would all see room for one more, since none sees what another
    has not committed. So they queue for a lock, in a statement before the one that counts, whose
    snapshot is then taken when all that came before is there to be seen. Without limits in force
    nobody queues.
    """
    if _limits(settings):
        connection.execute(_QUEUE, {"ours": _LOCK, "workspace": ask.workspace_id})
        refused = overrun(connection, ask, settings)
        if refused is not None:
            return None, refused
    return connection.execute(_INSERT, _row(ask)).scalar_one(), ""


_REFUSE = text("""
WITH old AS (
    DELETE FROM dialectic_calls WHERE id IN (
        SELECT id FROM dialectic_calls
        WHERE workspace_id = :workspace AND outcome = 'refused'
          AND at < statement_timestamp() - interval '1 day'
        ORDER BY at LIMIT 100 FOR UPDATE SKIP LOCKED)
), counted AS (
    UPDATE dialectic_calls SET times = times + 1, level = :level, weight = :weight
    WHERE id = (
        SELECT id FROM dialectic_calls
        WHERE workspace_id = :workspace AND outcome = 'refused' AND peer = :peer
          AND at > statement_timestamp() - interval '1 minute'
        ORDER BY at DESC LIMIT 1)
    RETURNING id
)
INSERT INTO dialectic_calls (workspace_id, peer, level, weight, outcome)
SELECT :workspace, :peer, :level, :weight, 'refused' WHERE NOT EXISTS (SELECT FROM counted)
""")


def note_refusal(connection: Connection, ask: Ask) -> None:
    """Count a refusal: in one row a minute for each user, however often they are refused."""
    connection.execute(_REFUSE, _row(ask))


_SETTLE = text("UPDATE dialectic_calls SET outcome = :outcome WHERE id = :call")
_GIVE_BACK = text("DELETE FROM dialectic_calls WHERE id = :call")


def settle(connection: Connection, call: int, outcome: str) -> None:
    """Note what came of a call: `answered`, `empty` or `failed`."""
    connection.execute(_SETTLE, {"call": call, "outcome": outcome})


def give_back(connection: Connection, call: int) -> None:
    """Strike a call out that certainly never reached Honcho."""
    connection.execute(_GIVE_BACK, {"call": call})


@dataclass(frozen=True, slots=True)
class Use:
    """What was made of a budget in a window: calls and their weight, and what came of them.

    `unanswered` calls failed, or their worker was killed; `empty` ones were answered: nothing is
    known. `refused` were never made.
    """

    calls: int
    weight: int
    empty: int
    unanswered: int
    refused: int


@dataclass(frozen=True, slots=True)
class Account:
    """The last hour's and the last day's use, of a workspace or, where it is named, of a peer."""

    hour: Use
    day: Use
    peer: str | None = None


def _use(window: str, seen: str) -> str:
    granted, late = f"{seen} AND outcome <> 'refused'", "interval '5 minutes'"
    return f"""
    count(*) FILTER (WHERE {granted}) AS {window}_calls,
    coalesce(sum(weight) FILTER (WHERE {granted}), 0) AS {window}_weight,
    count(*) FILTER (WHERE {seen} AND outcome = 'empty') AS {window}_empty,
    count(*) FILTER (WHERE {seen} AND (outcome = 'failed'
        OR (outcome = 'asked' AND at < statement_timestamp() - {late}))) AS {window}_unanswered,
    coalesce(sum(times) FILTER (WHERE {seen} AND outcome = 'refused'), 0) AS {window}_refused"""


_ACCOUNTS_SQL = f"""
SELECT peer, {_use("hour", "at > statement_timestamp() - interval '1 hour'")},
       {_use("day", "true")}
FROM dialectic_calls
WHERE workspace_id = :workspace AND at > statement_timestamp() - interval '1 day'
GROUP BY GROUPING SETS ((), (peer))
ORDER BY grouping(peer) DESC, day_weight DESC, day_refused DESC, peer
LIMIT :most
"""  # noqa: S608 - put together from our own words
_ACCOUNTS = text(_ACCOUNTS_SQL)


def accounts(connection: Connection, workspace_id: int, *, peers: int = 5) -> list[Account]:
    """Read a workspace's account, and after it those of the `peers` that use most."""
    rows = connection.execute(_ACCOUNTS, {"workspace": workspace_id, "most": peers + 1})
    return [_account(dict(row._mapping)) for row in rows]


def _account(row: Mapping[str, Any]) -> Account:
    fields = Use.__dataclass_fields__
    hour, day = (
        Use(**{name: int(row[f"{window}_{name}"]) for name in fields}) for window in ("hour", "day")
    )
    return Account(hour, day, row["peer"])


def _limits(settings: RecallSettings) -> dict[str, int]:
    """Give the limits in force; 0 is none."""
    found = {name: int(getattr(settings, f"dialectic_{name}")) for name in LIMITS}
    return {name: most for name, most in found.items() if most}


def _span(limits: Mapping[str, int]) -> int:
    """Give how far back is looked: a day only where something limits days."""
    return _DAY if any(name.endswith("day") for name in limits) else _HOUR


def _row(ask: Ask) -> dict[str, object]:
    return {
        "workspace": ask.workspace_id,
        "peer": ask.peer,
        "level": ask.level,
        "weight": ask.weight,
    }


def _sentence(name: str, used: int, more: int, most: int) -> str:
    """Say which limit is reached, so that a person can raise it and a model can go on without."""
    key = "dialectic" + "".join(word.capitalize() for word in name.split("_"))
    window = "hour" if name.endswith("hour") else "day"
    whose = "for this user" if name.startswith("peer") else "in this workspace"
    if "weight" in name:
        made = f"a weight of {used} of {most} was used"
        next_one = f", and this call weighs {more}"
    else:
        made, next_one = f"{used} of {most} calls were made", ""
    return f"the budget for asking is spent: {whose} {made} in the last {window} ({key}){next_one}"
