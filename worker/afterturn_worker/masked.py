"""Masked requests: tasks whose arguments `celery inspect` and Flower show as logs do.

Celery's own requests give out the arguments themselves to whoever inspects a worker, whatever
`kwargsrepr` says: `reserved` and `query_task` always, `active` unless it is asked not to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery.worker.request import Request

if TYPE_CHECKING:
    from celery.worker.request import _InfoDict


class MaskedRequest(Request):
    """A request that says of its arguments what its sender said may be shown."""

    def info(self, safe: bool = False) -> _InfoDict:  # noqa: ARG002 - Celery's signature
        """Describe the request, its arguments masked in any case."""
        return super().info(safe=True)
