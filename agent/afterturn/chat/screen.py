"""The screen: a conversation as it is shown, at a terminal while it happens or into a pipe."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn.chat.assembling import Said
    from afterturn_models.values import Message, ToolCall

# What would steer a terminal, or turn around how its text reads; joiners belong to words and stay.
_STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_ERASE = "\r\x1b[K"
_FINISHED = {
    "length": "the model stopped at its limit of tokens",
    "content_filter": "the endpoint withheld the rest (content filter)",
}


class TerminalScreen:
    """Shows a conversation as it happens: the first word at once, and what it took behind it.

    While the model is waited for there is one "…", written once; no thread and no timer moves it.
    """

    def __init__(self, out: TextIO, env: os._Environ[str] = os.environ) -> None:
        self._out = out
        self._plain = env.get("TERM") == "dumb"
        self._dim = not (env.get("NO_COLOR") or self._plain)
        self._waits = False
        self._column = False  # whether the line that the cursor is in has text

    def waiting(self) -> None:
        """Show that the model was asked."""
        if not self._plain:
            self._waits = True
            self._write("…")

    def say(self, piece: str) -> None:
        """Show a piece of the model's text."""
        self._begin()
        shown = visible(piece)
        self._column = not shown.endswith("\n") if shown else self._column
        self._write(shown)

    def said(self, said: Said) -> None:
        """Close a message, and tell what it took."""
        self._end_line()
        if not said.calls:
            self.note(took(said))

    def calling(self, calls: tuple[ToolCall, ...]) -> None:
        """Show which tools were called."""
        self.note(f"memory: {', '.join(call.name for call in calls)}")

    def note(self, sentence: str) -> None:
        """Show a sentence of ours."""
        self._end_line()
        text = visible(sentence)
        self._write(f"\x1b[2m({text})\x1b[0m\n" if self._dim else f"({text})\n")

    def print(self, text: str) -> None:
        """Show an answer to a command."""
        self._end_line()
        self._write(f"{visible(text)}\n")

    def earlier(self, messages: Sequence[Message]) -> None:
        """Show what was said last in a conversation that goes on, a line each."""
        width = shutil.get_terminal_size().columns
        for message in messages:
            line = (
                f"{'you' if message.role == 'user' else 'it'}: {' '.join(message.content.split())}"
            )
            self.note(line if len(line) < width - 2 else f"{line[: width - 4]}…")

    def _begin(self) -> None:
        if self._waits:
            self._waits = False
            self._write(_ERASE)

    def _end_line(self) -> None:
        self._begin()
        if self._column:
            self._column = False
            self._write("\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class PipeScreen:
    """Shows the replies and answers alone on `out`; what else is to be said goes to `err`."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._column = False

    def waiting(self) -> None:
        """Show nothing: nobody waits at a pipe."""

    def say(self, piece: str) -> None:
        """Write a piece of the model's text."""
        shown = visible(piece)
        self._column = not shown.endswith("\n") if shown else self._column
        self._out.write(shown)
        self._out.flush()

    def said(self, said: Said) -> None:
        """Close a message."""
        self._end_line()
        if said.finish in _FINISHED:
            self.note(_FINISHED[said.finish])

    def calling(self, calls: tuple[ToolCall, ...]) -> None:
        """Show nothing: a script wants the reply."""

    def note(self, sentence: str) -> None:
        """Write a sentence of ours beside the conversation."""
        self._end_line()
        self._err.write(f"afterturn: {sentence}\n")
        self._err.flush()

    def print(self, text: str) -> None:
        """Write an answer to a command."""
        self._end_line()
        self._out.write(f"{visible(text)}\n")
        self._out.flush()

    def earlier(self, messages: Sequence[Message]) -> None:
        """Show nothing: a script knows what it said."""

    def _end_line(self) -> None:
        if self._column:
            self._column = False
            self._out.write("\n")
            self._out.flush()


def visible(text: str) -> str:
    """Give text without what would steer a terminal: a model may repeat whatever it was told."""
    return _STEERS.sub("", text)


def took(said: Said) -> str:
    """Say how long a message took, and how many tokens, where the endpoint counted."""
    parts = [f"{said.seconds:.1f} s"]
    if said.first is not None:
        parts.append(f"first word after {said.first:.1f} s")
    if said.read is not None and said.written is not None:
        parts.append(f"{said.read:,} tokens read, {said.written:,} written")
    if said.finish in _FINISHED:
        parts.append(_FINISHED[said.finish])
    elif not said.text.strip():
        parts.append("the model said nothing")
    return "; ".join(parts)
