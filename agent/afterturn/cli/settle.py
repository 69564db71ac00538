"""Settings that have a command of their own: shown with where they come from, or changed."""

from __future__ import annotations

import json
from enum import EnumType
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from afterturn.cli.changing import Change, set_value
from afterturn.cli.effective import Effective, Whose, effective
from afterturn_models.compaction_settings import FIELDS as COMPACTION
from afterturn_models.recall_settings import FIELDS as RECALL
from afterturn_models.settings_model import Settings
from afterturn_models.shared import OPENED_BY, SHARED, field_called, shareable, valid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Session = Annotated[
    str | None,
    typer.Option("--session", metavar="KEY", help="One session, by its name."),
]

_AT_ONCE = frozenset(
    {"memory_mode", "user_memory_mode", "agent_memory_mode", "write_frequency", "save_messages"}
)
_PEERS = frozenset({"peer_name", "ai_peer"})
FROM_THE_NEXT_TURN = "It holds from the next turn of every agent."


def settle(said: Mapping[str, str | None], change: Change, *, as_json: bool) -> None:
    """Set what `said` gives a text, by the names of settings; show all of it where it gives none.

    Raises ConfigurationError for what cannot be: nothing is set then.
    """
    given = {key: text for key, text in said.items() if text is not None}
    if not given:
        show(said, Whose(change.session, change.agent), as_json=as_json)
        return
    for key, text in given.items():
        field, value = valid(key, text)
        scope = change.scope(field)
        if scope is not None:
            shareable(key, value, scope)
    reports = [set_value(key, text, change) for key, text in given.items()]
    if as_json:
        typer.echo(json.dumps({"changed": reports}, ensure_ascii=False))
        return
    tell(reports)
    for sentence in dict.fromkeys(_holds_from(key) for key in given):
        typer.echo(sentence)


def show(keys: Sequence[str] | Mapping[str, Any], whose: Whose, *, as_json: bool) -> None:
    """Show what holds; exit status 1 where Postgres is configured and cannot be asked."""
    found = effective(whose)
    fields = {key: field_called(key) for key in keys}
    if as_json:
        plain = {
            key: {"value": found.value(field), "origin": found.origin(field)}
            for key, field in fields.items()
        }
        typer.echo(json.dumps(plain, ensure_ascii=False))
    else:
        for key, field in fields.items():
            typer.echo(f"{key}: {_text(found.value(field))} ({found.origin(field)})")
    need_asked(found)


def need_asked(found: Effective) -> None:
    """End with exit status 1 where Postgres has a word on it and could not be asked."""
    if not found.asked:
        typer.echo(f"afterturn: {found.postgres}", err=True)
        raise typer.Exit(1)


def tell(reports: Sequence[Mapping[str, Any]]) -> None:
    """Tell what was set, and what counts instead where that does not count."""
    for report in reports:
        typer.echo(report["sentence"])
        if report.get("shadowed"):
            typer.echo(f"It does not count here: {report['shadowed']} comes first.")


def words(key: str) -> Callable[[], list[str]]:
    """Give, for completion, what a setting may be: the model of settings says so."""

    def found() -> list[str]:
        kind: Any = Settings.model_fields[field_called(key)].annotation
        return [str(word) for one in (get_args(kind) or (kind,)) for word in _words(one)]

    return found


def _words(kind: Any) -> list[Any]:
    if kind is type(None):
        return []
    return list(kind) if isinstance(kind, EnumType) else [kind]


def _holds_from(key: str) -> str:
    """Say when a change of a setting is seen (docs/configuration.md: changes while agents run)."""
    field = field_called(key)
    if field in _AT_ONCE:
        return FROM_THE_NEXT_TURN
    if field in RECALL:
        return (
            "Workers go by it from their next task, agents in every session that they open from"
            " now on."
        )
    if field in COMPACTION:
        return "Workers go by it from their next task."
    if field in _PEERS:
        return "Sessions that are opened from now on have it; those that are open keep theirs."
    if field in SHARED or field in OPENED_BY:
        return "Sessions that are opened from now on go by it."
    return "Agents and workers that run keep theirs until they are started again."


def _text(value: Any) -> str:
    return "-" if value is None else str(value)
