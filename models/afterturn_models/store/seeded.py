"""What the identity ledger knows of texts, for who is about to seed them; it writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

if TYPE_CHECKING:
    from collections.abc import Collection

_KNOWN = text("""
SELECT s.peer, s.source, s.sha256 FROM identity_seeds s
JOIN workspaces w ON w.id = s.workspace_id
WHERE w.name = :workspace AND s.sha256 = ANY(:hashes)
""").bindparams(bindparam("hashes", type_=ARRAY(Text())))


def seeded_before(
    connection: Connection, workspace: str, hashes: Collection[str]
) -> set[tuple[str, str, str]]:
    """Give peer, source and SHA-256 of those of `hashes` that were seeded, or are about to be."""
    found = connection.execute(_KNOWN, {"workspace": workspace, "hashes": list(hashes)})
    return {(row.peer, row.source, row.sha256) for row in found}
