"""What agents and workers agree on about the broker: one Celery configuration for both."""

from __future__ import annotations

from typing import Any, Protocol

from afterturn_models.signatures import QUEUES, TASK_QUEUE, Signature

RESULT_PREFIX = "afterturn:"  # in front of every result key
QUEUE_PREFIX = "afterturn:"  # in front of every queue's list, so that one Redis serves others too
NO_BACKEND = "disabled://"  # Celery's own word for it
RESULT_EXPIRES = 3600  # seconds that a prefetched result waits for the next turn


def celery_config(redis_url: str, *, visibility_timeout: int = 120) -> dict[str, Any]:
    """Give the Celery configuration for `redis_url`, for whoever publishes and whoever works.

    JSON only, a queue a kind of work, late acknowledgement, one task at a time a slot. The
    timeouts are what turns a half-open connection into seconds (none by default), and
    `visibility_timeout` (seconds) exceeds every bound that a task has.
    """
    transport: dict[str, Any] = {
        "visibility_timeout": visibility_timeout,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "global_keyprefix": QUEUE_PREFIX,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 5,
    }
    return {
        "broker_url": redis_url,
        # Said for both ways too: CELERY_BROKER_URL, which another project may have set in this
        # environment, comes before broker_url and not before these.
        "broker_read_url": redis_url,
        "broker_write_url": redis_url,
        "result_backend": redis_url,
        "broker_transport_options": transport,
        "result_backend_transport_options": {"global_keyprefix": RESULT_PREFIX},
        "redis_socket_timeout": 5,
        "redis_socket_connect_timeout": 3,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 5,
        "result_expires": RESULT_EXPIRES,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_queues": {name: {"routing_key": name} for name in QUEUES},
        "task_default_queue": "maintenance",
        "task_create_missing_queues": False,
        "task_routes": {task: {"queue": queue} for task, queue in TASK_QUEUE.items()},
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,  # the relay repeats; a poison task would restart for ever
        "worker_prefetch_multiplier": 1,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # the default gives up after 100
        "enable_utc": True,
        "timezone": "UTC",
        "worker_send_task_events": True,
        "task_send_sent_event": False,  # an event more on the agent's side for nothing
        "task_track_started": False,
    }


def publisher_config(redis_url: str) -> dict[str, Any]:
    """Give the Celery configuration of a process that only publishes, and whose hints may be lost.

    A broker that refuses is tried once: kombu's way to a channel is to connect for 5 s, with
    pauses of 2 s and more, whatever `retry=False` says of the publishing (6 s measured). Workers
    go without this: their way back to a broker is the same one. And there is no backend here: it
    would subscribe to each result that is kept (19 s on a refused connection), while the workers
    keep results all the same, to be popped by key.
    """
    config = celery_config(redis_url)
    transport = {**config["broker_transport_options"], "max_retries": 0}
    return {**config, "broker_transport_options": transport, "result_backend": NO_BACKEND}


class Publisher(Protocol):
    """What of a Celery app is needed to send a task by name."""

    def send_task(self, name: str, **options: Any) -> Any:
        """Publish a task."""
        ...


def send(app: Publisher, signature: Signature) -> None:
    """Publish a task, once: a hint that does not get through is the relay's to repeat.

    Raises kombu's OperationalError, or OSError, where the broker does not take it.
    """
    app.send_task(
        signature.name,
        kwargs=signature.kwargs,
        task_id=signature.task_id,
        queue=signature.queue,
        ignore_result=signature.ignore_result,
        retry=False,
        **({"countdown": signature.after} if signature.after else {}),
        **({"kwargsrepr": signature.shown} if signature.shown else {}),
        **({"headers": dict(signature.headers)} if signature.headers else {}),
    )
