"""Seeding an agent's home: its persona files are read here, where they are, and noted in the ledger.

Their text goes to Postgres and nowhere else; workers, who may be on other machines, take it from
there. The ledger lets each text in once, whoever notes it and however often.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from afterturn.local_files import MAX_BYTES, LocalFileError, read_text
from afterturn_models.errors import SchemaError, StoreUnavailableError
from afterturn_models.policy import identity as policy
from afterturn_models.policy.identity import Kind
from afterturn_models.policy.text import is_blank
from afterturn_models.signatures import seed_identity
from afterturn_models.store.identity import NewSeed, Pair, note, said_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from afterturn.services import Services
    from afterturn_models.db import Database
    from afterturn_models.profile import SessionProfile
    from afterturn_models.settings import Settings
    from afterturn_models.signatures import Signature

log = logging.getLogger("afterturn.identity")

HOME_FILES = (*policy.AGENT_FILES, policy.USER_FILE)


@dataclass(frozen=True, slots=True)
class Seeding:
    """What came of each file, by its name: each is in one of these.

    `new` is on its way, `known` was seeded before or is about to be; `skipped` and `refused` say
    why: empty, or kept here by a memory mode; no plain text file of the folder.
    """

    new: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def together(cls, parts: Iterable[Seeding]) -> Seeding:
        """Give what came of several folders."""
        parts = list(parts)
        return cls(
            new=tuple(name for part in parts for name in part.new),
            known=tuple(name for part in parts for name in part.known),
            skipped={name: why for part in parts for name, why in part.skipped.items()},
            refused={name: why for part in parts for name, why in part.refused.items()},
        )


def pair_of(settings: Settings) -> Pair:
    """Give the configured agent and its owner."""
    return Pair(settings.workspace, settings.ai_peer, settings.peer_name)


def seed(
    database: Database,
    send: Callable[[Signature], object],
    pair: Pair,
    profile: SessionProfile,
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    kind: Kind | None = None,
) -> Seeding:
    """Seed the persona files of `folder`: those of a home that are there, or the `names` given.

    SOUL.md, IDENTITY.md, AGENTS.md and BOOTSTRAP.md say who the agent is, USER.md who its owner
    is; `kind` says it for a file that is called otherwise (the agent, unless said), and of a home
    it takes that one's files only. With the first file of the agent's its card is given its name.
    What is new is noted in Postgres in one statement, and `send` then gets a task for each.
    Nothing is noted of a peer whose memory stays here; call it again when the mode has changed.
    Raises StoreUnavailableError or SchemaError.
    """
    home = [name for name in HOME_FILES if kind in {None, policy.kind_of(name)}]
    found = _read(folder, home if names is None else names, kind, required=names is not None)
    seeds = found.seeds
    if not seeds:
        return Seeding(skipped=found.skipped, refused=found.refused)
    with database.statement() as connection:
        scopes = profile.layers(said_of(connection, pair))
        kept = {one.source: policy.kept_here(one.kind, scopes) for one in seeds}
        wanted = [one for one in seeds if kept[one.source] is None]
        noted = note(connection, pair, profile, [*wanted, *_name(pair, wanted)]) if wanted else {}
    for seed_id in noted:
        send(seed_identity(seed_id))
    new = set(noted.values())
    return Seeding(
        new=tuple(one.source for one in wanted if one.source in new),
        known=tuple(one.source for one in wanted if one.source not in new),
        skipped=found.skipped | {name: f"stays here: {why}" for name, why in kept.items() if why},
        refused=found.refused,
    )


@dataclass(slots=True)
class _Read:
    seeds: list[NewSeed] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def _read(folder: Path, names: Sequence[str], kind: Kind | None, *, required: bool) -> _Read:
    """Read files, and sort out those that say nothing or are none; `required` ones must be there."""
    found = _Read()
    for name in dict.fromkeys(names):
        own = policy.kind_of(name)
        if own is not None and kind not in {None, own}:
            whose = "owner" if own is Kind.USER else "agent"
            found.refused[name] = f"{name} is about the {whose}, and seeded for that peer only."
            continue
        try:
            raw = read_text(folder, name, max_bytes=MAX_BYTES)
        except LocalFileError as error:
            found.refused[name] = str(error)
            continue
        text = policy.seed_text(raw or "")
        if not is_blank(text):
            source = policy.source_name(name)
            found.seeds.append(NewSeed(own or kind or Kind.AGENT, source, text))
        elif raw is not None:
            found.skipped[name] = "is empty"
        elif required:
            found.refused[name] = f"{name} is not there."
    return found


def _name(pair: Pair, seeds: Sequence[NewSeed]) -> list[NewSeed]:
    """Give the seed of the agent's name, where there is one and its files are seeded."""
    name = policy.spoken_name(pair.agent)
    if name is None or not any(one.kind is Kind.AGENT for one in seeds):
        return []
    return [NewSeed(Kind.NAME, policy.NAME_SOURCE, name)]


class FirstSessions:
    """Seeds the configured home at the agent's first session of a process; one a `Memory`.

    It never raises, and asks nothing of a Postgres that is away: the next session tries again, as
    it does while a memory mode keeps a file here.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._done: set[Pair] = set()

    def seed(self, agent_peer: str) -> None:
        """Seed the home of the configured agent, if that is who `agent_peer` is."""
        services = self._services
        if services.settings.memory_folder is None or services.capturer.away:
            return
        pair = pair_of(services.names.settings())
        if pair in self._done or agent_peer != pair.agent:
            return
        if not self._lock.acquire(blocking=False):
            return  # another thread is at it, or was when this process was forked
        try:
            self._seed(pair, Path(services.settings.memory_folder).expanduser())
        except (StoreUnavailableError, SchemaError) as error:
            services.capturer.note_away(error)
        finally:
            self._lock.release()

    def _seed(self, pair: Pair, folder: Path) -> None:
        services = self._services
        came = seed(
            services.database,
            services.dispatcher.send,
            pair,
            services.profile,
            folder,
        )
        for reason in came.refused.values():
            log.warning("not seeded: %s", reason)
        if all(why == "is empty" for why in came.skipped.values()):
            self._done.add(pair)
