"""Identity seeding: which files say who a peer is, and in what words Honcho is told of them."""

from __future__ import annotations

import hashlib
import re
import uuid
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode, saves_messages
from afterturn_models.policy.split import MAX_CHARACTERS, split_text
from afterturn_models.policy.text import clean_text, is_blank
from afterturn_models.values import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AGENT_FILES = ("SOUL.md", "IDENTITY.md", "AGENTS.md", "BOOTSTRAP.md")
USER_FILE = "USER.md"
NAME_SOURCE = "card/name"  # no file: its name would have a slash
UNNAMED = "agent"  # the peer of an agent that nobody gave a name
# Less than Honcho takes: a special token in it is made harmless by one character more each.
PART_CHARACTERS = MAX_CHARACTERS - 1_000

_SEEDS = uuid.UUID("5e9d1c1e-6b0a-4b53-9c0e-2f1d7a6c8b10")
_HASH_SUFFIX = re.compile(r"-[0-9a-f]{16}$")  # what `honcho_id` adds to a name it had to change
_WORD = re.compile(r"\w+")


class Kind(StrEnum):
    """What a seed says: who the agent is, who its owner is, or the agent's name for its card."""

    AGENT = "agent"
    USER = "user"
    NAME = "name"


# The agent's is the spec's own (AI peer identity formation, part B). A file about the owner is
# not the agent's identity, and it speaks of them in the third person: unwrapped, it would be taken
# for words that they said.
_TAGS = {Kind.AGENT: "ai_identity_seed", Kind.USER: "user_profile_seed"}


def kind_of(name: str) -> Kind | None:
    """Tell whose a file of this name is; None where the name does not say."""
    if name == USER_FILE:
        return Kind.USER
    return Kind.AGENT if name in AGENT_FILES else None


def seed_text(raw: str) -> str:
    """Give what counts of a file's text: without byte order mark, CRLF, or white space around it.

    What differs in nothing else is the same seed on every machine.
    """
    return clean_text(raw.replace("\r\n", "\n")).strip("\ufeff").strip()


def source_name(name: str) -> str:
    """Give a file's name as one line that Postgres and Honcho can hold."""
    return clean_text(" ".join(name.split()))


def digest(text: str) -> str:
    """Give the SHA-256 under which the ledger knows a seed's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def seed_turn(workspace: str, peer: str, source: str, sha256: str) -> uuid.UUID:
    """Give the id of the turn that a seed is captured as; a twin makes it again."""
    return uuid.uuid5(_SEEDS, f"{workspace}\0{peer}\0{source}\0{sha256}")


def seed_row(turn_id: uuid.UUID, part: int) -> uuid.UUID:
    """Give the id of the row that part `part` (from 0) of a seed is captured as."""
    return uuid.uuid5(turn_id, str(part))


def identity_session(peer: str) -> str:
    """Give the key of the session that a peer's seeds are in: one of its own.

    The colon is in no id, so the key ends in a hash, and no directory is called like it.
    """
    return honcho_id(f"identity:{peer}")


def seed_messages(kind: Kind, source: str, text: str, *, limit: int = PART_CHARACTERS) -> list[str]:
    """Wrap a seed for Honcho, in as many messages of at most `limit` characters as it takes.

    Each part has the wrapper whole, so that none is read as an ordinary message.
    """
    tag = _TAGS[kind]
    head, tail = f"<{tag}>\n<source>{source}</source>\n\n", f"\n</{tag}>"
    parts = split_text(text, limit - len(head) - len(tail))
    return [f"{head}{part.strip()}{tail}" for part in parts if not is_blank(part)]


def kept_here(kind: Kind, scopes: Sequence[Mapping[str, Any]]) -> str | None:
    """Say which setting keeps a seed out of Honcho; None where none does.

    `scopes` is what is said of the peers, what comes first first.
    """
    if not saves_messages(scopes):
        return "saveMessages is false"
    keys = USER_KEYS if kind is Kind.USER else AGENT_KEYS
    return f"{keys[0]} is local" if resolve_mode(scopes, keys) is Mode.LOCAL else None


def spoken_name(peer: str) -> str | None:
    """Give the name that an agent's peer was given; None for the default, which is no name."""
    name = _HASH_SUFFIX.sub("", peer)
    return None if name.casefold() in {"", UNNAMED} else name


def named_card(card: Sequence[str], name: str) -> tuple[str, ...] | None:
    """Add the line with an agent's `name` to its card; None where some line says it already."""
    wanted = _words(name)
    for line in card:
        words = _words(line)
        starts = range(len(words) - len(wanted) + 1)
        if any(words[start : start + len(wanted)] == wanted for start in starts):
            return None
    return (f"Name: {name}", *card)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
