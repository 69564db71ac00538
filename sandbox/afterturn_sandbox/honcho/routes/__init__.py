"""Honcho's operations, one module a resource; this is the table of them all."""

from afterturn_sandbox.honcho.router import Router
from afterturn_sandbox.honcho.routes import (
    conclusions,
    members,
    messages,
    peers,
    recall,
    scopes,
    service,
    sessions,
    webhooks,
    workspaces,
)


def build_router() -> Router:
    """Every route of the v3 API and the health check."""
    modules = (
        workspaces,
        peers,
        recall,
        sessions,
        members,
        messages,
        conclusions,
        scopes,
        webhooks,
        service,
    )
    return Router([route for module in modules for route in module.ROUTES])
