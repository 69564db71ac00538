"""The questions: one file each, which knows its aim; the order is that of the table."""

from __future__ import annotations

NAMES = (
    "turn_start",
    "turn_end",
    "turn_inline",
    "turn_celery",
    "agent_cpu",
    "resync_bulk",
    "scaling",
    "loaded",
    "backlog",
    "steady",
    "worker_cpu",
    "imports",
    "idle_worker",
    "history",
)
