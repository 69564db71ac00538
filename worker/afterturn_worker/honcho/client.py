"""The one Honcho client of a worker process, on the real SDK, behind `HonchoPort`.

It is built after the fork (a client shared with a child got another child's answers) and kept:
a new one costs 20 ms and a request. The SDK's own retries are off: it would repeat a POST whose
answer was lost, and Honcho would store it again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from honcho import Honcho, Peer, Session
from honcho.api_types import SessionPeerConfig

from afterturn_models.errors import ConfigurationError, InvalidIdError, Missing
from afterturn_models.lru import Lru
from afterturn_models.policy.ids import is_valid_id
from afterturn_models.values import ContextResult
from afterturn_worker.honcho.deadline import DeadlineTransport, within
from afterturn_worker.honcho.errors import building, our_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from afterturn_models.values import Observing, Outgoing

ROW_ID = "afterturn"  # the metadata key under which a message carries its row's id
_NO_ID = "{!r} is not an id for Honcho: 1 to 100 of A-Z a-z 0-9 _ -"
_WORKSPACES = 256
_KEEPALIVE = 4.0  # seconds; common servers close an idle connection after 5


class HonchoClient:
    """`HonchoPort` over HTTP."""

    def __init__(self, url: str, key: str | None, *, connections: int = 64) -> None:
        """Connect lazily; raises ConfigurationError where `url` is no address of a server."""
        self._url = url
        self._shown = _without_credentials(url)
        self._key = key
        transport = DeadlineTransport(url, connections=connections, keepalive=_KEEPALIVE)
        self._http = httpx.Client(transport=transport)
        self._workspaces: Lru[str, Honcho] = Lru(_WORKSPACES)

    def add_peers(
        self, workspace: str, session: str, peers: Mapping[str, Observing], *, deadline: float
    ) -> None:
        """Add peers to a session with their observe settings."""
        _check_ids(workspace, session, *peers)
        members: list[tuple[str, SessionPeerConfig]] = [
            (
                peer,
                SessionPeerConfig(
                    observe_me=observing.observe_me, observe_others=observing.observe_others
                ),
            )
            for peer, observing in peers.items()
        ]
        with self._call(deadline):
            self._session(workspace, session).add_peers(members)

    def send(
        self, workspace: str, session: str, messages: Sequence[Outgoing], *, deadline: float
    ) -> None:
        """Store up to 100 messages by one POST."""
        _check_ids(workspace, session)
        with self._call(deadline):  # around the building too: the lease was looked at before it
            honcho = self._honcho(workspace)
            bodies = []
            for index, message in enumerate(messages):
                _check_peer(message.peer, index)
                with building(index):
                    peer = Peer(message.peer, honcho)
                    bodies.append(
                        peer.message(
                            message.content or "",
                            metadata=_metadata(message),
                            created_at=message.at,
                        )
                    )
            Session(session, honcho).add_messages(bodies)

    def find(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> set[UUID]:
        """Look rows up by their ids."""
        return set(self.sightings(workspace, session, rows, deadline=deadline))

    def sightings(
        self, workspace: str, session: str, rows: Sequence[UUID], *, deadline: float
    ) -> list[UUID]:
        """Look rows up by their ids, 100 at a time; each as often as it is there, in order."""
        _check_ids(workspace, session)
        wanted = {str(row): row for row in rows}
        seen: list[UUID] = []
        for start in range(0, len(rows), 100):
            part = [str(row) for row in rows[start : start + 100]]
            filters: dict[str, object] = {"metadata": {ROW_ID: {"in": part}}}
            with self._call(deadline):
                for message in self._session(workspace, session).messages(
                    filters=filters, size=100
                ):
                    row = wanted.get(str(message.metadata.get(ROW_ID)))
                    if row is not None:
                        seen.append(row)
        return seen

    def context(
        self, workspace: str, session: str, *, user: str, agent: str, tokens: int, deadline: float
    ) -> ContextResult:
        """Read the user through the agent's eyes, the agent itself, and the summary."""
        _check_ids(workspace, session, user, agent)
        summary, representation, card = "", "", ()
        try:
            with self._call(deadline):
                known = self._session(workspace, session).context(
                    summary=True, tokens=tokens, peer_target=user, peer_perspective=agent
                )
            summary = known.summary.content if known.summary else ""
            representation = known.peer_representation or ""
            card = tuple(known.peer_card or ())
        except Missing:
            pass  # the user is not known yet: their messages stay here, or none has arrived
        try:
            with self._call(deadline):
                itself = Peer(agent, self._honcho(workspace)).representation()
        except Missing:
            itself = ""
        return ContextResult(representation, card, itself, summary)

    def ask(
        self,
        workspace: str,
        session: str,
        *,
        user: str,
        agent: str,
        query: str,
        level: str,
        deadline: float,
    ) -> str | None:
        """Ask the dialectic about `user`, as `agent` sees them, in this session."""
        _check_ids(workspace, session, user, agent)
        try:
            with self._call(deadline):
                answer = Peer(agent, self._honcho(workspace)).chat(
                    query,
                    target=user,
                    session=session,
                    reasoning_level=level,
                    timeout=deadline,
                )
        except Missing:
            return None
        return str(answer) if answer else None

    def check(self, workspace: str, *, deadline: float) -> None:
        """Get or create the workspace, as every client does first."""
        _check_ids(workspace)
        with self._call(deadline):
            self._honcho(workspace).get_metadata()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    @contextmanager
    def _call(self, deadline: float) -> Iterator[None]:
        with our_errors(self._shown), within(deadline):
            yield

    def _honcho(self, workspace: str) -> Honcho:
        client = self._workspaces.get(workspace)
        if client is None:
            client = Honcho(
                api_key=self._key,
                base_url=self._url,
                workspace_id=workspace,
                max_retries=0,
                http_client=self._http,
            )
            self._workspaces.put(workspace, client)
        return client

    def _session(self, workspace: str, session: str) -> Session:
        return Session(session, self._honcho(workspace))


def _check_ids(*ids: str) -> None:
    """Refuse what would change the path of a request: the SDK puts ids into it as they are."""
    for value in ids:
        if not is_valid_id(value):
            raise InvalidIdError(_NO_ID.format(value[:40]))


def _check_peer(peer: str, index: int) -> None:
    """Refuse a message for its peer: no other is to wait for it."""
    if not is_valid_id(peer):
        raise InvalidIdError(_NO_ID.format(peer[:40]), index=index, about_content=True)


def _without_credentials(url: str) -> str:
    """Give `url` as it may be shown; raises ConfigurationError where it is none of a server."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(
            "the URL of Honcho cannot be read; it has the form https://api.honcho.dev"
        )
    return str(parsed.copy_with(username=None, password=None, query=None))


def _metadata(message: Outgoing) -> dict[str, object]:
    metadata: dict[str, object] = {ROW_ID: str(message.id)}
    if message.parts > 1:
        metadata["part"] = str(message.part)
        metadata["parts"] = str(message.parts)
    if message.mended:
        metadata["mended"] = "special-tokens"
    return metadata
