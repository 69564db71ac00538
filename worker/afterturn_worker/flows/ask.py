"""An ask: what an agent waits for, looked up at Honcho or changed there, under one deadline.

Whatever comes of it is an answer: a value, or a sentence that says why there is none and what can
be done. Whom it is about is the session's user or its agent, and nobody else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from afterturn_models.asks import Answer, Failure, Op
from afterturn_models.errors import HonchoFailure
from afterturn_models.policy.budget import cut
from afterturn_models.policy.dialectic import bearing_query
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.prefetched import context_payload
from afterturn_worker.flows.ask_failures import Unanswered, failed
from afterturn_worker.flows.asked import Ask
from afterturn_worker.flows.deleting import delete_session
from afterturn_worker.flows.dialectic import consult
from afterturn_worker.flows.views import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from afterturn_worker.flows.asked import AskStore
    from afterturn_worker.honcho.recall_port import Conclusion, Found, RecallPort

_LIMIT = 20
_MOST = 100  # of anything that is asked for at once
_TOKENS = 2000
_QUERIES = frozenset({Op.SEARCH, Op.CONCLUSIONS, Op.DIALECTIC, Op.RECALL})
_WRITES = frozenset({Op.SET_PROFILE, Op.CONCLUDE})


def answer(
    session_id: UUID,
    op: Op,
    arguments: Mapping[str, Any],
    *,
    user: str,
    own: Mapping[str, Any],
    store: AskStore,
    honcho: RecallPort,
    seconds: float,
) -> Answer:
    """Answer an ask within `seconds`. `own` are the worker's settings, behind all others.

    Raises StoreUnavailableError where Postgres is away; all else is an answer.
    """
    until = time.monotonic() + seconds
    facts = store.session_facts(session_id)
    if facts is None:
        return Answer(failure=Failure.REFUSED, sentence="This session is not known any more.")
    settings = settings_of(facts, own)
    ask = Ask(session_id, op, user, arguments, facts, settings, own, store, honcho, until)
    try:
        _check_modes(ask)
        return Answer(_OPS[op](ask))
    except Unanswered as why:
        return why.answer
    except HonchoFailure as error:
        return failed(error, op, seconds, late=ask.late)


def _check_modes(ask: Ask) -> None:
    """Keep here what is to stay here, whatever the agent let through. Raises Unanswered."""
    asks = ask.op in _QUERIES or ask.arguments.get("query")
    if asks and ask.stays("user"):
        raise Unanswered(
            Failure.LOCAL,
            "The user's memory stays on their machine: no query leaves it. Use memory_search.",
        )
    if ask.op in _WRITES and ask.stays(ask.about):
        raise Unanswered(
            Failure.LOCAL, f"The {ask.about}'s memory stays on their machine: write it to a file."
        )


def _session(ask: Ask) -> dict[str, Any]:
    """Describe the session; Postgres' part of it is there while Honcho is not."""
    counts = ask.store.counts(ask.session_id)
    value: dict[str, Any] = {
        "session": ask.facts.honcho_session,
        "messages": counts.messages if counts else 0,
        "unsent": counts.unsent if counts else 0,
    }
    left = ask.left
    try:
        return value | ask.honcho.describe(ask.view, deadline=left)
    except HonchoFailure as error:
        note = failed(error, ask.op, left, late=ask.late).sentence
        return value | {"summary": "", "peers": [], "note": note}


def _profile(ask: Ask) -> dict[str, Any]:
    card = ask.honcho.card(ask.view, ask.about, deadline=ask.left)
    return {"peer": ask.about, "card": list(card)}


def _set_profile(ask: Ask) -> dict[str, Any]:
    kept = ask.honcho.set_card(ask.view, ask.about, ask.lines("card"), deadline=ask.left)
    return {"peer": ask.about, "card": list(kept)}


def _search(ask: Ask) -> dict[str, Any]:
    limit = ask.number("limit", _LIMIT, _MOST)
    found = ask.honcho.search(
        ask.view, ask.text("query"), ask.narrowed(), limit=limit, deadline=ask.left
    )
    return {"messages": _within(ask, found)}


