"""Views: what of a Honcho one session may recall, from its facts and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn_models.recall_settings import FIELDS
from afterturn_worker.honcho.recall_port import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.settings import Settings
    from afterturn_models.store.facts import SessionFacts


def own_word(settings: Settings) -> dict[str, Any]:
    """Give what a worker itself was told of recall: what a source of its settings says."""
    return settings.said([name for name in FIELDS if name in settings.model_fields_set])


def settings_of(facts: SessionFacts, own: Mapping[str, Any]) -> RecallSettings:
    """Resolve a session's recall settings; `own` is the worker's word, behind all others."""
    return facts.profile.settings(facts.said, own)


def stays_here(facts: SessionFacts) -> bool:
    """Tell whether nothing that a session's user says goes to Honcho, by mode or saveMessages."""
    said = (layer.get("saveMessages") for layer in facts.profile.layers(facts.said))
    saves = next((str(word).lower() for word in said if word is not None), "true")
    return facts.user_local or saves != "true"


def view_of(
    facts: SessionFacts, settings: RecallSettings, *, asked: bool, user: str | None = None
) -> View:
    """Give the view of a recall that is made by itself, or that is `asked` for by a tool.

    `user` is the peer whom it is about, where that is not the session's. With anyone but the
    owner whose agent it is, the agent recalls of itself only what it said in this session.
    """
    peer, owner = user or facts.user_peer, facts.profile.owner
    return View(
        workspace=facts.workspace,
        session=facts.honcho_session,
        user=peer,
        agent=facts.agent_peer,
        reach=settings.recall_ask if asked else settings.recall_automatic,
        scope=settings.recall_scope or facts.agent_peer,
        alone=owner is not None and peer != owner,
    )
