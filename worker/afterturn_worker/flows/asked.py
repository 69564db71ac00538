"""What an ask comes with: whom it is about, how far it sees, its arguments, the time it has left."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from afterturn_models.asks import Failure
from afterturn_models.policy.mode import AGENT_KEYS, resolve_mode, saves_messages
from afterturn_models.values import Mode
from afterturn_worker.flows.ask_failures import Unanswered
from afterturn_worker.flows.ports import DialecticStore
from afterturn_worker.flows.views import view_of
from afterturn_worker.honcho.recall_port import SearchFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from afterturn_models.asks import Op
    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.store.counts import Counts
    from afterturn_models.store.deleting import Deletion, Place
    from afterturn_models.store.facts import SessionFacts
    from afterturn_worker.honcho.recall_port import About, By, RecallPort, View

_LEAST_TIME = 0.05  # seconds below which no request is made any more
_BY: Mapping[str, By] = {"user": "user", "agent": "agent"}


class DeleteStore(Protocol):
    """What deleting a session needs of Postgres (see `afterturn_models.store.deleting`)."""

    def hold(self, session_id: UUID, *, lease: float) -> int | Deletion:
        """Take the session's lease, so that nobody sends; gives the epoch, or why not."""
        ...

    def let_go(self, session_id: UUID, epoch: int) -> None:
        """Give the lease back."""
        ...

    def places(self, session_id: UUID) -> list[Place]:
        """Name the sessions of Honcho that its messages went to."""
        ...

    def delete_held(self, session_id: UUID, epoch: int, *, gone: Sequence[str]) -> int | None:
        """Delete it here; gives how many messages it had, None where the lease was lost."""
        ...


class AskStore(DialecticStore, DeleteStore, Protocol):
    """What an ask needs of Postgres."""

    def session_facts(self, session_id: UUID) -> SessionFacts | None:
        """Read what recall needs to know of a session; None where it is gone."""
        ...

    def counts(self, session_id: UUID) -> Counts | None:
        """Count a session's messages; None where it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One ask with all that answering it takes; `until` is on this process' monotonic clock.

    `settings` are the session's, `own` the worker's word behind them.
    """

    session_id: UUID
    op: Op
    user: str
    arguments: Mapping[str, Any]
    facts: SessionFacts
    settings: RecallSettings
    own: Mapping[str, Any]
    store: AskStore
    honcho: RecallPort
    until: float

    @property
    def view(self) -> View:
        """Whose memory of whom is asked for."""
        return self.seen(asked=True)

    def seen(self, *, asked: bool) -> View:
        """Give whose memory of whom is meant: what a tool asks for, or what recalls by itself."""
        return view_of(self.facts, self.settings, self.own, asked=asked, user=self.user)

    @property
    def about(self) -> About:
        """Which of the two it is about."""
        return "agent" if self.arguments.get("about") == "agent" else "user"

    def stays(self, about: About) -> bool:
        """Tell whether the memory of this peer is kept on the machine where the agent is."""
        layers = self.facts.profile.layers(self.facts.said)
        local = (
            self.facts.user_local
            if about == "user"
            else resolve_mode(layers, AGENT_KEYS) is Mode.LOCAL
        )
        return local or not saves_messages(layers)

    @property
    def late(self) -> bool:
        """Tell whether the time is over."""
        return time.monotonic() > self.until - _LEAST_TIME

    @property
    def left(self) -> float:
        """Give the seconds that are left. Raises Unanswered where no request fits in any more."""
        left = self.until - time.monotonic()
        if left < _LEAST_TIME:
            raise Unanswered(Failure.TIMEOUT, "The workers had no time left for it; ask again.")
        return left

    def text(self, name: str) -> str:
        """Give a text that is needed. Raises Unanswered."""
        value = self.arguments.get(name)
        if not isinstance(value, str) or not value.strip():
            raise Unanswered(Failure.REFUSED, f"{name} is needed.")
        return value

    def maybe(self, name: str) -> str | None:
        """Give a text that may be left out."""
        return self.text(name) if self.arguments.get(name) else None

    def number(self, name: str, default: int, most: int) -> int:
        """Give a number from 1 to `most`."""
        value = self.arguments.get(name)
        return min(max(value, 1), most) if type(value) is int else default

    def instant(self, name: str) -> dt.datetime | None:
        """Give an instant that may be left out. Raises Unanswered."""
        value = self.maybe(name)
        if value is None:
            return None
        try:
            at = dt.datetime.fromisoformat(value)
        except ValueError:
            raise Unanswered(Failure.REFUSED, f"{name} is no time in ISO 8601.") from None
        return at if at.tzinfo else at.replace(tzinfo=dt.UTC)

    def lines(self, name: str) -> list[str]:
        """Give a list of texts that is needed. Raises Unanswered."""
        value = self.arguments.get(name)
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise Unanswered(Failure.REFUSED, f"{name} must be a list of texts.")
        return value

    def narrowed(self) -> SearchFilter:
        """Give what a search is narrowed to. Raises Unanswered."""
        labels = self.arguments.get("metadata") or {}
        # Texts only: a comparison of numbers over other values ends in Honcho's 500.
        if not isinstance(labels, dict) or not all(isinstance(one, str) for one in labels.values()):
            raise Unanswered(Failure.REFUSED, "metadata must be an object of texts.")
        return SearchFilter(
            by=_BY.get(str(self.arguments.get("from_")), "all"),
            created_after=self.instant("created_after"),
            created_before=self.instant("created_before"),
            metadata=labels,
        )
