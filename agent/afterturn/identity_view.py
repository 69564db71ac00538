"""What Honcho knows of the agent, and how far its seeds are: for a person who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afterturn.identity import pair_of
from afterturn_models.asks import Op
from afterturn_models.store.identity import open_identity
from afterturn_models.store.identity_ledger import ledger

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn.services import Services
    from afterturn_models.asks import Answer
    from afterturn_models.store.identity import Pair
    from afterturn_models.store.identity_ledger import Seeded


@dataclass(frozen=True, slots=True)
class IdentityView:
    """The agent's card and representation as Honcho has them, and what is on its way there.

    `deriving` is how many units of work Honcho has left until it has made of the agent's messages
    what it makes of them; None where it did not say. `failure` says why nothing could be asked.
    """

    agent: str
    seeds: tuple[Seeded, ...]
    card: tuple[str, ...] = ()
    representation: str = ""
    deriving: int | None = None
    failure: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Give it all as JSON."""
        return {
            "agent": self.agent,
            "card": list(self.card),
            "representation": self.representation,
            "deriving": self.deriving,
            "seeds": [
                {
                    "kind": one.kind.value,
                    "peer": one.peer,
                    "source": one.source,
                    "at": one.at.isoformat(),
                    "state": one.state,
                    "error": one.last_error,
                }
                for one in self.seeds
            ],
            "failure": self.failure,
        }

    def lines(self) -> list[str]:
        """Give it all as lines for a terminal."""
        lines = [f"Agent: {self.agent}"]
        if self.failure:
            lines.append(f"Honcho was not asked: {self.failure}")
        else:
            lines += ["Card:", *(f"    {line}" for line in self.card or ("(empty)",))]
            told = self.representation.strip().splitlines() or ["(empty)"]
            lines += ["Representation:", *(f"    {line}" for line in told)]
            lines.append(f"Deriving: {left_to_derive(self.deriving)}")
        lines += ["Seeds:", *(_seed(one) for one in self.seeds)]
        return lines if self.seeds else [*lines, "    none; begin with: afterturn identity FOLDER"]


def left_to_derive(count: int | None) -> str:
    """Say how much Honcho has left to derive; None is where it did not say."""
    if count is None:
        return "Honcho did not say"
    return f"not done, {count} units of work are left" if count else "nothing is left to derive"


def _seed(one: Seeded) -> str:
    error = f" ({one.last_error})" if one.last_error else ""
    return f"    {one.source}, {one.peer}, {one.at:%Y-%m-%d %H:%M}: {one.state}{error}"


def look(services: Services) -> IdentityView:
    """Ask a worker what Honcho has of the configured agent.

    Raises StoreUnavailableError or SchemaError; whatever else stands in the way is the view's.
    """
    pair = pair_of(services.names.settings())
    with services.database.statement() as connection:
        session = open_identity(connection, pair, pair.agent, services.profile)
        seeds = tuple(ledger(connection, pair))
    known = _ask(services, session.id, Op.CONTEXT, pair)
    if known.failure is not None:
        return IdentityView(pair.agent, seeds, failure=known.sentence)
    queue = _ask(services, session.id, Op.QUEUE, pair)
    return IdentityView(
        pair.agent,
        seeds,
        card=tuple(known.value["card"]),
        representation=known.value["representation"],
        deriving=None if queue.failure is not None else queue.value["pending"],
    )


def _ask(services: Services, session_id: UUID, op: Op, pair: Pair) -> Answer:
    return services.asker.ask(
        session_id, op, {"about": "agent"}, user=pair.owner, seconds=services.settings.ask_seconds
    )
