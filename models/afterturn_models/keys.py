"""Names of settings: which field a key of ours, Hermes', OpenClaw's or the spec's stands for.

Sources translate with it what they read, so that a configuration which was written for another
integration of Honcho need not be written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping


def _of_milliseconds(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value) / 1000
    return value / 1000 if number else value


def _of_cross_session(value: Any) -> Any:
    text = str(value).lower()
    return {"true": "workspace", "false": "session"}.get(text, value)


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a field; a dot in it stands for an object within the object.

    `wider`: it means more than the field does, and may well be said beside it.
    """

    name: str
    field: str
    convert: Callable[[Any], Any] = _as_it_is
    wider: bool = False


# Where one place says several names of a field, our own counts, then the first of these.
ALIASES = (
    Alias("baseUrl", "honcho_url"),  # Hermes, OpenClaw
    Alias("base_url", "honcho_url"),  # Hermes, once
    Alias("workspaceId", "workspace"),  # OpenClaw, the spec
    Alias("timeout", "request_seconds"),  # Hermes, in seconds
    Alias("requestTimeout", "request_seconds"),  # Hermes, once
    Alias("timeoutMs", "request_seconds", _of_milliseconds),  # OpenClaw
    Alias("pinPeerName", "pin_user_peer"),  # Hermes, once
    Alias("injectionFrequency", "injection"),  # Hermes
    Alias("recall.automatic", "recall_automatic"),  # OpenClaw
    Alias("recall.ask", "recall_ask"),
    Alias("recall.scopeName", "recall_scope"),
    Alias("crossSessionSearch", "recall_ask", _of_cross_session, wider=True),
)
_NESTED = frozenset(alias.name.partition(".")[0] for alias in ALIASES if "." in alias.name)
_WIDER = frozenset(alias.name for alias in ALIASES if alias.wider)

# Keys of other programs that share a file with us, and why nothing need be said of them.
IGNORED = {
    "apiKey": "Honcho's key is read by workers only",
    "targets": "where `resync --to` copies to is read by workers only",
    "hosts": "the block `afterturn` in it is read by itself; the others belong to their programs",
    "oauth": "Hermes' own grant; workers use a key",
    "initOnSessionStart": "Hermes: a session is opened here without asking Honcho",
    "logging": "Hermes, Claude Code: a log of their own",
    "linkedHosts": "Hermes: what shares a workspace here shares its memory",
    "enableMemoryCompatibilityTools": "OpenClaw: names of tools in its own list",
    "saveToolUse": "Claude Code: summaries that it writes; tool messages are syncToolMessages",
    "messageUpload": "Claude Code: limits of its own uploads; nothing is cut off here",
    "contextRefresh": "Claude Code: its own cache; cadences are contextCadence, dialecticCadence",
    "localContext": "Claude Code: a file of its own",
    "endpoint": "Claude Code: where it finds Honcho; ours is honchoUrl",
    "reasoningLevel": "Claude Code: its own; ours is dialecticReasoningLevel",
    "statusline": "Claude Code: its own display",
    "globalOverride": "Claude Code: how it reads its blocks",
    "cursorPeer": "Claude Code: a peer of its own",
    "claudePeer": "Claude Code: a peer of its own",
}
# Keys of theirs that mean something which is not done here: that is said, rather than passed over.
UNSUPPORTED = {
    "llmApiKey": "the key of a language model is read from AFTERTURN_LLM_API_KEY or OPENAI_API_KEY",
    "a2aSessions": "what one bot writes to another is captured like anybody's",
    "sessionAiPeerPrefix": "session names have no agent in front; give the agents workspaces",
}


def names_of(field: str) -> list[str]:
    """Give every name that a file may use for `field`, the one that counts most first."""
    own = list(dict.fromkeys([to_camel(field), field]))
    return own + [alias.name for alias in ALIASES if alias.field == field]


def field_of(name: str, fields: Collection[str]) -> Alias | None:
    """Give the field that `name` stands for, and how its value is read; None for no setting."""
    for field in fields:
        if name in {field, to_camel(field)}:
            return Alias(name, field)
    return next((alias for alias in ALIASES if alias.name == name and alias.field in fields), None)


def nearest(name: str, fields: Collection[str]) -> str | None:
    """Give the setting that `name` was probably meant to be."""
    folded: dict[str, str] = {}
    for known in [*map(to_camel, fields), *(one.name for one in ALIASES if one.field in fields)]:
        folded.setdefault(_folded(known), known)
    found = get_close_matches(_folded(name), folded, n=1)
    return folded[found[0]] if found else None


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


@dataclass(frozen=True, slots=True)
class Translated:
    """What a JSON object says: values by field, the names they stood under, and what is odd."""

    values: dict[str, Any]
    written: dict[str, str]
    warnings: tuple[str, ...] = ()


def translate(said: Mapping[str, Any], fields: Collection[str], place: str) -> Translated:
    """Read what `said` says of `fields`; null says nothing. `place` is named in warnings."""
    flat = {name: value for name, value in _flat(said) if value is not None}
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    warnings: list[str] = []
    for field in fields:
        found = [name for name in names_of(field) if name in flat]
        if found:
            values[field], written[field] = _read(found[0], field, flat), found[0]
        warnings += [
            f"{place}: {name} is not looked at, since {found[0]} is said there as well"
            for name in found[1:]
            if name not in _WIDER and _read(name, field, flat) != values[field]
        ]
    known = {name for field in fields for name in names_of(field)}
    warnings += [_odd(place, name, fields) for name in flat if name not in known and _is_odd(name)]
    return Translated(values, written, tuple(warnings))


def _flat(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in said.items():
        if name in _NESTED and isinstance(value, dict):
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        elif name == "injection" and isinstance(value, dict):
            continue  # Hermes and Claude Code: which parts are injected; ours says when
        else:
            yield name, value


def _read(name: str, field: str, flat: Mapping[str, Any]) -> Any:
    alias = next((one for one in ALIASES if one.name == name and one.field == field), None)
    return alias.convert(flat[name]) if alias else flat[name]


def _is_odd(name: str) -> bool:
    """Tell whether a name is nobody's: people write comments under names that begin so."""
    return name not in IGNORED and not name.startswith(("$", "_", "//"))


def _odd(place: str, name: str, fields: Collection[str]) -> str:
    if name in UNSUPPORTED:
        return f"{place}: {name} has no effect here: {UNSUPPORTED[name]}"
    meant = nearest(name, fields)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"{place}: there is no setting called {name!r}{hint}"
