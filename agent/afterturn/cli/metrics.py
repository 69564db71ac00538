"""`afterturn metrics`: one page for Prometheus about the whole installation."""

from __future__ import annotations

import threading
from typing import Annotated, Any

import typer

from afterturn.cli.examples import examples
from afterturn.exposition import need_prometheus
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.settings import load


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(metrics)


@examples(
    "afterturn metrics",
    "afterturn metrics --bind 0.0.0.0 --port 9465",
    "afterturn metrics --once | grep afterturn_sync_lag_seconds",
)
def metrics(
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 9465,
    bind: Annotated[str, typer.Option("--bind", help="The address to listen on.")] = "127.0.0.1",
    once: Annotated[bool, typer.Option("--once", help="Print the page and end.")] = False,
) -> None:
    """Serve metrics of the whole installation to Prometheus, until it is stopped.

    Stages of turns and tasks from Redis, queues, what waits for Honcho, workers and the
    dialectic's account. The page has no login: keep it where only Prometheus can reach it.
    """
    need_prometheus()
    settings = load().settings
    if not settings.database_url and not settings.redis_url:
        raise ConfigurationError(
            "there is nothing to measure: set AFTERTURN_DATABASE_URL and AFTERTURN_REDIS_URL,"
            " or start everything with: afterturn up"
        )
    if once:
        typer.echo(page(), nl=False)
    else:
        _serve(port, bind)


def page() -> str:
    """Give the page as it is now; raises ConfigurationError."""
    from prometheus_client import generate_latest

    return generate_latest(_registry()).decode()


def _registry() -> Any:
    from prometheus_client.registry import CollectorRegistry

    from afterturn.fleet import FleetCollector

    registry = CollectorRegistry()
    registry.register(FleetCollector())
    return registry


def _serve(port: int, bind: str) -> None:
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, bind, _registry())
    except OSError as error:
        raise AfterturnError(
            f"cannot listen on {bind}:{port}: {error.strerror or error}; choose another --port"
        ) from None
    typer.echo(f"metrics at http://{bind}:{port}/metrics", err=True)
    try:
        threading.Event().wait()
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
