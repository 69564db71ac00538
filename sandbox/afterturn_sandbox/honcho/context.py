"""A session's context: the summary that fits, the messages after it, the budget they share."""

import json
from dataclasses import dataclass
from typing import Any

from afterturn_sandbox.honcho import extract, messages
from afterturn_sandbox.honcho.extract import LABEL
from afterturn_sandbox.honcho.state import State
from afterturn_sandbox.honcho.values import count_tokens, iso

MOST_TOKENS = 100_000
_SUMMARY_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of summary: its name, how often it is made, and how many lines it has at most."""

    name: str
    setting: str
    every: int
    lines: int


SHORT = Kind("honcho_chat_summary_short", "messages_per_short_summary", 20, 8)
LONG = Kind("honcho_chat_summary_long", "messages_per_long_summary", 60, 24)


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary and the place of the last message it covers."""

    body: dict[str, Any]
    covers: int

    @property
    def tokens(self) -> int:
        """How many tokens it costs."""
        return int(self.body["token_count"])


def summary_of(state: State, session: int, kind: Kind) -> Summary | None:
    """Return the newest summary of a kind; None before the session's first.

    It follows from the stored messages alone, so it is made when it is read: writes never wait
    for it, and it is there at once (or after the deriver's delay, where one is set).
    """
    every = _every(state, session, kind)
    last = every and _derived(state, session) // every * every
    if not last:
        return None
    rows = state.store.rows(
        "SELECT m.id, m.content, p.name, m.stored_at FROM messages m JOIN peers p ON p.pk = m.peer "
        "WHERE m.session = ? AND m.seq > ? AND m.seq <= ? ORDER BY m.seq",
        (session, last - every, last),
    )
    content = _summarise(rows, last, kind.lines)
    body = {
        "content": content,
        "message_id": rows[-1][0],
        "summary_type": kind.name,
        "created_at": iso(rows[-1][3] // 1_000_000 * 1_000_000),
        "token_count": count_tokens(content),
    }
    return Summary(body, last)


def _every(state: State, session: int, kind: Kind) -> int:
    row = state.store.one(
        "SELECT w.configuration, s.configuration FROM sessions s "
        "JOIN workspaces w ON w.pk = s.workspace WHERE s.pk = ?",
        (session,),
    )
    assert row is not None  # the caller has just found the session
    configured: dict[str, Any] = {}
    for text in row:
        configured |= json.loads(text).get("summary") or {}
    if configured.get("enabled") is False:
        return 0
    return int(configured.get(kind.setting) or kind.every)


def _derived(state: State, session: int) -> int:
    if not state.deriver_delay_us:
        return int(state.store.value("SELECT messages FROM sessions WHERE pk = ?", (session,)))
    found = state.store.value(
        "SELECT max(seq) FROM messages WHERE session = ? AND stored_at <= ?",
        (session, state.derived_until()),
    )
    return int(found or 0)


def _summarise(rows: list[tuple[Any, ...]], last: int, limit: int) -> str:
    lines: list[tuple[int, int, str]] = []
    for at, (_, content, name, _) in enumerate(rows):
        spoken = extract.sentences(content)
        if spoken:
            best = max(spoken, key=extract.weigh)
            lines.append((extract.weigh(best), at, f"{name}: {best}"))
    told = sorted(
        sorted(lines, key=lambda line: line[:2], reverse=True)[:limit], key=lambda x: x[1]
    )
    head = f"{LABEL}: of messages {last - len(rows) + 1} to {last}, the most telling lines."
    return "\n".join([head, *(f"- {line}" for _, _, line in told)])


def summaries(state: State, session: int) -> dict[str, Any]:
    """Both summaries' bodies, or None for each that is not there."""
    found = {
        "short_summary": summary_of(state, session, SHORT),
        "long_summary": summary_of(state, session, LONG),
    }
    return {name: summary and summary.body for name, summary in found.items()}


def assemble(
    state: State, session: int, tokens: int, *, with_summary: bool
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return a summary of at most 40% of `tokens`, and the newest messages that fit into the rest.

    With a summary only the messages from its last one on are given (FACTS: 25 messages are a
    summary and 6 messages).
    """
    if tokens <= 0:
        return None, []
    chosen = _choose(state, session, int(tokens * _SUMMARY_SHARE)) if with_summary else None
    budget = tokens - (chosen.tokens if chosen else 0)
    first = chosen.covers if chosen else 0
    return (chosen.body if chosen else None), _newest(state, session, first, budget)


def _choose(state: State, session: int, limit: int) -> Summary | None:
    short = summary_of(state, session, SHORT)
    long = summary_of(state, session, LONG)
    if long and long.tokens <= limit and long.tokens > (short.tokens if short else 0):
        return long
    return short if short and short.tokens <= limit else None


def _newest(state: State, session: int, first: int, budget: int) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for row in state.store.each(
        f"SELECT {messages.COLUMNS} {messages.SOURCE} WHERE m.session = ? AND m.seq >= ? "  # constants
        "ORDER BY m.seq DESC",
        (session, first),
    ):
        budget -= row[7]
        if budget < 0:
            break
        kept.append(messages.show(row))
    kept.reverse()
    return kept
