"""The factory of the Celery app: configuration, tasks, the steps that run in every worker."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals

from afterturn_models.broker import celery_config
from afterturn_models.errors import ConfigurationError, MissingExtraError
from afterturn_models.settings import Settings, load
from afterturn_worker import logs, metrics, task_times
from afterturn_worker.heartbeat import Heartbeat
from afterturn_worker.relay import Relay
from afterturn_worker.resources import Resources, dispose, use

TASKS = (
    "afterturn_worker.tasks.sync",
    "afterturn_worker.tasks.prefetch",
    "afterturn_worker.tasks.ask",
    "afterturn_worker.tasks.resync",
    "afterturn_worker.tasks.drain",
    "afterturn_worker.tasks.identity",
    "afterturn_worker.tasks.agents",
    "afterturn_worker.tasks.compaction",
    "afterturn_worker.tasks.history",
    "afterturn_worker.tasks.beat",
)


def make_app(settings: Settings | None = None) -> Celery:
    """Assemble the app; raises ConfigurationError where no broker is configured."""
    chosen = settings or load().settings
    redis_url = chosen.need_redis_url()
    # Celery would take another project's backend from here, whatever its configuration says.
    os.environ.pop("CELERY_RESULT_BACKEND", None)
    app = Celery("afterturn", include=TASKS)
    app.conf.update(
        celery_config(redis_url, visibility_timeout=_visibility(chosen)),
        worker_direct=True,  # the queue that a worker's heartbeat goes through
        worker_pool="threads",  # it waits on HTTP; prefork starves
        worker_concurrency=16,
        worker_hijack_root_logger=False,
    )
    task_times.connect()
    app.steps["worker"].add(Relay)
    app.steps["worker"].add(Heartbeat)
    return app


def _visibility(settings: Settings) -> int:
    """Give a time that exceeds every task's, or the broker would start it again meanwhile."""
    return int(max(120.0, 2 * settings.chat_seconds, 2 * settings.llm_seconds))


@signals.setup_logging.connect
def _logs(loglevel: int | str | None = None, **_: Any) -> None:
    logs.configure(loglevel or "INFO")


@signals.worker_init.connect
def _open(sender: Any, **_: Any) -> None:
    """Build nothing yet, but refuse to start a worker that could do no work."""
    settings = load().settings
    process = Resources(settings, owner=sender.hostname, threads=int(sender.concurrency or 16))
    try:
        process.check()
        metrics.start(settings)
    except (ConfigurationError, MissingExtraError) as error:
        raise SystemExit(f"afterturn: {error}") from None
    use(process)


@signals.worker_process_init.connect
def _forked(**_: Any) -> None:
    dispose()  # a child of a prefork pool makes its own


@signals.worker_shutdown.connect
@signals.worker_process_shutdown.connect
def _close(**_: Any) -> None:
    metrics.stop()
    dispose()
