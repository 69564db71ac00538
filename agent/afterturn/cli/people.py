"""`afterturn peer` and `afterturn peers`: who speaks, and who is known in a workspace."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn.cli.changing import Change
from afterturn.cli.connected import database
from afterturn.cli.effective import Whose, effective
from afterturn.cli.examples import examples
from afterturn.cli.settle import Json, settle, words
from afterturn.cli.tables import table
from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import load
from afterturn_models.store.agents import agents
from afterturn_models.store.peers import list_peers

if TYPE_CHECKING:
    from afterturn_models.store.agents import AgentPeer
    from afterturn_models.store.peers import PeerLine

_MAP = "map"
_EXAMPLE = """afterturn config set userPeerAliases '{"telegram:1234": "ann"}'"""
_WHO = ("pin_user_peer", "user_peer_aliases", "runtime_peer_prefix")


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(peer)
    app.command()(peers)


@examples(
    "afterturn peer",
    "afterturn peer --user ann --ai clerk",
    "afterturn peer --user ann --workspace-wide",
    "afterturn peer --reasoning medium",
)
def peer(
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="The user's peer.")
    ] = None,
    ai: Annotated[
        str | None, typer.Option("--ai", metavar="NAME", help="The agent's peer.")
    ] = None,
    reasoning: Annotated[
        str | None,
        typer.Option(
            "--reasoning",
            metavar="LEVEL",
            help="The level that questions begin with.",
            autocompletion=words("dialecticReasoningLevel"),
        ),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--workspace-wide", help="The user of every agent: set in Postgres.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show or set the two peers of this machine, and the reasoning level of questions.

    The names are set in our file, and hold for every session that is opened from then on, also by
    agents that run; one that is open keeps its two. What was said under the old name stays its.
    The level is set in Postgres, for the whole workspace.
    """
    said = {"peerName": user, "aiPeer": ai, "dialecticReasoningLevel": reasoning}
    settle(said, Change(wide=wide), as_json=as_json)


@examples("afterturn peers", "afterturn peers map", "afterturn peers --json | jq -r '.[].name'")
def peers(
    what: Annotated[
        str | None, typer.Argument(metavar="[map]", autocompletion=lambda: [_MAP])
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: Json = False,
) -> None:
    """List the peers of the workspace; with `map`, which agents and platforms' users are which.

    `mapped` is an agent that Honcho's agentPeerMap is known to have.
    """
    if what not in {None, _MAP}:
        raise ConfigurationError(f"afterturn peers takes `map` or nothing, not {what!r}")
    if what == _MAP:
        _map(as_json)
        return
    workspace = load().settings.workspace
    with database() as opened, opened.statement() as connection:
        found = list_peers(connection, workspace, most=limit)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], indent=2, ensure_ascii=False))
    elif not found:
        typer.echo(f"No peer is known in workspace {workspace} yet.")
    else:
        _table(found)


def _map(as_json: bool) -> None:
    settings = effective(Whose()).loaded.settings
    with database() as opened, opened.statement() as connection:
        known = agents(connection, settings.workspace)
    if as_json:
        plain: dict[str, Any] = {
            "agentPeerMap": {one.agent_id: one.peer for one in known},
            "mapped": [one.agent_id for one in known if one.mapped],
            **settings.model_dump(mode="json", by_alias=True, include=set(_WHO)),
        }
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    for line in (*_agents(known), *_users(settings.user_peer_aliases)):
        typer.echo(line)
    if settings.pin_user_peer:
        typer.echo(f"Everyone on a platform is {settings.peer_name}: pinUserPeer is on.")
    if settings.runtime_peer_prefix is not None:
        typer.echo(f"Other users' peers begin with {settings.runtime_peer_prefix!r}.")


def _agents(known: list[AgentPeer]) -> list[str]:
    lines = [
        f"    {one.agent_id} → {one.peer}{'' if one.mapped else ' (not in the map at Honcho yet)'}"
        for one in known
    ]
    return ["Agents:", *(lines or ["    none has spoken yet"])]


def _users(aliases: dict[str, str]) -> list[str]:
    lines = [f"    {known} → {alias}" for known, alias in sorted(aliases.items())]
    return ["Users' aliases:", *(lines or [f"    none; say for example: {_EXAMPLE}"])]


def _plain(one: PeerLine) -> dict[str, Any]:
    last = one.last_turn_at
    return asdict(one) | {"last_turn_at": last.isoformat() if last else None}


def _table(found: list[PeerLine]) -> None:
    table(("peer", "is", "as agent", "sessions", "last turn"), [_row(one) for one in found])


def _row(one: PeerLine) -> tuple[str, ...]:
    last = f"{one.last_turn_at:%Y-%m-%d %H:%M}" if one.last_turn_at else "-"
    return (one.name, one.kind, ", ".join(one.agents) or "-", str(one.sessions), last)
