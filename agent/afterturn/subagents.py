"""Subagents: the session in which one agent works for another, and whose it is.

The parent speaks in the user's place there, and observes; recall is about the human all the same.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from afterturn_models.policy.ids import honcho_id
from afterturn_models.store.sessions import SessionSpec

if TYPE_CHECKING:
    from afterturn_models.profile import SessionProfile


def child_spec(
    parent: SessionSpec,
    agent_peer: str,
    profile: SessionProfile,
    *,
    about: str,
    name: str | None = None,
) -> SessionSpec:
    """Give what the session of `agent_peer` is opened with, whom the agent of `parent` sets to work.

    `about` is the human for whom all of it is done: each has sessions of their own, also where
    one chat is shared. With a `name` it is the same session again, else one that never was.
    `profile` is what this process was told of recall.
    """
    parts = [parent.key, agent_peer, about, name or uuid.uuid4().hex]
    whose = replace(profile, observer=parent.agent_peer, about=about)
    return SessionSpec(
        workspace=parent.workspace,
        key=honcho_id(json.dumps(parts, ensure_ascii=False)),
        user_peer=parent.agent_peer,
        agent_peer=agent_peer,
        profile=json.dumps(whose.as_json(), sort_keys=True),
        parent_key=parent.key,
    )
