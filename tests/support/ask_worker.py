"""A stand-in for the workers that answer asks: it takes each from its queue, as Celery's would."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any, Self

import redis

from afterturn_models.asks import Answer, awaited_key
from afterturn_models.prefetched import result_key

QUEUE = "afterturn:interactive"


class AskWorker:
    """Answers asks from a thread with what `reply` gives for (op, arguments); None: never.

    Keeps each ask as it came: op, arguments, user, session_id, task_id, and `left`, how many
    milliseconds its caller still waited.
    """

    def __init__(self, redis_url: str, reply: Callable[[str, dict[str, Any]], Answer | None]):
        self._redis = redis.Redis.from_url(redis_url)
        self._reply = reply
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.asks: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Begin to work."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join(5)
        self._redis.close()

    def ops(self) -> list[str]:
        """Give the operations that came, in order."""
        return [ask["op"] for ask in self.asks]

    def _run(self) -> None:
        while not self._over.is_set():
            found: Any = self._redis.brpop([QUEUE], 0.1)
            if found is not None:
                self._take(json.loads(found[1]))

    def _take(self, envelope: dict[str, Any]) -> None:
        kwargs = json.loads(base64.b64decode(envelope["body"]))[1]
        task_id = envelope["headers"]["id"]
        left = self._redis.pttl(awaited_key(task_id))
        taken = self._redis.delete(awaited_key(task_id))
        self.asks.append({**kwargs, "task_id": task_id, "left": left, "taken": bool(taken)})
        answer = self._reply(kwargs["op"], kwargs["arguments"]) if taken else None
        if answer is not None:
            meta = {"status": "SUCCESS", "result": answer.as_json()}
            self._redis.set(result_key(task_id), json.dumps(meta))
