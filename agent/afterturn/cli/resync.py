"""`afterturn resync`: verify, repair or copy history in bulk, by workers, behind live syncs."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from afterturn.cli.connected import database
from afterturn.cli.examples import examples
from afterturn_models.errors import ConfigurationError
from afterturn_models.store import resync as store
from afterturn_models.store.workers import workers

if TYPE_CHECKING:
    from afterturn_models.db import Database
    from afterturn_models.store.resync import Job

_POLL = 0.5
_LATE = 60.0


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(resync)


@examples(
    "afterturn resync --all                        # verify everything",
    "afterturn resync --session cli --repair       # send what is missing",
    "afterturn resync --workspace shop --to backup # a target of the workers' configuration",
    "afterturn resync --list",
    "afterturn resync --cancel 0b0c7d7e-…",
)
def resync(
    session: Annotated[str | None, typer.Option(help="One session, by its name.")] = None,
    workspace: Annotated[str | None, typer.Option(help="Every session of a workspace.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every session.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Look only; the default.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Send what is missing.")] = False,
    to: Annotated[str | None, typer.Option("--to", help="Copy to this target.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for it.")] = False,
    job: Annotated[str | None, typer.Option("--job", help="Watch a job again.")] = None,
    cancel: Annotated[str | None, typer.Option("--cancel", help="Stop a job.")] = None,
    list_jobs: Annotated[bool, typer.Option("--list", help="List the last jobs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Hold what was captured against what Honcho has: missing, doubled, misplaced.

    It runs as tasks on the `bulk` queue, survives workers and this command (Ctrl-C leaves it
    running), and never delays a turn. What is repaired comes late, with its original time. Exit
    status 1 where something is not as it should be.
    """
    with database() as opened:
        if list_jobs:
            _list(opened, as_json)
            return
        if cancel:
            _cancel(opened, _id(cancel))
            return
        kind = _kind(verify, repair, to)
        watched = _id(job) if job else _create(opened, kind, to, session, workspace, everything)
        if detach:
            typer.echo(str(watched))
            return
        done = _watch(opened, watched, quiet=as_json)
        _report(opened, done, as_json)
    if done.state == "done" and not _clean(done):
        raise typer.Exit(1)


def _kind(verify: bool, repair: bool, to: str | None) -> str:
    if sum((verify, repair, to is not None)) > 1:
        raise ConfigurationError("choose one of --verify, --repair and --to")
    return "copy" if to is not None else "repair" if repair else "verify"


def _create(
    opened: Database,
    kind: str,
    to: str | None,
    session: str | None,
    workspace: str | None,
    everything: bool,
) -> UUID:
    if everything == bool(session or workspace):
        raise ConfigurationError("say which sessions: --session NAME, --workspace NAME, or --all")
    chosen = store.Selection(session=session, workspace=workspace)
    with opened.transaction() as connection:
        made, parts = store.create_job(connection, kind, to, chosen)
        if not parts:
            raise ConfigurationError("there is no such session; see: afterturn status")
    return made


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no job; see: afterturn resync --list") from None


def _watch(opened: Database, job_id: UUID, *, quiet: bool) -> Job:
    """Follow a job to its end, with a bar."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    warned = False
    try:
        with Progress(console=console, disable=quiet, transient=True) as bar:
            task = bar.add_task("re-sync", total=None)
            while (found := _job(opened, job_id)).state == "running":
                bar.update(task, total=max(found.rows, 1), completed=found.rows_done)
                if not warned and not _anyone(opened):
                    warned = True
                    console.print(
                        "No worker has taken a task for a minute; it begins when one does."
                    )
                time.sleep(_POLL)
    except KeyboardInterrupt:
        console.print(f"It goes on. Watch it with: afterturn resync --job {job_id}")
        raise
    return found


def _job(opened: Database, job_id: UUID) -> Job:
    with opened.statement() as connection:
        found = store.jobs(connection, job_id)
    if not found:
        raise ConfigurationError(f"there is no job {job_id}; see: afterturn resync --list")
    return found[0]


def _anyone(opened: Database) -> bool:
    with opened.statement() as connection:
        return any(w.beat_age is not None and w.beat_age < _LATE for w in workers(connection))


def _cancel(opened: Database, job_id: UUID) -> None:
    with opened.statement() as connection:
        if not store.cancel_job(connection, job_id):
            raise ConfigurationError(f"job {job_id} does not run; see: afterturn resync --list")
    typer.echo("Cancelled; what was done stays done.")


def _list(opened: Database, as_json: bool) -> None:
    with opened.statement() as connection:
        found = store.jobs(connection)
    if as_json:
        typer.echo(json.dumps([_as_json(job) for job in found], indent=2))
        return
    for job in found:
        to = f" to {job.target}" if job.target else ""
        typer.echo(
            f"{job.id}  {job.created_at:%Y-%m-%d %H:%M}  {job.kind}{to}: {job.state},"
            f" {job.sessions_done} of {job.sessions} sessions, {job.rows_done} of {job.rows} rows"
        )
        if job.last_error and job.state == "running":
            typer.echo(f"    {job.last_error}")
    if not found:
        typer.echo("No job has run.")


def _report(opened: Database, job: Job, as_json: bool) -> None:
    with opened.statement() as connection:
        details = store.details(connection, job.id)
    if as_json:
        typer.echo(json.dumps({**_as_json(job), "details": details}, indent=2))
        return
    typer.echo(f"{job.kind}: {job.state}; {job.sessions_done} of {job.sessions} sessions")
    if job.kind == "copy":
        typer.echo(f"{job.rows_done} of {job.rows} rows are at {job.target}; {job.refused} refused")
    else:
        sent = ", sent late" if job.kind == "repair" and job.missing else ""
        typer.echo(
            f"{job.checked} messages checked: {job.missing} missing{sent},"
            f" {job.doubled} doubled, {job.misplaced} misplaced"
        )
    for one in details:
        found = one["findings"]
        counts = ", ".join(
            f"{found[kind]} {kind}"
            for kind in ("missing", "doubled", "misplaced", "refused")
            if found.get(kind)
        )
        typer.echo(f"    {one['workspace']}/{one['key']}: {counts}")


def _clean(job: Job) -> bool:
    missing = 0 if job.kind == "repair" else job.missing
    return not (missing or job.doubled or job.misplaced or job.refused)


def _as_json(job: Job) -> dict[str, Any]:
    return {**asdict(job), "id": str(job.id), "created_at": job.created_at.isoformat()}
