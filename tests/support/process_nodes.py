"""pytest-celery's nodes on processes: its containers wrap a raw object, and here it is a process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from pytest_celery import CeleryWorkerContainer, RedisContainer
from sqlalchemy import make_url

from support.workers import WorkerProcess


class ProcessContainer:
    """A raw container, as pytest-docker-tools uses one, that is a worker's process.

    `start` starts the process anew each time; what all of them have logged is kept by it.
    """

    def __init__(self, name: str, start: Callable[[], WorkerProcess]) -> None:
        self.id = secrets.token_hex(32)
        self.name = name
        self.status = "created"
        self.attrs: dict[str, Any] = raw_attributes(name)
        self._start = start
        self.process = start()
        self.reload()

    def reload(self) -> None:
        """Look whether it runs."""
        self.status = "running" if self.process.running() else "exited"

    def kill(self, signal: str | int | None = None) -> None:
        """Send it a signal, and wait for an end that the signal means."""
        if str(signal) in {"SIGTERM", "15"}:
            self.process.stop()
        else:
            self.process.kill()

    def restart(self, timeout: float = 10) -> None:
        """Stop it if need be, and start it again."""
        self.process.stop(timeout)
        self.process = self._start()
        self.reload()

    def logs(self) -> bytes:
        """Give all that was logged."""
        return self.process.logs().encode()


class ServerContainer:
    """A raw container that is a server somebody else runs: it is there, and is let be."""

    def __init__(self, name: str) -> None:
        self.id = secrets.token_hex(32)
        self.name = name
        self.status = "running"
        self.attrs: dict[str, Any] = raw_attributes(name)

    def reload(self) -> None:
        """Stay as it is."""

    def logs(self) -> bytes:
        """Say what a Redis says."""
        return b"Ready to accept connections"


class ProcessWorker(CeleryWorkerContainer):  # type: ignore[misc]  # the plugin is untyped
    """A worker's node on a process; it is ready when a beat has come through its broker."""

    def ready(self) -> bool:
        """Wait for the first beat."""
        self._container.process.ready()
        self._container.reload()
        return bool(self._container.status == "running")


class ServerRedis(RedisContainer):  # type: ignore[misc]  # as above
    """A Redis node on the server at `address`."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__(ServerContainer(name))
        self._address = address

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._address

    @property
    def host_url(self) -> str:
        """Where it answers from here, which is the same."""
        return self._address

    @property
    def hostname(self) -> str:
        """The host's name."""
        return str(make_url(self._address).host)

    @property
    def port(self) -> int:
        """The port."""
        return int(make_url(self._address).port or 6379)


def raw_attributes(name: str) -> dict[str, Any]:
    """Give what is asked of a container's inspection: no network of its own, no port to map."""
    return {
        "NetworkSettings": {"Networks": {}, "Ports": {}},
        "HostConfig": {"PortBindings": {}},
        "Config": {"Hostname": name, "Env": []},
    }
