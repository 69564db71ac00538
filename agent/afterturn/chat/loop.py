"""The loop of an agent with memory: a user's message in, the model's reply out, the turn kept.

This is all that an agent of your own needs of afterturn: `begin_turn`, `prompt_messages`, `tools`,
`call_tool`, `add` and `end`. The model and the screen are whatever you have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from afterturn.chat.assembling import sendable
from afterturn.chat.calls import answers
from afterturn.chat.errors import ContextTooLongError
from afterturn.chat_turns import alternating
from afterturn.tools.parameters import Who
from afterturn_models.errors import StoreUnavailableError
from afterturn_models.policy.text import is_blank

if TYPE_CHECKING:
    from afterturn.chat.assembling import Said
    from afterturn.chat.model import Model
    from afterturn.session import Session
    from afterturn.turn import Turn
    from afterturn_models.values import ToolCall

INSTRUCTIONS = (
    "You talk with a person at a terminal. Answer in plain text, and no longer than needed."
)
ITERATIONS = 8
_LEAST = 500  # tokens of history below which another attempt is not worth it


class Screen(Protocol):
    """Where a turn is shown while it happens."""

    def waiting(self) -> None:
        """Show that the model was asked."""

    def say(self, piece: str) -> None:
        """Show a piece of the model's text as it comes."""

    def said(self, said: Said) -> None:
        """Close a message of the model's that is whole now."""

    def calling(self, calls: tuple[ToolCall, ...]) -> None:
        """Show that the model called tools."""

    def note(self, sentence: str) -> None:
        """Show a sentence that is nobody's in the conversation."""


class Agent:
    """An agent in one session: its model, its screen, and what bounds a turn.

    `budget` are the tokens that the conversation so far may take of a request, `iterations` how
    often the model may call tools in a turn before it has to answer. Without `tools` it is offered
    none: memory is injected all the same.
    """

    def __init__(
        self,
        session: Session,
        model: Model,
        screen: Screen,
        *,
        budget: int,
        iterations: int = ITERATIONS,
        tools: bool = True,
        instructions: str = INSTRUCTIONS,
    ) -> None:
        self.session = session
        self.model = model
        self.turn: Turn | None = None  # the last one
        self._screen = screen
        self._budget = budget
        self._iterations = iterations
        self._tools = tools
        self._instructions = instructions
        self._before: list[dict[str, Any]] = []  # the conversation up to this turn
        self._now: list[dict[str, Any]] = []  # what this turn adds to it
        self._shown: list[str] = []  # of a message that is not whole yet

    def reply(self, text: str) -> str:
        """Take one turn: give the reply to what the user said, which is durable then.

        Whatever ends it before (KeyboardInterrupt, ModelError), what was shown until then is kept
        as the reply that it was, marked as interrupted. Raises CaptureError where nothing keeps it.
        """
        turn = self.turn = self.session.begin_turn(text)
        self._before = self._conversation(otherwise=[*self._before, *self._now])
        self._now = [{"role": "user", "content": turn.sent}]
        try:
            reply = self._converse(turn)
        except BaseException:
            self._keep_partial(turn)
            raise
        turn.end(reply)
        self._now.append({"role": "assistant", "content": reply})
        return reply

    def _converse(self, turn: Turn) -> str:
        """Have the model speak and its calls answered, until it speaks without calling."""
        tools = self.session.tools() if self._tools else []
        for _ in range(self._iterations):
            said = self._model_says(turn, tools)
            if not said.calls:
                return said.text
            self._answer_calls(turn, said)
        self._screen.note(
            f"{self._iterations} rounds of tool calls are enough: it has to answer now"
        )
        return self._model_says(turn, []).text

    def _model_says(self, turn: Turn, tools: list[dict[str, Any]]) -> Said:
        """Ask for the model's next message; once more with less history where it was too long."""
        try:
            return self._ask(turn, tools)
        except ContextTooLongError:
            if self._budget // 2 < _LEAST:
                raise
            self._budget //= 2  # for the turns that follow as well
            self._screen.note("too long for this model: once more with less of the history")
            self._before = self._conversation(otherwise=[])
            return self._ask(turn, tools)

    def _ask(self, turn: Turn, tools: list[dict[str, Any]]) -> Said:
        # The system prompt is the same bytes in every turn, and history as it was sent: a
        # provider's cache knows both. What memory has for this turn is beside the user's message.
        system = {"role": "system", "content": f"{turn.system}\n\n{self._instructions}"}
        self._shown.clear()
        self._screen.waiting()
        talk = alternating([*self._before, *self._now])
        said = self.model.stream([system, *talk], tools, self._show)
        self._screen.said(said)
        return said

    def _show(self, piece: str) -> None:
        self._shown.append(piece)
        self._screen.say(piece)

    def _answer_calls(self, turn: Turn, said: Said) -> None:
        """Run the tools that the model called, for this turn and the requests after it."""
        turn.add("assistant", said.text)
        self._shown.clear()
        self._now.append(said.as_request())
        self._screen.calling(said.calls)
        who = Who(self.session.speaker, self.session.agent_peer, self.session.key)
        for call, answer in answers(said.calls, turn.call_tool, who):
            arguments = sendable(call.arguments)
            turn.add("tool", answer, name=call.name, call_id=call.id, arguments=arguments)
            self._now.append({"role": "tool", "tool_call_id": call.id, "content": answer})

    def _keep_partial(self, turn: Turn) -> None:
        shown = "".join(self._shown)
        if not is_blank(shown):
            turn.add("assistant", shown, interrupted=True)
            self._now.append({"role": "assistant", "content": shown})
        turn.end()

    def _conversation(self, *, otherwise: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give what was said before, within the budget; `otherwise` while Postgres is away."""
        try:
            return self.session.prompt_messages(self._budget)
        except StoreUnavailableError:
            return otherwise
