"""Indexing a history: batch after batch, for as long as a task has."""

from __future__ import annotations

import uuid

import pytest

from afterturn_models.values import Standing
from afterturn_worker.flows.history import index_history

SESSION = uuid.uuid4()


class Store:
    """So many messages to index; each batch takes a second of the clock."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.began = 0
        self.now = 0.0

    def begin_index(self, session_id: uuid.UUID) -> None:
        assert session_id == SESSION
        self.began += 1

    def index_messages(self, session_id: uuid.UUID, *, limit: int) -> int:
        assert self.began
        self.now += 1
        done = min(limit, self.left)
        self.left -= done
        return done


@pytest.mark.parametrize(
    ("messages", "seconds", "standing", "left"),
    [
        (0, 5, Standing.SYNCED, 0),
        (150, 5, Standing.SYNCED, 0),
        (999, 5, Standing.SYNCED, 0),
        (1000, 5, Standing.MORE, 0),  # whether that was all, the next task sees
        (1500, 5, Standing.MORE, 500),
    ],
)
def test_a_task_does_its_share(messages, seconds, standing, left):
    store = Store(messages)
    assert index_history(SESSION, store, seconds=seconds, clock=lambda: store.now) is standing
    assert store.left == left
