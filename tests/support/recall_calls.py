"""Every method of `RecallPort` as a call on any view, for what holds of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from afterturn_worker.honcho.recall_port import RecallPort, SearchFilter, View


@dataclass(frozen=True)
class Call:
    """A method, called with `deadline` seconds; `nothing` is its answer in an empty workspace.

    `requests` are made where everything is there; `writes` says that it leaves something behind.
    """

    name: str
    make: Callable[[RecallPort, View, float], Any]
    requests: int
    nothing: Any = None
    writes: bool = False

    def ask(self, port: RecallPort, view: View, deadline: float = 5.0) -> Any:
        """Make the call."""
        return self.make(port, view, deadline)


def _conclude(port: RecallPort, view: View, seconds: float) -> Any:
    return port.conclude(view, "user", "Likes figs.", deadline=seconds)


RECALL = (
    Call("context", lambda p, v, s: bool(p.context(v, tokens=500, deadline=s)), 2, nothing=False),
    Call("ask", lambda p, v, s: p.ask(v, query="Where?", level="low", deadline=s), 1),
    Call("card", lambda p, v, s: p.card(v, "user", deadline=s), 1, nothing=()),
    Call("set_card", lambda p, v, s: p.set_card(v, "user", ["x"], deadline=s), 1, writes=True),
    Call(
        "search",
        lambda p, v, s: p.search(v, "figs", SearchFilter(), limit=5, deadline=s),
        2,
        nothing=[],
    ),
    Call(
        "conclusions",
        lambda p, v, s: p.conclusions(v, "user", query=None, limit=5, deadline=s),
        1,
        nothing=[],
    ),
    Call(
        "conclusions by query",
        lambda p, v, s: p.conclusions(v, "user", query="figs", limit=5, deadline=s),
        1,
        nothing=[],
    ),
    Call("conclude", _conclude, 1, writes=True),
    Call(
        "unconclude",
        lambda p, v, s: p.unconclude(v, "user", "no-such-one", deadline=s),
        1,
        nothing=False,
    ),
    Call(
        "describe",
        lambda p, v, s: p.describe(v, deadline=s),
        2,
        nothing={"summary": "", "peers": []},
    ),
    Call(
        "join_scope",
        lambda p, v, s: p.join_scope(v.workspace, "work", v.session, deadline=s),
        1,
        writes=True,
    ),
    Call(
        "note_session",
        lambda p, v, s: p.note_session(v.workspace, v.session, {"a": "b"}, deadline=s),
        2,
        writes=True,
    ),
    Call(
        "workspace_metadata",
        lambda p, v, s: p.workspace_metadata(v.workspace, deadline=s),
        1,
        nothing={},
    ),
    Call(
        "set_workspace_metadata",
        lambda p, v, s: p.set_workspace_metadata(v.workspace, {"a": {"b": "c"}}, deadline=s),
        1,
        writes=True,
    ),
    Call("peer_of_agent", lambda p, v, s: p.peer_of_agent(v.workspace, "main", deadline=s), 1),
    Call(
        "note_agent",
        lambda p, v, s: p.note_agent(v.workspace, v.agent, "main", deadline=s),
        2,
        writes=True,
    ),
)
