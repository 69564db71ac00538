"""`afterturn compact`: a history is summarised now, or its newest summary shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn.cli.asked import place_of
from afterturn.cli.asks import plain
from afterturn.cli.examples import examples
from afterturn.cli.settle import Json  # noqa: TC001 - Typer reads the annotations
from afterturn.compacting import compacted
from afterturn.services import Services
from afterturn.tools.calling import attended
from afterturn_models.errors import AfterturnError
from afterturn_models.settings import load
from afterturn_models.store.compactions import newest

if TYPE_CHECKING:
    from afterturn.cli.asked import Place
    from afterturn.compacting import CompactionOutcome
    from afterturn_models.store.compactions import Summary

_NO_WORKER = "no worker has taken a task lately, and only workers summarise; see: afterturn status"
_SAID = {
    "nothing": "nothing of it is due to be summarised (--force: all but the turns that always stay)",
    "off": "compactionSummary is off here; set it with: afterturn config set compactionSummary auto",
    "busy": "another worker is at it",
    "more": "a part is done, and workers go on",
    "gone": "the session was deleted",
}


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command()(compact)


@examples(
    "afterturn compact",
    "afterturn compact cli --force --wait 120",
    "afterturn compact cli --show",
)
def compact(
    name: Annotated[
        str | None, typer.Argument(help="A session's name; else this directory's session.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds to wait; 0: only ask for it.")
    ] = 60.0,
    force: Annotated[
        bool, typer.Option("--force", help="However short: all but the turns that always stay.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show the newest summary, and summarise nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Have what lies further back of a history summarised, by a worker; no message is deleted.

    Exit status 1 where nothing came of it in time, or no kind of summary could be made.
    """
    services = Services(load())
    try:
        place = place_of(services, name)
        done = None if show else _done(services, place, wait, force=force)
        with services.database.statement() as connection:
            last = newest(connection, place.id)
    finally:
        services.close()
    if as_json:
        typer.echo(json.dumps(_report(place, done, last, show=show), ensure_ascii=False))
    elif show:
        _tell_summary(place, last)
    else:
        typer.echo(_sentence(place, done, last, wait))
    if done is not None and done.outcome == "waiting":
        raise typer.Exit(1)
    if done is None and not show and wait:
        raise typer.Exit(1)


def _done(
    services: Services, place: Place, wait: float, *, force: bool
) -> CompactionOutcome | None:
    if not attended(services):
        raise AfterturnError(_NO_WORKER)
    done = compacted(services, place.id, seconds=wait, force=force)
    services.dispatcher.drain(2.0)
    return done


def _report(
    place: Place, done: CompactionOutcome | None, last: Summary | None, *, show: bool
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "session": place.key,
        "outcome": done.outcome if done else None,
        "made_by": list(done.made_by) if done else [],
        "error": done.error if done else None,
        "newest": None,
    }
    if last is not None:
        report["newest"] = {
            "covers_from": last.covers_from,
            "covers_to": last.covers_to,
            "tokens": last.tokens,
            "made_by": last.made_by,
            "at": last.at.isoformat() if last.at else None,
        } | ({"summary": last.text} if show else {})
    return report


def _sentence(
    place: Place, done: CompactionOutcome | None, last: Summary | None, wait: float
) -> str:
    if done is None:
        asked = f"{place.key}: a worker was asked to"
        return f"{asked}; it did not say so within {wait:g} s." if wait else f"{asked}."
    if done.outcome == "compacted" and last is not None:
        kinds = ", ".join(dict.fromkeys(done.made_by))
        failed = f" Before that: {plain(done.error)}." if done.error else ""
        return (
            f"{place.key}: messages up to {last.covers_to} are summarised in {last.tokens} tokens"
            f" ({kinds}); see: afterturn compact {place.key} --show{failed}"
        )
    if done.outcome == "waiting":
        why = plain(done.error) if done.error else "it failed a while ago, and is tried again"
        return f"{place.key}: nothing summarises it now: {why}. Workers come back to it."
    return f"{place.key}: {_SAID.get(done.outcome, done.outcome)}."


def _tell_summary(place: Place, last: Summary | None) -> None:
    if last is None:
        typer.echo(f"{place.key} has no summary yet.")
        return
    at = f", {last.at:%Y-%m-%d %H:%M} UTC" if last.at else ""
    typer.echo(
        f"{place.key}: messages up to {last.covers_to}, in {last.tokens} tokens,"
        f" by {last.made_by}{at}"
    )
    typer.echo("")
    typer.echo(plain(last.text))
