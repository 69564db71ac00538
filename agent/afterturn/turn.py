"""A turn: what was recalled for it, what is said in it, and the end that makes it durable."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afterturn.replay import beside
from afterturn.rows import CaptureRules, Said, rows
from afterturn_models.policy.noise import machine_context
from afterturn_models.values import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn.injection import Placed
    from afterturn.session import Session


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What came of a turn's end, which is durable in either case.

    `synced`: everything of it is known to be settled at Honcho (it is waited for with the write
    frequency `turn` only). `spooled`: Postgres was away, and the turn waits in a local file.
    """

    synced: bool
    spooled: bool


class Turn:
    """One turn of a conversation, from the user's message to the agent's reply.

    `system` belongs into the system prompt, and `sent` is the content of the user's message as it
    is to go into the request: the text, and `context` beside it in its fence (see `replay`). Then
    `Session.replay` gives those bytes again, in this process or another. `recall` is what of it
    was recalled, in pieces.
    """

    def __init__(
        self,
        session: Session,
        text: str,
        *,
        author: str,
        at: dt.datetime | None,
        placed: Placed,
        rules: CaptureRules,
        origin: str | None,
    ) -> None:
        self.recall = placed.recall
        self.context = placed.context
        self.system = placed.system
        self.sent = beside(text, placed.context)
        self._session = session
        self._said = [Said(Role.USER, author, text, at or _now(), self.sent, placed.frozen)]
        self._rules = rules
        self._machine = machine_context(origin)
        self._captured = 0  # how many rows of it are durable already
        self._interim: TurnResult | None = None
        self._result: TurnResult | None = None
        self._lock = threading.Lock()

    @property
    def id(self) -> uuid.UUID:
        """The id that it is captured under, made when it is first asked for: no beginning waits."""
        # One step, so that two threads that ask at once are given the same one.
        made: uuid.UUID = self.__dict__.setdefault("_id", uuid.uuid4())
        return made

    def add(self, role: str, content: str, *, at: dt.datetime | None = None) -> None:
        """Add a message in between, such as a tool's answer, which stays here by default.

        Raises ValueError for a role that is not user, assistant or tool, and for a turn that has
        ended; TypeError for a content that is no text.
        """
        try:
            speaker = Role(role)
        except ValueError:
            raise ValueError(f"{role!r} is no role; use user, assistant or tool") from None
        said = Said(speaker, self._peer(speaker), as_text(content), at or _now())
        with self._lock:
            if self._result is not None:
                raise ValueError("this turn has ended; begin the next one")
            self._said.append(said)

    def end(self, reply: str | None = None) -> TurnResult:
        """End the turn with the agent's reply and make it durable; None: it was interrupted.

        A second call gives the first one's result. Where the session's next turn began before
        this end, what was said until then is captured already, and the rest comes behind it.
        Raises CaptureError where neither Postgres nor the spool took the turn: nothing was
        written then, and it can be ended again; TypeError for a reply that is no text.
        """
        said = []
        if reply is not None:
            said.append(Said(Role.ASSISTANT, self._peer(Role.ASSISTANT), as_text(reply), _now()))
        with self._lock:
            if self._result is None:
                self._result = self._capture(said, wait=True)
            return self._result

    def call_tool(self, name: str, arguments: Mapping[str, Any] | str | None = None) -> str:
        """Call a tool for a model in this turn, whose author "user" means (see `Session.call_tool`)."""
        about = self._session.in_force.about or self._said[0].peer
        return self._session.call_tool_for(about, name, arguments)

    def interrupt(self) -> None:
        """Make durable what was said so far, since the session goes on without this turn's end.

        Called by the session. It does not wait for an end that another thread is in the middle
        of. Raises CaptureError.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._result is None:
                self._interim = self._capture([], wait=False)
        finally:
            self._lock.release()

    @property
    def ended(self) -> bool:
        """Tell whether the turn is durable."""
        return self._result is not None

    def _peer(self, role: Role) -> str:
        return self._said[0].peer if role is Role.USER else self._session.agent_peer

    def _capture(self, more: list[Said], *, wait: bool) -> TurnResult:
        said = [*self._said, *more]
        made = rows(self.id, said, self._rules, machine=self._machine)
        new = made[self._captured :]
        if not new and self._interim is not None:
            return self._interim
        result = self._session.finish(self, new, wait=wait)
        self._said, self._captured = said, len(made)
        return result


def as_text(value: object) -> str:
    """Give `value`, which must be text; raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"a message is text, not {type(value).__name__}")
    return value


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
