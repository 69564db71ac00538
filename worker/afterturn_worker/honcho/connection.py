"""The connection to one Honcho that every room of the client shares: the SDK's objects, kept.

It is built after the fork (a client shared with a child got another child's answers) and kept:
a new one costs 20 ms and a request. The SDK's own retries are off: it would repeat a POST whose
answer was lost, and Honcho would store it again. The first call to a workspace makes one request
more, by which the SDK makes sure of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import httpx
from honcho import Honcho, Peer, Session
from honcho.http import HonchoHTTPClient

from afterturn_models.errors import ConfigurationError, InvalidIdError, Missing
from afterturn_models.lru import Lru
from afterturn_models.policy.ids import is_valid_id
from afterturn_worker.honcho.deadline import DeadlineTransport, within
from afterturn_worker.honcho.errors import our_errors
from afterturn_worker.honcho.timed import Timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
NO_ID = "{!r} is not an id for Honcho: 1 to 100 of A-Z a-z 0-9 _ -"
_WORKSPACES = 256
KEEPALIVE = 4.0  # seconds; common servers close an idle connection after 5


class Connection:
    """Kept connections to one Honcho, and the SDK's objects on them."""

    def __init__(self, url: str, key: str | None, *, connections: int = 64) -> None:
        """Connect lazily; raises ConfigurationError where `url` is no address of a server."""
        self._url = url
        self._shown = shown_url(url)
        self._key = key
        transport = DeadlineTransport(url, connections=connections, keepalive=KEEPALIVE)
        self._http = httpx.Client(transport=Timed(transport))
        # The same connections, for what is sent without the SDK's objects.
        self._raw = HonchoHTTPClient(
            base_url=url, api_key=key, max_retries=0, http_client=self._http
        )
        self._made_sure_of: set[str] = set()
        self._workspaces: Lru[str, Honcho] = Lru(_WORKSPACES)

    def check(self, workspace: str, *, deadline: float) -> None:
        """Get or create the workspace, as every client does first."""
        check_ids(workspace)
        with self._call(deadline):
            self._honcho(workspace).get_metadata()
            self._made_sure_of.add(workspace)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    @contextmanager
    def _call(self, deadline: float) -> Iterator[None]:
        """Bound the requests made inside, and raise our errors for theirs."""
        with our_errors(self._shown), within(deadline):
            yield

    def _or(self, nothing: T, read: Callable[[], T]) -> T:
        """Read inside a `within`; `nothing` where what is asked about does not exist yet."""
        try:
            with our_errors(self._shown):
                return read()
        except Missing:
            return nothing

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
        return Session(session, self._honcho(workspace))  # unlike honcho.session, no request

    def _peer(self, workspace: str, peer: str) -> Peer:
        return Peer(peer, self._honcho(workspace))  # unlike honcho.peer, no request


def check_ids(*ids: str) -> None:
    """Refuse what would change the path of a request: the SDK puts ids into it as they are.

    Raises InvalidIdError.
    """
    for value in ids:
        if not is_valid_id(value):
            raise InvalidIdError(NO_ID.format(value[:40]))


def shown_url(url: str) -> str:
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
