"""Notices: how whoever changes shared settings tells the agents that run, by one small key in Redis.

Its value is new with every change, and says nothing else: what holds is read from Postgres. An
agent looks at the key in the round trip in which its turn begins anyhow.
"""

from __future__ import annotations

_PREFIX = "afterturn:settings:"


def settings_key(workspace: str) -> str:
    """Give the Redis key whose value changes with the settings that `workspace` shares."""
    return _PREFIX + workspace
