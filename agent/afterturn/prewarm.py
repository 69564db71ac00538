"""Prewarm: what is fetched when a session opens, so that its first turn need not be cold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.prefetched import context_task_id, dialectic_task_id
from afterturn_models.signatures import prefetch_context, prefetch_dialectic

if TYPE_CHECKING:
    from afterturn.awaited import Awaited
    from afterturn.dispatch import Dispatcher
    from afterturn.popper import Popper
    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.store.sessions import OpenSession


def prewarm(
    dispatcher: Dispatcher,
    popper: Popper,
    awaited: Awaited,
    opened: OpenSession,
    settings: RecallSettings,
    *,
    private: bool = False,
) -> None:
    """Have context fetched for a session that was opened, and for a new one the dialectic.

    Sent in the background, and never waited for. What the session's last turn left in Redis is not
    fetched again, nor what was popped meanwhile: the dispatcher's thread looks just before it
    sends. A fetch that is under way just then is made twice, which costs Honcho no LLM call; so a
    session that has turns is not asked about by dialectic, nor one whose user's words stay here
    (`private`), of whom Honcho would have to be told that they are there.
    """
    session, turn = opened.id, opened.turns
    if settings.recall_mode == "tools":
        return
    if settings.context_cadence:
        kept = [context_task_id(session, turn)]
        dispatcher.send(
            prefetch_context(session, turn),
            unless=lambda: not awaited.waiting[0] or popper.holds(kept),
        )
    if settings.dialectic_cadence and not turn and not private:
        asked = [dialectic_task_id(session, turn)]
        dispatcher.send(
            prefetch_dialectic(session, turn),
            unless=lambda: not awaited.waiting[1] or popper.holds(asked),
        )
