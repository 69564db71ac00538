"""A session: a conversation as the agent holds it, turn by turn."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING

from afterturn import sync_wait
from afterturn.prompt import context_block, system_header
from afterturn.recall import Awaited
from afterturn.spool import SpooledTurn, SpoolError
from afterturn.turn import Turn, TurnResult
from afterturn_models.errors import CaptureError, SchemaError, StoreUnavailableError
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.write_frequency import TURN
from afterturn_models.store.due import raise_to_end
from afterturn_models.store.sessions import close_session

if TYPE_CHECKING:
    import datetime as dt

    from afterturn.recall import Recall
    from afterturn.services import Services
    from afterturn_models.store.sessions import OpenSession, SessionSpec
    from afterturn_models.values import Message, NewMessage

log = logging.getLogger("afterturn.session")


class Session:
    """One conversation between a user's peer and the agent's; made by `Memory.session`.

    Safe between threads. Nothing here waits for Honcho, nor for Redis longer than a moment.
    """

    def __init__(self, services: Services, spec: SessionSpec) -> None:
        self._services = services
        self._spec = spec
        self._lock = threading.RLock()
        self._awaited = Awaited()
        self._turn: Turn | None = None
        self._opened: OpenSession | None = services.capturer.open(spec)
        self.system = system_header(spec.key, spec.agent_peer)
        if self._opened is not None and self._opened.turns:
            self._awaited.expect(self._opened.turns)

    @property
    def key(self) -> str:
        """The session's name, which is its id at Honcho too."""
        return self._spec.key

    @property
    def agent_peer(self) -> str:
        """The agent's peer."""
        return self._spec.agent_peer

    def begin_turn(
        self,
        text: str,
        *,
        author: str | None = None,
        at: dt.datetime | None = None,
        wait: float | None = None,
        origin: str | None = None,
    ) -> Turn:
        """Begin a turn with what the user said; pops what workers prefetched, and never waits.

        `author` is the peer who speaks, where it is not the session's user; `at` when it was
        said. With `wait`, a recall that is still being fetched is waited for, for that many
        seconds at most. `origin` is what began the turn where that was no person: the words of
        `cron`, `flush` and `subagent` are nobody's, and all of such a turn stays here. A turn that
        was not ended is captured as interrupted first; CaptureError where nothing takes that one.
        Raises TypeError for a text that is none.
        """
        with self._lock:
            self._end_interrupted()
            speaker = honcho_id(author) if author else self._spec.user_peer
            recall = self._recall(wait or 0.0, about=speaker)
            turn = Turn(
                self,
                text,
                author=speaker,
                at=at,
                recall=recall,
                context=context_block(recall, self._services.settings.context_tokens),
                system=self.system,
                rules=self._services.rules,
                origin=origin,
            )
            self._turn = turn
            self._services.unfinished.add(turn)
            return turn

    def finish(self, turn: Turn, rows: list[NewMessage], *, wait: bool) -> TurnResult:
        """Capture what a turn has to say, then send the hint; called by the turn.

        With `wait`, the write frequency `turn` has its way. Raises CaptureError.
        """
        services = self._services
        captured = services.capturer.capture(
            SpooledTurn(self._spec, self.agent_peer, turn.id, tuple(rows), services.policy)
        )
        services.unfinished.discard(turn)
        opened = self._as_captured() if captured is not None else None
        if captured is None or opened is None:
            return TurnResult(synced=False, spooled=captured is None)
        self._awaited.expect(captured.turn)
        if not wait or captured.frequency != TURN:
            services.dispatcher.hint(opened.id)
            return TurnResult(synced=False, spooled=False)
        return TurnResult(synced=self._synced(opened, captured.last_index), spooled=False)

    def _synced(self, opened: OpenSession, index: int) -> bool:
        """Send the hint, and wait for what comes of it; tell whether all up to `index` is synced."""
        services = self._services
        deadline = time.monotonic() + services.settings.turn_sync_seconds
        task_id = f"{opened.id}.{uuid.uuid4()}.sync"
        services.dispatcher.hint(opened.id, task_id=task_id)
        try:
            return sync_wait.synced(
                services.popper, services.database, opened.id, task_id, index, deadline
            )
        except StoreUnavailableError as error:
            log.warning("captured, but not known to be synced: %s", error)
            return False

    def flush(self, timeout: float = 10.0) -> bool:
        """Have everything captured sent; True once all of it is settled at Honcho.

        False where that was not so within `timeout` seconds: it goes on all the same. What a turn
        that is still open has said is no part of it.
        """
        deadline = time.monotonic() + timeout
        try:
            self._services.capturer.drain()
            opened = self._ensure_open()
            if opened is None or self._services.capturer.spooled:
                return False
            with self._services.database.statement() as connection:
                target = raise_to_end(connection, opened.id)
            if target is None:
                return True
            self._services.dispatcher.hint(opened.id)
            return sync_wait.settled(
                self._services.database, opened.id, target, deadline, patiently=True
            )
        except (StoreUnavailableError, SpoolError) as error:
            log.warning("not flushed: %s", error)
            return False

    def history(self, limit: int = 50, before: int | None = None) -> list[Message]:
        """Give up to `limit` messages before index `before` (None: the last), oldest first.

        Raises StoreUnavailableError while Postgres is away.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1")
        opened = self._ensure_open()
        if opened is None:
            raise StoreUnavailableError("Postgres is away, and histories are kept there")
        return self._services.histories.page(opened.id, limit, before)

    def close(self) -> None:
        """End the session: an open turn is captured as interrupted, all of it becomes due.

        Raises CaptureError where nothing takes that turn.
        """
        with self._lock:
            self._end_interrupted()
        try:
            opened = self._ensure_open()
            if opened is None:
                return
            with self._services.database.statement() as connection:
                more = close_session(connection, opened.id)
        except (StoreUnavailableError, SchemaError) as error:
            # The relay makes quiet sessions due: nothing is lost, it only comes later.
            log.warning("session not closed: %s", error)
            return
        if more:
            self._services.dispatcher.hint(opened.id)

    def opened(self) -> OpenSession | None:
        """Give the session as Postgres has it; None while that is away. Raises SchemaError."""
        return self._ensure_open()

    def forked(self) -> None:
        """Go on in a forked child, which leaves the open turn to its parent."""
        self._lock = threading.RLock()
        self._awaited.forked()
        self._turn = None

    def _end_interrupted(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            try:
                turn.interrupt()
            except CaptureError:
                self._turn = turn  # it is tried again with the next one, or at the close
                raise

    def _recall(self, wait: float, *, about: str) -> Recall | None:
        opened = self._opened
        if opened is None:
            return None
        popper = self._services.popper
        for _ in sync_wait.pauses(time.monotonic() + wait):
            recall = self._awaited.pop(popper, opened.id, about=about)
            if recall is not None or not self._awaited.waiting or popper.away:
                return recall
        return None

    def _as_captured(self) -> OpenSession | None:
        """Give the session that a turn was just captured in, a new one where it was deleted."""
        known = self._services.capturer.known(self._spec)
        if known is not None and self._opened is not None and known.id != self._opened.id:
            self._awaited = Awaited()  # turns are counted from 1 again
        self._opened = known or self._opened
        return self._ensure_open()

    def _ensure_open(self) -> OpenSession | None:
        if self._opened is None:
            self._opened = self._services.capturer.open(self._spec)
        return self._opened
