"""Dialogues for the demo: read from JSON lines, checked, and cut into turns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from afterturn_sandbox.errors import SandboxError, explained

if TYPE_CHECKING:
    from pathlib import Path

_ROLES = ("user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class DialogueTurn:
    """What the user said, what came in between as (role, content), and the agent's reply."""

    said: str
    between: tuple[tuple[str, str], ...]
    reply: str | None

    @property
    def messages(self) -> int:
        """Count its messages."""
        return 1 + len(self.between) + (self.reply is not None)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation."""

    name: str
    turns: tuple[DialogueTurn, ...]


def shipped() -> list[Dialogue]:
    """Give the dialogues that come with afterturn."""
    text = files("afterturn_sandbox").joinpath("data/dialogues.jsonl").read_text("utf-8")
    return _parse(text, "the shipped dialogues")


def read(path: Path) -> list[Dialogue]:
    """Read dialogues from a file. Raises SandboxError, naming the line that is wrong."""
    with explained("the dialogues cannot be read", path):
        raw = path.read_bytes()
    try:
        return _parse(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise SandboxError(f"{path} is not UTF-8 text") from error


def _parse(text: str, where: str) -> list[Dialogue]:
    # By line feeds alone: a message may hold what else counts as the end of a line.
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise SandboxError(f"{where}: there is no dialogue in it")
    return [_dialogue(line, f"{where}, line {n}", n) for n, line in lines]


def _dialogue(line: str, where: str, number: int) -> Dialogue:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:  # the latter for brackets without end
        raise SandboxError(f"{where}: this is not JSON") from error
    messages = found.get("messages") if isinstance(found, dict) else None
    if not isinstance(messages, list) or not messages:
        raise SandboxError(f'{where}: expected {{"messages": [{{"role", "content"}}, …]}}')
    return Dialogue(
        f"demo-{number:05d}", tuple(_turns([_message(m, where) for m in messages], where))
    )


def _message(found: Any, where: str) -> tuple[str, str]:
    role = found.get("role") if isinstance(found, dict) else None
    content = found.get("content") if isinstance(found, dict) else None
    if role not in _ROLES or not isinstance(content, str):
        raise SandboxError(f"{where}: a message needs a role ({', '.join(_ROLES)}) and a text")
    return role, content


def _turns(messages: list[tuple[str, str]], where: str) -> list[DialogueTurn]:
    """Begin a turn at each user message; its last message, if the agent's, is the reply."""
    if messages[0][0] != "user":
        raise SandboxError(f"{where}: the first message is not the user's")
    starts = [place for place, (role, _) in enumerate(messages) if role == "user"]
    turns = []
    for start, end in zip(starts, [*starts[1:], len(messages)], strict=True):
        said, *rest = messages[start:end]
        reply = rest.pop()[1] if rest and rest[-1][0] == "assistant" else None
        turns.append(DialogueTurn(said[1], tuple(rest), reply))
    return turns
