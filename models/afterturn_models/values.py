"""The vocabulary: small immutable values that every other module speaks in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID


class Mode(StrEnum):
    """Where one peer's memory is written (spec: per-peer memory modes)."""

    HYBRID = "hybrid"
    HONCHO = "honcho"
    LOCAL = "local"


class Role(StrEnum):
    """Who spoke, in the words of chat models."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Delivery(StrEnum):
    """What is to become of a captured row; the cursor passes all but `SEND` without a request."""

    SEND = "send"
    LOCAL = "local"
    QUARANTINED = "quarantined"


class Scope(StrEnum):
    """How far a setting kept in Postgres reaches; the narrower one wins."""

    WORKSPACE = "workspace"
    AGENT = "agent"
    SESSION = "session"


class Standing(StrEnum):
    """Where a session's sync stands when a task has done what it could."""

    SYNCED = "synced"  # everything due is settled
    MORE = "more"  # a task's share is done, and there is more to do at once
    BUSY = "busy"  # another worker holds the lease, and goes on until nothing is due
    WAITING = "waiting"  # a back-off, a rate limit or a settling has not passed yet
    PARKED = "parked"  # a person is needed: wrong key, no permission
    GONE = "gone"  # the session was deleted


@dataclass(frozen=True, slots=True)
class Observing:
    """A peer's observe settings in a session of Honcho.

    Both `observe_me` by default: without it the agent's own representation stays empty
    (spec: AI peer identity formation, part A).
    """

    observe_me: bool = True
    observe_others: bool = False


USER_OBSERVING = Observing(observe_me=True, observe_others=False)
AGENT_OBSERVING = Observing(observe_me=True, observe_others=True)
PARENT_OBSERVING = Observing(observe_me=False, observe_others=True)  # in a subagent's session


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made of a tool: its id, the tool, and the arguments as the model wrote them.

    It is kept on the row of the tool's answer, so that nothing comes between the two.
    """

    id: str
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One row to capture: a message of a turn, or one part of a long one.

    `id` is the row's own UUID for ever, `at` when it was said (None: at capture), `local` a
    reason to keep it out of Honcho whatever the modes say.
    """

    id: UUID
    role: Role
    peer: str
    content: str
    at: datetime | None = None
    part: int = 0
    parts: int = 1
    tokens: int | None = None
    local: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """A captured row as history shows it.

    `content` is what was captured, and what Honcho gets of it; `sent` what the model was sent: the
    same, or with memory beside it, or what was stripped from it. Of a message in several parts the
    first one may have all that was sent, and the others none. `tokens` were counted at capture, by
    the encoding `counted` (None: estimated, or not asked for); `call` is the call that a tool's
    answer is to.
    """

    id: UUID
    index: int
    turn: int
    role: Role
    peer: str
    content: str
    at: datetime
    delivery: Delivery
    part: int = 0
    parts: int = 1
    sent: str = ""
    tokens: int | None = None
    call: ToolCall | None = None
    counted: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A captured row as a sync reads it; `content` is None where nothing is to be sent.

    `mended`: Honcho refused it as it is, and takes it with its special tokens neutralised.
    """

    id: UUID
    index: int
    role: Role
    peer: str
    honcho_session: str
    content: str | None
    at: datetime
    part: int = 0
    parts: int = 1
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture did: the first index, the turn's number, and whether a sync is due.

    `stamp` is another one as soon as anything is said otherwise in Postgres of the session's
    settings; None where that was not looked at. `uncovered` are the session's tokens that no
    compaction covers.
    """

    first_index: int
    last_index: int
    turn: int
    due: bool
    frequency: str
    user_mode: Mode
    agent_mode: Mode
    stamp: str | None = None
    uncovered: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """What a worker is about to send, or may have sent, committed before its POST.

    `rows` lists row ids where it is not every `send` row from `first` to `last`.
    """

    first: int
    last: int
    rows: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's lease on a session's cursor, fenced by `epoch`.

    `details` is the session's profile as it is stored, `said` what Postgres says of settings.
    """

    session_id: UUID
    epoch: int
    workspace: str
    agent_peer: str
    last_saved_index: int
    due_index: int
    attempts: int
    intent: Intent | None
    settled: bool  # the settling time of `intent` has passed since its finder's claim
    late: bool = False  # rows out of their turn are to be sent: repaired, or out of quarantine
    narrowed_to: int | None = None  # messages in a batch, while a refusal is narrowed down
    user_peer: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)
    said: Mapping[Scope, Mapping[str, Any]] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Postponement:
    """How a worker leaves a session that it could not finish now.

    `saved` is the last index that is settled all the same, `seconds` the wait, `error` what went
    wrong. `settling` keeps the intent and lets nobody look it up before the wait is over,
    `keep_intent` keeps it with the settling time it had; otherwise certainly nothing of it was
    stored, and it is cleared. `parked` says what a person must do first. `narrowed_to` is how
    many messages go into the next batch, where a refusal is being narrowed down.
    """

    saved: int
    seconds: float
    error: str | None = None
    settling: bool = False
    keep_intent: bool = False
    parked: str | None = None
    narrowed_to: int | None = None


@dataclass(frozen=True, slots=True)
class ContextResult:
    """What Honcho knows, as the spec's `ContextResult` names it, and the agent's own card."""

    representation: str = ""
    card: tuple[str, ...] = ()
    ai_representation: str = ""
    summary: str = ""
    ai_card: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is anything in it to inject."""
        told = self.representation or self.ai_representation or self.summary
        return bool(told or self.card or self.ai_card)
