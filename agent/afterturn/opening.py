"""Opening: how what is known of a conversation becomes the session that it is captured in.

Strategy, manual map, aliases and the rest of who is who and what is called what may be said in
Postgres, for every agent at once; here that word is read, laid over this process's own, and kept
for a moment, since a gateway opens its sessions anew with every message. What this process's own
files say of it is read again where they have changed: whoever gives this machine's user or agent
another name need not start its agents again. A session that is open keeps its two peers, in whose
name all of it was recalled and shown so far.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from afterturn_models.errors import ConfigurationError, StoreUnavailableError
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.session_name import (
    PER_REPO,
    PER_SESSION,
    Conversation,
    Naming,
    session_name,
)
from afterturn_models.policy.text import clean_text
from afterturn_models.policy.who import People, Runtime, Speakers, runtime_peer, user_peer
from afterturn_models.shared import OPENED_BY
from afterturn_models.sources import honcho_file, our_file
from afterturn_models.store.agents import MAIN, AgentPeer
from afterturn_models.store.sessions import SessionSpec, workspace_id
from afterturn_models.store.settings import shared_sources

if TYPE_CHECKING:
    from afterturn.capture import Capturer
    from afterturn.services import Services
    from afterturn_models.db import Database
    from afterturn_models.settings import Loaded, Settings
    from afterturn_models.sources import Source

log = logging.getLogger("afterturn.settings")

_KEPT = 2.0  # seconds for which Postgres' word on names is not read again
_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """With what a session is opened, and who its speakers are."""

    spec: SessionSpec
    speakers: Speakers


class Names:
    """The settings that name sessions and people, with Postgres' word on them; safe between threads.

    While Postgres is away, what it said last holds, and before that the configuration; so it is
    with files while what they say is not sound.
    """

    def __init__(self, database: Database, capturer: Capturer, loaded: Loaded) -> None:
        self._database = database
        self._capturer = capturer
        self._loaded = loaded
        self._shared: list[Source] = []
        self._known = loaded
        self._until = 0.0
        self._stamp = _stamp()

    def settings(self) -> Settings:
        """Give the settings as they are now. Raises SchemaError."""
        if time.monotonic() >= self._until:
            self._read_files()
            if not self._capturer.away:
                self._read()
        return self._known.settings

    def people(self) -> People:
        """Give what is said of who is who; a default is no word on who the owner is."""
        settings = self.settings()
        return People(
            owner=settings.peer_name,
            named="peer_name" in self._known.origins,
            pin=settings.pin_user_peer,
            aliases=settings.user_peer_aliases,
            prefix=settings.runtime_peer_prefix,
            taken=frozenset({settings.ai_peer}),
        )

    def agent(self) -> AgentPeer:
        """Give the agent that is meant where none is named: by its own name, where it has one."""
        peer = self.settings().ai_peer
        return AgentPeer(peer if "ai_peer" in self._known.origins else MAIN, peer)

    def _read_files(self) -> None:
        stamp = _stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._loaded = self._loaded.renewed(OPENED_BY)
        except ConfigurationError as error:
            log.warning("what files said before holds on: %s", error)
            return
        self._known = self._loaded.with_shared(self._shared)

    def _read(self) -> None:
        own = self._loaded.settings
        try:
            with self._database.statement() as connection:
                workspace = workspace_id(connection, own.workspace)
                found = (
                    [] if workspace is None else shared_sources(connection, workspace, own.ai_peer)
                )
        except StoreUnavailableError as error:
            self._capturer.note_away(error)
            return
        self._shared = found
        self._known = self._loaded.with_shared(found)
        self._until = time.monotonic() + _KEPT


def _stamp() -> _Stamp:
    """Tell apart the states of the files that people write settings into."""
    return tuple(_stamp_of(path) for path in (our_file(), honcho_file()))


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino


def opening(
    services: Services,
    said: Conversation,
    *,
    user: str | None,
    agent: str | None,
    runtime: Runtime,
) -> Opened:
    """Decide what a conversation's session is called and whose it is (see `Memory.session`)."""
    settings, people = services.names.settings(), services.names.people()
    agent_peer = services.agents.peer(agent)
    place = said.platform_key or user
    if runtime.ids:
        place = place or runtime_peer(people, runtime, agent=agent_peer)
    directory = absolute(said.directory)
    name = session_name(
        Naming.of(
            settings.session_strategy,
            {absolute(path) or path: key for path, key in settings.sessions.items()},
            settings.naming_peer(),
            # Two chats of a platform never fall into one session, whatever they are called.
            gateway_first=settings.gateway_first or bool(runtime),
        ),
        Conversation(
            name=said.name,
            directory=directory,
            title=said.title,
            platform_key=place,
            repository=_repository(directory) if settings.session_strategy == PER_REPO else None,
            fresh=uuid.uuid4().hex if settings.session_strategy == PER_SESSION else None,
        ),
    )
    whose = (
        honcho_id(user)
        if user
        else user_peer(
            people, runtime, agent=agent_peer, key=name.key, chat=bool(said.platform_key)
        )
    )
    spec = SessionSpec(
        workspace=settings.workspace,
        key=name.key,
        user_peer=whose,
        agent_peer=agent_peer,
        title=_clean(said.title),
        directory=_clean(directory),
        platform_key=_clean(said.platform_key),
        profile=json.dumps(services.profile.as_json(), sort_keys=True),
        apart=name.apart,
        source=clean_text(name.source),
    )
    return Opened(spec, Speakers(people, whose, agent_peer, name.key, runtime))


def absolute(directory: str | None) -> str | None:
    """Give a folder's one name; links in it are not followed, as a person does not see them."""
    if not directory:
        return None
    # Not Path.resolve(), which follows links; and `~nobody` stays as it is.
    return os.path.abspath(os.path.expanduser(directory))  # noqa: PTH100, PTH111


def _repository(directory: str | None) -> str | None:
    """Find the root of the repository that a folder lies in; `.git` is a file in a work tree."""
    if directory is None:
        return None
    places = [Path(directory), *Path(directory).parents]
    try:
        return next((str(place) for place in places if (place / ".git").exists()), None)
    except (OSError, ValueError):  # what no system takes as a path, or does not let us look into
        return None


def _clean(text: str | None) -> str | None:
    """Take out what Postgres cannot hold: a folder's name may have any bytes."""
    return None if text is None else clean_text(text)
