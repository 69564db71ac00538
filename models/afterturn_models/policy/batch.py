"""Batching: the longest run of captured rows that one POST to Honcho may carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn_models.values import Intent, Outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MESSAGES = 100  # Honcho refuses a batch of 101 whole
MAX_BYTES = 4_000_000  # well under what proxies in front of a Honcho accept


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to send, all of one session of Honcho, and the index that is settled with them.

    `messages` is empty where every row up to `last` stays here.
    """

    first: int
    last: int
    messages: tuple[Outgoing, ...]

    @property
    def intent(self) -> Intent:
        """The intent that is committed before this batch is sent."""
        return Intent(self.first, self.last)


def next_batch(
    rows: Sequence[Outgoing], *, most: int = MAX_MESSAGES, most_bytes: int = MAX_BYTES
) -> Batch | None:
    """Cut the next batch off `rows` (in order, without gaps); None where there are none.

    Rows that stay here are passed along with the batch they stand in or behind. A batch ends
    before the message that would make it too long or too large, or that belongs to another
    session of Honcho; one message alone is never too large.
    """
    taken: list[Outgoing] = []
    size = 0
    last = 0
    for row in rows:
        if row.content is not None:
            content = row.content
            length = len(content) if content.isascii() else len(content.encode())
            size += length + 200  # the row's JSON around its text
            full = len(taken) == most or (taken and size > most_bytes)
            if full or (taken and row.honcho_session != taken[0].honcho_session):
                break
            taken.append(row)
        last = row.index
    return Batch(rows[0].index, last, tuple(taken)) if rows else None
