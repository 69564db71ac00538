"""The prompt: the block of what a turn recalls, and the static header of the system prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.policy.block import assemble
from afterturn_models.policy.fence import FENCE, neutralise
from afterturn_models.values import Mode

if TYPE_CHECKING:
    from afterturn.recall import Recall

__all__ = ["COMMANDS", "DEFAULT_AGENT", "FENCE", "context_block", "neutralise", "system_header"]

DEFAULT_AGENT = "agent"  # the peer of an agent that nobody named
# What an agent may tell its user to run; each is a command of `afterturn`.
COMMANDS = (
    "status",
    "mode",
    "sessions",
    "map",
    "identity",
    "setup",
    "config",
    "recall",
    "sync",
    "doctor",
    "resync",
)
_LONGEST = 299  # characters of a header: the spec wants it under 300


def context_block(recall: Recall | None, tokens: int) -> str:
    """Assemble the block that goes beside the user's message; "" where there is nothing.

    It takes at most `tokens` tokens, as they are estimated here. What a worker prepared is only
    joined, where it fits; what is cut first, where it does not, is declared with the sections.
    """
    if recall is None:
        return ""
    return assemble(
        recall.context, recall.dialectic, tokens, counts=recall.counts, current=recall.current
    )


def system_header(session_key: str, agent_peer: str, *, mode: Mode | str = Mode.HYBRID) -> str:
    """Give the static header for the system prompt: the same bytes in every turn of a session.

    It names the agent where it has a name of its own, and the commands that the agent may cite
    (spec: CLI surface injection; under 300 characters, names only). A session's key is shortened
    where it would be longer; the names are not, short of 100 characters.
    """
    name = f"You are {agent_peer}.\n\n" if agent_peer != DEFAULT_AGENT else ""
    before = f"{name}# Honcho memory (afterturn)\nActive. Session: "
    after = f". Mode: {mode}.\nCommands: afterturn {' | '.join(COMMANDS)}"
    room = max(1, _LONGEST - len(before) - len(after))
    key = session_key if len(session_key) <= room else session_key[: room - 1] + "…"
    return before + key + after
