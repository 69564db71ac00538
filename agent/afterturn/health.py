"""Health: one look at every part of an installation, each bounded by a timeout of its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from afterturn.spending import spending
from afterturn.spool import REFUSED, SPOOL, Spool
from afterturn_models.broker import QUEUE_PREFIX
from afterturn_models.db import Database
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.settings import HOSTED_HONCHO, Settings, load
from afterturn_models.signatures import QUEUES
from afterturn_models.sources import home
from afterturn_models.store.backlog import backlog
from afterturn_models.store.workers import MISSING_AFTER, workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn_models.store.workers import WorkerBeat

OK = "ok"
_TIMEOUT = 3.0


@dataclass(slots=True)
class Health:
    """What was seen: `parts` by name (`ok`, or a sentence), queue depths, workers, backlog.

    `dialectic` is what was made of its budget, None for a workspace without any session.
    `spool` holds turns that wait for Postgres, `refused` those that it answered it will not take;
    None where there are none.
    """

    parts: dict[str, str] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
    workers: list[dict[str, Any]] = field(default_factory=list)
    backlog: dict[str, Any] | None = None
    dialectic: dict[str, Any] | None = None
    spool: dict[str, Any] | None = None
    refused: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Tell whether everything works."""
        return all(state == OK for state in self.parts.values())

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return {"ok": self.ok, **asdict(self)}


def glance(settings: Settings) -> Health:
    """Look at Postgres and Redis only, and at what they know."""
    health = Health()
    _look_at_postgres(settings, health)
    _look_at_redis(settings, health)
    return health


def look() -> Health:
    """Look at everything. Raises ConfigurationError where settings cannot be read."""
    settings = load().settings
    health = glance(settings)
    health.parts["honcho"] = _honcho(settings, health.workers)
    health.parts["workers"] = _alive(health.workers)
    health.spool, health.refused = _spooled(SPOOL), _spooled(REFUSED)
    return health


def _look_at_postgres(settings: Settings, health: Health) -> None:
    if not settings.database_url:
        health.parts["postgres"] = "not configured; set AFTERTURN_DATABASE_URL or run: afterturn up"
        return
    try:
        database = Database(settings.database_url, pool_size=1, name="afterturn-status")
    except ConfigurationError as error:
        health.parts["postgres"] = str(error)
        return
    try:
        with database.statement() as connection:
            health.workers = [_worker(found) for found in workers(connection)]
            health.backlog = asdict(backlog(connection))
            health.dialectic = spending(connection, settings)
        health.parts["postgres"] = OK
    except AfterturnError as error:
        health.parts["postgres"] = str(error)
    finally:
        database.close()


def _worker(found: WorkerBeat) -> dict[str, Any]:
    return {**asdict(found), "started_at": found.started_at.isoformat()}


def _look_at_redis(settings: Settings, health: Health) -> None:
    if not settings.redis_url:
        health.parts["redis"] = "not configured; set AFTERTURN_REDIS_URL or run: afterturn up"
        return
    try:
        with Redis.from_url(
            settings.redis_url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            depths: Sequence[Any] = [client.llen(QUEUE_PREFIX + name) for name in QUEUES]
        health.queues = dict(zip(QUEUES, depths, strict=True))
        health.parts["redis"] = OK
    except ValueError:
        health.parts["redis"] = "the Redis URL cannot be read; it has the form redis://host:6379/0"
    except RedisError as error:
        health.parts["redis"] = f"Redis: {str(error).partition(chr(10))[0]}"


def _honcho(settings: Settings, seen: list[dict[str, Any]]) -> str:
    """Tell what workers, who hold the key, say of Honcho; without them, whether it answers."""
    said = [worker["honcho"] for worker in seen if worker["honcho"] is not None]
    if said:
        return next((state for state in said if state != OK), OK)
    url = settings.honcho_url or HOSTED_HONCHO
    try:
        if not url.startswith(("http://", "https://")):
            return f"the Honcho URL {url!r} does not begin with http:// or https://"
        with urlopen(f"{url.rstrip('/')}/health", timeout=_TIMEOUT):  # noqa: S310 - checked above
            return OK
    except HTTPError:
        return OK  # it answers; whether the key is right only a worker can tell
    except (URLError, OSError, ValueError) as error:
        return f"Honcho cannot be reached at {url}: {getattr(error, 'reason', error)}"


def _alive(seen: list[dict[str, Any]]) -> str:
    if any(
        worker["beat_age"] is not None and worker["beat_age"] < MISSING_AFTER for worker in seen
    ):
        return OK
    if seen:
        return "no task has reached a worker for a minute; look at its log"
    return "none runs; start one with: afterturn worker"


def _spooled(name: str) -> dict[str, Any] | None:
    folder = home() / name
    stats = Spool(folder).stats()
    return {"folder": str(folder), **asdict(stats)} if stats.turns or stats.damaged else None
