"""Commands: what is said to Redis, as its bytes; without redis-py, which an import need not wait for."""

from __future__ import annotations

from afterturn_models.prefetched import result_key


def command(*words: str) -> bytes:
    """Give a command as Redis reads it."""
    parts = [word.encode() for word in words]
    said = b"".join([b"$%d\r\n%s\r\n" % (len(part), part) for part in parts])
    return b"*%d\r\n%s" % (len(parts), said)


def getdel(task_id: str) -> bytes:
    """Give the command that takes a result, once."""
    return command("GETDEL", result_key(task_id))
