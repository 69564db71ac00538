"""`Memory`: the door to afterturn for an agent of any make."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from afterturn.identity import FirstSessions
from afterturn.local_files import LocalFiles
from afterturn.modes import CurrentModes
from afterturn.opening import opening
from afterturn.searching import of_pair, wanted
from afterturn.services import Services
from afterturn_models.errors import CaptureError
from afterturn_models.policy.session_name import Conversation
from afterturn_models.policy.who import Runtime
from afterturn_models.settings import load

if TYPE_CHECKING:
    import datetime as dt
    from types import TracebackType

    from afterturn.searching import Hit
    from afterturn.session import Session
    from afterturn_models.policy.timing_buckets import Summary
    from afterturn_models.settings import Settings

_alive: weakref.WeakSet[Memory] = weakref.WeakSet()


class Memory:
    """The memory of one agent process.

    ```python
    with Memory.open() as memory:
        session = memory.session(name="cli")
        turn = session.begin_turn("Where did I leave my keys?")
        ...                      # turn.system, turn.context, the model
        turn.end("On the shelf, you said.")
    ```

    Safe between threads; a forked child may go on using it.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._first = FirstSessions(services)
        self._closed = False
        self._lock = threading.RLock()  # a signal handler of the host may close in between
        atexit.register(self.close)
        _alive.add(self)

    @classmethod
    def open(cls, **overrides: Any) -> Memory:
        """Open the memory that configuration and environment describe.

        `overrides` are settings by field name (see `Settings`), which come before any other
        source. Nothing is connected to yet. Raises ConfigurationError, which says what to do.
        """
        return cls(Services(load(overrides)))

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self._services.settings

    def session(
        self,
        name: str | None = None,
        *,
        directory: str | None = None,
        title: str | None = None,
        platform_key: str | None = None,
        user: str | None = None,
        agent: str | None = None,
        platform: str | None = None,
        user_id: str | int | None = None,
        alternate_id: str | int | None = None,
    ) -> Session:
        """Open the session of a conversation; the same one for the same arguments.

        It is named by an explicit `name`, else in the spec's order: manual map, `title`,
        `directory` (what the strategy makes of it), `platform_key`; a chat of a platform by its
        `platform_key` first, or by its user, so that two chats never fall into one session. What
        only reads alike shares nothing: the second of two directories called `foo` is
        `foo-<hash>`. With the strategy per-session each call without a `platform_key`, title or
        name is a conversation of its own.

        The user is the peer `user`, a name that the caller answers for, else whoever the ids say
        that their `platform` knows them by (see `policy.who`): aliases and the pin count, and
        equal ids of two platforms are two people. With neither it is the configured peerName.

        `agent` is the agent's id at its host. Its peer is what Honcho's agentPeerMap says, as far
        as Postgres knows it, else `agent-<id>`; an agent that has spoken under its bare id before
        keeps that as its peer. None, `main` and the configured aiPeer mean the configured agent.

        The first session of the configured agent seeds its identity from the files in
        `memoryFolder`. While Postgres is away the session works all the same, and cold. Raises
        SchemaError for a database that was not migrated.
        """
        said = Conversation(name, directory, title, platform_key)
        runtime = Runtime.of(user_id, alternate_id, platform)
        found = opening(self._services, said, user=user, agent=agent, runtime=runtime)
        session = self._services.sessions.open(self._services, found.spec, found.speakers)
        self._first.seed(session.agent_peer)
        return session

    def search_history(
        self,
        query: str,
        limit: int = 20,
        *,
        user: str | None = None,
        agent: str | None = None,
        platform: str | None = None,
        user_id: str | int | None = None,
        alternate_id: str | int | None = None,
        role: str | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> list[Hit]:
        """Find messages in all sessions of one user with one agent, as `Session.search` does.

        Who they are is told as in `session`. What was said in the sessions of anybody else, and
        with other agents, is not looked at, though this user may have spoken in them. Raises
        ValueError for what cannot be searched for, StoreUnavailableError while Postgres is away.
        """
        asked = wanted(query, limit, role, since, until)
        runtime = Runtime.of(user_id, alternate_id, platform)
        spec = opening(self._services, Conversation(), user=user, agent=agent, runtime=runtime).spec
        return of_pair(
            self._services.database, spec.workspace, spec.user_peer, spec.agent_peer, asked
        )

    def local_files(self, folder: str | Path, session: Session | None = None) -> LocalFiles:
        """Give the memory files in `folder` (USER.md, MEMORY.md, SOUL.md, memory/<note>.md).

        Each write asks for the peers' memory modes as they are then: `honcho` refuses it. With a
        `session`, what Postgres holds for that session counts too. While Postgres is away the
        last modes that were seen hold, else the configured ones.
        """
        return LocalFiles(Path(folder).expanduser(), CurrentModes(self._services, session))

    def timings(self) -> dict[str, Summary]:
        """Give what the stages of this process' turns took, in seconds, in a turn's order.

        For each: how often (`count`), `sum`, and the quantiles `p50`, `p90` and `p99`, each within
        a third of itself. `publish` is a hint on its way to the broker, in the background.
        """
        return self._services.timings.summaries()

    def close(self) -> None:
        """Close every session that is still open, send what hints wait, and disconnect.

        Raises CaptureError where an interrupted turn could be kept nowhere; all else is closed
        by then.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            sessions = self._services.sessions.all()
        atexit.unregister(self.close)
        lost: CaptureError | None = None
        for session in sessions:
            try:
                session.close()
            except CaptureError as error:
                lost = error
        self._services.close()
        if lost is not None:
            raise lost

    def forked(self) -> None:
        """Go on in a forked child; turns that are open belong to the parent."""
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        """Use the memory in a `with` block, which closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the memory."""
        self.close()


def _after_fork() -> None:
    for memory in list(_alive):
        memory.forked()


os.register_at_fork(after_in_child=_after_fork)
