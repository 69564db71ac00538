"""The identity ledger as it is written: each text noted once, claimed, and captured once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.types import Text

from afterturn_models.policy import identity as policy
from afterturn_models.policy.identity import Kind
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.profile import SessionProfile
from afterturn_models.store.capture import WritePolicy, capture_turn
from afterturn_models.store.sessions import SessionSpec, open_session, workspace_id
from afterturn_models.store.settings import settings_by_scope
from afterturn_models.store.workspaces import make_workspace
from afterturn_models.values import NewMessage, Role, Scope

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from afterturn_models.store.sessions import OpenSession

_MODES = ("userMemoryMode", "agentMemoryMode", "memoryMode", "saveMessages")
_MOST_DOUBLINGS = 8  # of the time between two tries: from a lease's 20 s to well over an hour


@dataclass(frozen=True, slots=True)
class Pair:
    """The agent whose files are seeded, and the owner whom it is for; both are peers."""

    workspace: str
    agent: str
    owner: str


@dataclass(frozen=True, slots=True)
class NewSeed:
    """A text to seed: `source` is the file's name, `text` as `policy.identity.seed_text` gives it."""

    kind: Kind
    source: str
    text: str

    def peer(self, pair: Pair) -> str:
        """Give the peer that it is about."""
        return pair.owner if self.kind is Kind.USER else pair.agent


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed that a worker took up; `kept` says which setting keeps it here, if one does."""

    id: int
    kind: Kind
    pair: Pair
    peer: str
    source: str
    text: str
    turn_id: uuid.UUID
    profile: SessionProfile
    kept: str | None


class KeptHereError(Exception):
    """A setting keeps the seed out of Honcho; the transaction that finds out is rolled back."""


def said_of(connection: Connection, pair: Pair) -> dict[Scope, dict[str, Any]]:
    """Read what Postgres says of settings for an agent, in no session."""
    workspace = workspace_id(connection, pair.workspace)
    if workspace is None:
        return {}
    return settings_by_scope(connection, workspace, pair.agent, None)


# Rows go in by one order everywhere, so that two processes that note the same wait for each other
# one way only.
_NOTE = text("""
INSERT INTO identity_seeds
    (workspace_id, peer, source, sha256, turn_id, kind, agent, owner, profile, content)
SELECT :workspace, s.peer, s.source, s.sha256, s.turn_id, s.kind, :agent, :owner,
       CAST(:profile AS jsonb), s.content
FROM unnest(:peers, :sources, :hashes, :turn_ids, :kinds, :contents)
         AS s (peer, source, sha256, turn_id, kind, content)
ORDER BY s.peer, s.source, s.sha256
ON CONFLICT (workspace_id, peer, source, sha256) DO NOTHING
RETURNING id, source
""").bindparams(
    bindparam("turn_ids", type_=ARRAY(UUID(as_uuid=True))),
    *(
        bindparam(name, type_=ARRAY(Text()))
        for name in ("peers", "sources", "hashes", "kinds", "contents")
    ),
)


def note(
    connection: Connection, pair: Pair, profile: SessionProfile, seeds: Sequence[NewSeed]
) -> dict[int, str]:
    """Write down what is to be seeded; gives the id and source of what the ledger did not know.

    What it knows is seeded already, or will be, and never again. All of it in one statement.
    """
    workspace = make_workspace(connection, pair.workspace)
    rows = [(seed, seed.peer(pair), policy.digest(seed.text)) for seed in seeds]
    found = connection.execute(
        _NOTE,
        {
            "workspace": workspace,
            "agent": pair.agent,
            "owner": pair.owner,
            "profile": json.dumps(profile.as_json(), sort_keys=True),
            "peers": [peer for _, peer, _ in rows],
            "sources": [seed.source for seed, _, _ in rows],
            "hashes": [sha256 for _, _, sha256 in rows],
            "turn_ids": [
                policy.seed_turn(pair.workspace, peer, seed.source, sha256)
                for seed, peer, sha256 in rows
            ],
            "kinds": [seed.kind.value for seed, _, _ in rows],
            "contents": [seed.text for seed, _, _ in rows],
        },
    )
    return {row.id: row.source for row in found}


_TAKE = text("""
WITH undone AS (
    SELECT id FROM identity_seeds
    WHERE done_at IS NULL AND run_at <= clock_timestamp()
      AND (relayed_at IS NULL OR relayed_at <= clock_timestamp() - make_interval(secs => :again))
    ORDER BY relayed_at NULLS FIRST, run_at LIMIT :most
    FOR UPDATE SKIP LOCKED
)
UPDATE identity_seeds s SET relayed_at = clock_timestamp() FROM undone WHERE s.id = undone.id
RETURNING s.id
""")


def take_undone(connection: Connection, *, again: float, most: int) -> list[int]:
    """Find seeds that nobody works on, and note that they were hinted; for the relay."""
    return list(connection.execute(_TAKE, {"again": again, "most": most}).scalars())


_CLAIM = text("""
UPDATE identity_seeds s
SET attempts = s.attempts + 1,
    run_at = clock_timestamp()
             + make_interval(secs => :lease * power(2, least(s.attempts, :doublings)))
