"""Prefetch: what the next turn will want to know, fetched now and left in the Redis backend."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from afterturn_models.errors import HonchoFailure, NotStored, StoreUnavailableError
from afterturn_models.policy.cadence import Cadence
from afterturn_models.policy.compaction import due
from afterturn_models.policy.dialectic import bearing_query, opening_query, shortened
from afterturn_models.policy.trivial import is_trivial
from afterturn_models.prefetched import context_payload, dialectic_payload
from afterturn_models.signatures import compact_session as compaction_task
from afterturn_models.signatures import prefetch_context as context_task
from afterturn_models.signatures import prefetch_dialectic as dialectic_task
from afterturn_worker.flows.dialectic import Asked, consult
from afterturn_worker.flows.views import settings_of, stays_here, view_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.signatures import Signature
    from afterturn_models.store.facts import SessionFacts, TurnFacts
    from afterturn_models.values import ContextResult
    from afterturn_worker.flows.dialectic import Consulted
    from afterturn_worker.flows.ports import TurnStore
    from afterturn_worker.honcho.recall_port import View

log = structlog.get_logger("afterturn.prefetch")


class LeftAloneError(Exception):
    """Another run of this task has a result, or makes one, which is not to be written over."""


class Known(Asked, Protocol):
    """What of a Honcho a prefetch needs."""

    def context(
        self, view: View, *, tokens: int, deadline: float, query: str | None = None
    ) -> ContextResult:
        """Read what is known of the user and the agent, and the summary."""
        ...

    def note_session(
        self, workspace: str, session: str, metadata: Mapping[str, str], *, deadline: float
    ) -> None:
        """Merge `metadata` into a session's, which is made where it is missing."""
        ...


def due_fetches(session_id: UUID, store: TurnStore, own: Mapping[str, Any]) -> list[Signature]:
    """Claim a session's last turn, and give the tasks that fetch for it what is due.

    Exactly one of those who ask gets them, and with them the compaction that the turn made due. A
    turn that begins meanwhile gets its own. `own` is the worker's word on settings.
    """
    last = store.take_prefetch(session_id)
    if last is None:
        return []
    facts = store.last_turn(session_id)
    if facts is None or facts.turn != last.turn:
        return []
    cadence = _cadence(settings_of(facts.session, own))
    found = []
    if _compaction_due(facts.session, last.uncovered, own):
        store.want_compaction(session_id)
        found.append(compaction_task(session_id))
    if cadence.context_due(last):
        found.append(context_task(session_id, last.turn))
    if cadence.dialectic_due(last) and _says_something(facts):
        found.append(dialectic_task(session_id, last.turn))
    return found


def _compaction_due(session: SessionFacts, uncovered: int, own: Mapping[str, Any]) -> bool:
    settings = session.profile.compaction(session.said, own)
    return settings.compaction_summary != "off" and due(uncovered, 0, settings.rules())


def prefetch_context(
    session_id: UUID,
    turn: int,
    store: TurnStore,
    honcho: Known,
    *,
    own: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any] | None:
    """Fetch context after `turn` (0: before the first), with what bears on its message first.

    None where a later turn has begun, which has its own, and in the recall mode `tools`. Raises
    HonchoFailure: an outage is not "nothing known", and the next turn's fetch is due then.
    """
    facts = _last(session_id, turn, store)
    if facts is None:
        return None
    session, settings = facts.session, settings_of(facts.session, own)
    if not _cadence(settings).context:
        return None
    before = store.claim_fetch(session_id, "context", turn)
    try:
        known = honcho.context(
            view_of(session, settings, own, asked=False),
            tokens=settings.context_tokens,
            deadline=seconds,
            query=facts.user_text if _says_something(facts) else None,
        )
    except HonchoFailure:
        if before is not None:
            store.unclaim_fetch(session_id, "context", turn, before)
        raise
    return context_payload(
        turn,
        known,
        about=session.user_peer,
        tokens=settings.context_tokens,
        beside=settings.dialectic_max_chars if _cadence(settings).dialectic else 0,
    )


def prefetch_dialectic(
    session_id: UUID,
    turn: int,
    store: TurnStore,
    honcho: Known,
    *,
    own: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any] | None:
    """Ask what is known that bears on the user's last message, or before the first, on them at all.

    None where a later turn has begun, where that message stays out of Honcho (local text is never
    a query) or says nothing, where Honcho knows nothing, and where the budget is spent; the log
    says which. A turn is asked about once: raises LeftAloneError in a second run. Raises
    HonchoFailure.
    """
    facts = _last(session_id, turn, store)
    if facts is None:
        return None
    settings = settings_of(facts.session, own)
    if not _cadence(settings).dialectic or not _may_be_asked(facts):
        return None
    before = store.claim_fetch(session_id, "dialectic", turn)
    if before is None:
        raise LeftAloneError
    try:
        came = _consulted(facts, settings, own, store, honcho, seconds)
    except NotStored:
        store.unclaim_fetch(session_id, "dialectic", turn, before)
        raise
    if came.refused:
        store.unclaim_fetch(session_id, "dialectic", turn, before)
        log.info("dialectic_refused", turn=turn, level=came.level, reason=came.refused)
        return None
    if turn:  # what nobody has asked about yet says nothing of what comes
        with suppress(StoreUnavailableError):  # the answer counts: it is paid for
            store.note_dialectic(session_id, empty=came.answer is None)
    if came.answer is None:
        log.info("dialectic_empty", turn=turn, level=came.level)
        return None
    answer = shortened(came.answer, settings.dialectic_max_chars)
    return dialectic_payload(turn, answer, about=facts.session.user_peer)


def _consulted(
    facts: TurnFacts,
    settings: RecallSettings,
    own: Mapping[str, Any],
    store: TurnStore,
    honcho: Known,
    seconds: float,
) -> Consulted:
    """Put the question of a turn, or, before the first, one that needs no message."""
    session, most = facts.session, settings.dialectic_max_input_chars
    until = time.monotonic() + seconds
    said = facts.user_text or ""
    if facts.turn:
        before = facts.before if settings.query_rewrite else None
        query = bearing_query(said, most=most, before=before)
    else:
        # Honcho answers 404 to a question in a session that it does not know yet.
        honcho.note_session(session.workspace, session.honcho_session, {}, deadline=seconds)
        query = opening_query(most=most)
    return consult(
        view_of(session, settings, own, asked=False),
        settings,
        query,
        workspace_id=session.workspace_id,
        store=store,
        honcho=honcho,
        deadline=until - time.monotonic(),
        said=said,
        one_pass=not facts.turn,
    )


def _last(session_id: UUID, turn: int, store: TurnStore) -> TurnFacts | None:
    """Give the facts of the turn that a fetch is for; None where it is not the last any more."""
    facts = store.last_turn(session_id)
    return facts if facts is not None and facts.turn == turn else None


def _may_be_asked(facts: TurnFacts) -> bool:
    """Tell whether the dialectic has something to be asked about.

    Before the first turn that is the user as such, unless nothing of them leaves this machine.
    """
    return _says_something(facts) if facts.turn else not stays_here(facts.session)


def _cadence(settings: RecallSettings) -> Cadence:
    return Cadence.of(
        settings.recall_mode,
        settings.injection,
        settings.context_cadence,
        settings.dialectic_cadence,
    )


def _says_something(facts: TurnFacts) -> bool:
    """Tell whether there is a message to ask about that may leave this machine."""
    return facts.user_text is not None and not is_trivial(facts.user_text)
