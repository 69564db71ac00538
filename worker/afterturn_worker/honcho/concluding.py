"""The client's room for conclusions: what an agent has concluded about a peer, and its corrections.

Whoever sees the user through another agent reads that one's conclusions and its own, and corrects
its own only.

They are written into the session, so that recall which is confined to it finds them too.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from honcho import Scope

from afterturn_models.errors import Missing
from afterturn_worker.honcho.connection import Connection, check_ids
from afterturn_worker.honcho.deadline import within
from afterturn_worker.honcho.errors import our_errors
from afterturn_worker.honcho.knowing import check_view
from afterturn_worker.honcho.recall_port import Conclusion
from afterturn_worker.honcho.searching import MOST, clamped, merged
from afterturn_worker.honcho.wording import MAX_SEARCH, question, statement

if TYPE_CHECKING:
    from honcho.conclusions import Conclusion as Theirs
    from honcho.conclusions import ConclusionsView

    from afterturn_worker.honcho.recall_port import About, View

_MOST_SESSIONS = 1_000  # that Honcho takes in one filter


class Concluding(Connection):
    """Conclusions of the view's observers, and of no other."""

    def conclusions(
        self, view: View, about: About, *, query: str | None, limit: int, deadline: float
    ) -> list[Conclusion]:
        """Find conclusions by one request; within a scope two, since it has to be looked into.

        As often again where the user is seen through another agent.
        """
        check_view(view)
        most = clamped(limit)
        asked = None if query is None else question(query, MAX_SEARCH)
        with within(deadline):
            lists = [self._found(each, about, asked, most) for each in _views(view, about)]
        found = [_ours(one) for one in merged(lists, most if asked else len(lists) * most)]
        return found if asked else sorted(found, key=lambda one: one.at, reverse=True)[:most]

    def conclude(self, view: View, about: About, text: str, *, deadline: float) -> Conclusion:
        """Write a conclusion by one request.

        Where the session or a peer is not there yet, nothing was written; they are made first
        (without settings, which come with their first message), at four requests more.
        """
        check_view(view)
        said = statement(text)
        with within(deadline):
            try:
                return self._write(view, about, said)
            except Missing:
                self._make(view)
                return self._write(view, about, said)

    def unconclude(self, view: View, about: About, conclusion: str, *, deadline: float) -> bool:
        """Delete a conclusion by two requests: Honcho would delete anybody's, so it is read first.

        One beyond the view's reach is none. It is looked for in the list, since servers of 3.0.12
        have no route that gives one by its id.
        """
        check_view(view)
        check_ids(conclusion)
        view = replace(view, through=None)
        with within(deadline):
            one = {"in": [conclusion]}
            found: list[Theirs] = self._or([], lambda: self._listed(view, about, 1, id=one))
            if not found:
                return False
            own = self._of(view, about)
            return self._or(False, lambda: own.delete(conclusion) is None)

    def _of(self, view: View, about: About) -> ConclusionsView:
        return self._peer(view.workspace, view.observer(about)).conclusions_of(view.peer(about))

    def _found(self, view: View, about: About, query: str | None, most: int) -> list[Theirs]:
        return self._or([], lambda: self._find(view, about, query, most))

    def _find(self, view: View, about: About, query: str | None, most: int) -> list[Theirs]:
        if query is None:
            return self._listed(view, about, most)
        reached = self._reached(view, about)
        return list(self._of(view, about).query(query, top_k=most, filters=reached))

    def _listed(self, view: View, about: About, most: int, **narrowed: Any) -> list[Theirs]:
        """List the newest of the observer's conclusions about a peer that the view reaches."""
        pair = {"observer_id": view.observer(about), "observed_id": view.peer(about)}
        filters = {**pair, **self._reached(view, about), **narrowed}
        everyones = self._honcho(view.workspace).conclusions
        return list(everyones.list(filters=filters, size=most).items)

    def _reached(self, view: View, about: About) -> dict[str, Any]:
        match view.reaches(about):
            case "session":
                return {"session_id": view.session}
            case "scope":
                return {"session_id": {"in": self._members(view, about)}}
            case "workspace":
                return {}

    def _members(self, view: View, about: About) -> list[str]:
        """Name the sessions of the view's scope."""
        scope = Scope(view.scope_of(about), self._honcho(view.workspace))
        return [one.id for one in islice(scope.sessions(size=MOST), _MOST_SESSIONS)]

    def _write(self, view: View, about: About, text: str) -> Conclusion:
        with our_errors(self._shown):
            own = self._of(replace(view, through=None), about)
            written = own.create([{"content": text, "session_id": view.session}])
            return _ours(written[0])

    def _make(self, view: View) -> None:
        honcho = self._honcho(view.workspace)
        with our_errors(self._shown):
            honcho.peer(view.agent)
            honcho.peer(view.user)
            honcho.session(view.session)


def _views(view: View, about: About) -> list[View]:
    """Give the views that see the conclusions about a peer: the agent's own is among them."""
    own = replace(view, through=None)
    return [own] if view.observer(about) == view.agent else [view, own]


def _ours(one: Theirs) -> Conclusion:
    return Conclusion(one.id, one.content, one.created_at)
