"""In force: what holds for one session here: recall's settings, the user's mode, whom it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode, saves_messages
from afterturn_models.profile import SessionProfile
from afterturn_models.values import Mode

if TYPE_CHECKING:
    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.store.sessions import OpenSession, SessionSpec


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds for a session, since its agent opened it or since it was said otherwise.

    A setting that changes in Postgres holds for workers at once, and here from the end of the next
    turn, whose capture tells of it. `saves`: messages go to
    Honcho at all (saveMessages). `delegated`: it is a subagent's session. `about` is the peer whom recall is about, where that is not the
    one who speaks.
    """

    settings: RecallSettings
    user_mode: Mode
    agent_mode: Mode
    saves: bool = True
    delegated: bool = False
    about: str | None = None

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
        )

    @property
    def private(self) -> bool:
        """Tell whether what is said in the user's place was to stay here, at the open."""
        return self.keeps(self.user_mode, self.agent_mode)

    def keeps(self, user_mode: Mode, agent_mode: Mode) -> bool:
        """Tell whether under these modes it stays here: it is no query then.

        In a subagent's session an agent speaks in the user's place, about that user.
        """
        local = user_mode is Mode.LOCAL or (self.delegated and agent_mode is Mode.LOCAL)
        return local or not self.saves
