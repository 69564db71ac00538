"""Per-peer memory modes: which scope's word counts (spec: per-peer memory modes)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn_models.values import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USER_KEYS = ("userMemoryMode", "memoryMode")
AGENT_KEYS = ("agentMemoryMode", "memoryMode")


def resolve_mode(
    scopes: Sequence[Mapping[str, str]], keys: tuple[str, str], default: Mode = Mode.HYBRID
) -> Mode:
    """Resolve one peer's mode from `scopes`, narrowest first.

    The nearest scope that says anything wins; within it the per-peer field comes before the
    shorthand `memoryMode`, and where none speaks it is `hybrid` (spec: resolution order).
    """
    for scope in scopes:
        for key in keys:
            if key in scope:
                return Mode(scope[key])
    return default


def saves_messages(scopes: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether messages are sent at all: the nearest word on `saveMessages`, else yes.

    A word is JSON's, or text where it comes from an agent's own configuration.
    """
    said = next((scope["saveMessages"] for scope in scopes if "saveMessages" in scope), True)
    return str(said).lower() == "true"
