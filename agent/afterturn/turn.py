"""A turn: what was recalled for it, what is said in it, and the end that makes it durable."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from afterturn.replay import beside
from afterturn.rows import CaptureRules, Said, rows
from afterturn.tool_messages import answered_call
from afterturn_models.policy.noise import machine_context
from afterturn_models.values import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn.injection import Placed
    from afterturn.recall import Recall
    from afterturn.session import Session
    from afterturn.timings.marks import Marks, Outcome


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
        rules: CaptureRules,
        origin: str | None,
        marks: Marks,
    ) -> None:
        self.marks = marks
        self.recall: Recall | None = None
        self.context = self.system = ""
        self.sent = text
        self._session = session
        self._said = [Said(Role.USER, author, text, at or _now())]
        self._rules = rules
        self._machine = machine_context(origin)
        self._captured = 0  # how many rows of it are durable already
        self._interim: TurnResult | None = None
        self._result: TurnResult | None = None
        self._lock = threading.Lock()

    def begun(self, placed: Placed) -> None:
        """Take what was recalled; called by the session, before it hands the turn out."""
        self.recall, self.system, self.context, frozen = placed
        said = self._said[0]
        self.sent = beside(said.content, self.context)
        self._said[0] = Said(said.role, said.peer, said.content, said.at, self.sent, frozen)

    @property
    def id(self) -> uuid.UUID:
        """The id that it is captured under, made when it is first asked for: no beginning waits."""
        # One step, so that two threads that ask at once are given the same one.
        made: uuid.UUID = self.__dict__.setdefault("_id", uuid.uuid4())
        return made

    def add(
        self,
        role: str,
        content: str,
        *,
        at: dt.datetime | None = None,
        name: str | None = None,
        call_id: str | None = None,
        arguments: Mapping[str, Any] | str | None = None,
        interrupted: bool = False,
    ) -> None:
        """Add a message in between, such as a tool's answer, which stays here by default.

        Of a tool's answer `name`, `call_id` and `arguments` say which call it answers, as the
        model made it: `Session.prompt_messages` gives the call and its answer again. Add what the
        assistant said with its calls first, "" where it said nothing: the answers up to the next
        message of another role are those to the calls of that one message.

            turn.add("assistant", "Let me look.")
            turn.add("tool", "12 °C", name="weather", call_id="call_1", arguments='{"at": "Oslo"}')

        `interrupted` marks a reply that was cut off in the middle; end the turn without another.

        Raises ValueError for a role that is not user, assistant or tool, for a call that is no
        tool's or has no JSON for arguments, and for a turn that has ended; TypeError for a content
        that is no text.
        """
        try:
            speaker = Role(role)
        except ValueError:
            raise ValueError(f"{role!r} is no role; use user, assistant or tool") from None
        call = answered_call(speaker, name, call_id, arguments)
        said = Said(speaker, self._peer(speaker), as_text(content), at or _now(), call=call)
        said = said._replace(interrupted=interrupted)
        with self._lock:
            if self._result is not None:
                raise ValueError("this turn has ended; begin the next one")
            self._said.append(said)
            self.marks.add()

    def end(self, reply: str | None = None) -> TurnResult:
        """End the turn with the agent's reply and make it durable; None: it was interrupted.

        A second call gives the first one's result. Where the session's next turn began before
        this end, what was said until then is captured already, and the rest comes behind it.
        Raises CaptureError where neither Postgres nor the spool took the turn: nothing was
        written then, and it can be ended again; TypeError for a reply that is no text.
        """
        ended = perf_counter_ns()
        said = []
        if reply is not None:
            said.append(Said(Role.ASSISTANT, self._peer(Role.ASSISTANT), as_text(reply), _now()))
        with self._lock:
            if self._result is None:
                self.marks.ended = ended
                self._result = self._capture(said, wait=True)
                self._over("spooled" if self._result.spooled else "captured")
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
                self.marks.ended = perf_counter_ns()
                self._interim = self._capture([], wait=False)
                self._over("interrupted")
        finally:
            self._lock.release()

    @property
    def ended(self) -> bool:
        """Tell whether the turn is durable."""
        return self._result is not None

    @property
    def timings(self) -> dict[str, float]:
        """Give the seconds that each of its stages took so far, in a turn's order.

        `lock`, `load`, `pop`, `assemble`, `model`, `capture`, `hint`, and `sync` where its end
        waited for Honcho; each where it came to that. No time is counted twice: what was read of
        the history while the model was at it is `load`.
        """
        return self.marks.seconds()

    def _over(self, outcome: Outcome) -> None:
        """Leave the marks to be counted, once, also where an interrupted turn comes to an end."""
        if self.marks.outcome is None:
            self.marks.outcome = outcome
            self._session.over(self.marks)

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
