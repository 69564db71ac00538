"""`afterturn recall`, `frequency`, `strategy` and `tokens`: one setting each, shown or set."""

from __future__ import annotations

from typing import Annotated

import typer

from afterturn.cli.changing import Change
from afterturn.cli.examples import examples
from afterturn.cli.settle import Json, Session, settle, words
from afterturn_models.policy.write_frequency import ASYNC, SESSION, TURN

_Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="One agent.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    for command in (recall, frequency, strategy, tokens):
        app.command()(command)


@examples("afterturn recall", "afterturn recall tools", "afterturn recall context --agent ada")
def recall(
    value: Annotated[
        str | None,
        typer.Argument(metavar="[hybrid|context|tools]", autocompletion=words("recallMode")),
    ] = None,
    session: Session = None,
    agent: _Agent = None,
    as_json: Json = False,
) -> None:
    """Show or set how memory reaches the model: injected (context), by tools, or both (hybrid).

    It is set for the whole workspace unless --session or --agent is said.
    """
    settle({"recallMode": value}, Change(agent=agent, session=session), as_json=as_json)


@examples("afterturn frequency", "afterturn frequency 5", "afterturn frequency turn --session cli")
def frequency(
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[async|turn|session|N]", autocompletion=lambda: [ASYNC, TURN, SESSION]
        ),
    ] = None,
    session: Session = None,
    as_json: Json = False,
) -> None:
    """Show or set when turns are sent: at once (async), waited for (turn), at the end, every N.

    It is set for the whole workspace unless --session is said. What is held back is sent by
    `afterturn sync` too.
    """
    settle({"writeFrequency": value}, Change(session=session), as_json=as_json)


@examples("afterturn strategy", "afterturn strategy per-repo")
def strategy(
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[per-directory|per-repo|per-session|global]",
            autocompletion=words("sessionStrategy"),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or set what a session is made for, where it has no name, mapping or title."""
    settle({"sessionStrategy": value}, Change(), as_json=as_json)


@examples("afterturn tokens", "afterturn tokens --context 4000 --dialectic 1200")
def tokens(
    context: Annotated[
        int | None, typer.Option("--context", metavar="N", help="Tokens of the prompt block.")
    ] = None,
    dialectic: Annotated[
        int | None,
        typer.Option("--dialectic", metavar="CHARS", help="Characters of an injected answer."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or set how much memory may take of a prompt."""
    said = {"contextTokens": context, "dialecticMaxChars": dialectic}
    texts = {key: None if value is None else str(value) for key, value in said.items()}
    settle(texts, Change(), as_json=as_json)
