"""Commands within a conversation: lines that begin with a slash and are not for the model.

Where the command line has the same command, that is what runs, with this session for its own.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Protocol

import typer

from afterturn_models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from afterturn.chat.loop import Agent

_COMMAND = re.compile(r"/([A-Za-z?]\w*)(?:\s+(.*))?\Z", re.DOTALL)
_SIDES = ("user", "agent")
_LISTED = 20  # sessions
_COMPACT_SECONDS = 60.0
HELP = {
    "title": ("NAME", "name this conversation"),
    "mode": ("[hybrid|honcho|local] [user|agent]", "show or set where its memory is kept"),
    "compact": ("", "have its history summarised now"),
    "sessions": ("", "list conversations"),
    "memory": ("", "show what memory the last turn had, and what Honcho knows of you"),
    "status": ("", "show whether everything answers"),
    "help": ("", "show this"),
    "quit": ("", "end, as Ctrl-D does"),
}


class Printer(Protocol):
    """Where answers go."""

    def print(self, text: str) -> None:
        """Show an answer."""


class Commands:
    """The commands of one conversation."""

    def __init__(self, agent: Agent, printer: Printer) -> None:
        self._agent = agent
        self._print = printer.print
        self._runs: dict[str, Callable[[str], None]] = {
            "title": self._title,
            "mode": self._mode,
            "compact": self._compact,
            "sessions": self._sessions,
            "memory": self._memory,
            "status": self._status,
            "help": self._help,
        }
        self.ended = False

    def run(self, line: str) -> bool:
        """Run a line that is a command; False for one that is a message.

        A path, and whatever begins with a space, is a message. Raises AfterturnError, and
        ValueError for an argument that cannot be.
        """
        found = _COMMAND.match(line)
        if found is None:
            return False
        name, rest = found[1].lower(), (found[2] or "").strip()
        if name in {"quit", "exit"}:
            self.ended = True
        elif name in self._runs:
            self._run(self._runs[name], rest)
        else:
            near = difflib.get_close_matches(name, HELP, n=1, cutoff=0.4)
            hint = f"did you mean /{near[0]}?" if near else "see /help"
            self._print(f"There is no command /{name}; {hint}")
        return True

    def _run(self, command: Callable[[str], None], rest: str) -> None:
        try:
            command(rest)
        except typer.Exit:  # how commands of the command line say that something is amiss
            return

    def _title(self, rest: str) -> None:
        if not rest:
            raise ConfigurationError("say a name: /title Plans for spring")
        key = self._agent.session.rename(rest)
        self._print(f"This is {key} from the next turn on; come back with: afterturn chat {key}")

    def _mode(self, rest: str) -> None:
        from afterturn.cli.mode import mode

        words = rest.split()
        sides = [word for word in words if word in _SIDES]
        values = [word for word in words if word not in _SIDES]
        if len(values) > 1:
            raise ConfigurationError(f"/mode {HELP['mode'][0]}")
        value = values[0] if values else None
        user, agent = (side in sides for side in _SIDES)
        mode(value, user=user, agent=agent, session=self._agent.session.key)

    def _compact(self, _: str) -> None:
        from afterturn.cli.compact import compact

        # Whoever types it means now, however short the history is.
        compact(self._agent.session.key, wait=_COMPACT_SECONDS, force=True)

    def _sessions(self, _: str) -> None:
        from afterturn.cli.sessions import sessions

        sessions(limit=_LISTED)

    def _memory(self, _: str) -> None:
        turn = self._agent.turn
        if turn is None:
            self._print("No turn yet, so nothing was injected.")
        else:
            self._print(turn.context or "Nothing was injected beside your last message.")
        answer = json.loads(self._agent.session.call_tool("honcho_context", {"detail": "full"}))
        self._print("\n".join(["What Honcho knows of you:", *known(answer)]))

    def _status(self, _: str) -> None:
        from afterturn.cli.status import status

        status()

    def _help(self, _: str) -> None:
        lines = [f"/{name} {usage}".ljust(44) + says for name, (usage, says) in HELP.items()]
        lines.append("A message that begins with a slash: put a space in front of it.")
        lines.append("Alt-Enter begins a new line; Ctrl-C stops a reply.")
        self._print("\n".join(lines))


def known(answer: dict[str, object]) -> list[str]:
    """Lay out what the tool honcho_context answers, for a person."""
    if "error" in answer:
        return [f"  {answer['error']}"]
    lines = []
    for name, value in answer.items():
        said = value if isinstance(value, list) else str(value or "").splitlines()
        lines += [f"  {name}:", *(f"    {line}" for line in said)] if said else []
    return lines or ["  nothing yet"]
