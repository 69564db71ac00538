"""Where setup's answers come from: a person at a terminal, or nobody, which means the defaults."""

from __future__ import annotations

import getpass
import sys
from typing import Protocol

import typer

_NO = frozenset({"n", "no"})
_YES = frozenset({"y", "yes"})


class Asker(Protocol):
    """Somebody who is told things and asked for others."""

    @property
    def interactive(self) -> bool:
        """Tell whether a person answers: only then is a question worth repeating."""
        ...

    def say(self, text: str = "") -> None:
        """Tell one line."""
        ...

    def head(self, text: str) -> None:
        """Begin a part."""
        ...

    def ask(self, question: str, default: str, shown: str | None = None) -> str:
        """Ask for a line; Enter means `default`, which is shown as `shown` where it is a secret."""
        ...

    def yes(self, question: str, *, default: bool) -> bool:
        """Ask a question that is answered by yes or no."""
        ...

    def hidden(self, question: str) -> str:
        """Ask for a secret, which is not shown; "" for Enter."""
        ...


class Terminal:
    """A person at a terminal. The conversation is on stderr, so that stdout is the result's alone.

    Ctrl-C raises KeyboardInterrupt, and the end of the input EOFError, at any question.
    """

    interactive = True

    def say(self, text: str = "") -> None:
        """Tell one line."""
        typer.echo(text, err=True)

    def head(self, text: str) -> None:
        """Begin a part."""
        typer.echo("", err=True)
        typer.secho(text, err=True, bold=True)

    def ask(self, question: str, default: str, shown: str | None = None) -> str:
        """Ask for a line."""
        known = default if shown is None else shown
        sys.stderr.write(f"{question} [{known}]: " if known else f"{question}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip() or default

    def yes(self, question: str, *, default: bool) -> bool:
        """Ask until the answer is one."""
        while True:
            word = self.ask(question, "", "Y/n" if default else "y/N").lower()
            if not word:
                return default
            if word in _YES | _NO:
                return word in _YES
            self.say("Please answer y or n.")

    def hidden(self, question: str) -> str:
        """Ask without echo."""
        return getpass.getpass(f"{question}: ", sys.stderr).strip()


class Nobody:
    """A script: every default is taken, and what would be told is told on stderr, or not at all."""

    interactive = False

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def say(self, text: str = "") -> None:
        """Tell one line."""
        if not self._quiet:
            typer.echo(text, err=True)

    def head(self, text: str) -> None:
        """Begin a part."""
        self.say(text)

    def ask(self, question: str, default: str, shown: str | None = None) -> str:
        """Take the default."""
        del question, shown
        return default

    def yes(self, question: str, *, default: bool) -> bool:
        """Take the default."""
        del question
        return default

    def hidden(self, question: str) -> str:
        """Give no secret."""
        del question
        return ""
