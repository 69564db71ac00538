"""Prompting: what a session's history gives to one request, read by pages and fitted into a budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from afterturn.chat_turns import Reading
from afterturn.prompt_window import Past, squeezed_window, whole_window
from afterturn_models.store.prompting import (
    OLDER_ANSWER,
    PER_MESSAGE,
    PRUNED_BY,
    last_asked,
    newest_rows,
    newest_summary,
    oldest_rows,
)
from afterturn_models.values import Role

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from afterturn_models.db import Database
    from afterturn_models.store.prompting import Summarised
    from afterturn_models.token_counter import TokenCounter
    from afterturn_models.values import Message

LEAST = 500  # tokens: below that a note and a turn have no room beside each other
_PAGE = 500  # rows
_HEAD_ROWS = 200


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a session as they were read; see `prompt_window.Past` for what they become."""

    head: list[Message]
    summary: Summarised | None
    tail: list[Message]
    after: int
    whole: bool

    def past(self, reading: Reading) -> Past:
        """Make turns of them."""
        return Past(
            tuple(reading.turns(self.head)),
            self.summary,
            tuple(reading.turns(self.tail)),
            self.after,
            self.whole,
        )


def prompt_messages(
    rows: Rows, budget: int, counter: TokenCounter, *, speaker: str | None
) -> list[dict[str, Any]]:
    """Give the messages of a request within `budget`, oldest first.

    Where all fits, each byte is as it was sent, memory beside it; else as it was captured.
    """
    reading = Reading(counter, speaker)
    if rows.whole:
        found = whole_window(rows.past(reading), budget, counter)
        if found is not None:
            return found.messages()
    past = rows.past(replace(reading, memory=False))
    found = whole_window(past, budget, counter) or squeezed_window(past, budget, counter)
    return found.messages()


def room_beside(system: str, budget: int, counter: TokenCounter) -> int:
    """Give what of `budget` is left beside the system prompt; raises ValueError for too little."""
    spent = PER_MESSAGE + counter.count(system) if system else 0
    if budget - spent < LEAST:
        beside = f", {spent} of them for the system prompt" if spent else ""
        raise ValueError(f"budget must be at least {LEAST + spent} tokens{beside}")
    return budget - spent


def read_rows(database: Database, session_id: UUID, tokens: int, *, head_turns: int) -> Rows:
    """Read what may have room in `tokens`: never more of a session than that, however long it is.

    Without a summary `head_turns` first turns are the head. Raises StoreUnavailableError.
    """
    with database.statement() as connection:
        summary = newest_summary(connection, session_id)
        after = summary.covers_to if summary else 0
        tail, whole = _tail(connection, session_id, after, tokens)
        if summary is not None:
            head = _head(connection, session_id, summary.covers_from, tokens)
        elif whole or not tail:
            head = []
        else:
            head = _head(connection, session_id, tail[0].index, tokens)
            head = [row for row in head if row.turn <= head_turns and row.turn < tail[0].turn]
            after = head[-1].index if head else 0
    return Rows(head, summary, tail, after, whole)


def _head(connection: Connection, session_id: UUID, until: int, tokens: int) -> list[Message]:
    if until <= 1:
        return []
    return oldest_rows(connection, session_id, until=until, tokens=tokens, limit=_HEAD_ROWS)


def _tail(
    connection: Connection, session_id: UUID, after: int, tokens: int
) -> tuple[list[Message], bool]:
    """Read whole turns from the end, and tell whether they are all beyond `after`."""
    rows: list[Message] = []
    left, until = tokens, None
    while left >= 0:
        page = newest_rows(
            connection, session_id, after=after, until=until, tokens=left, limit=_PAGE
        )
        rows = page + rows
        if not page or page[0].index == after + 1:
            return rows, True
        left -= sum(_cost(row) for row in page)
        until = page[0].index
    whole = [row for row in rows if row.turn != rows[0].turn]
    if any(row.role is Role.USER for row in whole):
        return whole, False
    return _with_question(connection, session_id, after, rows, tokens), False


def _with_question(
    connection: Connection, session_id: UUID, after: int, rows: list[Message], tokens: int
) -> list[Message]:
    """Put what the user asked in front of the end of a turn that is longer than all there is room for.

    Of a tool's answer that does not begin there nothing is known of its call: it is left out.
    """
    while rows and rows[0].part and rows[0].role is not Role.ASSISTANT:
        rows = rows[1:]
    if any(row.role is Role.USER for row in rows):
        return rows
    until = rows[0].index if rows else 2**62
    asked = last_asked(connection, session_id, after=after, until=until)
    if asked is None:
        return rows
    first, last = asked
    question = oldest_rows(
        connection, session_id, after=first - 1, until=last + 1, tokens=tokens, limit=_PAGE
    )
    return question + rows


def _cost(row: Message) -> int:
    """Give what a page counts a row at."""
    tokens = len(row.content) // 4 + 1 if row.tokens is None else row.tokens
    if row.role is Role.TOOL:
        tokens = max(tokens // PRUNED_BY, min(tokens, OLDER_ANSWER))
    return tokens + PER_MESSAGE
