"""`Memory`: the door to afterturn for an agent of any make."""

from __future__ import annotations

import atexit
import json
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

from afterturn.local_files import LocalFiles
from afterturn.modes import CurrentModes
from afterturn.services import Services
from afterturn.session import Session
from afterturn_models.errors import CaptureError
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.session_name import Naming, session_key
from afterturn_models.policy.text import clean_text
from afterturn_models.settings import load
from afterturn_models.store.sessions import SessionSpec

if TYPE_CHECKING:
    from types import TracebackType

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
        # Sessions that the agent let go of are not kept: the relay makes them due.
        self._sessions: WeakValueDictionary[SessionSpec, Session] = WeakValueDictionary()
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
    ) -> Session:
        """Open the session of a conversation; the same one for the same arguments.

        It is named by an explicit `name`, else in the spec's order: manual map, `title`,
        `directory`, `platform_key`. `user` and `agent` are peers, where they are not the
        configured ones. While Postgres is away the session works all the same, and cold. Raises
        SchemaError for a database that was not migrated.
        """
        settings = self._services.settings
        naming = Naming.of(settings.session_strategy, settings.sessions, settings.naming_peer())
        key = session_key(
            naming,
            name=name,
            directory=directory,
            title=title,
            platform_key=platform_key or user,
        )
        spec = SessionSpec(
            workspace=settings.workspace,
            key=key,
            user_peer=honcho_id(user) if user else settings.peer_name,
            agent_peer=honcho_id(agent) if agent else settings.ai_peer,
            title=_clean(title),
            directory=_clean(directory),
            platform_key=_clean(platform_key),
            profile=json.dumps(self._services.profile.as_json(), sort_keys=True),
        )
        with self._lock:
            session = self._sessions.get(spec)
            if session is None:
                session = self._sessions[spec] = Session(self._services, spec)
            return session

    def local_files(self, folder: str | Path, session: Session | None = None) -> LocalFiles:
        """Give the memory files in `folder` (USER.md, MEMORY.md, SOUL.md, memory/<note>.md).

        Each write asks for the peers' memory modes as they are then: `honcho` refuses it. With a
        `session`, what Postgres holds for that session counts too. While Postgres is away the
        last modes that were seen hold, else the configured ones.
        """
        return LocalFiles(Path(folder).expanduser(), CurrentModes(self._services, session))

    def close(self) -> None:
        """Close every session that is still open, send what hints wait, and disconnect.

        Raises CaptureError where an interrupted turn could be kept nowhere; all else is closed
        by then.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            sessions = list(self._sessions.values())
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
        for session in list(self._sessions.values()):
            session.forked()

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


def _clean(text: str | None) -> str | None:
    """Take out what Postgres cannot hold: a folder's name may have any bytes."""
    return None if text is None else clean_text(text)


def _after_fork() -> None:
    for memory in list(_alive):
        memory.forked()


os.register_at_fork(after_in_child=_after_fork)
