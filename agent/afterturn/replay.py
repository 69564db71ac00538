"""Replay: the bytes that a model was sent, said again, so that its provider's cache still knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.policy.fence import CLOSE, OPEN
from afterturn_models.policy.text import clean_text, is_blank
from afterturn_models.values import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from afterturn_models.values import Message

REPLAYED = 100  # turns


def beside(text: str, context: str) -> str:
    """Give the content of a user's message as it goes into the request.

    The text comes first, then an empty line, then the block of memory in its fence; without a
    block it is the text alone. NULs and lone surrogates are gone: neither Postgres nor a request
    can hold them, and what is replayed later must be what was sent.
    """
    text = clean_text(text)
    return f"{text}\n\n{context}" if text and context else text or context


def replayed(messages: Iterable[Message], *, speaker: str | None) -> list[dict[str, str]]:
    """Give messages as a request has them: parts joined, each with the very bytes that were sent.

    Of what others than `speaker` said in a shared chat it is the text alone: what was remembered
    beside it is about them. None: all of it is about one person, whoever speaks. What was blank is left out: a chat model's API refuses a message without a character to see.
    """
    whole: list[dict[str, str]] = []
    for message in messages:
        mine = message.role is not Role.USER or speaker in {None, message.peer}
        said = message.sent if mine else without_block(message.sent)
        if message.part and whole:
            whole[-1]["content"] += said
        else:
            whole.append({"role": message.role.value, "content": said})
    return [said for said in whole if not is_blank(said["content"])]


def without_block(sent: str) -> str:
    """Give what was said without what was remembered beside it."""
    return sent[: sent.rfind(OPEN)].removesuffix("\n\n") if sent.endswith(CLOSE) else sent
