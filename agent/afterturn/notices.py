"""Notices: that shared settings were changed, told through Redis and heard as a turn begins.

They are hints: where one is lost, the end of an agent's next turn finds the change all the same.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

from afterturn.commands import command
from afterturn_models.notices import settings_key

if TYPE_CHECKING:
    from afterturn.popper import Popper

log = logging.getLogger("afterturn.notices")

_SECONDS = 1.0  # that telling may take


def tell(redis_url: str, workspace: str) -> bool:
    """Tell running agents, after the commit, that settings of `workspace` were changed.

    False where Redis is away or its URL is none: they find out at the end of their next turn.
    """
    # redis-py is loaded where it is used: importing afterturn does not wait for it.
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    try:
        with Redis.from_url(
            redis_url,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 0),
        ) as redis:
            redis.set(settings_key(workspace), uuid.uuid4().hex)
    except (RedisError, ValueError) as error:
        log.info("running agents were not told of a change: %s", type(error).__name__)
        return False
    return True


class Notices:
    """What one session was told of changes of its workspace's settings, and whether that is news."""

    def __init__(self, popper: Popper, workspace: str) -> None:
        """Look what was told so far, before the settings themselves are read from Postgres."""
        self.question = command("GET", settings_key(workspace))
        found = popper.answers(popper.ask(self.question, 1))
        self._known = found is not None
        self._last = found[0] if found else None

    def news(self, told: bytes | None) -> bool:
        """Tell whether settings may have changed since they were read.

        Where Redis was emptied nobody knows what was told before, if anything was.
        """
        if told == self._last:
            self._known = True
            return False
        return self._known or told is not None

    def heard(self, told: bytes | None) -> None:
        """Take note that settings were read after this was told."""
        self._last, self._known = told, True
