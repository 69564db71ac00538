"""What one running stand-in is made of: its store, keys, pace and counters."""

from collections import Counter
from dataclasses import dataclass, field

from afterturn_sandbox.honcho.auth import Auth
from afterturn_sandbox.honcho.storage import Store
from afterturn_sandbox.honcho.values import now_us


@dataclass(slots=True)
class Counters:
    """What was asked of the stand-in and what it did, since the start or the last reset."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    message_posts: int = 0
    chats: int = 0
    messages_stored: int = 0

    def show(self) -> dict[str, object]:
        """Return the counters as JSON; `requests` by method and route template."""
        return {
            "requests": dict(self.requests),
            "statuses": dict(self.statuses),
            "faults": dict(self.faults),
            "message_posts": self.message_posts,
            "chats": self.chats,
            "messages_stored": self.messages_stored,
            "total": self.requests.total(),
        }


@dataclass(slots=True)
class State:
    """Everything that a route may use."""

    store: Store
    auth: Auth = field(default_factory=Auth)
    counters: Counters = field(default_factory=Counters)
    deriver_delay_us: int = 0
    latency_seconds: float = 0.0
    webhook_secret: str | None = None
    events: list[tuple[int, dict[str, object]]] = field(default_factory=list)

    def derived_until(self) -> int:
        """Return what was stored up to this time has been derived from; the rest is still pending."""
        return now_us() - self.deriver_delay_us

    def announce(self, workspace: int, event: dict[str, object]) -> None:
        """Leave an event for the workspace's webhooks; the server delivers it after the answer."""
        self.events.append((workspace, event))
