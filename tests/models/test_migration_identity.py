"""The identity ledger's revision: what was seeded before it is known to it, up and down."""

from __future__ import annotations

import psycopg
import pytest

from afterturn_models.migrate import downgrade, migrate

FORMER = """
INSERT INTO workspaces (name) VALUES ('w');
INSERT INTO identity_seeds (workspace_id, peer, source, sha256, turn_id)
    SELECT id, peer, source, 'ff', gen_random_uuid()
    FROM workspaces, (VALUES ('bot', 'SOUL.md'), ('ann', 'USER.md')) AS s (peer, source)
"""


def query(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def former(empty_database_url):
    migrate(empty_database_url)
    downgrade(empty_database_url, "0004-1")
    query(empty_database_url, FORMER)
    return empty_database_url


def test_what_the_former_ledger_knew_is_done(former):
    migrate(former)
    found = query(
        former,
        "SELECT source, kind, agent, owner, content, done_at = created_at FROM identity_seeds"
        " ORDER BY source",
    )
    assert found == [
        ("SOUL.md", "agent", "bot", "bot", None, True),
        ("USER.md", "user", "ann", "ann", None, True),
    ]


def test_down_keeps_what_was_captured_and_forgets_the_rest(former):
    migrate(former)
    query(
        former,
        "INSERT INTO identity_seeds"
        " (workspace_id, peer, source, sha256, turn_id, kind, agent, owner, content)"
        " SELECT id, 'bot', 'IDENTITY.md', 'ee', gen_random_uuid(), 'agent', 'bot', 'ann', 'text'"
        " FROM workspaces",
    )
    downgrade(former, "0004-1")
    found = query(former, "SELECT source FROM identity_seeds ORDER BY source")
    assert found == [("SOUL.md",), ("USER.md",)]
    migrate(former)


def test_a_line_has_its_text_exactly_until_it_is_done(former):
    migrate(former)
    for change in ("content = 'again'", "done_at = NULL"):
        with pytest.raises(psycopg.errors.CheckViolation):
            query(former, f"UPDATE identity_seeds SET {change}")
