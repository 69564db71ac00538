"""A session: a conversation as the agent holds it, turn by turn."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from afterturn import sync_wait
from afterturn.notices import Notices
from afterturn.past import Past
from afterturn.recollection import Recollection
from afterturn.renaming import renamed
from afterturn.spool import SpooledTurn, SpoolError
from afterturn.subagents import child_spec
from afterturn.timings.marks import Marks, no_loads
from afterturn.tools.calling import Toolbox
from afterturn.turn import Turn, TurnResult, as_text
from afterturn_models.errors import CaptureError, SchemaError, StoreUnavailableError
from afterturn_models.policy.who import Speakers
from afterturn_models.policy.write_frequency import TURN
from afterturn_models.signatures import compact_session
from afterturn_models.store.sessions import close_session

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from afterturn.in_force import InForce
    from afterturn.services import Services
    from afterturn.tools.table import Names
    from afterturn_models.store.sessions import OpenSession, SessionSpec
    from afterturn_models.values import NewMessage

log = logging.getLogger("afterturn.session")


class Session(Past):
    """One conversation between a user's peer and the agent's; made by `Memory.session`.

    Safe between threads. Nothing here waits for Honcho, nor for Redis longer than a moment.
    """

    def __init__(self, services: Services, spec: SessionSpec, speakers: Speakers) -> None:
        self._services = services
        self._spec = spec
        self._speakers = speakers
        self._lock = threading.RLock()
        self._turn: Turn | None = None
        self._speaker = spec.user_peer
        self.memory_folder: str | None = services.settings.memory_folder
        self.loads = no_loads()  # when it read, since its last turn ended
        began = perf_counter_ns()
        notices = Notices(services.popper, spec.workspace)
        self._opened = services.capturer.open(spec)
        self._recollection = Recollection(services, spec, self._opened, notices)
        self.loads.append((began, perf_counter_ns()))

    @property
    def key(self) -> str:
        """The session's name, which is its id at Honcho too; as Postgres has it, once it was asked."""
        opened = self._opened
        return opened.key if opened and opened.key else self._spec.key

    @property
    def agent_peer(self) -> str:
        """The agent's peer."""
        return self._spec.agent_peer

    @property
    def speaker(self) -> str:
        """The peer whom a tool means by "user": who speaks in the last turn that began."""
        return self.in_force.about or self._speaker

    @property
    def in_force(self) -> InForce:
        """What holds for this session."""
        return self._recollection.in_force

    @property
    def system(self) -> str:
        """What belongs into the system prompt: the same bytes from the first turn on."""
        return self._recollection.system(self.speaker)

    def begin_turn(
        self,
        text: str,
        *,
        author: str | int | None = None,
        at: dt.datetime | None = None,
        wait: float | None = None,
        origin: str | None = None,
    ) -> Turn:
        """Begin a turn with what the user said; pops what workers prefetched, and never waits.

        `author` is who speaks, where it is not the session's user: a peer, or in a session that
        was opened for a platform that platform's id of them. `at` is when it was said. With
        `wait`, recall on this very message is asked for, and waited for so many seconds at most;
        so it is with the setting `recallSync`. `origin` is what began the turn where that was no
        person: the words of `cron`, `flush` and `subagent` are nobody's, and all of such a turn
        stays here. A turn that was not ended is captured as interrupted first; CaptureError where
        nothing takes that one. Raises TypeError for a text that is none.
        """
        began = perf_counter_ns()
        as_text(text)
        with self._lock:
            locked = perf_counter_ns()
            if self._turn is not None and not self._turn.ended:
                self._end_interrupted()
            speaker = self._speakers.peer(author)
            ready = perf_counter_ns()
            asked = self._recollection.ask(self._opened)
            # All that needs no answer is done while Redis makes one.
            marks = Marks(began, self._services.timings.tracing.context())
            marks.locked, marks.ready = locked, ready
            turn = Turn(
                self,
                text,
                author=speaker,
                at=at,
                rules=self._services.rules,
                origin=origin,
                marks=marks,
            )
            placed = self._recollection.place(
                asked,
                self._opened,
                text,
                about=self.in_force.about or speaker,
                wait=wait or 0.0,
                origin=origin,
                marks=marks,
            )
            turn.begun(placed)
            self._turn, self._speaker = turn, speaker
            self._services.unfinished.add(turn)
            marks.begun = perf_counter_ns()
            return turn

    def tools(self, names: Names = "afterturn") -> list[dict[str, Any]]:
        """Give the schemas of the tools that a model may call now, none in recallMode `context`.

        `names` are ours or a rival's; raises ValueError for others. Where `memory_folder` is set,
        whoever is the owner is offered the files in it too.
        """
        return Toolbox(self._services, self, self.speaker).offered(names)

    def call_tool(self, name: str, arguments: Mapping[str, Any] | str | None = None) -> str:
        """Call a tool for a model; gives JSON, an `error` in it where there is no answer.

        "user" means whoever speaks in the last turn that began; where turns of a shared chat
        overlap, call the turn's own. It waits for `toolSeconds` at most, a tool that an LLM answers
        for `askSeconds`; never raises.
        """
        return self.call_tool_for(self.speaker, name, arguments)

    def call_tool_for(
        self, speaker: str, name: str, arguments: Mapping[str, Any] | str | None
    ) -> str:
        """Call a tool in the turn of `speaker`; called by the turn."""
        return Toolbox(self._services, self, speaker).call(name, arguments)

    def finish(self, turn: Turn, rows: list[NewMessage], *, wait: bool) -> TurnResult:
        """Capture what a turn has to say, then send the hint; called by the turn.

        With `wait`, the write frequency `turn` has its way. Raises CaptureError.
        """
        services, marks = self._services, turn.marks
        captured = services.capturer.capture(
            SpooledTurn(self._spec, self.agent_peer, turn.id, tuple(rows), services.policy)
        )
        services.unfinished.discard(turn)
        opened = self._as_captured() if captured is not None else None
        marks.turn, marks.session = turn.id, opened.id if opened else None
        marks.loads, self.loads = self.loads, no_loads()
        if captured is None or opened is None:
            marks.captured = perf_counter_ns()
            return TurnResult(synced=False, spooled=captured is None)
        self._recollection.captured(captured)
        if self.in_force.compaction_due(captured.uncovered):
            services.dispatcher.send(compact_session(opened.id))
        marks.captured = perf_counter_ns()
        if not wait or captured.frequency != TURN:
            services.dispatcher.hint(opened.id, marks=marks)
            marks.hinted = perf_counter_ns()
            return TurnResult(synced=False, spooled=False)
        synced = sync_wait.turn_synced(services, opened.id, captured.last_index, marks)
        return TurnResult(synced=synced, spooled=False)

    def over(self, marks: Marks) -> None:
        """Take the marks of a turn that is over; called by the turn."""
        self._services.timings.over(marks)

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
            return sync_wait.flushed(self._services, opened.id, deadline)
        except (StoreUnavailableError, SpoolError) as error:
            log.warning("not flushed: %s", error)
            return False

    def rename(self, title: str) -> str:
        """Give the session another name, from its next turn on; gives the name that it has then.

        For a title that is found in the middle of a conversation (spec: title-based). What was
        captured stays in the session of Honcho that it was captured for, and the history here is
        one. A name that another session has is not shared. Raises ValueError for a blank title,
        StoreUnavailableError while Postgres is away, SpoolError where what waits cannot be read.
        """
        opened = self._need_open()
        with self._lock:
            self._spec = renamed(self._services, self._spec, opened, title)
            self._opened = replace(opened, key=self._spec.key)
        return self._spec.key

    def spawn(self, agent: str, *, name: str | None = None) -> Session:
        """Open the session of a subagent, which this session's agent sets to work.

        There this agent speaks in the user's place, and observes; what is recalled is about the
        human who speaks here now. With a `name` it is the same session again, else a new one. It
        closes with its memory, if not before.
        """
        services = self._services
        peer = services.agents.peer(agent)
        spec = child_spec(self._spec, peer, services.profile, about=self.speaker, name=name)
        speakers = Speakers(services.names.people(), spec.user_peer, peer, spec.key)
        return services.sessions.open(services, spec, speakers)

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
        self._recollection.forked()
        self._turn = None

    def _end_interrupted(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            try:
                turn.interrupt()
            except CaptureError:
                self._turn = turn  # it is tried again with the next one, or at the close
                raise

    def _learn(self, opened: OpenSession, *, warm: bool) -> None:
        """Take note of the session as Postgres has it: found, or made anew under its old name."""
        known, self._opened = self._opened, opened
        if known is None:
            self._recollection.learned(opened, warm=warm)
        elif known.id != opened.id:
            self._recollection.restarted()

    def _as_captured(self) -> OpenSession | None:
        """Give the session that a turn was just captured in, a new one where it was deleted."""
        known = self._services.capturer.known(self._spec)
        if known is not None:
            self._learn(known, warm=False)
        return self._ensure_open()

    def _need_open(self) -> OpenSession:
        opened = self._ensure_open()
        if opened is None:
            raise StoreUnavailableError("Postgres is away, and histories are kept there")
        return opened

    def _reopen(self) -> None:
        """Open it anew where it was deleted: its name then means a new session."""
        opened = self._services.capturer.open(self._spec)
        if opened is not None:
            self._learn(opened, warm=False)

    def _ensure_open(self) -> OpenSession | None:
        if self._opened is None:
            opened = self._services.capturer.open(self._spec)
            if opened is not None:
                self._learn(opened, warm=True)
        return self._opened
