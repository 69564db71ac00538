"""A connection to Postgres that gives up on a server which says nothing, for `Database`.

A server that is frozen, or a proxy with nothing behind it, still acknowledges at TCP: neither
keepalives nor `statement_timeout` end the wait then, and an agent's turn would wait for ever.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


class SilenceError(psycopg.OperationalError):
    """The server said nothing for too long; what was asked may or may not have been done."""


class PatientConnection(psycopg.Connection[Any]):
    """Closes itself and raises SilenceError after `patience` seconds without a byte."""

    patience = 35.0

    def wait(self, gen: Generator[Any, Any, T], *options: Any, **more: Any) -> T:
        """Wait for what `gen` waits for; every statement comes through here."""
        try:
            return super().wait(_heard(gen, self.patience), *options, **more)
        except SilenceError:
            self.close()  # its answer may still come, and would be taken for the next one's
            raise


def patient(seconds: float) -> type[PatientConnection]:
    """Give a kind of connection that waits for `seconds`."""

    class Patient(PatientConnection):
        patience = seconds

    return Patient


def _heard(gen: Generator[Any, Any, T], patience: float) -> Generator[Any, Any, T]:
    """Go through `gen`, and measure how long nothing is ready."""
    try:
        wanted = next(gen)
        heard = time.monotonic()
        while True:
            ready = yield wanted
            if ready:
                heard = time.monotonic()
            elif time.monotonic() - heard > patience:
                raise SilenceError(f"no answer for {patience:g} s")
            wanted = gen.send(ready)
    except StopIteration as done:
        value: T = done.value
        return value
