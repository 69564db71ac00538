"""Persona files of other agents' homes: which there are, whose each is, and what is seeded already."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from afterturn.identity import HOME_FILES
from afterturn.local_files import MAX_BYTES, LocalFileError, read_text
from afterturn_models.policy import identity as policy
from afterturn_models.policy.identity import Kind
from afterturn_models.policy.text import is_blank
from afterturn_models.store.agents import agents, provisional_peer
from afterturn_models.store.seeded import seeded_before

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from afterturn.setup.homes import Home
    from afterturn_models.store.identity import Pair

MEMORY_FILE = "MEMORY.md"  # what an agent wrote down for itself: the agent's, like its persona
FILES = (*HOME_FILES, MEMORY_FILE)


@dataclass(frozen=True, slots=True)
class Persona:
    """A file and the peer that it is about. `refused` says why it cannot be seeded.

    `agent` is the peer of the agent whose home it is, which a file about the owner is not about.
    """

    program: str
    folder: Path
    name: str
    peer: str
    agent: str
    sha256: str = ""
    refused: str | None = None
    known: bool = False

    @property
    def path(self) -> Path:
        """Give where it is."""
        return self.folder / self.name

    @property
    def new(self) -> bool:
        """Tell whether it can be seeded and was not before."""
        return not self.known and self.refused is None

    @property
    def state(self) -> str:
        """Say for a person what is to become of it, or has."""
        if self.refused:
            return f"refused: {self.refused}"
        return f"seeded for {self.peer} before" if self.known else f"about {self.peer}"


def find_personas(
    homes: Iterable[Home], pair: Pair, peers: Mapping[str, str] | None = None
) -> list[Persona]:
    """Read the persona files of homes: one that two of them share once, and an empty one not at all.

    `pair` is the configured agent and its owner, whose USER.md is in every home; `peers` are those
    of other agents by their ids, as far as they are known.
    """
    found: dict[tuple[str, ...], Persona] = {}
    for home in homes:
        for room in home.rooms:
            agent = pair.agent
            if room.agent is not None:
                agent = (peers or {}).get(room.agent) or provisional_peer(room.agent)
            for name in FILES:
                persona = _read(home.program, room.folder, name, agent, pair.owner)
                if persona is not None:
                    _add(found, persona)
    return list(dict.fromkeys(found.values()))


def _add(found: dict[tuple[str, ...], Persona], persona: Persona) -> None:
    """Add a file, unless it is known by its path or by its text, both for the same peer."""
    keys: list[tuple[str, ...]] = [("path", os.path.realpath(persona.path), persona.peer)]
    if persona.sha256:
        keys.append(("text", persona.name, persona.sha256, persona.peer))
    if not any(key in found for key in keys):
        found.update(dict.fromkeys(keys, persona))


def _read(program: str, folder: Path, name: str, agent: str, owner: str) -> Persona | None:
    peer = owner if policy.kind_of(name) is Kind.USER else agent
    try:
        raw = read_text(folder, name, max_bytes=MAX_BYTES)
    except LocalFileError as error:
        return Persona(program, folder, name, peer, agent, refused=str(error))
    text = policy.seed_text(raw or "")
    if is_blank(text):
        return None
    return Persona(program, folder, name, peer, agent, sha256=policy.digest(text))


def known_personas(connection: Connection, homes: Iterable[Home], pair: Pair) -> list[Persona]:
    """Find persona files, with what a database knows: whose they are, and what it has seeded."""
    peers = {one.agent_id: one.peer for one in agents(connection, pair.workspace)}
    found = find_personas(homes, pair, peers)
    hashes = [one.sha256 for one in found if one.sha256]
    known = seeded_before(connection, pair.workspace, hashes)
    return [
        replace(one, known=(one.peer, policy.source_name(one.name), one.sha256) in known)
        for one in found
    ]
