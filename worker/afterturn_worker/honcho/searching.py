"""The client's room for searching messages: the session's own, and beyond it the user's words."""

from __future__ import annotations

from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import Rejected
from afterturn_worker.honcho.connection import Connection
from afterturn_worker.honcho.deadline import within
from afterturn_worker.honcho.knowing import check_view
from afterturn_worker.honcho.recall_port import Found
from afterturn_worker.honcho.wording import MAX_SEARCH, question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from afterturn_worker.honcho.recall_port import SearchFilter, View

MOST = 100  # of anything that Honcho lists at once


class Searching(Connection):
    """Messages by meaning."""

    def search(
        self, view: View, query: str, narrowed: SearchFilter, *, limit: int, deadline: float
    ) -> list[Found]:
        """Find messages, best first, by one request or two.

        One where the session's or the user's messages alone can hold what is asked for, else one
        for each, whose results take turns.
        """
        check_view(view)
        asked, most = question(query, MAX_SEARCH), clamped(limit)
        filters = _filters(narrowed)
        lists: list[list[Any]] = []
        with within(deadline):
            if narrowed.by != "user" or view.reaches("user") == "session":
                lists.append(self._or([], lambda: self._here(view, asked, narrowed, most)))
            if narrowed.by != "agent" and view.reaches("user") != "session":
                lists.append(self._or([], lambda: self._elsewhere(view, asked, filters, most)))
        return [Found(one.peer_id, one.created_at, one.content) for one in merged(lists, most)]

    def _here(self, view: View, query: str, narrowed: SearchFilter, limit: int) -> list[Any]:
        """Search the session, whoever spoke, or one of the two."""
        filters = _filters(narrowed)
        if narrowed.by != "all":
            filters["peer_id"] = view.peer(narrowed.by)
        session = self._session(view.workspace, view.session)
        return list(session.search(query, filters=filters or None, limit=limit))

    def _elsewhere(self, view: View, query: str, filters: dict[str, Any], limit: int) -> list[Any]:
        """Search what the user has said anywhere in reach, this session included."""
        if view.reaches("user") == "scope":
            return list(
                self._honcho(view.workspace).search(
                    query,
                    filters={**filters, "peer_id": view.user},
                    limit=limit,
                    scope=view.scope_of("user"),
                )
            )
        user = self._peer(view.workspace, view.user)
        return list(user.search(query, filters=filters or None, limit=limit))


def clamped(limit: int) -> int:
    """Give how many Honcho is asked for: at most 100; raises Rejected for none."""
    if limit < 1:
        raise Rejected("the limit is at least 1")
    return min(limit, MOST)


def _filters(narrowed: SearchFilter) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    between = {"gte": narrowed.created_after, "lte": narrowed.created_before}
    instants = {name: at.isoformat() for name, at in between.items() if at is not None}
    if instants:
        filters["created_at"] = instants
    if narrowed.metadata:
        filters["metadata"] = dict(narrowed.metadata)
    return filters


def merged(lists: list[list[Any]], limit: int) -> Iterable[Any]:
    """Take turns between ranked lists, each thing once: their ranks do not compare."""
    turns = chain.from_iterable(zip_longest(*lists))
    once = {one.id: one for one in turns if one is not None}
    return islice(once.values(), limit)
