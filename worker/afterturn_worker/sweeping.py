"""Sweeping: some sessions a tick are looked at whether their histories are to be indexed.

That can wait: a search reads what is not indexed by itself. So there is nothing of it in a turn or
in a sync, and no hint that could be lost.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from afterturn_models import signatures
from afterturn_models.store.history_search import take_unindexed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from afterturn_models.settings import Settings
    from afterturn_models.signatures import Signature

_MOST = 500  # sessions a tick: all of them in so many ticks of all workers together
_ENOUGH = 64  # messages that are worth a task
_AGAIN = 60.0  # seconds between two hints at one session


class Sweep:
    """Goes round all sessions by their ids; one a worker, each from a place of its own."""

    def __init__(self) -> None:
        self._after = str(uuid.uuid4())

    def hints(self, connection: Connection, settings: Settings) -> list[Signature]:
        """Look at the next sessions; gives a hint for each that has something to index."""
        found, self._after = take_unindexed(
            connection,
            after=self._after,
            enough=_ENOUGH,
            idle=settings.idle_seconds,
            again=_AGAIN,
            most=_MOST,
        )
        return [signatures.index_history(session) for session in found]
