"""Current: recall on the message that begins a turn, asked for at once, under one deadline."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from afterturn.recall import Recall
from afterturn_models.asks import Op
from afterturn_models.policy.dialectic import fitting, shortened
from afterturn_models.policy.trivial import is_trivial
from afterturn_models.prefetched import Prefetched, decode

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn.asking import Asked, Asker
    from afterturn_models.recall_settings import RecallSettings

log = logging.getLogger("afterturn.recall")


def recall_current(
    asker: Asker, session: UUID, said: str, settings: RecallSettings, *, about: str, seconds: float
) -> Recall | None:
    """Ask for context and dialectic on what was just `said` by the peer `about`, both at once.

    Gives what came within `seconds`, None where nothing did. A dialectic that knows nothing is "",
    and not None: an older answer, on another topic, would be no better.
    """
    query = {"query": fitting(said, most=settings.dialectic_max_input_chars)}
    context = asker.start(session, Op.RECALL, query, user=about, seconds=seconds)
    dialectic = None
    if settings.dialectic_cadence and not is_trivial(said):
        # Nobody's tool call: workers put the question, and it reaches no further than recall does.
        question = {**query, "asked": False}
        dialectic = asker.start(session, Op.DIALECTIC, question, user=about, seconds=seconds)
    known = _known(_value(context))
    answer = None if dialectic is None else _answer(_value(dialectic), settings)
    if known is None and answer is None:
        return None
    return Recall(
        context=known.context if known else None,
        dialectic=answer,
        counts=known.counts if known else {},
        current=True,
    )


def _value(asked: Asked) -> Any:
    answer = asked.wait()
    if answer.failure is not None:
        log.info("recall on the current message: %s", answer.sentence)
    return answer.value


def _known(value: Any) -> Prefetched | None:
    """Read a context as the one that is prefetched, which says after which turn it was; not this."""
    if not isinstance(value, dict) or "context" not in value:
        return None
    found = decode(json.dumps({"status": "SUCCESS", "result": {**value, "turn": 0}}))
    return found if found is not None and found.context else None


def _answer(value: Any, settings: RecallSettings) -> str | None:
    if not isinstance(value, dict) or "answer" not in value:
        return None
    answer = value["answer"]
    return shortened(answer, settings.dialectic_max_chars) if isinstance(answer, str) else ""
