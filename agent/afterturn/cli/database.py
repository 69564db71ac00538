"""`afterturn migrate`: the database's schema, brought to this version."""

from __future__ import annotations

import typer

from afterturn.cli.connected import database_url
from afterturn.cli.examples import examples


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(migrate)


@examples(
    "AFTERTURN_DATABASE_URL=postgresql://user:password@host/name afterturn migrate",
)
def migrate() -> None:
    """Bring the database to this version's schema.

    Safe to run again, and from several machines at once. `afterturn up` does it by itself.
    """
    from afterturn_models import migrate as migrations

    url = database_url()
    migrations.migrate(url)
    typer.echo(f"The database is at revision {migrations.head()}.")
