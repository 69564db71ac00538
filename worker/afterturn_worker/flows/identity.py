"""Identity seeding: a noted file becomes messages, captured once; an agent's name, a card's line.

What is captured here goes to Honcho as every message does: by the sync of its session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from afterturn_models.errors import HonchoFailure
from afterturn_models.policy.identity import Kind, identity_session, named_card
from afterturn_worker.honcho.recall_port import View

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.store.identity import Seed
    from afterturn_worker.flows.lease import SyncLimits
    from afterturn_worker.honcho.recall_port import About


class SeedStore(Protocol):
    """What seeding needs of Postgres; each method is one transaction."""

    def claim(self, seed_id: int, *, lease: float) -> Seed | None:
        """Take a seed up for `lease` seconds; None where there is nothing to do now."""
        ...

    def capture(self, seed: Seed) -> UUID | None:
        """Capture a seed, all of it or nothing; gives its session, None where it stays undone."""
        ...

    def finish(self, seed_id: int) -> None:
        """Close a seed for ever."""
        ...

    def withdraw(self, seed_id: int) -> None:
        """Forget a seed that a setting keeps here."""
        ...

    def failed(self, seed_id: int, error: str) -> None:
        """Note why a try failed."""
        ...


class CardPort(Protocol):
    """What of a Honcho is needed to say an agent's name: two methods of `RecallPort`."""

    def card(self, view: View, about: About, *, deadline: float) -> tuple[str, ...]:
        """Read a card."""
        ...

    def set_card(
        self, view: View, about: About, card: Sequence[str], *, deadline: float
    ) -> tuple[str, ...]:
        """Replace a card."""
        ...


def seed_identity(
    seed_id: int, store: SeedStore, honcho: CardPort, limits: SyncLimits
) -> UUID | None:
    """Seed what is noted under `seed_id`; gives the session to sync, where there is one.

    Safe to run twice, late, or beside its twin: a claim in Postgres lets one of them in, and a
    capture is one transaction with the closing of the seed. A setting that keeps the peer's memory
    here withdraws the seed. Raises StoreUnavailableError or HonchoFailure; the relay comes back.
    """
    seed = store.claim(seed_id, lease=limits.lease)
    if seed is None:
        return None
    if seed.kept is not None:
        store.withdraw(seed_id)
        return None
    if seed.kind is not Kind.NAME:
        return store.capture(seed)
    try:
        _name(seed, honcho, limits.request)
    except HonchoFailure as failure:
        store.failed(seed_id, str(failure))
        raise
    store.finish(seed_id)
    return None


def _name(seed: Seed, honcho: CardPort, deadline: float) -> None:
    """Put the agent's name on its own card, unless some line there says it.

    Honcho replaces a card and cannot merge: what it adds itself between our look and our write is
    lost, so the two follow each other at once. A repeated try finds the name there.
    """
    pair = seed.pair
    view = View(pair.workspace, identity_session(pair.agent), pair.owner, pair.agent)
    card = named_card(honcho.card(view, "agent", deadline=deadline), seed.text)
    if card is not None:
        honcho.set_card(view, "agent", card, deadline=deadline)
