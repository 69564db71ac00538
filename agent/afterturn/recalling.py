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

    def recall(self, session: UUID, settings: RecallSettings, moment: Moment) -> Recall | None:
        """Give what a turn recalls: on its own message where that is asked for, else prefetched.

        Whatever is prefetched is popped either way, once, and what came on the current message
        is put over it. With Redis away it is None at once.
        """
        first, self._first = self._first, False
        if settings.recall_mode == "tools":
            return None
        if moment.said is None or not moment.seconds:
            return self._prefetched(session, settings, moment, first=first)
        if self._services.popper.away:
            return None
        asker = self._services.asker
        current = recall_current(
            asker, session, moment.said, settings, about=moment.about, seconds=moment.seconds
        )
        if current is None:
            return self._awaited.pop(self._services.popper, session, about=moment.about)
        return self._with_current(session, moment, current)

    def _with_current(self, session: UUID, moment: Moment, current: Recall) -> Recall | None:
        """Put what was just recalled over what was prefetched, and let nothing older come later."""
        prefetched = self._awaited.pop(self._services.popper, session, about=moment.about)
        anew = current.context is not None, current.dialectic is not None
        turn = self._awaited.supersede(context=anew[0], dialectic=anew[1])
        current = replace(
            current,
            context_turn=turn if anew[0] else 0,
            dialectic_turn=turn if anew[1] else 0,
        )
        return over(current, prefetched)

    def _prefetched(
        self, session: UUID, settings: RecallSettings, moment: Moment, *, first: bool
    ) -> Recall | None:
        """Pop what has come; wait where it was said: for text that is no query, or at the start."""
        context, dialectic = moment.seconds, moment.seconds
        if first and settings.context_cadence:
            context = max(context, settings.first_turn_base_wait)
        if first and settings.dialectic_cadence and self._prewarmed:
            dialectic = max(dialectic, settings.first_turn_dialectic_wait)
        if not context and not dialectic:
            return self._awaited.pop(self._services.popper, session, about=moment.about)
        return self._waited_for(session, moment.about, context, dialectic)

    def _waited_for(
        self, session: UUID, about: str, context: float, dialectic: float
    ) -> Recall | None:
        """Wait for so many seconds each, as long as either may still come."""
        popper, began = self._services.popper, time.monotonic()
        found: Recall | None = None
        for _ in pauses(began + max(context, dialectic)):
            found = over(self._awaited.pop(popper, session, about=about), found)
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
