"""Views: what of a Honcho one session may recall, from its facts and settings.

A subagent recalls about the human as the agent that met them does, and no further than that one
may: it works for the very conversation. Of itself it recalls as itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afterturn_models.compaction_settings import FIELDS as COMPACTION
from afterturn_models.policy.mode import saves_messages
from afterturn_models.recall_settings import FIELDS
from afterturn_worker.honcho.recall_port import Sight, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.settings import Settings
    from afterturn_models.store.facts import SessionFacts
    from afterturn_worker.honcho.recall_port import Reach

_NARROWEST_FIRST: tuple[Reach, ...] = ("session", "scope", "workspace")


def own_word(settings: Settings) -> dict[str, Any]:
    """Give what a worker itself was told of recall and compaction, by a source of its settings."""
    told = (*FIELDS, *COMPACTION)
    return settings.said([name for name in told if name in settings.model_fields_set])


def settings_of(facts: SessionFacts, own: Mapping[str, Any]) -> RecallSettings:
    """Resolve a session's recall settings; `own` is the worker's word, behind all others."""
    return facts.profile.settings(facts.said, own)


def stays_here(facts: SessionFacts) -> bool:
    """Tell whether nothing that a session's user says goes to Honcho, by mode or saveMessages."""
    return facts.user_local or not saves_messages(facts.profile.layers(facts.said))


def view_of(
    facts: SessionFacts,
    settings: RecallSettings,
    own: Mapping[str, Any],
    *,
    asked: bool,
    user: str | None = None,
) -> View:
    """Give the view of a recall that is made by itself, or that is `asked` for by a tool.

    `settings` are the session's, `own` the worker's word. `user` is the peer whom it is about,
    where that is not the session's. With anyone but the owner whose agent it is, the agent
    recalls of itself only what it said in this session.
    """
    peer, owner = user or facts.user_peer, facts.profile.owner
    sight = _sight(facts.agent_peer, settings, asked=asked)
    return View(
        workspace=facts.workspace,
        session=facts.honcho_session,
        user=peer,
        agent=facts.agent_peer,
        reach=sight.reach,
        scope=sight.scope,
        alone=owner is not None and peer != owner,
        through=_through(facts, sight, own, asked=asked) if peer == facts.profile.about else None,
    )


def _sight(agent: str, settings: RecallSettings, *, asked: bool) -> Sight:
    reach = settings.recall_ask if asked else settings.recall_automatic
    return Sight(agent, reach, settings.recall_scope or agent)


def _through(
    facts: SessionFacts, sight: Sight, own: Mapping[str, Any], *, asked: bool
) -> Sight | None:
    """Give as whom a subagent sees its human: as the agent does that met them.

    The narrower of both reaches counts. Nobody was met in the subagent's own session: confined to
    that, it sees what it has concluded there itself.
    """
    met = facts.met
    if met is None:
        return None
    theirs = _sight(met.agent_peer, met.profile.settings(met.said, own), asked=asked)
    reach = min(theirs.reach, sight.reach, key=_NARROWEST_FIRST.index)
    if reach == "session":
        return replace(sight, reach=reach)
    return theirs if reach == theirs.reach else replace(theirs, reach=reach, scope=sight.scope)
