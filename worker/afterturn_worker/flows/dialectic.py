"""The dialectic: a question put to Honcho in one to three passes, each within the budget.

Nothing known, no room in the budget, and an outage are three different things: an answer that is
None, a refusal that says why, and a failure that is raised.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from afterturn_models.errors import HonchoFailure, NotStored, StoreUnavailableError
from afterturn_models.policy.dialectic import fitting, next_query, suffices
from afterturn_models.policy.reasoning import chosen_level, pass_levels
from afterturn_models.policy.text import is_blank
from afterturn_models.store.dialectic import Ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from afterturn_models.recall_settings import RecallSettings
    from afterturn_worker.flows.ports import DialecticStore
    from afterturn_worker.honcho.recall_port import About, View

log = structlog.get_logger("afterturn.dialectic")

_LEAST_TIME = 1.0  # seconds below which no further pass is begun


class Asked(Protocol):
    """What of a Honcho the dialectic needs."""

    def ask(
        self, view: View, *, query: str, level: str, deadline: float, about: About = "user"
    ) -> str | None:
        """Ask; None where nothing is known."""
        ...


@dataclass(frozen=True, slots=True)
class Consulted:
    """What came of a question: an answer, None where nothing is known, and the level it took.

    `refused` says in a sentence that the budget allowed no call at all.
    """

    answer: str | None
    level: str
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class _Asking:
    """One question on its way: whose, about whom, what pays for it, and until when."""

    view: View
    about: About
    settings: RecallSettings
    workspace_id: int
    store: DialecticStore
    honcho: Asked
    until: float

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    def call(self, query: str, level: str) -> tuple[str | None, str]:
        """Make one call of the budget: the answer, and why it was refused where it was.

        It is paid for by the user for whom it is made, whomever it is about.
        """
        ask = Ask(self.workspace_id, self.view.user, level)
        call, refused = self.store.grant_call(ask, self.settings)
        if call is None:
            return None, refused
        try:
            answer = self.honcho.ask(
                self.view, query=query, level=level, deadline=self.left, about=self.about
            )
        except HonchoFailure as error:
            self._failed(call, error)
            raise
        known = answer is not None and not is_blank(answer)
        self._note(lambda: self.store.settle_call(call, "answered" if known else "empty"))
        return (answer if known else None), ""

    def _failed(self, call: int, error: HonchoFailure) -> None:
        """Give back what certainly never reached Honcho; all else may run there to its end."""
        if isinstance(error, NotStored) and not error.status:
            self._note(lambda: self.store.give_back_call(call))
        else:
            self._note(lambda: self.store.settle_call(call, "failed"))

    @staticmethod
    def _note(note: Callable[[], None]) -> None:
        # What came of the call counts, whether Postgres is there to hear of it or not: a row that
        # is not settled stays paid for.
        with suppress(StoreUnavailableError):
            note()


def consult(
    view: View,
    settings: RecallSettings,
    query: str,
    *,
    workspace_id: int,
    store: DialecticStore,
    honcho: Asked,
    deadline: float,
    about: About = "user",
    floor: str | None = None,
    level: str | None = None,
    asked: bool = False,
    said: str | None = None,
    one_pass: bool = False,
) -> Consulted:
    """Put a question to the dialectic within `deadline` seconds for all of its passes.

    `view` says whose memory of whom is asked, and `workspace_id` whose budget pays for it.
    The level rises from `floor` (None: the configured one) with the length of what the user
    `said`, where that is not the query itself; our own phrasing makes no question longer. A
    `level` that a tool's caller wants is honoured where `dialecticDynamic` lets it, up to the cap.
    What is `asked` for takes `one_pass`: who asks can ask again. Raises HonchoFailure where no
    answer was had, and StoreUnavailableError where Postgres does not say that there is room.
    """
    chosen = chosen_level(
        query if said is None else said,
        floor=floor or settings.dialectic_reasoning_level,
        cap=settings.reasoning_level_cap,
        heuristic=settings.reasoning_heuristic,
        wanted=level if settings.dialectic_dynamic else None,
    )
    levels = (chosen,) if asked or one_pass else _levels(settings, chosen)
    asking = _Asking(
        view,
        about,
        settings,
        workspace_id,
        store,
        honcho,
        time.monotonic() + deadline,
    )
    return _passes(asking, fitting(query, most=settings.dialectic_max_input_chars), levels)


def _levels(settings: RecallSettings, chosen: str) -> tuple[str, ...]:
    return pass_levels(
        chosen,
        settings.dialectic_depth,
        settings.dialectic_depth_levels,
        cap=settings.reasoning_level_cap,
    )


def _passes(asking: _Asking, question: str, levels: Sequence[str]) -> Consulted:
    """Make pass after pass until an answer is enough; what was found is kept, whatever follows."""
    answers: list[str] = []
    used = levels[0]
    most = asking.settings.dialectic_max_input_chars
    enough = asking.settings.dialectic_max_chars
    for number, level in enumerate(levels):
        if number and (asking.left < _LEAST_TIME or _done(answers, enough)):
            break
        try:
            answer, refused = asking.call(next_query(question, answers, most=most), level)
        except (HonchoFailure, StoreUnavailableError) as error:
            if not answers:
                raise
            log.warning("dialectic_pass_failed", passes=number, error=str(error))
            break
        if refused:
            if number:
                break
            return Consulted(None, level, refused)
        used = level
        if answer is not None:
            answers.append(answer)
    return Consulted(answers[-1] if answers else None, used)


def _done(answers: Sequence[str], enough: int) -> bool:
    return bool(answers) and suffices(answers[-1], most=enough)
