"""Recollection: what one session recalls, under what holds for it, and where in a prompt it goes."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from time import perf_counter_ns
from typing import TYPE_CHECKING

from afterturn.in_force import InForce
from afterturn.injection import Injection
from afterturn.prompt import system_header
from afterturn.recalling import Moment, Recaller
from afterturn_models.errors import SchemaError, StoreUnavailableError
from afterturn_models.store.settings import settings_as_stamped

if TYPE_CHECKING:
    from afterturn.injection import Placed
    from afterturn.notices import Notices
    from afterturn.recalling import Asked
    from afterturn.services import Services
    from afterturn.timings.marks import Marks
    from afterturn_models.store.sessions import OpenSession, SessionSpec
    from afterturn_models.values import Captured


_PATIENCE = 0.5  # seconds that a turn's beginning waits for Postgres, where settings were changed


class Recollection:
    """A session's side of recall. Nothing of it raises, and nothing waits unless it was told to.

    Turns begin one after the other, under the session's lock; all else may come from any thread.
    """

    def __init__(
        self, services: Services, spec: SessionSpec, opened: OpenSession | None, notices: Notices
    ) -> None:
        """Begin with `opened`; None while Postgres is away, and what this agent was told holds.

        `notices` looked before that was read.
        """
        self._services = services
        self._notices = notices
        self._reading = threading.RLock()
        self._reader: threading.Thread | None = None
        self._spec = spec
        self._recaller = Recaller(services)
        self._opened = opened
        self.in_force = InForce.of(spec, opened)
        self._private = self.in_force.private
        key = opened.key if opened and opened.key else spec.key
        header = system_header(key, spec.agent_peer, mode=self.in_force.user_mode)
        self._injection = Injection(header)
        if opened is not None:
            self._resume(opened, warm=True)

    def system(self, about: str) -> str:
        """Give what belongs into the system prompt of whoever speaks: the same bytes each time."""
        return self._injection.system(about)

    def ask(self, opened: OpenSession | None) -> Asked:
        """Ask Redis for what a turn that begins recalls, and go on while it answers."""
        session = None if opened is None else opened.id
        return self._recaller.ask(session, self.in_force.settings, self._notices.question)

    def place(
        self,
        asked: Asked,
        opened: OpenSession | None,
        text: str,
        *,
        about: str,
        wait: float,
        origin: str | None,
        marks: Marks,
    ) -> Placed:
        """Recall for a turn that begins with `text`, and put it where it belongs.

        Where Redis told that settings were changed, they hold for this very turn.
        """
        answers = self._recaller.answers(asked)
        if answers is not None and self._notices.news(answers.told):
            self._obey(answers.told)
        marks.popped = perf_counter_ns()
        settings, injection = self.in_force.settings, self._injection
        if opened is None:
            return injection.place(None, about, settings)
        sync = settings.recall_sync and injection.wants(settings)
        said = self._askable(text, origin) if wait or sync else None
        if said is not None and sync:
            wait = wait or settings.recall_sync_seconds
        recall = self._recaller.recall(opened.id, settings, Moment(about, said, wait), answers)
        marks.popped = perf_counter_ns()
        return injection.place(recall, about, settings)

    def learned(self, opened: OpenSession, *, warm: bool) -> None:
        """Go on under what Postgres says of a session that was opened while it was away."""
        self._opened = opened
        self.in_force = InForce.of(self._spec, opened)
        self._private = self.in_force.private
        self._resume(opened, warm=warm)

    def restarted(self) -> None:
        """Go on in a new session under the old name: its turns are counted from 1 again."""
        self._recaller.restart()

    def captured(self, captured: Captured) -> None:
        """Expect what is fetched after a turn, and heed what its capture said of the modes."""
        self._recaller.expect(captured.turn)
        self._heed(captured.stamp)
        self._private = self.in_force.keeps(captured.user_mode, captured.agent_mode)

    def _heed(self, stamp: str | None) -> None:
        """Read what Postgres says of settings, where that is not what it was: it holds from now on."""
        if stamp is None or self._opened is None or stamp == self._opened.stamp:
            return
        if not self._is_reading:
            with suppress(StoreUnavailableError):  # the next turn looks again
                self._read_settings()

    def _obey(self, told: bytes | None) -> None:
        """Read what Postgres says of settings, which were changed, before a turn begins.

        The turn waits for a moment at most: with Postgres away, or slow, what held holds on, and
        the next one asks again.
        """
        if self._services.capturer.away or self._is_reading:
            return
        reader = threading.Thread(
            target=self._hear, args=(told,), name="afterturn-settings", daemon=True
        )
        with suppress(RuntimeError):  # a process that ends starts no more threads
            reader.start()
            self._reader = reader
            reader.join(_PATIENCE)

    @property
    def _is_reading(self) -> bool:
        return self._reader is not None and self._reader.is_alive()

    def _hear(self, told: bytes | None) -> None:
        try:
            self._read_settings()
        except (StoreUnavailableError, SchemaError) as error:
            self._services.capturer.note_away(error)
        else:
            self._private = self.in_force.private
            self._notices.heard(told)

    def _read_settings(self) -> None:
        # One after the other, so that what was read first is not what holds.
        with self._reading:
            opened = self._opened
            if opened is None:
                return
            with self._services.database.statement() as connection:
                said, stamp = settings_as_stamped(
                    connection, opened.workspace_id, self._spec.agent_peer, opened.id
                )
            self._opened = replace(opened, said=said, stamp=stamp)
            self.in_force = InForce.of(self._spec, self._opened)

    def forked(self) -> None:
        """Go on in a forked child."""
        self._reading = threading.RLock()
        self._recaller.forked()

    def _askable(self, text: str, origin: str | None) -> str | None:
        """Give what of a message may leave this machine as a query; None for nothing of it."""
        return None if self._private else self._services.rules.askable(text, origin)

    def _resume(self, opened: OpenSession, *, warm: bool) -> None:
        """Go on with what Postgres has of the session, and have its next turn's recall fetched."""
        settings, frozen = self.in_force.settings, None
        if settings.injection == "frozen" and opened.turns:
            frozen = self._services.histories.frozen(opened.id)
        block, speaker = frozen or (None, None)
        self._injection.resume(settings, opened.turns, block, self.in_force.about or speaker)
        warm = warm and self._injection.wants(settings)
        self._recaller.opened(opened, settings, warm=warm, private=self._private)
