"""Lines that a person types, with editing and history, or that a pipe brings."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from afterturn_models.errors import MissingExtraError
from afterturn_models.sources import home

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

_PROMPT = "> "
_HISTORY = "chat_history"  # in our home
_MOST, _KEPT = 1_000_000, 500_000  # bytes of history: beyond the first it is cut to the second
_ENTRY = b"\n# "  # how prompt_toolkit begins one


class Lines(Protocol):
    """Where messages come from."""

    def ask(self) -> str:
        """Give the next message; raises EOFError at the end, KeyboardInterrupt at Ctrl-C."""


class TypedLines:
    """Messages typed at a terminal: a paste may have many lines, and Alt-Enter begins a new one."""

    def __init__(self, commands: Sequence[str]) -> None:
        """Raise MissingExtraError without prompt_toolkit; `commands` are completed by Tab."""
        try:
            from prompt_toolkit import PromptSession
            from prompt_toolkit.completion import WordCompleter
            from prompt_toolkit.history import FileHistory
        except ImportError as error:
            raise MissingExtraError("prompt-toolkit", "chat") from error
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(private_history(home() / _HISTORY)),
            completer=WordCompleter(list(commands), sentence=True),
            complete_while_typing=False,
            enable_history_search=True,
            key_bindings=_keys(),
            prompt_continuation="  ",
        )

    def ask(self) -> str:
        """Give the next message."""
        return self._session.prompt(_PROMPT)


class PipedLines:
    """Messages from a pipe or a file: one a line."""

    def __init__(self, source: TextIO) -> None:
        if isinstance(source, io.TextIOWrapper):
            source.reconfigure(errors="replace")  # what is no text is no reason to stop
        self._source = source

    def ask(self) -> str:
        """Give the next line."""
        line = self._source.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")


def at_terminal() -> bool:
    """Tell whether a person types and reads here."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def private_history(path: Path) -> Path:
    """Make the history's file one that only its owner reads, and no longer than is of use."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "rb+") as file:
        os.fchmod(descriptor, 0o600)  # one from before may have had another mode
        size = file.seek(0, os.SEEK_END)
        if size > _MOST:
            file.seek(size - _KEPT)
            kept = file.read().partition(_ENTRY)[2]
            file.seek(0)
            file.truncate()
            file.write(_ENTRY + kept)
    return path


def _keys() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
