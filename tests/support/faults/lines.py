"""Lines between real processes: TCP proxies on one loop, which recognise steps and spring traps."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from support.faults.reading import HttpReader, PostgresReader, Reader, RedisReader

T = TypeVar("T")
_READERS: dict[str, Callable[[], Reader]] = {
    "postgresql": PostgresReader,
    "redis": RedisReader,
    "http": HttpReader,
}
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Shot:
    """What several traps share of which only one is to spring."""

    taken: bool = False


@dataclass(eq=False)
class Trap:
    """Springs at one of `steps`: before the server gets it, or when its answer is on its way back.

    `act` is called on the loop, with the process still waiting. What was on the line is lost then
    (its process is dead), unless the trap `passes` it on (its process is frozen).
    """

    steps: frozenset[str]
    after: bool
    act: Callable[[], None]
    passes: bool = False
    shot: Shot = field(default_factory=Shot)


class Loop:
    """The loop that every line of a rig runs on, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="lines", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and give what it gives."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(30)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a coroutine, from the loop itself."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something on the loop after `seconds`."""
        self.loop.call_soon_threadsafe(self.loop.call_later, seconds, act)

    def close(self) -> None:
        """End the loop and everything on it."""
        self.run(_cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    reader: Reader
    dead: bool = False
    awaiting: list[Trap] = field(default_factory=list)


class Line:
    """A proxy in front of one server, for one client process."""

    def __init__(self, loop: Loop, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        self._reader = _READERS[parts.scheme]
        self._loop = loop
        self._open = asyncio.Event()
        self._open.set()
        self._connections: set[_Connection] = set()
        self._traps: list[Trap] = []
        self._silent = False
        self._server: asyncio.Server | None = None
        self.port = 0
        self._loop.run(self._listen())
        self.url = url.replace(f":{parts.port}", f":{self.port}")

    def set(self, trap: Trap) -> None:
        """Lay a trap; those laid first are looked at first."""
        self._loop.loop.call_soon_threadsafe(self._traps.append, trap)

    def disarm(self) -> None:
        """Take up every trap that has not sprung."""
        self._loop.loop.call_soon_threadsafe(self._traps.clear)

    def hold(self) -> None:
        """Keep what is sent from now on, to deliver it later: a network that stutters."""
        self._loop.loop.call_soon_threadsafe(self.holding)

    def holding(self) -> None:
        """Do what `hold` does, on the loop itself: what a trap was sprung by is held as well."""
        self._open.clear()

    def silence(self) -> None:
        """Lose what is sent from now on; what loses a byte is half-open for ever."""
        self._silent = True

    def refuse(self) -> None:
        """Reset every connection and take no new one."""
        self._loop.run(self._refuse())

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.run(self._cut())

    def heal(self) -> None:
        """Pass everything again, on new connections and on those that lost nothing."""
        self._loop.run(self.healing())

    async def healing(self) -> None:
        """Do what `heal` does, on the loop itself."""
        self._silent = False
        self._open.set()
        if self._server is None:
            await self._listen()

    def aim(self, url: str) -> None:
        """Go on to another server from the next connection on."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for connection in list(self._connections):
            _reset(connection.client)
            _reset(connection.server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        connection = _Connection(writer, forth, self._reader())
        self._connections.add(connection)
        pumps = (
            asyncio.ensure_future(self._pump(connection, reader, forth, self._said)),
            asyncio.ensure_future(self._pump(connection, back, writer, self._told)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            for one in (writer, forth):
                with contextlib.suppress(OSError, RuntimeError):
                    one.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        connection: _Connection,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        look: Callable[[_Connection, bytes], bool],
    ) -> None:
        try:
            while data := await source.read(65536):
                connection.dead = connection.dead or self._silent
                if connection.dead or not look(connection, data):
                    connection.dead = True
                    continue
                await self._open.wait()
                sink.write(data)
                await sink.drain()
            await self._open.wait()
        except OSError:
            _reset(sink)

    def _said(self, connection: _Connection, data: bytes) -> bool:
        """Look at what the client says; False where it is to go no further."""
        for step in connection.reader.steps(data):
            trap = next((t for t in self._traps if step in t.steps and not t.shot.taken), None)
            if trap is None:
                continue
            if trap.after:
                connection.awaiting.append(trap)  # it springs with the answer, if there is one
            else:
                self._spring(trap)
                return trap.passes
        return True

    def _told(self, connection: _Connection, _data: bytes) -> bool:
        """Look at what the server says; False where it is to go no further."""
        traps = [trap for trap in connection.awaiting if not trap.shot.taken]
        connection.awaiting.clear()
        for trap in traps:
            self._spring(trap)
        return all(trap.passes for trap in traps)

    def _spring(self, trap: Trap) -> None:
        trap.shot.taken = True
        if trap in self._traps:
            self._traps.remove(trap)
        trap.act()


def _reset(writer: asyncio.StreamWriter) -> None:
    wire = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
