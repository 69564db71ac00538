"""`afterturn worker` and `afterturn flower`: Celery's own programs, with our app and good options."""

from __future__ import annotations

import os
import secrets
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from afterturn.cli.examples import examples
from afterturn_models.errors import ConfigurationError, MissingExtraError
from afterturn_models.settings import load
from afterturn_models.signatures import QUEUES
from afterturn_models.sources import home

if TYPE_CHECKING:
    from pathlib import Path

_APP = "afterturn_worker.app"


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(worker)
    app.command()(flower)


@examples(
    "afterturn worker --concurrency 32",
    "afterturn worker --queues bulk,maintenance",
    "celery -A afterturn_worker.app worker    # the same, by Celery's own command",
)
def worker(
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=512, help="Threads.")
    ] = 16,
    queues: Annotated[
        str, typer.Option("--queues", "-Q", help=f"Some of: {','.join(QUEUES)}.")
    ] = ",".join(QUEUES),
    name: Annotated[str | None, typer.Option("--name", "-n", help="Celery's node name.")] = None,
    loglevel: Annotated[str, typer.Option("--loglevel", "-l")] = "INFO",
) -> None:
    """Run a worker in the foreground until it is stopped.

    It waits on HTTP, so it runs on threads. SIGTERM lets it finish what it has begun.
    """
    _need("honcho", "the worker", "worker")
    load().settings.need_redis_url()
    unknown = sorted(set(queues.split(",")) - set(QUEUES))
    if unknown:
        raise ConfigurationError(
            f"there is no queue {unknown[0]!r}; use some of {','.join(QUEUES)}"
        )
    options = {
        "--hostname": name or f"afterturn-{os.getpid()}@%h",
        "--pool": "threads",
        "--concurrency": str(concurrency),
        "--queues": queues,
        "--loglevel": loglevel,
    }
    _become(
        [
            "worker",
            *(word for option in options.items() for word in option),
            "--without-mingle",
            "--without-gossip",
        ]
    )


@examples(
    "afterturn flower --port 5555",
)
def flower(
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 5555,
    host: Annotated[str, typer.Option("--host", help="Keep it on loopback.")] = "127.0.0.1",
) -> None:
    """Watch queues, workers and tasks in a browser, behind a login.

    The login is AFTERTURN_FLOWER_AUTH (user:password); without it one is made and kept in
    $AFTERTURN_HOME/flower-login.
    """
    _need("flower", "Flower", "flower")
    load().settings.need_redis_url()
    login = os.environ.get("AFTERTURN_FLOWER_AUTH") or made_login(home())
    user, _, password = login.partition(":")
    if not user or not password:
        raise ConfigurationError("AFTERTURN_FLOWER_AUTH must have the form user:password")
    # In the environment and not among the arguments, where every user of the machine reads it.
    os.environ["FLOWER_BASIC_AUTH"] = login
    os.environ.pop("FLOWER_UNAUTHENTICATED_API", None)
    typer.echo(f"Flower at http://{host}:{port}, user {user}; login in {login_place()}", err=True)
    _become(["flower", f"--address={host}", f"--port={port}"])


def login_place() -> str:
    """Tell where Flower's login is to be read."""
    given = os.environ.get("AFTERTURN_FLOWER_AUTH")
    return "AFTERTURN_FLOWER_AUTH" if given else str(home() / "flower-login")


def made_login(folder: Path) -> str:
    """Give Flower's login from its file in `folder`, made with a random password if need be."""
    path = folder / "flower-login"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    login = f"afterturn:{secrets.token_urlsafe(18)}"
    with os.fdopen(descriptor, "w") as file:
        file.write(login + "\n")
    return login


def _need(module: str, what: str, extra: str) -> None:
    if find_spec(module) is None:
        raise MissingExtraError(what, extra)


def _become(arguments: list[str]) -> None:
    """Replace this process, so that signals and supervisors reach Celery itself."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "celery", "-A", _APP, *arguments])  # noqa: S606 - our own program
