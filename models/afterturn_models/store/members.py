"""Members: which peers Honcho was already told of, so that it is told before their first message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Boolean, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from afterturn_models.values import Observing

_KNOWN = text("""
SELECT m.peer FROM members m JOIN workspaces w ON w.id = m.workspace_id
WHERE w.name = :workspace AND m.honcho_session = :honcho_session AND m.peer = ANY(:peers)
""").bindparams(bindparam("peers", type_=ARRAY(Text())))


def known_members(
    connection: Connection, workspace: str, honcho_session: str, peers: Iterable[str]
) -> set[str]:
    """Tell which of `peers` were added to a session of Honcho before."""
    found = connection.execute(
        _KNOWN, {"workspace": workspace, "honcho_session": honcho_session, "peers": list(peers)}
    )
    return set(found.scalars())


_JOIN = text("""
INSERT INTO members (workspace_id, honcho_session, peer, observe_me, observe_others)
SELECT w.id, :honcho_session, given.*
FROM workspaces w, unnest(:peers, :me, :others) AS given (peer, observe_me, observe_others)
WHERE w.name = :workspace
ON CONFLICT (workspace_id, honcho_session, peer) DO UPDATE
SET observe_me = excluded.observe_me, observe_others = excluded.observe_others
""").bindparams(
    bindparam("peers", type_=ARRAY(Text())),
    bindparam("me", type_=ARRAY(Boolean())),
    bindparam("others", type_=ARRAY(Boolean())),
)


def note_members(
    connection: Connection, workspace: str, honcho_session: str, peers: Mapping[str, Observing]
) -> None:
    """Write down that Honcho has added `peers` with these observe settings."""
    connection.execute(
        _JOIN,
        {
            "workspace": workspace,
            "honcho_session": honcho_session,
            "peers": list(peers),
            "me": [observing.observe_me for observing in peers.values()],
            "others": [observing.observe_others for observing in peers.values()],
        },
    )