FROM workspaces w
WHERE s.id = :seed AND w.id = s.workspace_id
  AND s.done_at IS NULL AND s.run_at <= clock_timestamp()
RETURNING s.id, s.kind, w.name AS workspace, s.agent, s.owner, s.peer, s.source, s.content,
          s.turn_id, s.profile
""")


def claim(connection: Connection, seed_id: int, *, lease: float) -> Seed | None:
    """Take a seed up for `lease` seconds, doubled at each try; None where it is not to be had.

    It is done, or withdrawn, or a twin has it, or its time has not come again.
    """
    parameters = {"seed": seed_id, "lease": lease, "doublings": _MOST_DOUBLINGS}
    row = connection.execute(_CLAIM, parameters).one_or_none()
    return None if row is None else _seed(connection, row)


def _seed(connection: Connection, row: Row[Any]) -> Seed:
    pair, kind = Pair(row.workspace, row.agent, row.owner), Kind(row.kind)
    profile = SessionProfile.of(row.profile)
    return Seed(
        id=row.id,
        kind=kind,
        pair=pair,
        peer=row.peer,
        source=row.source,
        text=row.content,
        turn_id=row.turn_id,
        profile=profile,
        kept=policy.kept_here(kind, profile.layers(said_of(connection, pair))),
    )


def open_identity(
    connection: Connection, pair: Pair, peer: str, profile: SessionProfile
) -> OpenSession:
    """Find or make the session of a peer's own in which its seeds are."""
    return open_session(
        connection,
        SessionSpec(
            workspace=pair.workspace,
            key=policy.identity_session(peer),
            user_peer=pair.owner,
            agent_peer=pair.agent,
            profile=json.dumps(profile.as_json(), sort_keys=True),
        ),
    )


_LOCK = text("""
SELECT FROM identity_seeds WHERE id = :seed AND done_at IS NULL FOR UPDATE SKIP LOCKED
""")
_REASON = text("SELECT reason FROM messages WHERE id = :row")
# Nobody has a turn in this session: what would be prefetched for the next one is for no one.
_NO_PREFETCH = text("""
UPDATE cursors SET prefetched_turn = greatest(prefetched_turn, :turn) WHERE session_id = :session
""")


def capture_seed(connection: Connection, seed: Seed, session: OpenSession) -> bool:
    """Capture a seed and close its line of the ledger; to be called in one transaction.

    False where a twin has done so or is about to, or the session was deleted. Raises KeptHereError
    where the capture's own look at the settings keeps it here: that transaction is to be rolled
    back, and the seed withdrawn.
    """
    if connection.execute(_LOCK, {"seed": seed.id}).one_or_none() is None:
        return False
    rows = _rows(seed)
    done = capture_turn(
        connection, session, seed.pair.agent, seed.turn_id, rows, _write_policy(seed.profile)
    )
    if done is None:
        return False
    if connection.execute(_REASON, {"row": rows[0].id}).scalar() is not None:
        raise KeptHereError
    connection.execute(_NO_PREFETCH, {"session": session.id, "turn": done.turn})
    finish(connection, seed.id)
    return True


def _rows(seed: Seed) -> list[NewMessage]:
    parts = policy.seed_messages(seed.kind, seed.source, seed.text)
    return [
        NewMessage(
            id=policy.seed_row(seed.turn_id, number),
            role=Role.USER if seed.kind is Kind.USER else Role.ASSISTANT,
            peer=seed.peer,
            content=part,
            part=number,
            parts=len(parts),
            tokens=estimate_tokens(part),
        )
        for number, part in enumerate(parts)
    ]


def _write_policy(profile: SessionProfile) -> WritePolicy:
    """Give the modes as the agent was told of them; a seed is due at once, whatever the frequency."""
    return WritePolicy(
        given=(*_told(profile.given), ("writeFrequency", "async")), fallback=_told(profile.rest)
    )


def _told(said: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(said[key])) for key in _MODES if key in said)


_FINISH = text("""
UPDATE identity_seeds SET done_at = clock_timestamp(), content = NULL, last_error = NULL
WHERE id = :seed AND done_at IS NULL
""")
_WITHDRAW = text("DELETE FROM identity_seeds WHERE id = :seed AND done_at IS NULL")
_FAILED = text("UPDATE identity_seeds SET last_error = :error WHERE id = :seed AND done_at IS NULL")


def finish(connection: Connection, seed_id: int) -> None:
    """Close a line of the ledger for ever; its text is forgotten here."""
    connection.execute(_FINISH, {"seed": seed_id})


def withdraw(connection: Connection, seed_id: int) -> None:
    """Forget a seed that a setting keeps here, text and all; it may be noted again later."""
    connection.execute(_WITHDRAW, {"seed": seed_id})


def failed(connection: Connection, seed_id: int, error: str) -> None:
    """Note why a try failed; the relay comes back to it when its claim has run out."""
    connection.execute(_FAILED, {"seed": seed_id, "error": error})
