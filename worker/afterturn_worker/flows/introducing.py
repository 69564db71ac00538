"""Introducing: who joins a session of Honcho before the first message, and how each observes there.

A message that comes first joins its peer without configuration, which adding it later does not
change. What was introduced is written down with the members, the session's scope too.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from afterturn_models.policy.ids import is_valid_id
from afterturn_models.profile import OBSERVE_KEYS, SessionProfile, observation
from afterturn_models.recall_settings import RecallSettings, resolve
from afterturn_models.values import PARENT_OBSERVING, Role
from afterturn_worker.honcho.port import HonchoPort

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from afterturn_models.profile import Observation
    from afterturn_models.values import Claim, Observing, Outgoing

PARENT_KEY = "parentPeerId"  # a session's metadata key, as OpenClaw's plugin writes it
_KEYS = (*OBSERVE_KEYS, "recallAutomatic", "recallAsk", "recallScope")
_DEFAULTS = RecallSettings()
_SCOPE = "scope:"  # in front of a scope's name among the members; no peer is called so


class Joins(Protocol):
    """What a session may be made part of at a Honcho, besides its peers."""

    def join_scope(self, workspace: str, scope: str, session: str, *, deadline: float) -> None:
        """Make a session part of a scope."""
        ...

    def note_session(
        self, workspace: str, session: str, metadata: Mapping[str, str], *, deadline: float
    ) -> None:
        """Merge `metadata` into a session's."""
        ...


class SyncHoncho(HonchoPort, Joins, Protocol):
    """What a sync asks of a Honcho."""


class Introducing:
    """What one claim has to say of its session; settings are resolved where they are needed."""

    def __init__(self, claim: Claim, own: Mapping[str, Any]) -> None:
        """`own` are the worker's settings, behind all others."""
        self._claim = claim
        self._own = own

    def wanted(self, rows: Sequence[Outgoing]) -> dict[str, Observing]:
        """Give who is to be a member before these rows are sent.

        What is no id is left to the message that has it, which is refused for it alone. The agent
        joins with the first message, whoever speaks, and so does a subagent's parent: it is they
        who observe.
        """
        said = {row.peer: row.role for row in rows}
        speakers = {peer: role for peer, role in said.items() if is_valid_id(peer)}
        speakers.setdefault(self._claim.agent_peer, Role.ASSISTANT)
        wanted = {peer: self._observing(peer, role) for peer, role in speakers.items()}
        if self._profile.observer:
            wanted.setdefault(self._profile.observer, PARENT_OBSERVING)
        if self._by_scope:
            named = self._settings.recall_scope
            agents = (peer for peer, role in speakers.items() if role is Role.ASSISTANT)
            wanted |= {_SCOPE + scope: PARENT_OBSERVING for scope in ([named] if named else agents)}
        return wanted

    def introduce(
        self,
        honcho: SyncHoncho,
        session: str,
        joining: Mapping[str, Observing],
        deadline: Callable[[], float],
    ) -> None:
        """Introduce to Honcho who is not known there. Raises a kind of HonchoFailure."""
        workspace = self._claim.workspace
        scopes = [name.removeprefix(_SCOPE) for name in joining if name.startswith(_SCOPE)]
        peers = {name: each for name, each in joining.items() if not name.startswith(_SCOPE)}
        if peers:
            honcho.add_peers(workspace, session, peers, deadline=deadline())
        if self._profile.observer in peers:
            parent = {PARENT_KEY: self._profile.observer}
            honcho.note_session(workspace, session, parent, deadline=deadline())
        for scope in scopes:
            honcho.join_scope(workspace, scope, session, deadline=deadline())

    def _observing(self, peer: str, role: Role) -> Observing:
        told = self._observation
        if peer == self._claim.agent_peer:
            return told.agent
        if peer == self._profile.observer:
            return told.parent
        if role is not Role.USER:
            return told.agent
        if peer != self._claim.user_peer:
            return told.guest
        return told.owner if peer == self._profile.owner else told.user

    @cached_property
    def _profile(self) -> SessionProfile:
        return SessionProfile.of(self._claim.details)

    @cached_property
    def _settings(self) -> RecallSettings:
        """Resolve what is said of it; as a rule nothing is, and the defaults are at hand."""
        layers = [*self._profile.layers(self._claim.said), self._own]
        told = [{key: layer[key] for key in _KEYS if key in layer} for layer in layers]
        return resolve(told) if any(told) else _DEFAULTS

    @cached_property
    def _observation(self) -> Observation:
        return observation(self._settings)

    @cached_property
    def _by_scope(self) -> bool:
        """Tell whether recall reaches a scope: the one that is named, else each agent's own."""
        return "scope" in {self._settings.recall_automatic, self._settings.recall_ask}
