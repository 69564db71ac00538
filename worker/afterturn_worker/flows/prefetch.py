"""Prefetch: what the next turn will want to know, fetched now and left in the Redis backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn_models.policy.reasoning import dynamic_reasoning_level
from afterturn_models.prefetched import context_payload, dialectic_payload

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_models.settings import Settings
    from afterturn_worker.flows.ports import TurnStore
    from afterturn_worker.honcho.port import HonchoPort

MAX_QUERY = 10_000  # characters of a dialectic query that Honcho takes


def prefetch_context(
    session_id: UUID, turn: int, store: TurnStore, honcho: HonchoPort, settings: Settings
) -> dict[str, Any] | None:
    """Fetch context after `turn`; None where a later turn has begun, which has its own.

    Raises HonchoFailure: an outage is not "nothing known".
    """
    facts = store.last_turn(session_id)
    if facts is None or facts.turn != turn:
        return None
    session = facts.session
    context = honcho.context(
        session.workspace,
        session.honcho_session,
        user=session.user_peer,
        agent=session.agent_peer,
        tokens=settings.context_tokens,
        deadline=settings.request_seconds,
    )
    return context_payload(turn, context, about=session.user_peer)


def prefetch_dialectic(
    session_id: UUID, turn: int, store: TurnStore, honcho: HonchoPort, settings: Settings
) -> dict[str, Any] | None:
    """Ask what is known that bears on the user's last message.

    None where a later turn has begun, where that message stays out of Honcho (local text is
    never a query), and where Honcho knows nothing. Raises HonchoFailure.
    """
    facts = store.last_turn(session_id)
    if facts is None or facts.turn != turn or facts.user_text is None:
        return None
    session = facts.session
    answer = honcho.ask(
        session.workspace,
        session.honcho_session,
        user=session.user_peer,
        agent=session.agent_peer,
        query=dialectic_query(facts.user_text),
        level=dynamic_reasoning_level(facts.user_text, settings.dialectic_reasoning_level),
        deadline=settings.chat_seconds,
    )
    return dialectic_payload(turn, answer, about=session.user_peer) if answer else None


def dialectic_query(said: str) -> str:
    """Phrase the question to the dialectic about what the user just said."""
    question = "What do you know about this person that bears on what they just said?\n\n"
    return question + said[: MAX_QUERY - len(question)]
