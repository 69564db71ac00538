"""Asking: what an agent wants to know at once is asked through a worker, under a deadline.

Recall on the current message and the tools go this way. Whatever goes wrong is an answer, never
an exception: see `afterturn_models.asks` for what travels.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afterturn.pauses import pauses
from afterturn_models.asks import Answer, Failure, Op, ask_task_id, decode_answer
from afterturn_models.signatures import ask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from afterturn.dispatch import Dispatcher
    from afterturn.popper import Popper

_WRITES = frozenset({Op.SET_PROFILE, Op.CONCLUDE, Op.UNCONCLUDE, Op.DELETE_SESSION})
_NOT_SENT = "Memory cannot be reached now (its Redis is away). Nothing was done; go on without it."
_CUT_OFF = "Memory went away before it answered (its Redis does not answer). Go on without it."
_LATE = "Memory did not answer within {seconds:g} s. Go on without it, or ask again later."
_MAY_BE_MADE = " The change may have been made all the same: look before you repeat it."


@dataclass(eq=False)
class _Flight:
    """A task under way, and all who wait for it; one of them looks, the others wait for that one."""

    key: tuple[Any, ...]
    task_id: str
    op: Op
    seconds: float
    deadline: float
    looking: threading.Lock = field(default_factory=threading.Lock)
    answer: Answer | None = None


class Asked:
    """An ask that was made; `wait` gives its answer."""

    def __init__(self, asker: Asker, flight: _Flight, seconds: float) -> None:
        self._asker = asker
        self._flight = flight
        self._seconds = seconds
        self._deadline = min(time.monotonic() + seconds, flight.deadline)

    def wait(self) -> Answer:
        """Wait for the answer until the deadline; never raises, and gives the same one again."""
        flight = self._flight
        if flight.looking.acquire(timeout=max(0.0, self._deadline - time.monotonic())):
            try:
                if flight.answer is None:
                    self._asker.look(flight, self._deadline)
            finally:
                flight.looking.release()
        return flight.answer or _late(flight.op, self._seconds)


class Asker:
    """Asks for all sessions of a process; safe between threads and after a fork.

    Identical calls in flight are one task, and everyone who made one gets its answer, under the
    deadline of the first.
    """

    def __init__(self, popper: Popper, dispatcher: Dispatcher) -> None:
        self._popper = popper
        self._dispatcher = dispatcher
        self._lock = threading.RLock()  # a signal handler of the host may ask in between
        self._flights: dict[tuple[Any, ...], _Flight] = {}

    def ask(
        self,
        session_id: UUID,
        op: Op,
        arguments: Mapping[str, Any],
        *,
        user: str,
        seconds: float,
    ) -> Answer:
        """Ask, and wait for the answer for `seconds` at most; see `start`."""
        return self.start(session_id, op, arguments, user=user, seconds=seconds).wait()

    def start(
        self,
        session_id: UUID,
        op: Op,
        arguments: Mapping[str, Any],
        *,
        user: str,
        seconds: float,
    ) -> Asked:
        """Ask something and return at once; `user` is the peer of the one who speaks now.

        Never raises: with Redis away the answer is an outage, and there at once; arguments that
        are no JSON are refused.
        """
        try:
            written = json.dumps(arguments, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            return self._refused(op, f"The arguments are no JSON: {error}.")
        deadline = time.monotonic() + seconds
        key = (session_id, op, user, written)
        flight = _Flight(key, ask_task_id(session_id, uuid.uuid4()), op, seconds, deadline)
        with self._lock:
            there = self._flying(key)
            if there is not None:
                return Asked(self, there, seconds)
            self._flights[key] = flight
            # Whoever joins meanwhile waits until it is sent.
            flight.looking.acquire()
        try:
            task = ask(session_id, op, json.loads(written), user=user, task_id=flight.task_id)
            # The key goes first: a task that a worker takes before it is there would not be made.
            if not (
                self._popper.await_ask(flight.task_id, seconds) and self._dispatcher.send(task)
            ):
                self._settle(flight, Answer(failure=Failure.OUTAGE, sentence=_NOT_SENT))
        finally:
            flight.looking.release()
        return Asked(self, flight, seconds)

    def look(self, flight: _Flight, deadline: float) -> None:
        """Look for a flight's answer until `deadline`; called by the one who holds `looking`."""
        for _ in pauses(deadline):
            raw = self._popper.pop([flight.task_id])[0]
            if raw is not None:
                return self._settle(flight, decode_answer(raw))
            if self._popper.away:
                return self._settle(flight, _cut_off(flight))
        if deadline >= flight.deadline:
            self._settle(flight, _late(flight.op, flight.seconds))
        return None

    def forked(self) -> None:
        """Start afresh in a forked child: what its parent asked is its parent's to hear."""
        self._lock = threading.RLock()
        self._flights = {}

    def _flying(self, key: tuple[Any, ...]) -> _Flight | None:
        now = time.monotonic()
        over = [known for known, flight in self._flights.items() if flight.deadline <= now]
        for known in over:  # asked by callers who never waited
            del self._flights[known]
        return self._flights.get(key)

    def _settle(self, flight: _Flight, answer: Answer) -> None:
        flight.answer = answer
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]

    def _refused(self, op: Op, sentence: str) -> Asked:
        flight = _Flight((), "", op, 0.0, 0.0)
        flight.answer = Answer(failure=Failure.REFUSED, sentence=sentence)
        return Asked(self, flight, 0.0)


def _late(op: Op, seconds: float) -> Answer:
    sentence = _LATE.format(seconds=seconds) + (_MAY_BE_MADE if op in _WRITES else "")
    return Answer(failure=Failure.TIMEOUT, sentence=sentence)


def _cut_off(flight: _Flight) -> Answer:
    sentence = _CUT_OFF + (_MAY_BE_MADE if flight.op in _WRITES else "")
    return Answer(failure=Failure.OUTAGE, sentence=sentence)
