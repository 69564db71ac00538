"""Examples in a command's help: lines that are shown as they are, and can be pasted."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import TypeVar

Command = TypeVar("Command", bound=Callable[..., object])
_AS_IT_IS = "\b"  # what tells Click not to wrap a paragraph


def examples(*lines: str) -> Callable[[Command], Command]:
    """Add `lines` to the help of a command."""

    def add(command: Command) -> Command:
        command.__doc__ = f"{cleandoc(command.__doc__ or '')}\n\n{paragraph(*lines)}"
        return command

    return add


def paragraph(*lines: str) -> str:
    """Lay out `lines` for Click."""
    return "\n".join([_AS_IT_IS, *(f"  {line}" for line in lines)])
