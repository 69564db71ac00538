"""A session's profile: what its agent says of it once, for every worker that recalls or syncs for it.

It is kept as JSON on the session's row (`sessions.details`) and says what the agent was told of
the settings of recall and compaction, how peers observe each other, and, for a subagent's session, whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from afterturn_models.compaction_settings import CompactionSettings
from afterturn_models.compaction_settings import resolve as resolve_compaction
from afterturn_models.recall_settings import RecallSettings, resolve
from afterturn_models.values import (
    AGENT_OBSERVING,
    PARENT_OBSERVING,
    USER_OBSERVING,
    Observing,
    Scope,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class SessionProfile:
    """What an agent writes on a session that it opens.

    `given` are settings of recall and compaction and memory modes from keyword arguments, which come before what
    Postgres says; `rest` those of its other sources, behind it; both by camelCase key. `owner` is
    the peer whose agent it is: with anyone else it recalls of itself only what it said to them. `observer` is the parent
    agent's peer in a subagent's session, and `about` the peer whom recall is about there, since
    the one who speaks is the parent.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)
    owner: str | None = None
    observer: str | None = None
    about: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the profile as it is stored: one opened again keeps whose it is."""
        stored: dict[str, Any] = {"given": dict(self.given), "rest": dict(self.rest)}
        said = {"owner": self.owner, "observer": self.observer, "about": self.about}
        return stored | {name: value for name, value in said.items() if value}

    @classmethod
    def of(cls, stored: Any) -> SessionProfile:
        """Read a stored profile; what is not one says nothing."""
        if not isinstance(stored, dict):
            return cls()
        given, rest = stored.get("given"), stored.get("rest")
        return cls(
            given=given if isinstance(given, dict) else {},
            rest=rest if isinstance(rest, dict) else {},
            owner=_peer(stored, "owner"),
            observer=_peer(stored, "observer"),
            about=_peer(stored, "about"),
        )

    def settings(
        self,
        said: Mapping[Scope, Mapping[str, Any]],
        own: Mapping[str, Any] | None = None,
    ) -> RecallSettings:
        """Resolve recall's settings: `said` is Postgres' word by scope, `own` the worker's."""
        return resolve([*self.layers(said), own or {}])

    def compaction(
        self,
        said: Mapping[Scope, Mapping[str, Any]],
        own: Mapping[str, Any] | None = None,
    ) -> CompactionSettings:
        """Resolve compaction's settings in the same way."""
        return resolve_compaction([*self.layers(said), own or {}])

    def layers(self, said: Mapping[Scope, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Give all that is said of the session, what comes first first."""
        narrowest_first = (Scope.SESSION, Scope.AGENT, Scope.WORKSPACE)
        return [self.given, *(said.get(scope, {}) for scope in narrowest_first), self.rest]


def _peer(stored: Mapping[str, Any], name: str) -> str | None:
    value = stored.get(name)
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Observation:
    """How the peers of a session observe each other.

    `user` is the session's own, `owner` the same where it is the peer whose agent it is, `guest`
    whoever else speaks in a shared chat, and `parent` the agent that a subagent works for.
    """

    user: Observing = USER_OBSERVING
    owner: Observing = USER_OBSERVING
    guest: Observing = USER_OBSERVING
    agent: Observing = AGENT_OBSERVING
    parent: Observing = PARENT_OBSERVING


_MODES = {
    # Hermes' two presets: each sees the other, or all is one pool that the user feeds.
    "directional": (Observing(True, True), Observing(True, True)),
    "unified": (Observing(True, False), Observing(False, True)),
}
# Those of recall's settings that say who observes whom.
OBSERVE_KEYS = ("observationMode", "observation", "ownerObserveOthers")


def observation(settings: RecallSettings) -> Observation:
    """Give the observe settings: a preset where one is named, else the spec's, then each field.

    `ownerObserveOthers` is about the owner alone, and comes behind a field that says otherwise.
    Guests never observe others: nothing is recalled as they see it, Honcho takes ten observers a
    session, and a shared chat may have more speakers than that.
    """
    user, agent = _MODES.get(settings.observation_mode or "", (USER_OBSERVING, AGENT_OBSERVING))
    owner = replace(user, observe_others=user.observe_others or settings.owner_observe_others)
    of_user, of_agent = (settings.observation.get(side, {}) for side in ("user", "ai"))
    user = _overridden(user, of_user)
    return Observation(
        user=user,
        owner=_overridden(owner, of_user),
        guest=replace(user, observe_others=False),
        agent=_overridden(agent, of_agent),
    )


def _overridden(observing: Observing, fields: Mapping[Any, bool]) -> Observing:
    return Observing(
        observe_me=fields.get("observeMe", observing.observe_me),
        observe_others=fields.get("observeOthers", observing.observe_others),
    )
