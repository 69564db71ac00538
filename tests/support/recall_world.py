"""A workspace at the stand-in with people in it, seen through the real Honcho client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from afterturn_models.values import AGENT_OBSERVING, USER_OBSERVING, Outgoing, Role
from afterturn_sandbox.honcho.control import Control
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.recall_port import View

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)


class World:
    """Who said what in one workspace; `bot` is the agent."""

    def __init__(self, client: HonchoClient, control: Control, workspace: str) -> None:
        self.client = client
        self.control = control
        self.workspace = workspace
        self._said = 0

    def view(self, session: str = "s", user: str = "ann", **more: Any) -> View:
        """Give the view of `bot` on a user in a session."""
        return View(self.workspace, session, user, **{"agent": "bot", **more})

    def say(self, session: str, *lines: tuple[str, str]) -> None:
        """Store lines of (peer, text), a minute apart, as a sync does: the peers join first."""
        peers = {peer: USER_OBSERVING for peer, _ in lines} | {"bot": AGENT_OBSERVING}
        self.client.add_peers(self.workspace, session, peers, deadline=10)
        rows = [self._row(session, *line) for line in lines]
        self.client.send(self.workspace, session, rows, deadline=10)

    @contextmanager
    def watched(self) -> Iterator[Callable[[], int]]:
        """Give a function that tells how many requests have come since.

        They count as they come: one that an earlier test gave up is not answered inside.
        """
        rule = self.control.add_rule("latency", path="/v3/.*", seconds=0)
        try:
            yield lambda: next(one["seen"] for one in self.control.rules() if one["id"] == rule)
        finally:
            self.control.clear(rule)

    def counted(self, call: Callable[[], Any]) -> tuple[int, Any]:
        """Make a call; gives how many requests it made, and what it gave."""
        with self.watched() as requests:
            given = call()
            return requests(), given

    def _row(self, session: str, peer: str, text: str) -> Outgoing:
        self._said += 1
        role = Role.ASSISTANT if peer == "bot" else Role.USER
        at = BEGAN + timedelta(minutes=self._said)
        return Outgoing(uuid.uuid4(), self._said, role, peer, session, text, at)
