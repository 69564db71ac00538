"""`DrainStore` on Postgres: what many sessions ask at one moment becomes one statement."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from afterturn_models.store import messages
from afterturn_models.store.many_leases import Step
from afterturn_worker.metrics import CLAIM, SETTLE, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.store.many_leases import ManyLeases
    from afterturn_models.values import Claim, Intent, Outgoing

Q = TypeVar("Q")
A = TypeVar("A")

_ROWS = 200  # of a session at a time: a full batch and what stays here in between
_BYTES = 1_000_000  # of text of a session at a time: many are held in memory at once
_AT_ONCE = 32  # sessions whose rows one statement reads


class Gathering(Generic[Q, A]):
    """Collects questions while a statement runs, and asks them all with the next one."""

    def __init__(self, ask: Callable[[Sequence[Q]], Sequence[A]], most: int) -> None:
        """`ask` answers up to `most` questions in their order, in a thread."""
        self._ask = ask
        self._most = most
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, question: Q) -> A:
        """Ask, with whatever else is asked meanwhile. Raises what the statement raises."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return await answer

    async def _ask_all(self) -> None:
        while self._waiting:
            now, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await asyncio.to_thread(self._ask, [question for question, _ in now])
            except Exception as error:  # noqa: BLE001 - raised where it was asked
                for _, waiting in now:
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for (_, waiting), answer in zip(now, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)


class GatheredStore:
    """The cursors of all sessions, or the parts of one copy, for one drain."""

    def __init__(
        self,
        database: Database,
        leases: ManyLeases,
        keys: Mapping[str, Any],
        *,
        owner: str,
        lease: float,
        with_late: bool = False,
        as_claimed: Callable[[Claim], Claim] = lambda claim: claim,
    ) -> None:
        """`keys` name the job, where there is one; `with_late`: rows out of their turn are read.

        `as_claimed` is what becomes of a claim: a copy goes to another workspace.
        """
        self._database = database
        self._leases = leases
        self._keys = dict(keys)
        self._owner = owner
        self._lease = lease
        self._with_late = with_late
        self._as_claimed = as_claimed
        self._reads = Gathering(self._read, _AT_ONCE)
        self._steps = Gathering(self._step, 1000)
        self._releases = Gathering(self._release, 1000)

    async def claim(self, *, most: int) -> Sequence[Claim]:
        """Take up to `most` leases."""
        return await asyncio.to_thread(self._claim, most)

    async def outgoing(self, session_id: UUID, *, after: int, upto: int) -> Sequence[Outgoing]:
        """Read a session's next rows."""
        return await self._reads((session_id, after, upto))

    async def advance(self, claim: Claim, *, saved: int, intent: Intent) -> int | None:
        """Settle up to `saved` and commit the next intent."""
        return await self._steps(Step(claim, saved, intent))

    async def release(self, claim: Claim, *, saved: int) -> bool:
        """Settle up to `saved` and give the lease back."""
        return await self._releases(Step(claim, saved))

    @measured(CLAIM)
    def _claim(self, most: int) -> list[Claim]:
        with self._database.statement() as connection:
            found = self._leases.claim(
                connection, self._keys, owner=self._owner, lease=self._lease, most=most
            )
        return [self._as_claimed(claim) for claim in found]

    def _read(self, wanted: Sequence[tuple[UUID, int, int]]) -> list[Sequence[Outgoing]]:
        with self._database.statement() as connection:
            found = messages.outgoing_of_many(
                connection, wanted, limit=_ROWS, most_bytes=_BYTES, with_late=self._with_late
            )
        return [found[session] for session, _, _ in wanted]

    @measured(SETTLE)
    def _step(self, steps: Sequence[Step]) -> list[int | None]:
        with self._database.statement() as connection:
            due = self._leases.advance(connection, self._keys, steps, lease=self._lease)
        return [due.get(step.claim.session_id) for step in steps]

    @measured(SETTLE)
    def _release(self, steps: Sequence[Step]) -> list[bool]:
        with self._database.statement() as connection:
            released = self._leases.release(connection, self._keys, steps)
        return [step.claim.session_id in released for step in steps]
