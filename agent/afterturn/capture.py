"""Capture: a turn's rows into Postgres, or into the spool while Postgres is away."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from afterturn.breaker import Breaker
from afterturn.spool import SpoolError
from afterturn_models.errors import CaptureError, SchemaError, StoreUnavailableError
from afterturn_models.lru import Lru
from afterturn_models.store.capture import capture_turn
from afterturn_models.store.sessions import open_session

if TYPE_CHECKING:
    from afterturn.spool import Spool, SpooledTurn
    from afterturn_models.db import Database
    from afterturn_models.store.sessions import OpenSession, SessionSpec
    from afterturn_models.values import Captured

log = logging.getLogger("afterturn.capture")

_REFUSED = (psycopg.Error, DBAPIError)  # of a capture, and of the opening of its session


def row_id(turn_id: uuid.UUID, place: int, part: int) -> uuid.UUID:
    """Give the id of a row: of a turn's message at `place`, the part (both counted from 0).

    A repeated capture makes it again.
    """
    return uuid.uuid5(turn_id, f"{place}.{part}")


class Capturer:
    """Writes turns where they are safe; one a process, for all its sessions."""

    def __init__(
        self, database: Database, spool: Spool, aside: Spool, *, sessions: int = 1024
    ) -> None:
        """Keep turns in `spool` while Postgres is away, and in `aside` those it never takes."""
        self._database = database
        self._spool = spool
        self._aside = aside
        self._breaker = Breaker("postgres", self._probe)
        self._opened: Lru[tuple[str, str], OpenSession] = Lru(sessions)

    def open(self, spec: SessionSpec) -> OpenSession | None:
        """Find or make a session; None while Postgres is away. Raises SchemaError."""
        if self.away:
            return None
        try:
            return self._open(spec)
        except StoreUnavailableError as error:
            self.note_away(error)
            return None

    def capture(self, turn: SpooledTurn) -> Captured | None:
        """Make a turn durable, once however often it is tried.

        None where it went to the spool. What was spooled before goes first, so that turns stay
        in order. Raises CaptureError where neither took it, and then nothing was written.
        """
        refused: SpoolError | None = None
        if not self.away:
            try:
                if self._drained():
                    return self._insert(turn)
            except (StoreUnavailableError, SchemaError) as error:
                self.note_away(error)
            except SpoolError as error:
                log.warning("the spool cannot be drained: %s", error)
                refused = error
            except _REFUSED as error:
                self._refused(turn, error)
                return None
        try:
            self._spool.append(turn)
        except SpoolError as error:
            return self._last_resort(turn, error, drained=refused is None)
        return None

    def _refused(self, turn: SpooledTurn, error: Exception) -> None:
        try:
            self._set_aside(turn, error)
        except SpoolError as full:
            raise CaptureError(f"Postgres refuses the turn, and it was not kept: {full}") from error

    def _last_resort(self, turn: SpooledTurn, error: SpoolError, *, drained: bool) -> Captured:
        """Capture past a spool that takes nothing and gives nothing, if Postgres does."""
        if not drained and not self.away:
            try:
                return self._insert(turn)
            except (StoreUnavailableError, SchemaError) as away:
                self.note_away(away)
        raise CaptureError(f"the turn was not captured, try again: {error}") from error

    def drain(self) -> int:
        """Bring spooled turns into Postgres; gives how many.

        Raises StoreUnavailableError, SchemaError, or SpoolError where the spool cannot be read.
        """
        if not self._spool.pending():
            return 0
        drained = self._spool.drain(self._deliver)
        if drained:
            log.info("captured %d spooled turns", drained)
        return drained

    def _drained(self) -> bool:
        """Drain, and tell whether nothing is left: one look at the folder, at nearly every turn."""
        if not self._spool.pending():
            return True
        self.drain()
        return not self._spool.pending()

    @property
    def spooled(self) -> bool:
        """Tell whether turns are waiting in the spool."""
        return self._spool.pending()

    def known(self, spec: SessionSpec) -> OpenSession | None:
        """Give the session as it was last opened: another one where it was deleted meanwhile."""
        return self._opened.get(_place(spec))

    @property
    def away(self) -> bool:
        """Tell whether Postgres is left alone until it answers a probe."""
        return self._breaker.open

    def forked(self) -> None:
        """Go on in a forked child."""
        self._breaker.forked()
        self._opened.forked()

    def close(self) -> None:
        """Stop probing."""
        self._breaker.close()

    def _deliver(self, turn: SpooledTurn) -> None:
        """Capture a spooled turn; one that Postgres will never take is set aside, not lost.

        It would stop every later one of this machine otherwise.
        """
        try:
            self._insert(turn)
        except (*_REFUSED, CaptureError) as error:
            self._set_aside(turn, error)

    def _set_aside(self, turn: SpooledTurn, error: Exception) -> None:
        # Without a trace, which would show its text.
        log.error("a turn is set aside, Postgres refuses it: %s", type(error).__name__)
        self._aside.append(turn)

    def _insert(self, turn: SpooledTurn) -> Captured:
        for _ in range(2):
            opened = self._opened.get(_place(turn.spec)) or self._open(turn.spec)
            captured = self._insert_into(opened, turn)
            if captured is not None:
                return captured
            # The session was deleted under us: its name now means a new one.
            self._opened.drop(_place(turn.spec))
        raise CaptureError(f"session {turn.spec.key} is being deleted; the turn was not captured")

    def _insert_into(self, opened: OpenSession, turn: SpooledTurn) -> Captured | None:
        for attempt in (1, 2):
            try:
                with self._database.direct() as connection:
                    return capture_turn(
                        connection, opened, turn.agent_peer, turn.turn_id, turn.rows, turn.policy
                    )
            except psycopg.IntegrityError:
                # A twin of this capture committed first; the second try finds its rows.
                if attempt == 2:
                    raise
            except StoreUnavailableError:
                # The first statement on a connection that Postgres closed meanwhile fails; the
                # turn's id makes it safe to say it again on a new one.
                if attempt == 2:
                    raise
        return None

    def _open(self, spec: SessionSpec) -> OpenSession:
        with self._database.statement() as connection:
            opened = open_session(connection, spec)
        self._opened.put(_place(spec), opened)
        return opened

    def _probe(self) -> None:
        with self._database.statement() as connection:
            connection.execute(text("SELECT 1"))

    def note_away(self, error: StoreUnavailableError | SchemaError) -> None:
        """Leave Postgres alone until it answers a probe: no call pays for what one has found out."""
        log.warning("turns are spooled until Postgres answers: %s", error)
        self._breaker.trip()


def _place(spec: SessionSpec) -> tuple[str, str]:
    """Tell sessions apart as Postgres does: by what they are named from, where that is said."""
    return spec.workspace, spec.source or f"key:{spec.key}"
