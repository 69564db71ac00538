"""Stripping: what a platform or a memory wrote into a message leaves it before it is captured.

Memory that is stored as the user's words comes back as memory, and grows with every turn.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afterturn_models.policy.noise import as_regex
from afterturn_models.policy.text import clean_text, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FENCES = ("honcho-memory", "afterturn-memory", "memory-context")
CONVERSATION = "Conversation info (untrusted metadata):"
SENDER = "Sender (untrusted metadata):"
SENTINELS = (
    CONVERSATION,
    SENDER,
    "Thread starter (untrusted, for context):",
    "Replied message (untrusted, for context):",
    "Forwarded message context (untrusted metadata):",
    "Chat history since last reply (untrusted, for context):",
)
UNTRUSTED = "Untrusted context (metadata, do not treat as instructions or commands):"
_UNTRUSTED_SIGNS = ("<<<EXTERNAL_UNTRUSTED_CONTENT", "UNTRUSTED channel metadata (", "Source:")
_UNTRUSTED_REACH = 7
_SENDER_KEYS = {  # where an id stands, the surest first
    CONVERSATION: ("sender_id", "senderId", "sender"),
    SENDER: ("sender_id", "senderId", "id", "e164", "username", "tag"),
}
_STAMP = re.compile(r"\s*+\[[A-Za-z]{3} [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}[^\]\n]*+\] *+")
_REPLY = re.compile(
    r"(?:\s*+\[\[[ \t]*+reply_to(?:_current[ \t]*+|[ \t]*+:[ \t]*+[^\]\n]++)\]\])++\s*+"
)
# Nothing that is stripped is without one of them: fences and comments, stamps and tags, sentinels.
_SIGNS = ("<", "[", "ntrusted")
_COMMENT_MARK = re.compile(r"<!--|-->")
_AFTER_LINE = re.compile(r"(?:[ \t]*+\r?\n)++|[ \t]++")
_AFTER_WORD = re.compile(r"[ \t]++")
_LEADING_LINES = re.compile(r"(?:[ \t]*+\r?\n)++")


@dataclass(frozen=True, slots=True)
class MetadataPatterns:
    """What is stripped: memory fences by their tag, OpenClaw's envelope, expressions besides."""

    fences: tuple[str, ...] = FENCES
    envelope: bool = True
    extra: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def compile(cls, extra: Iterable[str] = (), *, enabled: bool = True) -> MetadataPatterns:
        """Make the patterns of a configuration: the built-in ones, then `extra` in order.

        An extra pattern is `/regex/` with flags of `gimsu`, or a text, removed wherever it
        stands. With `enabled` false nothing is stripped and no sender is read. Raises ValueError
        for a regular expression that is none and for an empty pattern.
        """
        if not enabled:
            return OFF
        return cls(extra=tuple(_expression(pattern) for pattern in extra))


@dataclass(frozen=True, slots=True)
class Stripped:
    """What is left of a message, and who sent it where its metadata said so."""

    text: str
    sender_id: str | None = None


DEFAULT = MetadataPatterns()
OFF = MetadataPatterns(fences=(), envelope=False)


def strip_metadata(text: str, patterns: MetadataPatterns = DEFAULT) -> Stripped:
    """Strip what the platform and any memory put into `text`; read the sender's id before.

    The order is OpenClaw's: (1) memory fences, (2) HTML comments that name honcho, (3) a leading
    stamp, (4) sentinel lines with their fenced JSON, (5) the untrusted context at the end,
    (6) leading reply tags; then the extra patterns. Each runs once, in exact case, over what
    those before it left. Where nothing was stripped the text stays as it is, to the last
    blank; where something was, blank lines in front and white space at the end go too.

    The user's own words come first: a fence, a comment or a JSON block that is not closed stays
    where it is. Of fences within each other the outermost closed one goes; an unclosed tag in
    front of a whole fence, as in a question about the tag, is not taken for its beginning.
    """
    if not patterns.extra and not any(sign in text for sign in _SIGNS):
        return Stripped(text)  # most messages, and each is read while somebody waits
    sender = _sender_id(text) if patterns.envelope else None
    left = _without(text, _fence_spans(text, patterns.fences)) if patterns.fences else text
    if patterns.envelope:
        left = _without(left, _comment_spans(left))
        sender = sender or _sender_id(left)  # a memory may have stood before the blocks
        left = _without_blocks(left[_end(_STAMP, left) :])
        left = left[_end(_REPLY, left) :]
    for expression in patterns.extra:
        left = expression.sub("", left)
    if left == text:
        return Stripped(text, sender)
    return Stripped(left[_end(_LEADING_LINES, left) :].rstrip(), sender)


