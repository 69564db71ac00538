"""Checks of what everything runs on: Postgres, Redis, Honcho, workers, and what waits for them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, RedisError

from afterturn.health import OK
from afterturn.setup import probes
from afterturn.setup.findings import note, ok, warning, wrong
from afterturn_models.key_place import key_place
from afterturn_models.store.workers import MISSING_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from afterturn.health import Health
    from afterturn.setup.findings import Finding
    from afterturn_models.settings import Settings

_SKEW = 30.0  # seconds
_DEEP = 1_000  # hints that wait in one queue
_OLD = 600.0  # seconds that a message waits while nothing is wrong
_UP = "set {variable}, or run: afterturn setup"


def postgres(settings: Settings, health: Health) -> Iterator[Finding]:
    """Look at Postgres: that it answers, how old it is, its schema and its clock."""
    url = settings.database_url
    if not url:
        yield wrong("postgres", "not configured", _UP.format(variable="AFTERTURN_DATABASE_URL"))
        return
    probe = probes.postgres(url)
    if not probe.ok:
        yield wrong("postgres", probe.said, _mend_postgres(probe))
        return
    if probe.migrate:
        yield wrong("postgres", probe.said, "afterturn migrate")
    elif health.parts["postgres"] != OK:
        yield wrong("postgres", health.parts["postgres"], "see what Postgres logs")
    else:
        yield ok("postgres", probe.said)
    if abs(probe.skew) > _SKEW:
        yield warning(
            "clock",
            f"Postgres' clock is {probe.skew:+.0f} s from this machine's: times of messages differ",
            "keep both on time, by NTP",
        )
    else:
        yield ok("clock", "Postgres and this machine agree on the time")


def _mend_postgres(probe: probes.Probe) -> str:
    if probe.password:
        return "put the right password into databaseUrl: afterturn setup"
    return "start it, or name another: afterturn setup"


def redis(settings: Settings) -> Iterator[Finding]:
    """Look at Redis: that it answers, what it may lose, and what its user may do."""
    url = settings.redis_url
    if not url:
        yield wrong("redis", "not configured", _UP.format(variable="AFTERTURN_REDIS_URL"))
        return
    probe = probes.redis(url)
    if not probe.ok:
        yield wrong("redis", probe.said, "start it, or name another: afterturn setup")
        return
    yield ok("redis", probe.said)
    for sentence in probe.warnings:
        said, _, mend = sentence.partition("; ")
        yield warning("redis", said, mend)
    refused = _refused_commands(url)
    if refused:
        yield wrong(
            "redis acl",
            f"its user may not use {', '.join(refused)}",
            "ACL SETUSER … -@all +@read +@write +@connection +@transaction +@pubsub +@blocking"
            " +@scripting -@dangerous +info +time ~* &*",
        )
    else:
        yield ok("redis acl", "its user may do what agents and workers do")


def _refused_commands(url: str) -> list[str]:
    """Try what agents and workers do, on keys of our own that are gone at once."""
    key = f"afterturn:doctor:{secrets.token_hex(8)}"
    refused = []
    try:
        with probes.redis_client(url) as client:
            for name, attempt in _attempts(client, key):
                try:
                    attempt()
                except NoPermissionError:
                    refused.append(name)
            client.delete(key)
    except NoPermissionError:
        refused.append("DEL")
    except RedisError:
        return refused  # it went away meanwhile; that is said elsewhere
    return refused


def _attempts(client: Any, key: str) -> list[tuple[str, Callable[[], object]]]:
    return [
        ("LPUSH", lambda: client.lpush(key, "1")),
        ("LLEN", lambda: client.llen(key)),
        ("BRPOP", lambda: client.brpop([key], timeout=1)),
        ("SET", lambda: client.set(key, "1", ex=60)),
        ("GETDEL", lambda: client.getdel(key)),
        ("HSET", lambda: client.hset(key, "a", "1")),
        ("DEL", lambda: client.delete(key)),
        ("ZADD", lambda: client.zadd(key, {"a": 1})),
        ("EXPIRE", lambda: client.expire(key, 60)),
        ("PUBLISH", lambda: client.publish(key, "1")),
        ("EVAL", lambda: client.eval("return 1", 0)),
        ("MULTI", lambda: client.pipeline(transaction=True).exists(key).execute()),
    ]


def honcho(settings: Settings, health: Health) -> Iterator[Finding]:
    """Look at Honcho as workers see it, who hold the key; without workers, from here."""
    asked = [one for one in health.workers if one["honcho"] is not None]
    state = health.parts["honcho"]
    if not asked and not settings.honcho_url and key_place() is None:
        yield wrong("honcho", "not configured", _UP.format(variable="HONCHO_API_KEY"))
    elif state != OK:
        mend = "set the right key for the workers: afterturn setup" if "key" in state else ""
        yield wrong("honcho", state, mend or "look at Honcho's server, and at honchoUrl")
    elif asked:
        yield ok("honcho", "it answers the workers, and takes their key")
    else:
        unknown = "" if key_place() is None else "; whether it takes the key only a worker can tell"
        yield ok("honcho", f"it answers{unknown}")


def workers(health: Health) -> Iterator[Finding]:
    """Look at the heartbeats: a task that each worker sends to itself."""
    if health.parts["postgres"] != OK:
        yield note("workers", "not looked at: they are noted in Postgres")
        return
    if health.parts["workers"] != OK:
        yield wrong("workers", health.parts["workers"], "afterturn worker, or afterturn up")
    for one in health.workers:
        age = one["beat_age"]
        if age is not None and age < MISSING_AFTER:
            yield ok("workers", f"{one['name']}: a task reached it {age:.0f} s ago")
        elif health.parts["workers"] == OK:
            last = (
                "no task has reached it yet" if age is None else f"its last beat is {age:.0f} s old"
            )
            yield warning("workers", f"{one['name']}: {last}", "look at its log; start it again")


def waiting(health: Health) -> Iterator[Finding]:
    """Look at what waits: queues, messages, parked sessions, quarantine, the spool."""
    deep = {name: depth for name, depth in health.queues.items() if depth > _DEEP}
    for name, depth in deep.items():
        yield warning("queues", f"{depth} tasks wait in {name}", "start more workers")
    if health.queues and not deep:
        yield ok("queues", f"{sum(health.queues.values())} tasks wait")
    yield from _backlog(health.backlog)
    yield from _spool(health)


def _backlog(found: dict[str, Any] | None) -> Iterator[Finding]:
    if found is None:
        return
    if found["parked"]:
        yield wrong(
            "sessions",
            f"{found['parked']} sessions are parked: {found['last_error'] or 'Honcho refuses them'}",
            "set the right key for the workers: they go on by themselves",
        )
    if found["quarantined"]:
        yield warning(
            "quarantine",
            f"Honcho refused {found['quarantined']} messages",
            "afterturn quarantine list",
        )
    age = found["oldest_age"]
    if age is not None and age > _OLD and not found["parked"]:
        yield warning(
            "backlog",
            f"{found['unsent']} messages are not at Honcho yet, the oldest for {age:.0f} s",
            "afterturn status shows the last error; start more workers",
        )
    elif not found["parked"]:
        yield ok("backlog", f"{found['unsent']} messages are not at Honcho yet")


def _spool(health: Health) -> Iterator[Finding]:
    if health.spool:
        yield warning(
            "spool",
            f"{health.spool['turns']} turns wait for Postgres in {health.spool['folder']}",
            "the next turn that reaches Postgres brings them in",
        )
    if health.refused:
        yield wrong(
            "spool",
            f"Postgres refused {health.refused['turns']} turns, in {health.refused['folder']}",
            "keep them, and report it: a turn that Postgres will not take is a defect",
        )
    if not health.spool and not health.refused:
        yield ok("spool", "no turn waits on the disk")
