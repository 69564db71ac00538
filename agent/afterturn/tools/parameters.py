"""The parameters of tools: how each kind is described to a model, and what is made of its value."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afterturn_models.policy.text import clean_text, is_blank

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_QUERY = 10_000  # characters of a query that Honcho takes
_LONGEST_TEXT = 65_535  # characters of a conclusion that Honcho takes
_MOST_LINES = 100
_LONGEST_LINE = 1000
_MOST_LABELS = 10


class ArgumentError(ValueError):
    """A model gave an argument that does not fit; the message is a sentence that says what does."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who calls: the peer who speaks now, the agent's, and the session's name.

    No tool can mean another peer, nor another session.
    """

    user: str
    agent: str
    session: str

    def about(self, said: str) -> str | None:
        """Give `user` or `agent` for a name that means one of the two, None for any other's."""
        if said.casefold() == "user" or said == self.user:
            return "user"
        if said.casefold() in {"ai", "agent", "assistant"} or said == self.agent:
            return "agent"
        return None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a tool.

    `kind` is a key of `KINDS`, `key` the argument's name in the ask (None: the same), `also` are
    other names that models give it. `choices` maps what may be said to what is asked; `least` and
    `most` bound an integer.
    """

    name: str
    kind: str = "text"
    says: str = ""
    key: str | None = None
    also: tuple[str, ...] = ()
    required: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    least: int = 1
    most: int = 100
    default: Any = None

    def schema(self) -> dict[str, Any]:
        """Describe it in JSON Schema, as short as a model needs it."""
        described = dict(KINDS[self.kind].schema)
        if self.choices:
            described["enum"] = list(self.choices)
        if self.kind == "integer":
            described["maximum"] = self.most
        return described | ({"description": self.says} if self.says else {})

    def value(self, arguments: Mapping[str, Any], who: Who) -> Any:
        """Take its value out of what a model said; None where it said nothing.

        Raises ArgumentError. What is empty counts as not said: models fill in what they leave out.
        """
        said = next(
            (arguments[n] for n in (self.name, *self.also) if _said(arguments.get(n))), None
        )
        if said is None:
            if self.required:
                raise ArgumentError(f"{self.name} is needed")
            return self.default
        return KINDS[self.kind].check(self, said, who)


def _said(value: Any) -> bool:
    return value is not None and value not in ("", [], {})


def _wrong(parameter: Parameter, must: str) -> ArgumentError:
    return ArgumentError(f"{parameter.name} must be {must}")


def _text(parameter: Parameter, value: Any, _: Who) -> str:
    if not isinstance(value, str) or is_blank(value):
        raise _wrong(parameter, "a text that is not blank")
    most = MAX_QUERY if parameter.name == "query" else _LONGEST_TEXT
    if len(value) > most:
        raise _wrong(parameter, f"at most {most} characters long")
    return clean_text(value).strip()


def _integer(parameter: Parameter, value: Any, _: Who) -> int:
    must = f"{parameter.least} to {parameter.most}"
    try:
        # Models write numbers as texts and as 5.0; a truth is no number all the same.
        number = float("nan") if isinstance(value, bool) else float(value)
        whole = int(number) if number.is_integer() else None
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or not parameter.least <= whole <= parameter.most:
        raise _wrong(parameter, must)
    return whole


def _flag(parameter: Parameter, value: Any, _: Who) -> bool:
    if isinstance(value, str) and value.casefold() in {"true", "false"}:
        return value.casefold() == "true"
    if not isinstance(value, bool):
        raise _wrong(parameter, "true or false")
    return value


def _choice(parameter: Parameter, value: Any, _: Who) -> str:
    found = parameter.choices.get(value.casefold()) if isinstance(value, str) else None
    if found is None:
        raise _wrong(parameter, f"one of {', '.join(parameter.choices)}")
    return found


def _peer(parameter: Parameter, value: Any, who: Who) -> str:
    about = who.about(value) if isinstance(value, str) else None
    if about is None:
        raise _wrong(
            parameter, "user (who speaks now) or ai (you); nobody else's memory is open here"
        )
    return about


def _by(parameter: Parameter, value: Any, who: Who) -> str:
    if isinstance(value, str) and value.casefold() == "all":
        return "all"
    about = who.about(value) if isinstance(value, str) else None
    if about is None:
        raise _wrong(parameter, "user (who speaks now), agent (you) or all")
    return about


def _session(parameter: Parameter, value: Any, who: Who) -> str:
    if value != who.session:
        raise _wrong(parameter, f"this conversation's ({who.session}), or left out")
    return who.session


def _time(parameter: Parameter, value: Any, _: Who) -> str:
    try:
        at = dt.datetime.fromisoformat(value)
        at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
        return at.astimezone(dt.UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        must = "a time such as 2026-03-09 or 2026-03-09T14:05:00Z"
        raise _wrong(parameter, must) from None


def _lines(parameter: Parameter, value: Any, _: Who) -> list[str]:
    lines = value.splitlines() if isinstance(value, str) else value
    fits = isinstance(lines, list) and all(isinstance(line, str) for line in lines)
    kept = [clean_text(line).strip() for line in lines if not is_blank(line)] if fits else []
    longest = max(map(len, kept), default=0)
    if not 0 < len(kept) <= _MOST_LINES or longest > _LONGEST_LINE:
        raise _wrong(
            parameter, f"a list of 1 to {_MOST_LINES} texts of at most {_LONGEST_LINE} characters"
        )
    return kept


def _labels(parameter: Parameter, value: Any, _: Who) -> dict[str, str]:
    fits = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    if not fits or len(value) > _MOST_LABELS:
        raise _wrong(parameter, f"an object of at most {_MOST_LABELS} texts by name")
    return {clean_text(str(name)): clean_text(label) for name, label in value.items()}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of parameter: its JSON Schema, and what checks a value of it."""

    schema: Mapping[str, Any]
    check: Callable[[Parameter, Any, Who], Any]


KINDS: Mapping[str, Kind] = {
    "text": Kind({"type": "string"}, _text),
    "integer": Kind({"type": "integer"}, _integer),
    "flag": Kind({"type": "boolean"}, _flag),
    "choice": Kind({"type": "string"}, _choice),
    "peer": Kind({"type": "string", "enum": ["user", "ai"]}, _peer),
    "by": Kind({"type": "string", "enum": ["user", "agent", "all"]}, _by),
    "session": Kind({"type": "string"}, _session),
    "time": Kind({"type": "string"}, _time),
    "lines": Kind({"type": "array", "items": {"type": "string"}}, _lines),
    "labels": Kind({"type": "object"}, _labels),
}
