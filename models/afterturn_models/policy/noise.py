"""Noise: the machinery's own words, which are never stored as somebody's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_NOISE = (
    "HEARTBEAT_OK",
    "A scheduled reminder has been triggered",
    "Execute your Session Startup sequence now",
    "Queued messages from",
)
MACHINE_CONTEXTS = frozenset({"cron", "flush", "subagent"})
_WRITTEN_AS_REGEX = re.compile(r"/(?P<source>.+)/(?P<flags>[gimsu]*)", re.DOTALL)
# `g` and `u` stand in patterns that were written for JavaScript; here they change nothing.
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "g": re.NOFLAG, "u": re.NOFLAG}


@dataclass(frozen=True, slots=True)
class NoisePatterns:
    """What is noise: texts that begin so, and regular expressions found anywhere in a text."""

    prefixes: tuple[str, ...] = DEFAULT_NOISE
    expressions: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def compile(cls, patterns: Iterable[str] = (), *, defaults: bool = True) -> NoisePatterns:
        """Make the patterns of a configuration: `noisePatterns`, and the defaults unless disabled.

        `defaults` is the negation of `disableDefaultNoisePatterns`. A pattern is a text that is
        equal to a message or its beginning, or `/regex/` with flags of `gimsu`. Anything else
        that begins with a slash (`/new`, `/usr/bin`) is a plain text. Raises ValueError for a
        regular expression that is none, and for a blank pattern, which every message begins with.
        """
        prefixes = list(DEFAULT_NOISE if defaults else ())
        expressions = []
        for pattern in patterns:
            expression = as_regex(pattern)
            if expression is not None:
                expressions.append(expression)
            else:
                prefixes.append(_not_blank(pattern))
        return cls(tuple(prefixes), tuple(expressions))

    def matches(self, text: str) -> bool:
        """Tell whether `text`, but for the white space around it, is noise."""
        trimmed = text.strip()
        return trimmed.startswith(self.prefixes) or any(
            expression.search(trimmed) for expression in self.expressions
        )


def machine_context(context: str | None) -> bool:
    """Tell whether a turn of this context was started by a machine: cron, flush or subagent.

    Nothing of such a turn is a person's word, so none of it is stored.
    """
    return context is not None and context.strip().lower() in MACHINE_CONTEXTS


def as_regex(pattern: str) -> re.Pattern[str] | None:
    """Compile a pattern that is written `/regex/flags`; None for a plain text.

    Raises ValueError with the pattern and what is wrong with it.
    """
    written = _WRITTEN_AS_REGEX.fullmatch(pattern.strip())
    if written is None:
        return None
    flags = re.NOFLAG
    for flag in written["flags"]:
        flags |= _FLAGS[flag]
    try:
        return re.compile(written["source"], flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


def _not_blank(pattern: str) -> str:
    if not pattern.strip():
        raise ValueError("a blank noise pattern would match every message; remove it")
    return pattern.strip()