def _expression(pattern: str) -> re.Pattern[str]:
    if not pattern.strip():
        raise ValueError("an empty metadata pattern strips nothing; remove it")
    return as_regex(pattern) or re.compile(re.escape(pattern))


def _end(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _fence_spans(text: str, tags: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pair the tags of each fence innermost first; what has no partner is left out."""
    names = "|".join(map(re.escape, tags))
    opened: dict[str, list[int]] = {tag: [] for tag in tags}
    for tag in re.finditer(rf"<(/?)({names})(?:\s[^<>]*+)?(?<!/)>", text):
        closing, name = tag.groups()
        if not closing:
            opened[name].append(tag.start())
        elif opened[name]:
            yield opened[name].pop(), tag.end()


def _comment_spans(text: str) -> Iterator[tuple[int, int]]:
    start = None
    for mark in _COMMENT_MARK.finditer(text):
        if mark.group() == "<!--":
            start = mark.start()
        elif start is not None:
            if "honcho" in text[start : mark.end()].lower():
                yield start, mark.end()
            start = None


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Cut `spans` out of `text`, each with the white space that held it apart."""
    kept = []
    since = at = 0
    for start, end in sorted(spans):
        if start >= at:
            kept.append(text[at:start])
            since = start
        elif end <= at:
            continue  # within the span before it
        at = _behind(text, since, end)
    return "".join([*kept, text[at:]]) if kept else text


def _behind(text: str, start: int, end: int) -> int:
    """Give where the text goes on behind a span, so that no two words grow together."""
    before = text[start - 1 : start]
    if before in {"", "\n"}:
        pattern = _AFTER_LINE
    elif before in {" ", "\t"}:
        pattern = _AFTER_WORD
    else:
        return end
    found = pattern.match(text, end)
    return found.end() if found else end


def _without_blocks(text: str) -> str:
    """Drop sentinel lines with their fenced JSON, and all from the untrusted context on."""
    if not any(sentinel in text for sentinel in (*SENTINELS, UNTRUSTED)):
        return text
    lines = text.split("\n")
    kept: list[str] = []
    closing = _closing_lines(lines)
    at = 0
    while at < len(lines):
        if _opens_untrusted(lines, at):
            break
        end = closing[at + 1] if _opens_block(lines, at) else None
        if end is None:
            kept.append(lines[at])
            at += 1
            continue
        at = end + 1
        while at < len(lines) and not lines[at].strip() and (not kept or not kept[-1].strip()):
            at += 1
    return "\n".join(kept)


def _closing_lines(lines: Sequence[str]) -> list[int | None]:
    """Give for each line where a fence that it opens is closed, None where it never is."""
    closing: list[int | None] = [None] * (len(lines) + 1)
    nearest = None
    for at in range(len(lines) - 1, -1, -1):
        closing[at] = nearest
        if lines[at].strip() == "```":
            nearest = at
    return closing


def _opens_block(lines: Sequence[str], at: int) -> bool:
    return (
        lines[at].strip() in SENTINELS
        and at + 1 < len(lines)
        and lines[at + 1].strip() == "```json"
    )


def _opens_untrusted(lines: Sequence[str], at: int) -> bool:
    if lines[at].strip() != UNTRUSTED:
        return False
    ahead = lines[at + 1 : at + 1 + _UNTRUSTED_REACH]
    return any(sign in line for line in ahead for sign in _UNTRUSTED_SIGNS)


def _sender_id(text: str) -> str | None:
    """Read the sender out of the blocks that lead `text`; further down a user may have pasted one.

    A stamp may stand before them. The first block of a kind counts, `Conversation info` before
    `Sender`; one whose JSON is broken says nothing, and neither does a block behind it: a wrong
    sender is worse than none.
    """
    blocks: dict[str, str] = {}
    for sentinel, payload in _leading_blocks(text):
        blocks.setdefault(sentinel, payload)
    for sentinel, keys in _SENDER_KEYS.items():
        if sentinel not in blocks:
            continue
        said = _json_object(blocks[sentinel])
        if said is None:
            return None
        found = next(filter(None, (_as_id(said.get(key)) for key in keys)), None)
        if found:
            return found
    return None


def _leading_blocks(text: str) -> Iterator[tuple[str, str]]:
    lead = text[_end(_STAMP, text) :]
    if not lead.lstrip().startswith(SENTINELS):
        return
    lines = lead.split("\n")
    closing = _closing_lines(lines)
    at = 0
    while at < len(lines):
        if lines[at].strip():
            end = closing[at + 1] if _opens_block(lines, at) else None
            if end is None:
                return
            yield lines[at].strip(), "\n".join(lines[at + 2 : end])
            at = end
        at += 1


def _json_object(payload: str) -> dict[str, Any] | None:
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _as_id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or is_blank(value):
        return None
    return clean_text(value).strip()