def _within(ask: Ask, found: Sequence[Found]) -> list[dict[str, Any]]:
    """Give what fits into the tokens that were asked for: results travel through Redis."""
    left, view, shown = ask.number("tokens", _TOKENS, 10 * _TOKENS), ask.view, []
    names = {view.user: "user", view.agent: "agent"}
    for one in found:
        text = cut(one.text, left)
        if not text:
            break
        left -= estimate_tokens(text)
        by = names.get(one.peer, one.peer)
        shown.append({"by": by, "at": one.at.isoformat(), "text": text})
    return shown


def _context(ask: Ask) -> dict[str, Any]:
    if ask.arguments.get("detail") == "card":
        card = ask.honcho.card(ask.view, ask.about, deadline=ask.left)
        return {"card": list(card), "representation": "", "summary": ""}
    known = ask.honcho.context(
        ask.view,
        tokens=ask.settings.context_tokens,
        deadline=ask.left,
        query=ask.maybe("query"),
    )
    if ask.about == "agent":
        card, representation = known.ai_card, known.ai_representation
    else:
        card, representation = known.card, known.representation
    return {"card": list(card), "representation": representation, "summary": known.summary}


def _queue(ask: Ask) -> dict[str, Any]:
    return {"pending": ask.honcho.pending(ask.view, ask.about, deadline=ask.left)}


def _conclusions(ask: Ask) -> dict[str, Any]:
    listed = ask.op is Op.LIST_CONCLUSIONS
    found = ask.honcho.conclusions(
        ask.view,
        ask.about,
        query=None if listed else ask.text("query"),
        limit=ask.number("limit", _LIMIT, _MOST),
        deadline=ask.left,
    )
    return {"conclusions": [_shown(one) for one in found]}


def _shown(one: Conclusion) -> dict[str, Any]:
    return {"id": one.id, "text": one.text, "at": one.at.isoformat()}


def _conclude(ask: Ask) -> dict[str, Any]:
    written = ask.honcho.conclude(ask.view, ask.about, ask.text("text"), deadline=ask.left)
    return {"id": written.id, "text": written.text}


def _unconclude(ask: Ask) -> dict[str, Any]:
    wanted = ask.text("id")
    if not ask.honcho.unconclude(ask.view, ask.about, wanted, deadline=ask.left):
        raise Unanswered(
            Failure.REFUSED, f"You have no conclusion {wanted[:64]!r} about the {ask.about}."
        )
    return {"deleted": wanted}


def _recall(ask: Ask) -> dict[str, Any]:
    """Recall for the message of now, as the prefetch would have for the one before."""
    view = ask.seen(asked=False)
    known = ask.honcho.context(
        view, tokens=ask.settings.context_tokens, deadline=ask.left, query=ask.text("query")
    )
    return context_payload(
        0,
        known,
        about=ask.user,
        tokens=ask.settings.context_tokens,
        beside=ask.settings.dialectic_max_chars if ask.settings.dialectic_cadence else 0,
    )


def _dialectic(ask: Ask) -> dict[str, Any]:
    """Answer a tool's question, or recall's own about what the user just said."""
    said, asked = ask.text("query"), ask.arguments.get("asked") is not False
    most = ask.settings.dialectic_max_input_chars
    came = consult(
        ask.seen(asked=asked),
        ask.settings,
        said if asked else bearing_query(said, most=most),
        workspace_id=ask.facts.workspace_id,
        store=ask.store,
        honcho=ask.honcho,
        deadline=ask.left,
        about=ask.about,
        floor=ask.maybe("floor"),
        level=ask.maybe("level"),
        asked=asked,
        said=said,
        one_pass=True,
    )
    if came.refused:
        raise Unanswered(Failure.BUDGET, came.refused)
    return {"answer": came.answer, "level": came.level}


_OPS: Mapping[Op, Callable[[Ask], dict[str, Any]]] = {
    Op.SESSION: _session,
    Op.PROFILE: _profile,
    Op.SET_PROFILE: _set_profile,
    Op.SEARCH: _search,
    Op.CONTEXT: _context,
    Op.CONCLUSIONS: _conclusions,
    Op.LIST_CONCLUSIONS: _conclusions,
    Op.CONCLUDE: _conclude,
    Op.UNCONCLUDE: _unconclude,
    Op.DIALECTIC: _dialectic,
    Op.QUEUE: _queue,
    Op.DELETE_SESSION: delete_session,
    Op.RECALL: _recall,
}
