"""Turns as a request has them: captured rows made into messages that a chat model's API takes.

A call and its answer are one exchange, and never apart: an API refuses either without the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from afterturn.replay import without_block
from afterturn_models.policy.pruning import prune_tool_output
from afterturn_models.policy.text import is_blank
from afterturn_models.store.prompting import PER_MESSAGE
from afterturn_models.values import Role, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from afterturn_models.token_counter import TokenCounter
    from afterturn_models.values import Message

PER_CALL = 8  # tokens that a request has around each call of a tool
_NO_NAME = "tool"  # of a tool's answer that was captured without its call


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool's answer with the call it is to, and the tokens of both."""

    call: ToolCall
    text: str
    tokens: int

    def pruned(self, tokens: int, counter: TokenCounter) -> Answer:
        """Give it with its text within `tokens`."""
        if self.tokens <= tokens:
            return self
        around = _call_tokens(self.call, counter)
        if self.tokens - around <= tokens:
            return self
        text = prune_tool_output(self.text, tokens, counter.count)
        return replace(self, text=text, tokens=around + counter.count(text))


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one side said, and the answers to the calls that came with it; not to be parted.

    `first` and `rows` are the index of its first row and how many they are, `words` the tokens of
    what was said.
    """

    role: Role
    text: str
    words: int
    first: int
    rows: int = 1
    answers: tuple[Answer, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of all of it in a request."""
        said = PER_MESSAGE + self.words
        return said + sum(PER_MESSAGE + answer.tokens for answer in self.answers)

    def pruned(self, tokens: int, counter: TokenCounter) -> Exchange:
        """Give it with each tool's answer within `tokens`."""
        if not self.answers:
            return self
        return replace(
            self, answers=tuple(answer.pruned(tokens, counter) for answer in self.answers)
        )

    def shortened(self, tokens: int, counter: TokenCounter) -> Exchange:
        """Give it with its own words within `tokens`: their head and their tail."""
        if self.words <= tokens:
            return self
        text = prune_tool_output(self.text, tokens, counter.count)
        return replace(self, text=text, words=counter.count(text))

    def messages(self) -> Iterator[dict[str, Any]]:
        """Give it as a request has it."""
        said: dict[str, Any] = {"role": self.role.value, "content": self.text}
        if self.answers:
            said["content"] = self.text or None
            said["tool_calls"] = [_as_request(answer.call) for answer in self.answers]
        yield said
        for answer in self.answers:
            yield {"role": "tool", "tool_call_id": answer.call.id, "content": answer.text}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn, or several of which only the first begins with what a user said."""

    exchanges: tuple[Exchange, ...]

    @property
    def tokens(self) -> int:
        """Tokens of all of it in a request."""
        return sum(exchange.tokens for exchange in self.exchanges)

    @property
    def rows(self) -> int:
        """How many captured rows are in it."""
        return sum(exchange.rows for exchange in self.exchanges)

    @property
    def asked(self) -> bool:
        """Tell whether a user speaks in it."""
        return any(exchange.role is Role.USER for exchange in self.exchanges)

    def pruned(self, tokens: int, counter: TokenCounter) -> Turn:
        """Give it with each tool's answer within `tokens`."""
        return Turn(tuple(exchange.pruned(tokens, counter) for exchange in self.exchanges))


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are read: by which counter, for whom, and with what was remembered beside them.

    `speaker`: memory beside the words of others stays out (None: all of it is about one person).
    Without `memory` a user's message is what was captured, else the very bytes that were sent.
    """

    counter: TokenCounter
    speaker: str | None = None
    memory: bool = True

    def turns(self, rows: Iterable[Message]) -> list[Turn]:
        """Make turns of rows in their order; one in which nothing can be seen is left out."""
        made = (
            Turn(tuple(self._exchanges(list(of_turn))))
            for _, of_turn in groupby(rows, key=lambda row: row.turn)
        )
        return [turn for turn in made if turn.exchanges]

    def _exchanges(self, rows: Sequence[Message]) -> Iterator[Exchange]:
        open_: Exchange | None = None
        for whole in _wholes(rows):
            if whole[0].role is not Role.TOOL:
                yield from _seen(open_)
                open_ = self._said(whole)
                continue
            answer = self._answer(whole)
            if open_ is None or open_.role is Role.USER or _answered(open_, answer.call.id):
                yield from _seen(open_)
                open_ = Exchange(Role.ASSISTANT, "", 0, whole[0].index, 0)
            open_ = replace(open_, answers=(*open_.answers, answer), rows=open_.rows + len(whole))
        yield from _seen(open_)

    def _said(self, whole: Sequence[Message]) -> Exchange:
        text = "".join(map(self._text, whole))
        return Exchange(whole[0].role, text, self._tokens(whole, text), whole[0].index, len(whole))

    def _text(self, row: Message) -> str:
        if row.role is not Role.USER:
            return row.sent
        if not self.memory:
            return row.content
        return row.sent if self.speaker in {None, row.peer} else without_block(row.sent)

    def _answer(self, whole: Sequence[Message]) -> Answer:
        row, call = whole[0], _call(whole[0])
        text = "".join(part.sent for part in whole)
        if row.call is None or not row.call.name or not self._known(whole, text):
            return Answer(call, text, self.counter.count(text) + _call_tokens(call, self.counter))
        ids = 2 * self.counter.count(call.id) + PER_CALL
        return Answer(call, text, (row.tokens or 0) + ids)

    def _tokens(self, whole: Sequence[Message], text: str) -> int:
        return (whole[0].tokens or 0) if self._known(whole, text) else self.counter.count(text)

    def _known(self, whole: Sequence[Message], text: str) -> bool:
        """Tell whether the count that was kept is that of `text`: nothing is counted twice."""
        row = whole[0]
        same = len(whole) == 1 and row.tokens is not None and row.content == text
        return same and self.counter.encoding in {None, row.counted}


def message_tokens(message: dict[str, Any], count: Callable[[str], int]) -> int:
    """Give the tokens of one message of a request, with those around it."""
    calls = message.get("tool_calls") or ()
    return (
        PER_MESSAGE
        + count(message["content"] or "")
        + count(message.get("tool_call_id") or "")
        + sum(
            PER_CALL
            + count(call["id"])
            + count(f"{call['function']['name']}{call['function']['arguments']}")
            for call in calls
        )
    )


def alternating(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give messages with no two of one side in a row: neighbours are one, a blank line between.

    Models with a strict template refuse roles that do not alternate. Nothing is lost: what the
    agent said right before it called tools goes into the message with the calls. A request that
    already alternates stays byte by byte.
    """
    return [_joined(run) for run in runs(messages)]


