"""Tests of connections, each bounded by a few seconds: what answers, and what is wrong with it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry
from sqlalchemy import text

from afterturn_models import migrate
from afterturn_models.db import Database
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.secret_values import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 3.0
_OLDEST_POSTGRES = 13  # gen_random_uuid() without an extension
_OLDEST_REDIS = (6, 2)  # GETDEL
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_PASSWORD = ("no password supplied", "password authentication failed")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a test came to: whether it answers as it should, in a sentence, and what to look after.

    `password`: it answers and wants a password, or another one. `migrate`: a Postgres that has not
    this version's schema.
    """

    ok: bool
    said: str
    warnings: tuple[str, ...] = ()
    password: bool = False
    migrate: bool = False
    skew: float = 0.0


def postgres(url: str) -> Probe:
    """Test a Postgres: that it answers, its version, and whether it has our schema."""
    try:
        database = Database(url, pool_size=1, name="afterturn-setup", patience=SECONDS)
    except ConfigurationError as error:
        return Probe(ok=False, said=str(error))
    try:
        with database.statement() as connection:
            version, now = connection.execute(_ABOUT).one()
        skew = (now - dt.datetime.now(dt.UTC)).total_seconds()
        revision = migrate.current(database)
    except AfterturnError as error:
        return Probe(ok=False, said=str(error), password=any(w in str(error) for w in _NO_PASSWORD))
    finally:
        database.close()
    if int(version.split(".")[0]) < _OLDEST_POSTGRES:
        return Probe(ok=False, said=f"PostgreSQL {version} is older than {_OLDEST_POSTGRES}")
    stale = revision != migrate.head()
    schema = _schema(revision) if stale else "its schema is this version's"
    return Probe(ok=True, said=f"PostgreSQL {version} answers; {schema}", migrate=stale, skew=skew)


_ABOUT = text("SELECT split_part(current_setting('server_version'), ' ', 1), clock_timestamp()")


def _schema(revision: str | None) -> str:
    if revision is None:
        return "it has no schema of afterturn's yet"
    return f"its schema is at revision {revision}, not {migrate.head()}"


def redis(url: str) -> Probe:
    """Test a Redis: that it answers, and that it neither evicts keys nor forgets all at a restart."""
    try:
        with redis_client(url) as client:
            about = info(client)
    except ValueError:
        said = "the Redis URL cannot be read; it has the form redis://:password@host:6379/0"
        return Probe(ok=False, said=said)
    except AuthenticationError as error:
        return Probe(ok=False, said=f"Redis: {_line(error)}", password=True)
    except RedisError as error:
        return Probe(ok=False, said=f"Redis: {_line(error)}")
    name = "Valkey" if "valkey_version" in about else "Redis"
    version = str(about.get("valkey_version") or about.get("redis_version") or "")
    if name == "Redis" and version and _numbers(version) < _OLDEST_REDIS:
        return Probe(ok=False, said=f"Redis {version} is older than 6.2, which has GETDEL")
    return Probe(ok=True, said=f"{name} {version} answers".strip(), warnings=tuple(unsafe(about)))


def redis_client(url: str) -> Any:
    """Give a client that tries once, and briefly; raises ValueError for no URL of Redis'."""
    return Redis.from_url(
        url,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def info(client: Any) -> dict[str, Any]:
    """Ask a Redis about itself; {} where it answers and may not say."""
    client.ping()
    try:
        found: dict[str, Any] = client.info()
    except (NoPermissionError, ResponseError):
        return {}
    return found


def unsafe(about: dict[str, Any]) -> Iterator[str]:
    """Say what in a Redis' configuration may lose tasks (each of them seen to do so)."""
    policy = about.get("maxmemory_policy")
    if policy is None:
        yield "it does not tell its eviction policy; it must be noeviction"
    elif policy != "noeviction":
        yield (
            f"its eviction policy is {policy}, by which whole queues vanish; set it to noeviction:"
            " redis-cli CONFIG SET maxmemory-policy noeviction, and in its configuration file"
        )
    if str(about.get("aof_enabled")) == "0":
        yield (
            "it keeps no append-only file, so a restart forgets its tasks; nothing is lost, but"
            " answers come late: redis-cli CONFIG SET appendonly yes, and in its configuration file"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def honcho(url: str) -> Probe:
    """Test whether a Honcho answers; what it says of a key only a worker can tell."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        said = "the URL of Honcho cannot be read; it has the form https://api.honcho.dev"
        return Probe(ok=False, said=said)
    # What answers on loopback is no proxy's business.
    near = [ProxyHandler({})] if parts.hostname in _LOOPBACK else []
    try:
        with build_opener(*near).open(f"{url.rstrip('/')}/health", timeout=SECONDS):
            pass
    except HTTPError as error:
        if error.code >= 500:
            return Probe(ok=False, said=f"{masked(url)} answers {error.code}")
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Probe(ok=False, said=f"Honcho cannot be reached at {masked(url)}: {reason}")
    return Probe(ok=True, said="Honcho answers")
