"""Recalling: how a session comes to what its turn recalls, with one look at Redis as a rule."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from afterturn.awaited import Awaited
from afterturn.current import recall_current
from afterturn.pauses import pauses
from afterturn.prewarm import prewarm
from afterturn.recall import over

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn.awaited import Wanted
    from afterturn.popper import Flight
    from afterturn.recall import Recall
    from afterturn.services import Services
    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.store.sessions import OpenSession


class Moment(NamedTuple):
    """A turn that begins: whom recall is about, and how long it may take.

    `said` is what of the user's message may be asked about (None: nothing of it), `seconds` how
    long that may be waited for.
    """

    about: str
    said: str | None = None
    seconds: float = 0.0


class Asked(NamedTuple):
    """What a turn asked Redis for as it began: nothing of recall, where `wanted` is None."""

    flight: Flight | None
    wanted: Wanted | None


class Answers(NamedTuple):
    """What Redis had: what was told of settings (see `notices`), and results as `wanted`."""

    told: bytes | None
    wanted: Wanted | None
    found: list[bytes | None]


class Recaller:
    """What one session recalls; it never raises, and waits only where it was told to."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._awaited = Awaited()
        self._first = True
        self._prewarmed = False

    def opened(
        self, opened: OpenSession, settings: RecallSettings, *, warm: bool, private: bool
    ) -> None:
        """Expect what was, or is, fetched for a session that was just opened.

        `warm`: it is to be fetched now, in the background, where Redis does not have it yet;
        `private`: the user's words stay here.
        """
        self._awaited.expect(opened.turns)
        if warm:
            services = self._services
            parts = services.dispatcher, services.popper, self._awaited
            prewarm(*parts, opened, settings, private=private)
            self._prewarmed = not opened.turns and not private

    def expect(self, turn: int) -> None:
        """Expect what is fetched after a turn that was captured."""
        self._awaited.expect(turn)

    def restart(self) -> None:
        """Begin with a new session under the old name: turns are counted from 1 again."""
        self._awaited = Awaited()

    def forked(self) -> None:
        """Go on in a forked child."""
        self._awaited.forked()

    def ask(self, session: UUID | None, settings: RecallSettings, first: bytes) -> Asked:
        """Ask Redis for what a turn recalls, in one go, behind the question that comes `first`.

        It is not waited for: the turn goes on until `answers` are needed. None of a session that
        nobody knows yet is asked for, and nothing of recall where only tools recall.
        """
        if session is None:
            return Asked(None, None)
        popper = self._services.popper
        if settings.recall_mode == "tools":
            return Asked(popper.ask(first, 1), None)
        wanted = self._awaited.wanted(session)
        return Asked(popper.ask(first + wanted.commands, 1 + len(wanted.ids)), wanted)

    def answers(self, asked: Asked) -> Answers | None:
        """Give what Redis had; None where it is away, or was not asked."""
        found = self._services.popper.answers(asked.flight)
        return None if found is None else Answers(found[0], asked.wanted, found[1:])

    def recall(
        self, session: UUID, settings: RecallSettings, moment: Moment, answers: Answers | None
    ) -> Recall | None:
        """Give what a turn recalls: on its own message where that is asked for, else prefetched.

        Whatever is prefetched is popped either way, once, and what came on the current message
        is put over it. With Redis away it is None at once.
        """
        first, self._first = self._first, False
        if answers is None or settings.recall_mode == "tools":
            return None
        prefetched = self._taken(session, answers, moment.about)
        if moment.said is None or not moment.seconds:
            return self._prefetched(session, settings, moment, prefetched, first=first)
        asker = self._services.asker
        current = recall_current(
            asker, session, moment.said, settings, about=moment.about, seconds=moment.seconds
        )
        # What came meanwhile is popped too.
        prefetched = over(self._popped(session, moment.about), prefetched)
        return prefetched if current is None else self._with_current(current, prefetched)

    def _taken(self, session: UUID, answers: Answers, about: str) -> Recall | None:
        """Take what the turn asked for; where it did not, since tools alone recalled, ask now."""
        if answers.wanted is None:
            return self._popped(session, about)
        return self._awaited.take(answers.wanted, answers.found, about=about)

    def _popped(self, session: UUID, about: str) -> Recall | None:
        return self._awaited.pop(self._services.popper, session, about=about)

    def _with_current(self, current: Recall, prefetched: Recall | None) -> Recall | None:
        """Put what was just recalled over what was prefetched, and let nothing older come later."""
        anew = current.context is not None, current.dialectic is not None
        turn = self._awaited.supersede(context=anew[0], dialectic=anew[1])
        current = replace(
            current,
            context_turn=turn if anew[0] else 0,
            dialectic_turn=turn if anew[1] else 0,
        )
        return over(current, prefetched)

    def _prefetched(
        self,
        session: UUID,
        settings: RecallSettings,
        moment: Moment,
        found: Recall | None,
        *,
        first: bool,
    ) -> Recall | None:
        """Give what has come; wait where it was said: for text that is no query, or at the start."""
        context, dialectic = moment.seconds, moment.seconds
        if first and settings.context_cadence:
            context = max(context, settings.first_turn_base_wait)
        if first and settings.dialectic_cadence and self._prewarmed:
            dialectic = max(dialectic, settings.first_turn_dialectic_wait)
        if not context and not dialectic:
            return found
        return self._waited_for(session, moment.about, found, context, dialectic)

    def _waited_for(
        self, session: UUID, about: str, found: Recall | None, context: float, dialectic: float
    ) -> Recall | None:
        """Wait for so many seconds each, as long as either may still come."""
        popper, began = self._services.popper, time.monotonic()
        for _ in pauses(began + max(context, dialectic)):
            found = over(self._popped(session, about), found)
            waits = self._awaited.waiting
            passed = time.monotonic() - began
            no_context = found is None or found.context is None
            no_dialectic = found is None or found.dialectic is None
            if popper.away or not (
                (waits[0] and no_context and passed < context)
                or (waits[1] and no_dialectic and passed < dialectic)
            ):
                break
        return found
