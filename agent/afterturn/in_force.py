"""In force: what holds for one session here: recall's settings, the user's mode, whom it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afterturn_models.compaction_settings import CompactionSettings
from afterturn_models.policy.compaction import due
from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode, saves_messages
from afterturn_models.profile import SessionProfile
from afterturn_models.values import Mode

if TYPE_CHECKING:
    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.store.sessions import OpenSession, SessionSpec


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds for a session, since its agent opened it or since it was said otherwise.

    A setting that changes in Postgres holds for workers at once, and here from the next turn: a
    notice in Redis tells of it as that begins, or else its capture as it ends. `saves`: messages go to
    Honcho at all (saveMessages). `delegated`: it is a subagent's session. `about` is the peer whom
    recall is about, where that is not the one who speaks; `owner` the peer whose agent it is.
    """

    settings: RecallSettings
    user_mode: Mode
    agent_mode: Mode
    saves: bool = True
    delegated: bool = False
    about: str | None = None
    owner: str | None = None
    compaction: CompactionSettings = field(default_factory=CompactionSettings)

    @classmethod
    def of(cls, spec: SessionSpec, opened: OpenSession | None) -> InForce:
        """Resolve it: keyword arguments > Postgres (session, agent, workspace) > all the rest.

        While Postgres is away (`opened` is None) what this agent was told holds alone.
        """
        profile = opened.profile if opened else SessionProfile.of(json.loads(spec.profile))
        said = opened.said if opened else {}
        layers = profile.layers(said)
        return cls(
            settings=profile.settings(said),
            user_mode=resolve_mode(layers, USER_KEYS),
            agent_mode=resolve_mode(layers, AGENT_KEYS),
            saves=saves_messages(layers),
            delegated=profile.observer is not None,
            about=profile.about,
            owner=profile.owner,
            compaction=profile.compaction(said),
        )

    @property
    def private(self) -> bool:
        """Tell whether what is said in the user's place was to stay here, at the open."""
        return self.keeps(self.user_mode, self.agent_mode)

    def compaction_due(self, uncovered: int) -> bool:
        """Tell whether a history with so many tokens that no summary covers is to be compacted."""
        if self.compaction.compaction_summary == "off":
            return False
        return due(uncovered, 0, self.compaction.rules())

    def keeps(self, user_mode: Mode, agent_mode: Mode) -> bool:
        """Tell whether under these modes it stays here: it is no query then.

        In a subagent's session an agent speaks in the user's place, about that user.
        """
        local = user_mode is Mode.LOCAL or (self.delegated and agent_mode is Mode.LOCAL)
        return local or not self.saves
