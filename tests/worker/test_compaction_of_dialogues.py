"""Real dialogues joined to 200,000 tokens, with facts in them, compacted on a real Postgres."""

from __future__ import annotations

import json
import uuid
from itertools import cycle

import pytest
from sqlalchemy import text

from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.store.capture import WritePolicy, capture_turn
from afterturn_models.store.sessions import SessionSpec, open_session
from afterturn_models.values import NewMessage, Role
from afterturn_sandbox.dialogues import shipped
from afterturn_worker.compaction_store import PostgresCompactions
from afterturn_worker.flows.compacting import CompactionLimits
from afterturn_worker.flows.compaction import compact_session
from afterturn_worker.flows.summarising import OfModel, OfSentences
from support.memory_compactions import ScriptedLlm

TOKENS = 200_000
FACTS = {
    "blue heron": "My boat is called Blue Heron, and she lies at berth 41.",
    "penicillin": "Please remember that I cannot take penicillin.",
    "KX-7741": "The order that we talk about is KX-7741.",
    "Zeynep": "My sister Zeynep comes to Lisbon on the 9th.",
}
LIMITS = CompactionLimits(slice=600)


class Reading(PostgresCompactions):
    """The store, counting the characters of text that are read of it."""

    read = 0

    def said(self, session_id, *, after, upto, limit):
        page = super().said(session_id, after=after, upto=upto, limit=limit)
        assert len(page) <= limit
        self.read += sum(len(row.text) for row in page)
        return page


class Joined:
    """One session of many dialogues, one after another."""

    def __init__(self, database) -> None:
        self.database = database
        profile = {"given": {"compactionKeep": list(FACTS), "contextWindow": 128_000}}
        spec = SessionSpec("w", "joined", "ann", "bot", profile=json.dumps(profile))
        with database.statement() as connection:
            self.opened = open_session(connection, spec)
        self.store = Reading(database, "w1")
        self.tokens = self.turns = 0
        self._dialogues = cycle(shipped())

    def grow(self, tokens, facts=()):
        """Capture turns until there are so many tokens more; `facts` are said in the first ones."""
        goal, facts = self.tokens + tokens, list(facts)
        while self.tokens < goal:
            for turn in next(self._dialogues).turns:
                said = [("user", turn.said), *turn.between, ("assistant", turn.reply or "")]
                if facts:
                    said[0] = ("user", f"{turn.said} {facts.pop()}")
                if self.turns % 10 == 0:
                    said.insert(1, ("tool", json.dumps({"rows": ["a found place"] * 60})))
                self._capture(said)

    def _capture(self, said):
        rows = [
            NewMessage(
                uuid.uuid4(),
                Role(role),
                "ann" if role == "user" else "bot",
                content,
                tokens=estimate_tokens(content),
                local="tool" if role == "tool" else None,
            )
            for role, content in said
        ]
        with self.database.statement() as connection:
            done = capture_turn(connection, self.opened, "bot", uuid.uuid4(), rows, WritePolicy())
        self.tokens += sum(row.tokens or 0 for row in rows)
        self.turns += 1
        self.uncovered = done.uncovered

    def compact(self, *kinds):
        return compact_session(self.opened.id, self.store, kinds, LIMITS)

    def sql(self, statement):
        with self.database.statement() as connection:
            return connection.execute(text(statement)).all()


@pytest.fixture
def joined(database):
    return Joined(database)


def test_what_is_asked_to_be_kept_is_kept_and_nothing_is_lost(joined):
    joined.grow(100)  # what is said first stays as it is
    joined.grow(TOKENS, FACTS.values())
    before = joined.sql("SELECT id, content FROM messages ORDER BY index")
    done = joined.compact(OfSentences(joined.store))
    assert done.outcome == "compacted"
    (newest,) = joined.sql(
        "SELECT c.summary, c.tokens, c.covers_to, s.token_total, s.covered_tokens"
        " FROM compactions c JOIN sessions s ON s.id = c.session_id"
        " ORDER BY covers_to DESC LIMIT 1"
    )
    assert newest.tokens <= 1500
    assert newest.covers_to == done.covers_to
    for kept, fact in FACTS.items():
        assert kept.casefold() in newest.summary.casefold()
        assert any(fact in content for _, content in before)
    assert joined.sql("SELECT id, content FROM messages ORDER BY index") == before
    # What is left is far below what makes a compaction due, and the counts are the rows' own.
    left = newest.token_total - newest.covered_tokens
    assert left < 128_000 * 0.5 * 0.5
    (counted,) = joined.sql(f"SELECT sum(tokens) FROM messages WHERE index <= {newest.covers_to}")
    assert newest.covered_tokens == counted[0]
    # Each cut ends with a turn: no tool's answer is parted from its question.
    torn = joined.sql(
        "SELECT c.covers_to FROM compactions c JOIN messages a ON a.index = c.covers_to"
        " JOIN messages b ON b.index = c.covers_to + 1 AND b.turn = a.turn"
    )
    assert torn == []


def test_the_cost_follows_what_is_new(joined):
    llm = ScriptedLlm(here=True)
    kinds = [OfModel(llm, joined.store, window=32_000, seconds=60.0), OfSentences(joined.store)]
    joined.grow(70_000)
    joined.compact(*kinds)
    covered = joined.sql("SELECT max(covers_to) FROM compactions")[0][0]
    for _ in range(3):
        read, requests = joined.store.read, len(llm.sent)
        joined.grow(55_000)
        joined.compact(*kinds)
        now = joined.sql("SELECT max(covers_to) FROM compactions")[0][0]
        assert now > covered
        (new,) = joined.sql(
            "SELECT sum(char_length(content)), sum(tokens) FROM messages"
            f" WHERE index > {covered} AND index <= {now}"
        )
        assert joined.store.read - read == new[0]  # each row is read once, ever
        sent = sum(map(len, llm.sent[requests:]))
        assert sent < new[0] * 2  # names, JSON and the prompt around it, and the last summary
        assert max(estimate_tokens(one) for one in llm.sent[requests:]) < 32_000
        covered = now
    (few,) = joined.sql("SELECT count(*) FROM compactions WHERE made_by = 'llm:m'")
    assert few[0] == len(llm.sent)
