"""The streaming client: any endpoint that speaks OpenAI's chat API, for a person who waits.

A connection has seconds, the first word a deadline of its own, and an answer that has begun takes
as long as it goes on. What fails before the first word is tried twice more, after short waits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from afterturn.chat.assembling import Assembly
from afterturn.chat.errors import ModelError, NothingConfiguredError
from afterturn_models.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openai import OpenAI

    from afterturn.chat.assembling import Said
    from afterturn.chat.endpoint import Endpoint

_CONNECT, _SEND = 5.0, 30.0  # seconds
_WAITS = (0.5, 2.0)  # seconds before the second and the third attempt
_DISPENSABLE = ("stream_options", "tools")
_LISTED = 8  # models that are named where none was


class Model(Protocol):
    """What a loop needs of a model; `label` tells a person which it is."""

    label: str

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]],
        show: Callable[[str], None],
    ) -> Said:
        """Give the model's next message; `show` gets its text piece by piece, as it comes.

        Raises ModelError; ContextTooLongError where less history may help.
        """

    def close(self) -> None:
        """Let go of connections."""


class EndpointModel:
    """A model behind an endpoint; `note` gets a sentence on whatever is done again or left out."""

    def __init__(self, endpoint: Endpoint, note: Callable[[str], None]) -> None:
        """Raise MissingExtraError without the openai SDK, ModelError without one model to take."""
        self._endpoint = endpoint
        self._note = note
        self._client = _client(endpoint)
        self._left_out: set[str] = set()
        self._name = endpoint.model or self._only_model()
        self.label = f"{self._name} at {endpoint.shown}"

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]],
        show: Callable[[str], None],
    ) -> Said:
        """Give the model's next message (see `Model`)."""
        from openai import OpenAIError

        waits = list(_WAITS)
        while True:
            assembly = Assembly()
            try:
                return self._streamed(self._request(messages, tools), assembly, show)
            except (OpenAIError, ValueError) as error:  # ValueError: an event that is no JSON
                self._prepare_again(error, waits, begun=assembly.begun)

    def close(self) -> None:
        """Close the connections to the endpoint."""
        self._client.close()

    def _request(
        self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._name,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:  # not all endpoints take an empty list
            request["tools"] = list(tools)
        return {name: value for name, value in request.items() if name not in self._left_out}

    def _streamed(
        self, request: dict[str, Any], assembly: Assembly, show: Callable[[str], None]
    ) -> Said:
        from afterturn.chat.failing import not_that_api
        from afterturn.chat.patience import be_patient

        began, first = time.monotonic(), None
        with self._client.chat.completions.create(**request) as stream:
            be_patient(stream.response, began, self._endpoint, assembly)
            for chunk in stream:
                text = assembly.take(chunk.to_dict())
                if text:
                    first = first or time.monotonic() - began
                    show(text)
        if not assembly.chunks:
            raise ModelError(not_that_api(self._endpoint))
        return assembly.said(first=first, seconds=time.monotonic() - began)

    def _prepare_again(self, error: Exception, waits: list[float], *, begun: bool) -> None:
        """Prepare another attempt after an error: wait, or leave out what is not taken.

        Raises ModelError where there is none to make.
        """
        from afterturn.chat.failing import explained, hurdle, not_taken, wait_for

        refused = None if begun else not_taken(error, _DISPENSABLE)
        if refused is not None and refused not in self._left_out:
            self._left_out.add(refused)
            if refused == "tools":
                self._note("this model takes no tools: memory is injected, and not asked for")
            return
        wait = wait_for(error, waits.pop(0)) if waits and not begun else None
        if wait is None:
            raise explained(error, self._endpoint, self._name, begun=begun) from error
        self._note(f"{hurdle(error)}; once more in {wait:g} s")
        time.sleep(wait)

    def _only_model(self) -> str:
        """Give the one model that the endpoint has."""
        from openai import OpenAIError

        from afterturn.chat.failing import explained

        try:
            names = [one.id for one in self._client.models.list().data or ()]
        except (OpenAIError, ValueError) as error:
            raise explained(error, self._endpoint, "", begun=False) from error
        if len(names) == 1:
            return names[0]
        known = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
        there = f" ({self._endpoint.shown} has {known})" if names else ""
        raise NothingConfiguredError(
            f"say which model to talk to: --model NAME, or set AFTERTURN_LLM_MODEL{there}"
        )


def _client(endpoint: Endpoint) -> OpenAI:
    try:
        from openai import OpenAI, Timeout
    except ImportError as error:
        raise MissingExtraError("the openai SDK", "chat") from error
    return OpenAI(
        api_key=endpoint.key or "none",  # the SDK wants one, and endpoints without keys take any
        base_url=endpoint.base_url,
        timeout=Timeout(connect=_CONNECT, read=endpoint.patience, write=_SEND, pool=_CONNECT),
        max_retries=0,  # attempts are made here, where they can be told of
    )
