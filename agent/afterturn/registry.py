"""The sessions that are open in a process: one for each conversation, as long as it is used."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from afterturn.session import Session

if TYPE_CHECKING:
    from afterturn.services import Services
    from afterturn_models.policy.who import Runtime, Speakers
    from afterturn_models.store.sessions import SessionSpec


class Registry:
    """Sessions by what they were opened with; safe between threads and after a fork.

    Those that the agent let go of are not kept: the relay makes them due.
    """

    def __init__(self) -> None:
        self._sessions: WeakValueDictionary[tuple[SessionSpec, Runtime], Session] = (
            WeakValueDictionary()
        )
        self._lock = threading.RLock()  # a signal handler of the host may open one in between

    def open(self, services: Services, spec: SessionSpec, speakers: Speakers) -> Session:
        """Give the session of these arguments, the same one while it is used anywhere."""
        key = (spec, speakers.runtime)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                session = self._sessions[key] = Session(services, spec, speakers)
            return session

    def all(self) -> list[Session]:
        """Give every session that is in use."""
        with self._lock:
            return list(self._sessions.values())

    def forked(self) -> None:
        """Go on in a forked child; turns that are open belong to the parent."""
        self._lock = threading.RLock()
        for session in list(self._sessions.values()):
            session.forked()

    def __len__(self) -> int:
        """Tell how many are in use."""
        return len(self._sessions)