def runs(messages: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Part messages into those that are one in a request, and all others alone."""
    found: list[list[dict[str, Any]]] = []
    for message in messages:
        if found and _is_one(found[-1][-1], message):
            found[-1].append(message)
        else:
            found.append([message])
    return found


def _is_one(before: dict[str, Any], message: dict[str, Any]) -> bool:
    speaks = message["role"] in {Role.USER.value, Role.ASSISTANT.value}
    return speaks and message["role"] == before["role"] and not before.get("tool_calls")


def _joined(run: list[dict[str, Any]]) -> dict[str, Any]:
    if len(run) == 1:
        return run[0]
    text = "\n\n".join(message["content"] for message in run if message["content"])
    return {**run[-1], "content": text}


def _wholes(rows: Sequence[Message]) -> Iterator[list[Message]]:
    """Join the parts of each long message; of one that is not all there, what is."""
    whole: list[Message] = []
    for row in rows:
        if whole and not (row.part and row.role is whole[0].role):
            yield whole
            whole = []
        whole.append(row)
    if whole:
        yield whole


def _seen(exchange: Exchange | None) -> Iterator[Exchange]:
    if exchange is not None and (exchange.answers or not is_blank(exchange.text)):
        yield exchange


def _answered(exchange: Exchange, call_id: str) -> bool:
    return any(answer.call.id == call_id for answer in exchange.answers)


def _call(row: Message) -> ToolCall:
    """Give the call that a row answers; where none was kept, one that an API takes for it."""
    made = ToolCall(f"call_{row.id.hex[:24]}", _NO_NAME)
    if row.call is None:
        return made
    return replace(row.call, id=row.call.id or made.id, name=row.call.name or made.name)


def _call_tokens(call: ToolCall, counter: TokenCounter) -> int:
    said = counter.count(f"{call.name}{call.arguments}")
    return said + 2 * counter.count(call.id) + PER_CALL


def _as_request(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
