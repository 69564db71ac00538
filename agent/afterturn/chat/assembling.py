"""Assembling: a message of the model's, made of the pieces in which it is streamed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afterturn_models.values import ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Said:
    """A whole message of the model's, and what is known of how it came.

    `finish` is why the model stopped, in the API's words. `read` and `written` are tokens, where
    the endpoint counts them; `first` and `seconds` how long the first word and all of it took.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: str | None = None
    read: int | None = None
    written: int | None = None
    first: float | None = None
    seconds: float = 0.0

    def as_request(self) -> dict[str, Any]:
        """Give it as the next request has it."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": sendable(call.arguments)},
                }
                for call in self.calls
            ]
        return message


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Assembly:
    """What has come of one message so far; `take` each chunk, in order.

    Chunks are those of OpenAI's API as objects of JSON. What endpoints do differently is taken
    too: calls without an index or an id, several under one index, arguments that are an object.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: list[_Call] = []
        self._places: dict[int | None, _Call] = {}
        self._finish: str | None = None
        self._usage: Mapping[str, Any] = {}
        self.chunks = 0
        self.begun = False  # something of the message has come, if only thoughts that are not shown

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._text)

    def take(self, chunk: Mapping[str, Any]) -> str:
        """Take one chunk; gives what it adds to the text."""
        self.chunks += 1
        self._usage = chunk.get("usage") or self._usage
        choice = next(iter(chunk.get("choices") or ()), None) or {}
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta") or {}
        text = _text(delta.get("content")) + _text(delta.get("refusal"))
        self._text.append(text)
        for piece in delta.get("tool_calls") or ():
            self._take_call(piece)
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        self.begun = self.begun or bool(text or thought or self._calls)
        return text

    def said(self, *, first: float | None = None, seconds: float = 0.0) -> Said:
        """Give the message as it is now."""
        calls = [
            ToolCall(call.id or f"call_{place}", call.name, "".join(call.arguments))
            for place, call in enumerate(self._calls, 1)
        ]
        read, written = self._usage.get("prompt_tokens"), self._usage.get("completion_tokens")
        return Said(self.text, tuple(calls), self._finish, read, written, first, seconds)

    def _take_call(self, piece: Mapping[str, Any]) -> None:
        call = self._call(piece)
        function = piece.get("function") or {}
        call.id = call.id or piece.get("id") or ""
        name = function.get("name") or ""
        if name != call.name:  # some endpoints say it again with every piece
            call.name += name
        arguments = function.get("arguments") or ""
        call.arguments.append(arguments if isinstance(arguments, str) else json.dumps(arguments))

    def _call(self, piece: Mapping[str, Any]) -> _Call:
        """Give the call that a piece belongs to, a new one where it begins one."""
        place, named = piece.get("index"), piece.get("id") or ""
        same = next((call for call in self._calls if named and call.id == named), None)
        here = self._places.get(place)  # None is the place of those without an index
        titled = place is None and (piece.get("function") or {}).get("name")
        if same is None and (here is None or (named and here.id) or titled):
            same = _Call()
            self._calls.append(same)
        found = same or here
        assert found is not None  # one of the two, as just decided
        self._places[place] = found
        return found


def _text(content: Any) -> str:
    """Give the text of a content: a string, or a list of parts of which some are text."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def sendable(arguments: str) -> str:
    """Give a call's arguments as a later request may have them: `{}` for what is no JSON object.

    Endpoints parse what they are sent, and some fail over what the model itself wrote.
    """
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"
