"""`python -m afterturn_sandbox.honcho`: run the stand-in until it is told to stop."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from afterturn_sandbox.honcho.auth import Auth
from afterturn_sandbox.honcho.server import HonchoServer
from afterturn_sandbox.honcho.state import State
from afterturn_sandbox.honcho.storage import Store

KEY_VARIABLE = "AFTERTURN_SANDBOX_HONCHO_KEY"
SECRET_VARIABLE = "AFTERTURN_SANDBOX_HONCHO_JWT_SECRET"  # noqa: S105  # a variable's name
WEBHOOK_VARIABLE = "AFTERTURN_SANDBOX_HONCHO_WEBHOOK_SECRET"  # a variable's name


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line; keys come from the environment too, where `ps` does not show them."""
    parser = argparse.ArgumentParser(
        prog="python -m afterturn_sandbox.honcho",
        description="A stand-in for Honcho's v3 API, without a language model.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder of the database")
    parser.add_argument("--ready-file", type=Path, help="gets {url, pid} once it listens")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer")
    parser.add_argument("--deriver-delay-ms", type=float, default=0.0)
    parser.add_argument("--api-key", default=os.environ.get(KEY_VARIABLE))
    parser.add_argument("--jwt-secret", default=os.environ.get(SECRET_VARIABLE))
    return parser.parse_args(arguments)


def _state(options: argparse.Namespace) -> State:
    return State(
        Store(options.data),
        Auth(options.api_key or None, options.jwt_secret or None),
        deriver_delay_us=int(options.deriver_delay_ms * 1_000),
        latency_seconds=options.latency_ms / 1_000,
        webhook_secret=os.environ.get(WEBHOOK_VARIABLE),
    )


async def serve(options: argparse.Namespace) -> None:
    """Listen, say so in the ready file, and stop cleanly at SIGTERM or SIGINT.

    Raises:
        OSError: the address cannot be listened on.
    """
    server = HonchoServer(_state(options))
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        url = await server.start(options.host, options.port)
        if options.ready_file:
            _announce(options.ready_file, url)
        await stopping.wait()
    finally:
        await server.stop()


def _announce(path: Path, url: str) -> None:
    """Write the ready file whole: a reader sees nothing or all of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    draft.replace(path)


def main() -> int:
    """Run; 1 with a sentence on stderr when the address is not to be had."""
    options = parse()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(options))
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(f"The Honcho stand-in cannot listen on {where}: {error.strerror}.", file=sys.stderr)  # noqa: T201  # the command's answer
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
