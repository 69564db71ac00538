"""The recall side of the port: what a Honcho knows, asked for and corrected.

Every method raises a kind of `HonchoFailure`, except that what does not exist yet is empty: an
outage is never "nothing known". Ids are checked as in `HonchoPort`, and text that Honcho cannot take
raises Rejected unsent. `deadline` (seconds) bounds a whole call, however many requests it makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from afterturn_models.values import ContextResult

About = Literal["user", "agent"]
By = Literal["user", "agent", "all"]
Reach = Literal["session", "scope", "workspace"]


@dataclass(frozen=True, slots=True)
class Sight:
    """As which agent a user is seen, and how far that reaches (see `View`)."""

    agent: str
    reach: Reach
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Whose memory of whom is meant, and how far it reaches.

    `agent` observes `user` in `session`. `reach` confines what is recalled to the session, to the
    named `scope` of Honcho's, or to nothing narrower than the workspace. `alone`: the agent's
    memory of itself is confined to this session, since it was made with other people as well.
    `through`: what is read of the user is read as that agent has it, who met them, where `agent`
    is a subagent that never did; all that it writes is its own.
    """

    workspace: str
    session: str
    user: str
    agent: str
    reach: Reach = "workspace"
    scope: str | None = None
    alone: bool = False
    through: Sight | None = None

    def peer(self, about: About) -> str:
        """Give the peer that `about` means."""
        return self.user if about == "user" else self.agent

    def reaches(self, about: About) -> Reach:
        """Tell how far recall about a peer reaches: a scope without a name is the session."""
        sight = self._sight(about)
        if (about == "agent" and self.alone) or (sight.reach == "scope" and sight.scope is None):
            return "session"
        return sight.reach

    def scope_of(self, about: About) -> str | None:
        """Give the scope that recall about a peer is confined to, where it reaches one."""
        return self._sight(about).scope

    def observer(self, about: About) -> str:
        """Give the peer as which it is read what is known about a peer."""
        return self._sight(about).agent

    def _sight(self, about: About) -> Sight:
        own = Sight(self.agent, self.reach, self.scope)
        return self.through or own if about == "user" else own


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search found: who said it, when, and what."""

    peer: str
    at: dt.datetime
    text: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A fact that an agent has concluded about a peer."""

    id: str
    text: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A summary of Honcho's: all that its session holds up to the message that is our `row`."""

    text: str
    row: UUID


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """What a message search is narrowed to; instants are inclusive."""

    by: By = "all"
    created_after: dt.datetime | None = None
    created_before: dt.datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class RecallPort(Protocol):
    """What is known at a Honcho, and the agent's own corrections to it."""

    def context(
        self, view: View, *, tokens: int, deadline: float, query: str | None = None
    ) -> ContextResult:
        """Read the user as the agent sees them, the agent itself, and the session's summary.

        With a `query`, conclusions that bear on it come first (one embedding more at Honcho).
        """
        ...

    def ask(
        self, view: View, *, query: str, level: str, deadline: float, about: About = "user"
    ) -> str | None:
        """Ask the dialectic what the agent knows; None where it knows nothing."""
        ...

    def card(self, view: View, about: About, *, deadline: float) -> tuple[str, ...]:
        """Read the card that is kept of the user, or the agent's own."""
        ...

    def set_card(
        self, view: View, about: About, card: Sequence[str], *, deadline: float
    ) -> tuple[str, ...]:
        """Replace a card; gives it as it is now."""
        ...

    def search(
        self, view: View, query: str, narrowed: SearchFilter, *, limit: int, deadline: float
    ) -> list[Found]:
        """Find messages by meaning, best first.

        Within the session all of it; beyond, only what the user themself has said: what the agent
        said elsewhere, it said to others.
        """
        ...

    def conclusions(
        self, view: View, about: About, *, query: str | None, limit: int, deadline: float
    ) -> list[Conclusion]:
        """Find conclusions that bear on `query`; without one, the newest.

        The agent's own are among them, also where the user is seen through another.
        """
        ...

    def conclude(self, view: View, about: About, text: str, *, deadline: float) -> Conclusion:
        """Write a conclusion down; it is there at once."""
        ...

    def unconclude(self, view: View, about: About, conclusion: str, *, deadline: float) -> bool:
        """Delete a conclusion of the agent's own; False where it has none with that id."""
        ...

    def describe(self, view: View, *, deadline: float) -> dict[str, Any]:
        """Give {summary: str, peers: [str]} of the session as Honcho has it."""
        ...

    def pending(self, view: View, about: About, *, deadline: float) -> int:
        """Count the units of work that are left until Honcho has derived what a peer said."""
        ...

    def delete_session(self, workspace: str, session: str, *, deadline: float) -> bool:
        """Have a session deleted with its messages and what was concluded from them.

        Honcho does it later than it answers. False where there is none. Cards stay, and what was
        concluded elsewhere.
        """
        ...

    def join_scope(self, workspace: str, scope: str, session: str, *, deadline: float) -> None:
        """Make a session part of a scope, which is made where it is missing; safe to repeat."""
        ...

    def note_session(
        self, workspace: str, session: str, metadata: Mapping[str, str], *, deadline: float
    ) -> None:
        """Merge `metadata` into a session's."""
        ...

    def workspace_metadata(self, workspace: str, *, deadline: float) -> dict[str, Any]:
        """Read a workspace's metadata."""
        ...

    def set_workspace_metadata(
        self, workspace: str, metadata: Mapping[str, Any], *, deadline: float
    ) -> None:
        """Replace a workspace's metadata (Honcho does not merge)."""
        ...

    def peer_of_agent(self, workspace: str, agent_id: str, *, deadline: float) -> str | None:
        """Find the peer whose metadata carries this agentId: an agent that was renamed."""
        ...

    def note_agent(self, workspace: str, peer: str, agent_id: str, *, deadline: float) -> None:
        """Merge the agentId into a peer's metadata; makes the peer where it is missing."""
        ...
