"""One session, a store, a Honcho and a pace in memory, and the real sync that runs on them."""

from __future__ import annotations

from afterturn_models.values import Standing
from afterturn_worker.flows.lease import SyncLimits
from afterturn_worker.flows.sync import sync_session
from support.memory_honcho import MemoryHoncho, MemoryPace
from support.memory_ports import Clock, Cursor, MemoryStore, Row

LIMITS = SyncLimits()


class World:
    """A session called `s` in workspace `w`, and all that a sync of it meets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.honcho = MemoryHoncho(self.clock, settling=LIMITS.settling - 0.1)
        self.pace = MemoryPace()
        self.again: list[float] = []
        self.session = self.store.open("w", "s")

    @property
    def cursor(self) -> Cursor:
        """Give the session's cursor."""
        return self.store.cursors[self.session]

    def run(self, limits: SyncLimits = LIMITS, *, late: bool = False) -> Standing:
        """Run one task."""
        return sync_session(
            self.session,
            self.store,
            self.honcho,
            limits,
            late=late,
            pace=self.pace,
            again=self.again.append,
            clock=self.clock,
            jitter=lambda: 0.5,
        )

    def until_synced(self, *, late: bool = False) -> int:
        """Run whenever it may; gives how many runs it took."""
        for runs in range(1, 30):
            synced = self.run(late=late) is Standing.SYNCED
            if synced and not (late and self.cursor.late):
                return runs
            self.clock.pass_(5)
        raise AssertionError("it never ends")

    def capture(self, deliveries: str) -> list[Row]:
        """Capture a turn."""
        return self.store.capture(self.session, deliveries)

    def exactly_once(self) -> bool:
        """Tell whether Honcho has what is to be sent, each once and in order, and nothing else."""
        self.honcho.arrive()
        sent = [row.id for row in self.cursor.rows if row.delivery == "send"]
        return self.honcho.ids("w", "s") == sent
