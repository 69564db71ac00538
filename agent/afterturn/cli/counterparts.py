"""The commands of the spec, of Hermes and of OpenClaw, and what does the same here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A command of theirs and ours; `note` says what is otherwise, where something is."""

    whose: str
    theirs: str
    ours: str
    note: str = ""


_SPEC, _HERMES, _OPENCLAW = "the spec", "Hermes", "OpenClaw"

COUNTERPARTS = (
    Counterpart(_SPEC, "honcho status", "status"),
    Counterpart(_SPEC, "honcho mode [hybrid|honcho|local]", "mode", "by peer and by session too"),
    Counterpart(_SPEC, "honcho sessions", "sessions", "what is mapped: `afterturn map`"),
    Counterpart(_SPEC, "honcho map <name>", "map NAME"),
    Counterpart(_SPEC, "honcho map", "map"),
    Counterpart(_SPEC, "honcho identity <file>", "identity FILE", "or a folder"),
    Counterpart(_SPEC, "honcho identity --show", "identity --show"),
    Counterpart(_SPEC, "honcho setup", "setup"),
    Counterpart(_HERMES, "honcho setup", "setup"),
    Counterpart(_HERMES, "honcho status", "status"),
    Counterpart(_HERMES, "honcho status --all", "status --json", "every session and every worker"),
    Counterpart(_HERMES, "honcho peers", "peers"),
    Counterpart(_HERMES, "honcho peers map", "peers map"),
    Counterpart(_HERMES, "honcho sessions", "sessions"),
    Counterpart(_HERMES, "honcho map [name]", "map NAME"),
    Counterpart(_HERMES, "honcho peer", "peer"),
    Counterpart(_HERMES, "honcho peer --user --ai", "peer --user NAME --ai NAME"),
    Counterpart(_HERMES, "honcho peer --reasoning", "peer --reasoning LEVEL"),
    Counterpart(
        _HERMES, "honcho mode", "recall", "theirs is recallMode; memory modes: `afterturn mode`"
    ),
    Counterpart(_HERMES, "honcho strategy", "strategy"),
    Counterpart(_HERMES, "honcho tokens", "tokens"),
    Counterpart(
        _HERMES,
        "honcho tokens --context --dialectic",
        "tokens --context N --dialectic CHARS",
    ),
    Counterpart(_HERMES, "honcho identity [file]", "identity FILE"),
    Counterpart(_HERMES, "honcho identity --show", "identity --show"),
    Counterpart(
        _HERMES, "honcho migrate", "migrate-files", "the database's schema: `afterturn migrate`"
    ),
    Counterpart(_HERMES, "honcho enable", "enable", "for the whole workspace"),
    Counterpart(_HERMES, "honcho disable", "disable", "for the whole workspace"),
    Counterpart(_HERMES, "honcho sync", "sync"),
    Counterpart(_OPENCLAW, "honcho setup", "setup"),
    Counterpart(
        _OPENCLAW, "honcho setup --reconfigure", "setup", "run it again: Enter keeps what is there"
    ),
    Counterpart(_OPENCLAW, "honcho status", "status"),
    Counterpart(_OPENCLAW, "honcho ask", "ask QUERY"),
    Counterpart(_OPENCLAW, "honcho search", "search QUERY"),
)
