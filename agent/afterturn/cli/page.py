"""Makes docs/cli.md from the program itself: `python -m afterturn.cli.page > docs/cli.md`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from afterturn.cli.app import build
from afterturn.cli.counterparts import COUNTERPARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = """\
# The command line

This page is made from the program: `python -m afterturn.cli.page > docs/cli.md`.

`afterturn COMMAND --help` shows every option, with examples. Most commands take `--json`.

Exit statuses: 0 done · 1 it did not work, and the sentence on stderr says why · 2 wrong usage or
configuration · 130 interrupted.

## Completion

```sh
afterturn --install-completion       # for the shell that you are in: bash, zsh or fish
afterturn --show-completion          # the script, to look at or to put elsewhere
_AFTERTURN_COMPLETE=source_fish afterturn   # another shell's: source_bash, source_zsh
```

## When a change holds

| what | from when |
|---|---|
| `mode`, `frequency`, `enable`, `disable` | the next turn of every running agent |
| `recall`, `tokens`, `peer --reasoning` | the next task of every worker, and the next turn of every running agent |
| `strategy`, `map` | the next session that an agent opens |
| `peer --user`, `peer --ai` | the next start of an agent or a worker of this machine |

All but the last are kept in Postgres, and hold for every agent and worker of the workspace without
a restart. `afterturn config show` says what holds, and where each word on it comes from.

## Commands
"""
_TABLE = "| command | what it does |\n|---|---|"
_THEIRS = """
## What others call it

Commands of the porting spec, of `hermes honcho` and of `openclaw honcho`, and what does the same
here; a test runs each.

| whose | theirs | here | besides |
|---|---|---|---|"""


def page() -> str:
    """Give the page, whole."""
    rows = [f"| {_code(usage)} | {_cell(line)} |" for usage, line in _commands()]
    theirs = [
        f"| {one.whose} | {_code(one.theirs)} | {_code(f'afterturn {one.ours}')} | {one.note} |"
        for one in COUNTERPARTS
    ]
    return "\n".join([_HEAD, _TABLE, *rows, _THEIRS, *theirs]) + "\n"


def _commands() -> Iterator[tuple[str, str]]:
    """Give every command's usage and what it does, those of groups behind all others."""
    yield from _of(get_command(build()), ["afterturn"])


def _of(group: Any, path: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        here = [*path, name]
        if hasattr(command, "commands"):
            yield from _of(command, here)
        elif not command.hidden:
            yield " ".join([*here, *_arguments(command)]), _line(command)


def _arguments(command: Any) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name == "argument":
            word = one.metavar or one.name.upper()
            yield word if one.required or word.startswith("[") else f"[{word}]"


def _line(command: Any) -> str:
    """Give the first sentence of a command's help."""
    return " ".join(command.help.partition("\n\n")[0].split())


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
