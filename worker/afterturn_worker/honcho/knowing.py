"""The client's room for what is known: context, the dialectic's answers, cards.

What confines each read is `View.reaches`. Honcho's card of a pair is made from every session that
the observer saw, so what is confined to one session goes without it, as Honcho's own session
context does; a scope has a card of its own, which only its context gives.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import Missing, Rejected
from afterturn_models.policy.reasoning import LEVELS
from afterturn_models.values import ContextResult
from afterturn_worker.honcho.connection import Connection, check_ids
from afterturn_worker.honcho.deadline import within
from afterturn_worker.honcho.wording import MAX_CHAT, MAX_URL_QUERY, mended, question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from honcho import Peer

    from afterturn_worker.honcho.recall_port import About, View

MOST_TOKENS = 100_000  # of a context; Honcho refuses to be asked for more
_NO_TIME = 0.001  # seconds; the SDK refuses a timeout of 0 as if Honcho had answered nonsense
Known = tuple[str, tuple[str, ...]]  # a representation and a card
_NOTHING: Known = ("", ())


class Knowing(Connection):
    """What a Honcho has concluded about a user and about the agent itself."""

    def context(
        self, view: View, *, tokens: int, deadline: float, query: str | None = None
    ) -> ContextResult:
        """Read the user as the agent sees them, the agent itself, and the session's summary.

        Two requests: one for the user and the summary, one for the agent.
        """
        check_view(view)
        asked = mended(query or "")[:MAX_URL_QUERY].strip() or None
        with within(deadline):
            user, summary = self._or((_NOTHING, ""), lambda: self._seen(view, tokens, asked))
            itself = self._or(_NOTHING, lambda: self._itself(view))
        return ContextResult(*user, ai_representation=itself[0], summary=summary, ai_card=itself[1])

    def ask(
        self, view: View, *, query: str, level: str, deadline: float, about: About = "user"
    ) -> str | None:
        """Ask the dialectic; one request, which Honcho finishes and charges for whatever we do.

        `session` is always given where the API allows it (an answer without the conversation is
        beside the point); by itself it confines nothing, so the reach does. A session that Honcho
        has heard nothing of yet is a 404, which costs no call of an LLM: the question is put again
        without it, since what is known of the user does not depend on it.
        """
        check_view(view)
        if level not in LEVELS:
            raise Rejected(f"{level!r} is no reasoning level; there are {', '.join(LEVELS)}")
        asked = question(query, MAX_CHAT)
        if about == "agent" and view.alone:
            return self._said_here(view, asked, deadline)
        until = time.monotonic() + deadline
        confinement = _confinement(view, about)
        wide = view.reaches(about) == "workspace"
        for confined in (confinement, {}) if wide else (confinement,):
            with suppress(Missing):
                left = until - time.monotonic()
                return self._chat(view, about, asked, level=level, deadline=left, **confined)
        return None

    def _chat(
        self, view: View, about: About, asked: str, *, level: str, deadline: float, **confined: Any
    ) -> str | None:
        with self._call(deadline):
            answer = self._peer(view.workspace, view.observer(about)).chat(
                asked,
                target=view.user if about == "user" else None,
                reasoning_level=level,
                timeout=max(deadline, _NO_TIME),
                **confined,
            )
        return str(answer) if answer else None

    def card(self, view: View, about: About, *, deadline: float) -> tuple[str, ...]:
        """Read a card by one request; none where recall is confined to the session."""
        check_view(view)
        with within(deadline):
            return self._or((), lambda: self._card(view, about))

    def set_card(
        self, view: View, about: About, card: Sequence[str], *, deadline: float
    ) -> tuple[str, ...]:
        """Replace the card that `context` shows, by one request.

        Raises Rejected where that is none of the agent's: where recall is confined, and where the
        user is seen through another agent.
        """
        check_view(view)
        if view.observer(about) != view.agent:
            raise Rejected(
                "the card of whom a subagent works for is kept by the agent that set it to work;"
                " write a conclusion instead"
            )
        if view.reaches(about) != "workspace":
            raise Rejected(
                "this session's recall is confined, and a card is seen from every session;"
                " write a conclusion instead"
            )
        lines = [line for line in map(mended, card) if line]
        with self._call(deadline):
            peer = self._peer(view.workspace, view.agent)
            return tuple(peer.set_card(lines, target=view.peer(about)) or ())

    def describe(self, view: View, *, deadline: float) -> dict[str, Any]:
        """Give {summary: str, peers: [str]}, by two requests; a missing session has neither."""
        check_view(view)
        session = self._session(view.workspace, view.session)
        with within(deadline):
            summaries = self._or(None, session.summaries)
            peers: list[Peer] = self._or([], session.peers)
        kept = summaries and (summaries.long_summary, summaries.short_summary)
        texts = [one.content for one in kept or () if one]
        return {"summary": max(texts, key=len, default=""), "peers": [one.id for one in peers]}

    def pending(self, view: View, about: About, *, deadline: float) -> int:
        """Read how much of a peer's is still to be derived, by one request; 0 for an unknown one."""
        check_view(view)
        honcho, peer = self._honcho(view.workspace), view.peer(about)
        with within(deadline):
            left = self._or(None, lambda: honcho.queue_status(sender=peer))
        return left.pending_work_units + left.in_progress_work_units if left else 0

    def _seen(self, view: View, tokens: int, query: str | None) -> tuple[Known, str]:
        """Read what the agent knows of the user, and the session's summary."""
        reach = view.reaches("user")
        known = self._session(view.workspace, view.session).context(
            summary=True,
            tokens=min(max(tokens, 1), MOST_TOKENS),
            peer_target=view.user,
            search_query=query,
            peer_perspective=None if reach == "scope" else view.observer("user"),
            scope=view.scope_of("user") if reach == "scope" else None,
            limit_to_session=reach == "session",
        )
        summary = known.summary.content if known.summary else ""
        return (known.peer_representation or "", tuple(known.peer_card or ())), summary

    def _itself(self, view: View) -> Known:
        """Read what the agent knows of itself."""
        agent = self._peer(view.workspace, view.agent)
        match view.reaches("agent"):
            case "session":
                return agent.representation(session=view.session), ()
            case "scope":
                return self._in_scope(view, "agent")
            case "workspace":
                known = agent.context()
                return known.representation or "", tuple(known.peer_card or ())

    def _card(self, view: View, about: About) -> tuple[str, ...]:
        match view.reaches(about):
            case "session":
                return ()
            case "scope":
                return self._in_scope(view, about)[1]
            case "workspace":
                observer = self._peer(view.workspace, view.observer(about))
                return tuple(observer.get_card(target=view.peer(about)) or ())

    def _in_scope(self, view: View, about: About) -> Known:
        """Read what a scope knows of a peer."""
        known = self._session(view.workspace, view.session).context(
            summary=False, tokens=1, peer_target=view.peer(about), scope=view.scope_of(about)
        )
        return known.peer_representation or "", tuple(known.peer_card or ())

    def _said_here(self, view: View, query: str, deadline: float) -> str | None:
        """Answer with what bears on `query` in the agent's representation from this session.

        Not by the dialectic: whatever it is confined to, Honcho shows it the observer's own card,
        which was made with other people as well.
        """
        agent = self._peer(view.workspace, view.agent)
        with within(deadline):
            known = self._or(
                "",
                lambda: agent.representation(session=view.session, search_query=query),
            )
        return known or None


def check_view(view: View) -> None:
    """Refuse a view with an id that must not get into a request; raises InvalidIdError."""
    check_ids(view.workspace, view.session, view.user, view.agent, view.observer("user"))
    check_ids(*(name for name in (view.scope, view.scope_of("user")) if name is not None))


def _confinement(view: View, about: About) -> dict[str, Any]:
    match view.reaches(about):
        case "scope":
            return {"scope": view.scope_of(about)}  # the API takes no session beside it
        case "session":
            return {"session": view.session, "sessions": [view.session]}
        case "workspace":
            return {"session": view.session}
