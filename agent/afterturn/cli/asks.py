"""`afterturn search`, `ask` and `queue`: what Honcho has, what it knows, and what it still derives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn.cli.asked import asking, value_of
from afterturn.cli.examples import examples
from afterturn.cli.settle import Json  # noqa: TC001 - Typer reads the annotations
from afterturn.identity_view import left_to_derive
from afterturn.tools.table import MOST_TOKENS, TOOLS
from afterturn_models.asks import Op
from afterturn_models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_Session = Annotated[
    str | None,
    typer.Option("--session", metavar="KEY", help="In this session; else in this directory's."),
]
_SIDES = ("user", "agent")


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    for command in (search, ask, queue):
        app.command()(command)


@examples(
    'afterturn search "the trip to Porto"',
    'afterturn search "deploys" --from user --limit 3 --json',
)
def search(
    query: Annotated[str, typer.Argument(help="What to look for, by meaning.")],
    session: _Session = None,
    by: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="user|agent|all",
            help="Whose messages.",
            autocompletion=lambda: [*_SIDES, "all"],
        ),
    ] = "all",
    limit: Annotated[int, typer.Option(min=1, max=100, help="Messages.")] = 10,
    as_json: Json = False,
) -> None:
    """Find earlier messages, as the tool honcho_search does: through a worker, under a deadline.

    How far it reaches is recallAsk's to say. A user whose memory is local is not searched for.
    """
    arguments = {"query": query, "from": by, "limit": limit, "max_tokens": MOST_TOKENS}
    with asking(session) as opened:
        value = value_of(opened.tool(TOOLS["honcho_search"], arguments), as_json)
    if as_json:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    for one in value["messages"]:
        typer.echo(f"{one['at'][:16].replace('T', ' ')}  {one['by']}: {_line(one['text'])}")
    if not value["messages"]:
        typer.echo("Nothing was found.")


@examples(
    'afterturn ask "What does she drink?"',
    'afterturn ask "How do they like their reports?" --thorough',
)
def ask(
    query: Annotated[str, typer.Argument(help="A question in plain words.")],
    session: _Session = None,
    about: Annotated[
        str,
        typer.Option(
            "--about",
            metavar="user|agent",
            help="Whom it is about.",
            autocompletion=lambda: list(_SIDES),
        ),
    ] = "user",
    thorough: Annotated[
        bool, typer.Option("--thorough", help="As honcho_analyze asks: slower, and costs more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask Honcho what it knows, as the tool honcho_recall does: an LLM of its answers.

    It counts against the budget of dialectic calls, like any agent's question.
    """
    tool = TOOLS["honcho_analyze" if thorough else "honcho_recall"]
    with asking(session) as opened:
        value = value_of(opened.tool(tool, {"query": query, "peer": _side(about)}), as_json)
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False))
    else:
        typer.echo(plain(value["answer"] or "Nothing that is known bears on it."))


@examples("afterturn queue", "afterturn queue --session cli --json")
def queue(session: _Session = None, as_json: Json = False) -> None:
    """Show what Honcho has yet to derive from what user and agent said.

    What was just sent is in no representation until then. What is not at Honcho yet is shown by
    `afterturn status`.
    """
    with asking(session) as opened:
        names = {"user": opened.place.user, "agent": opened.place.agent}
        left = {
            side: value_of(opened.ask(Op.QUEUE, {"about": side}), as_json)["pending"]
            for side in _SIDES
        }
    if as_json:
        typer.echo(json.dumps(_queue(names, left), ensure_ascii=False))
        return
    for side in _SIDES:
        typer.echo(f"{side} ({names[side]}): {left_to_derive(left[side])}")


def _queue(names: Mapping[str, str], left: Mapping[str, int]) -> dict[str, Any]:
    return {side: {"peer": names[side], "pending": left[side]} for side in _SIDES}


def _side(about: str) -> str:
    if about not in _SIDES:
        raise ConfigurationError(f"--about is user or agent, not {about!r}")
    return about


def _line(text: str) -> str:
    return plain(" ".join(text.split()))


def plain(text: str) -> str:
    """Leave out what would steer a terminal: it was said by somebody else."""
    return "".join(one for one in text if one.isprintable() or one in "\n\t")
