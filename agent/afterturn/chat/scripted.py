"""The scripted model: no language model, but a way to see memory at work where none is configured."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from afterturn.chat.assembling import Said
from afterturn_models.policy.fence import CLOSE, OPEN
from afterturn_models.values import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LABEL = "scripted model"  # where one was asked for
INSTEAD = f"{LABEL}: no language model is configured"
_ASKS = re.compile(r"\b(?:what|who)\b.*\b(?:know|remember|am i|about me)\b", re.IGNORECASE)
_TOOL = "honcho_context"
_WORDS = re.compile(r"\S+\s*|\s+")


class ScriptedModel:
    """Says what it was given, and from where; asked what it knows of someone, it calls a tool."""

    label = LABEL

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]],
        show: Callable[[str], None],
    ) -> Said:
        """Give the next message, word by word (see `Model`)."""
        last = messages[-1]
        if last["role"] == "tool":
            answer = _listed(last["content"])
            return _spoken(f"[scripted] Memory answers:\n{OPEN}\n\n{answer}\n{CLOSE}", show)
        text, context = _parted(str(last["content"]))
        offered = any(tool["function"]["name"] == _TOOL for tool in tools)
        if offered and _ASKS.search(text):
            return Said("", (ToolCall("scripted", _TOOL, '{"detail": "full"}'),), "tool_calls")
        earlier = sum(message["role"] in {"user", "assistant"} for message in messages) - 1
        return _spoken(_report(text, context, earlier), show)

    def close(self) -> None:
        """Do nothing: there is no endpoint."""


def _report(text: str, context: str, earlier: int) -> str:
    lines = [f"[scripted] You said: {text}", f"Before it in the request: {earlier} messages."]
    if context:
        lines.append(f"Memory that came with it:\n{context}")
    else:
        lines.append("No memory came with it. Ask: What do you know about me?")
    return "\n".join(lines)


def _parted(content: str) -> tuple[str, str]:
    """Part what the user said from what memory put beside it, in its fence.

    It is said again within the fence: so it is not captured as words of the agent's.
    """
    if not content.endswith(CLOSE) or OPEN not in content:
        return content, ""
    text, fence, block = content.rpartition(OPEN)
    return text.strip(), fence + block


def _listed(answer: str) -> str:
    """Lay out a tool's answer, an object of JSON, for a person."""
    lines = []
    for name, value in json.loads(answer).items():
        said = "; ".join(map(str, value)) if isinstance(value, list) else value
        lines.append(f"- {name}: {said or 'nothing'}")
    return "\n".join(lines)


def _spoken(text: str, show: Callable[[str], None]) -> Said:
    for word in _WORDS.findall(text):
        show(word)
    return Said(text, finish="stop")
