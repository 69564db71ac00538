"""Tables of a command, as wide as the terminal, or wide enough for a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PIPE = 200  # columns where no terminal has any


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; what is in it is text, and no markup."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2, 0, 0))
    for title in titles:
        shown.add_column(title)
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = _PIPE
    console.print(shown)
