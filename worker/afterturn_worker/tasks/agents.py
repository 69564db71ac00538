"""`afterturn.map_agents`: bring a workspace's agentPeerMap at Honcho and ours together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from celery import shared_task

from afterturn_models import signatures
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.agents import LOOK_AFTER, map_agents
from afterturn_worker.resources import resources
from afterturn_worker.sending import send_or_leave

if TYPE_CHECKING:
    from celery import Task


@shared_task(bind=True, name=signatures.MAP_AGENTS, acks_late=True)
def map_all(self: Task[Any, Any], workspace: str) -> None:
    """Merge both maps, and come back until every agent was found in Honcho's."""
    with outcomes(self.name, self.request.id, f"agents-of-{workspace}"):
        process = resources()
        if map_agents(workspace, process.map_store, process.honcho, process.limits):
            again = replace(signatures.map_agents(workspace), after=LOOK_AFTER)
            send_or_leave(self.app, again)
