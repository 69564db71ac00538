"""`afterturn setup`: from nothing, or from what another program has, to a configuration that works."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from afterturn.cli.examples import examples
from afterturn.cli.failures import FAILED, INTERRUPTED
from afterturn_models.errors import ConfigurationError
from afterturn_models.sources import our_file

if TYPE_CHECKING:
    from afterturn.setup.asking import Asker
    from afterturn.setup.carrying_out import Done
    from afterturn.setup.honcho_key import Secret
    from afterturn.setup.plan import Plan
    from afterturn.setup.wizard import Given

_FROM_VARIABLE = "env:"
_DatabaseUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Postgres; env:NAME takes it from a variable.")
]
_RedisUrl = Annotated[str | None, typer.Option(metavar="URL", help="Redis; the same.")]
_HonchoUrl = Annotated[str | None, typer.Option(metavar="URL", help="Honcho; the same.")]
_Workspace = Annotated[str | None, typer.Option(metavar="NAME", help="The workspace at Honcho.")]
_Peer = Annotated[str | None, typer.Option(metavar="NAME", help="The user's peer.")]
_AiPeer = Annotated[str | None, typer.Option(metavar="NAME", help="The agent's peer.")]
_Strategy = Annotated[
    str | None,
    typer.Option(metavar="STRATEGY", help="per-directory, per-repo, per-session or global."),
]
_Embedded = Annotated[
    bool, typer.Option("--embedded", help="What has no URL here is what `afterturn up` runs.")
]
_Start = Annotated[
    bool | None, typer.Option("--start/--no-start", help="Start the embedded servers.")
]
_KeyStdin = Annotated[bool, typer.Option("--key-stdin", help="Read Honcho's key from stdin.")]
_TakeOver = Annotated[
    bool | None,
    typer.Option("--take-over/--no-take-over", help="Settings of Hermes, OpenClaw, nanobot."),
]
_Seed = Annotated[bool | None, typer.Option("--seed/--no-seed", help="Persona files of theirs.")]
_Untested = Annotated[
    bool, typer.Option("--untested", help="Take what does not answer all the same.")
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take defaults.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command()(setup)


@examples(
    "afterturn setup",
    "afterturn setup --embedded --start --yes",
    "afterturn setup --database-url env:PG --redis-url redis://localhost:6379/0 --yes",
    'printf %s "$KEY" | afterturn setup --honcho-url https://api.honcho.dev --key-stdin --yes',
    "afterturn setup --dry-run --yes --json",
)
def setup(
    database_url: _DatabaseUrl = None,
    redis_url: _RedisUrl = None,
    honcho_url: _HonchoUrl = None,
    workspace: _Workspace = None,
    peer: _Peer = None,
    ai_peer: _AiPeer = None,
    strategy: _Strategy = None,
    embedded: _Embedded = False,
    start: _Start = None,
    key_stdin: _KeyStdin = False,
    take_over: _TakeOver = None,
    seed: _Seed = None,
    untested: _Untested = False,
    yes: _Yes = False,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Set everything up: servers, Honcho's key, names, and what other agents' homes hold.

    At a terminal it asks, and Enter keeps what is there; --yes asks nothing. Each connection is
    tested, the key in a process of the workers'. What Hermes, OpenClaw and nanobot have is shown
    before any of it is taken. The file is written once, whole, with its former text beside it as
    config.json.bak; Ctrl-C before that changes nothing. Run it again whenever you like.

    The key is typed without echo, or read with --key-stdin; it is kept in the file for workers,
    with mode 600, and nowhere else. Exit status 1 where something of the plan was not done.
    """
    from afterturn.setup.wizard import Given

    given = Given(
        answers=_said(
            database_url=_url(database_url, "--database-url"),
            redis_url=_url(redis_url, "--redis-url"),
            honcho_url=_url(honcho_url, "--honcho-url"),
            workspace=workspace,
            peer_name=peer,
            ai_peer=ai_peer,
            session_strategy=strategy,
        ),
        embedded=embedded,
        untested=untested,
        key=_key() if key_stdin else None,
        take_over=take_over,
        seed=seed,
        start=start,
    )
    _run(_asker(yes, quiet=as_json), given, dry_run=dry_run, as_json=as_json)


def _said(**answers: str | None) -> dict[str, str]:
    return {name: value for name, value in answers.items() if value is not None}


def _url(given: str | None, flag: str) -> str | None:
    """Give the URL that a flag says; raises ConfigurationError for one that holds a password."""
    from afterturn.setup.server_questions import refuse_password

    if given is None or not given.startswith(_FROM_VARIABLE):
        refuse_password(given or "", flag)
        return given
    name = given.removeprefix(_FROM_VARIABLE)
    if not os.environ.get(name):
        raise ConfigurationError(f"{flag}: there is no variable {name} in the environment")
    return os.environ[name]


def _key() -> Secret:
    from afterturn.setup.honcho_key import Secret

    key = "" if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not key:
        raise ConfigurationError("--key-stdin: there is no key on stdin")
    return Secret(key)


def _asker(yes: bool, *, quiet: bool) -> Asker:
    from afterturn.setup.asking import Nobody, Terminal

    if yes:
        return Nobody(quiet=quiet)
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask at: say --yes to take the defaults")
    return Terminal()


def _run(asker: Asker, given: Given, *, dry_run: bool, as_json: bool) -> None:
    from afterturn.setup.carrying_out import Done, carry_out
    from afterturn.setup.wizard import make_plan

    try:
        plan = make_plan(asker, given)
        agreed = plan.empty or (_agree(asker, plan) and not dry_run)
    except (KeyboardInterrupt, EOFError):
        asker.say("\nNothing was changed.")
        raise typer.Exit(INTERRUPTED) from None
    done = carry_out(plan, asker) if agreed and not plan.empty else Done()
    if as_json:
        report = {"plan": plan.as_dict(), "done": done.as_dict(), "next": _next(plan)}
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _tell(asker, plan, done, agreed=agreed)
    if done.interrupted:
        raise typer.Exit(INTERRUPTED)
    if done.failed:
        raise typer.Exit(FAILED)


def _agree(asker: Asker, plan: Plan) -> bool:
    asker.head("This is what will be done:")
    for line in plan.lines():
        asker.say(line)
    return asker.yes("Do it?", default=True)


def _tell(asker: Asker, plan: Plan, done: Done, *, agreed: bool) -> None:
    for line in (*done.skipped, *done.warnings):
        asker.say(f"Note: {line}.")
    for line in done.failed:
        asker.say(f"Not done: {line}.")
    if done.interrupted:
        state = f"{our_file()} is written" if done.written else "Nothing was written"
        asker.say(f"\n{state}; run setup again for the rest.")
        return
    if not agreed:
        asker.say("Nothing was changed.")
        return
    if plan.empty:
        asker.say(f"All of it is as it should be: nothing was written to {our_file()}.")
    asker.head("Next:")
    for line in _next(plan):
        asker.say(f"    {line}")


def _next(plan: Plan) -> list[str]:
    from afterturn.setup.servers import PARTS, runs_in_stack, stack_runs

    embedded = [
        part
        for part in PARTS
        if not getattr(plan.settings, part.field) or runs_in_stack(part, plan.after)
    ]
    steps = []
    if embedded:
        if not plan.start and not stack_runs():
            steps.append("afterturn up --detach    # the embedded servers, workers and Flower")
    else:
        steps.append("afterturn worker         # where the key is; as many as you like")
    steps.append(
        "afterturn doctor         # looks at all of it, and says how to mend what is wrong"
    )
    steps.append("Memory.open() in your agent; see docs/agents.md")
    return steps
