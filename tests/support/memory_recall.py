"""A `RecallPort` in memory: it answers as a test says, fails as a test says, and notes each call."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from afterturn_models.values import ContextResult
from afterturn_worker.honcho.recall_port import About, Conclusion, Found, SearchFilter, View

AT = datetime(2025, 1, 1, tzinfo=UTC)
Pair = tuple[str, str, str]  # workspace, observer, observed


@dataclass(frozen=True)
class Asked:
    """One call: the method, on what (a view, or a workspace's name), and its arguments."""

    method: str
    on: View | str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class MemoryRecall:
    """Knows what a test puts into it; `before` runs in each call, as whatever happens meanwhile."""

    def __init__(self) -> None:
        self.calls: list[Asked] = []
        self.failures: dict[str, deque[Exception]] = defaultdict(deque)
        self.before: Callable[[Asked], None] = lambda asked: None
        self.known = ContextResult()
        self.answers: deque[str | None] = deque()  # with none left, nothing is known
        self.cards: dict[Pair, tuple[str, ...]] = {}
        self.found: list[Found] = []
        self.concluded: dict[Pair, list[Conclusion]] = defaultdict(list)  # newest first
        self.described: dict[str, Any] = {"summary": "", "peers": []}
        self.scopes: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.sessions: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self.workspaces: dict[str, dict[str, Any]] = defaultdict(dict)
        self.agents: dict[tuple[str, str], str] = {}  # by workspace and peer

    def fail(self, method: str, *errors: Exception) -> None:
        """Have the next calls of a method raise."""
        self.failures[method].extend(errors)

    def asked(self, method: str) -> list[Asked]:
        """Give the calls of a method, the first first."""
        return [call for call in self.calls if call.method == method]

    def context(
        self, view: View, *, tokens: int, deadline: float, query: str | None = None
    ) -> ContextResult:
        """Give `known`."""
        self._note("context", view, tokens=tokens, deadline=deadline, query=query)
        return self.known

    def ask(
        self, view: View, *, query: str, level: str, deadline: float, about: About = "user"
    ) -> str | None:
        """Give the next of `answers`."""
        self._note("ask", view, query=query, level=level, deadline=deadline, about=about)
        return self.answers.popleft() if self.answers else None

    def card(self, view: View, about: About, *, deadline: float) -> tuple[str, ...]:
        """Give a pair's card."""
        self._note("card", view, about=about, deadline=deadline)
        return self.cards.get(_seen(view, about), ())

    def set_card(
        self, view: View, about: About, card: Sequence[str], *, deadline: float
    ) -> tuple[str, ...]:
        """Keep a pair's card."""
        self._note("set_card", view, about=about, card=tuple(card), deadline=deadline)
        self.cards[_pair(view, about)] = tuple(card)
        return tuple(card)

    def search(
        self, view: View, query: str, narrowed: SearchFilter, *, limit: int, deadline: float
    ) -> list[Found]:
        """Give the first of `found`, whatever is looked for."""
        self._note("search", view, query=query, narrowed=narrowed, limit=limit, deadline=deadline)
        return self.found[:limit]

    def conclusions(
        self, view: View, about: About, *, query: str | None, limit: int, deadline: float
    ) -> list[Conclusion]:
        """Give a pair's newest, and the agent's own, whatever is looked for."""
        self._note("conclusions", view, about=about, query=query, limit=limit, deadline=deadline)
        pairs = dict.fromkeys((_seen(view, about), _pair(view, about)))
        return [one for pair in pairs for one in self.concluded[pair]][:limit]

    def conclude(self, view: View, about: About, text: str, *, deadline: float) -> Conclusion:
        """Keep a conclusion under an id that counts up."""
        self._note("conclude", view, about=about, text=text, deadline=deadline)
        made = Conclusion(f"c{len(self.asked('conclude'))}", text, AT)
        self.concluded[_pair(view, about)].insert(0, made)
        return made

    def unconclude(self, view: View, about: About, conclusion: str, *, deadline: float) -> bool:
        """Forget a pair's conclusion."""
        self._note("unconclude", view, about=about, conclusion=conclusion, deadline=deadline)
        kept = self.concluded[_pair(view, about)]
        left = [one for one in kept if one.id != conclusion]
        self.concluded[_pair(view, about)] = left
        return len(left) < len(kept)

    def describe(self, view: View, *, deadline: float) -> dict[str, Any]:
        """Give `described`."""
        self._note("describe", view, deadline=deadline)
        return dict(self.described)

    def pending(self, view: View, about: About, *, deadline: float) -> int:
        """Have nothing left to derive."""
        self._note("pending", view, about=about, deadline=deadline)
        return 0

    def join_scope(self, workspace: str, scope: str, session: str, *, deadline: float) -> None:
        """Keep a scope's session, once."""
        self._note("join_scope", workspace, scope=scope, session=session, deadline=deadline)
        if session not in self.scopes[workspace, scope]:
            self.scopes[workspace, scope].append(session)

    def delete_session(self, workspace: str, session: str, *, deadline: float) -> bool:
        """Delete a session, if it is known."""
        self._note("delete_session", workspace, session=session, deadline=deadline)
        return self.sessions.pop((workspace, session), None) is not None

    def note_session(
        self, workspace: str, session: str, metadata: Mapping[str, str], *, deadline: float
    ) -> None:
        """Merge a session's metadata."""
        noted = dict(metadata)
        self._note("note_session", workspace, session=session, metadata=noted, deadline=deadline)
        self.sessions[workspace, session].update(noted)

    def workspace_metadata(self, workspace: str, *, deadline: float) -> dict[str, Any]:
        """Give a workspace's metadata."""
        self._note("workspace_metadata", workspace, deadline=deadline)
        return dict(self.workspaces[workspace])

    def set_workspace_metadata(
        self, workspace: str, metadata: Mapping[str, Any], *, deadline: float
    ) -> None:
        """Replace a workspace's metadata."""
        given = dict(metadata)
        self._note("set_workspace_metadata", workspace, metadata=given, deadline=deadline)
        self.workspaces[workspace] = given

    def peer_of_agent(self, workspace: str, agent_id: str, *, deadline: float) -> str | None:
        """Find the first peer that was noted with this agentId."""
        self._note("peer_of_agent", workspace, agent_id=agent_id, deadline=deadline)
        here = {peer: known for (home, peer), known in self.agents.items() if home == workspace}
        return next((peer for peer, known in here.items() if known == agent_id), None)

    def note_agent(self, workspace: str, peer: str, agent_id: str, *, deadline: float) -> None:
        """Keep a peer's agentId."""
        self._note("note_agent", workspace, peer=peer, agent_id=agent_id, deadline=deadline)
        self.agents[workspace, peer] = agent_id

    def _note(self, method: str, on: View | str, **arguments: Any) -> None:
        asked = Asked(method, on, arguments)
        self.calls.append(asked)
        self.before(asked)
        if self.failures[method]:
            raise self.failures[method].popleft()


def _seen(view: View, about: About) -> Pair:
    return view.workspace, view.observer(about), view.peer(about)


def _pair(view: View, about: About) -> Pair:
    return view.workspace, view.agent, view.peer(about)
