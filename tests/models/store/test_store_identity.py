"""The identity ledger: each text in once, whoever notes it; captured once, whoever claims it."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from afterturn_models.policy import identity as policy
from afterturn_models.policy.identity import Kind
from afterturn_models.profile import SessionProfile
from afterturn_models.store import identity
from afterturn_models.store.identity import KeptHereError, NewSeed, Pair
from afterturn_models.store.identity_ledger import ledger
from afterturn_models.store.settings import set_setting
from afterturn_models.values import Scope

PAIR = Pair("w", "bot", "ann")
SOUL = NewSeed(Kind.AGENT, "SOUL.md", "I am kind.")
USER = NewSeed(Kind.USER, "USER.md", "Ann likes tea.")
NAME = NewSeed(Kind.NAME, policy.NAME_SOURCE, "bot")
LEASE = 60.0


def note(desk, *seeds, pair=PAIR, profile=None):
    noted = desk.run(identity.note, pair, profile or SessionProfile(), seeds)
    return {source: seed_id for seed_id, source in noted.items()}


def claim(desk, seed_id, lease=LEASE):
    return desk.run(identity.claim, seed_id, lease=lease)


def capture(desk, seed):
    session = desk.run(identity.open_identity, seed.pair, seed.peer, seed.profile)
    with desk.database.transaction() as connection:
        return identity.capture_seed(connection, seed, session), session


def said(desk):
    return desk.sql(
        "SELECT m.role, m.peer, m.content, m.delivery, m.part, m.parts, m.turn_id, s.key,"
        " s.agent_peer, s.user_peer, c.due_index, c.prefetched_turn, s.turns"
        " FROM messages m JOIN sessions s ON s.id = m.session_id"
        " JOIN cursors c ON c.session_id = s.id ORDER BY s.key, m.index"
    )


def set_mode(desk, key, value, scope=Scope.AGENT, subject="bot"):
    (workspace,) = desk.sql("SELECT id FROM workspaces WHERE name = 'w'")
    desk.run(set_setting, workspace.id, scope, subject, key, value)


def test_a_text_is_noted_once_whoever_notes_it(desk):
    first = note(desk, SOUL, USER, NAME)
    assert set(first) == {"SOUL.md", "USER.md", policy.NAME_SOURCE}
    assert note(desk, SOUL, USER, NAME) == {}
    peers = dict(desk.sql("SELECT source, peer FROM identity_seeds"))
    assert peers == {"SOUL.md": "bot", "USER.md": "ann", policy.NAME_SOURCE: "bot"}
    changed = NewSeed(Kind.AGENT, "SOUL.md", "I am kinder.")
    assert set(note(desk, changed, USER)) == {"SOUL.md"}
    assert note(desk, SOUL) == {}  # put back as it was


def test_many_at_once_note_it_once_and_never_wait_in_a_circle(desk):
    seeds = [NewSeed(Kind.AGENT, f"{n}.md", str(n)) for n in range(40)]

    def run(turn):
        return note(desk, *(seeds if turn % 2 else reversed(seeds)))

    with ThreadPoolExecutor(8) as pool:
        noted = [source for found in pool.map(run, range(24)) for source in found]
    assert sorted(noted) == sorted(seed.source for seed in seeds)


def test_a_seed_is_captured_as_a_message_of_its_peer_in_a_session_of_its_own(desk):
    ids = note(desk, SOUL, USER)
    for seed_id in ids.values():
        done, _ = capture(desk, claim(desk, seed_id))
        assert done
    agents, users = sorted(said(desk), key=lambda row: row.role)
    assert (agents.role, agents.peer, agents.agent_peer) == ("assistant", "bot", "bot")
    assert (users.role, users.peer, users.agent_peer) == ("user", "ann", "bot")
    assert agents.key == policy.identity_session("bot")
    assert users.key == policy.identity_session("ann")
    assert agents.content == policy.seed_messages(Kind.AGENT, "SOUL.md", "I am kind.")[0]
    assert users.content == policy.seed_messages(Kind.USER, "USER.md", "Ann likes tea.")[0]
    assert {row.delivery for row in (agents, users)} == {"send"}
    assert {row.due_index for row in (agents, users)} == {1}


def test_nothing_is_prefetched_for_a_session_in_which_nobody_talks(desk):
    _, session = capture(desk, claim(desk, note(desk, SOUL)["SOUL.md"]))
    (row,) = said(desk)
    assert (row.turns, row.prefetched_turn) == (1, 1)
    assert session.turns == 0


def test_the_ledger_forgets_the_text_once_the_messages_hold_it(desk):
    seed_id = note(desk, SOUL)["SOUL.md"]
    capture(desk, claim(desk, seed_id))
    (line,) = desk.sql("SELECT content, done_at, sha256 FROM identity_seeds")
    assert line.content is None
    assert line.done_at is not None
    assert line.sha256 == policy.digest(SOUL.text)
    assert claim(desk, seed_id) is None


def test_a_seed_is_due_at_once_whatever_the_write_frequency_is(desk):
    profile = SessionProfile(rest={"writeFrequency": "session"})
    note(desk)
    seed_id = note(desk, SOUL, profile=profile)["SOUL.md"]
    set_mode(desk, "writeFrequency", "50")
    capture(desk, claim(desk, seed_id))
    (row,) = said(desk)
    assert row.due_index == 1


def test_a_big_seed_is_one_turn_of_parts(desk):
    big = NewSeed(Kind.AGENT, "SOUL.md", "\n\n".join(f"{n} " + "word " * 80 for n in range(150)))
    capture(desk, claim(desk, note(desk, big)["SOUL.md"]))
    rows = said(desk)
    assert len(rows) > 2
    assert [row.part for row in rows] == list(range(len(rows)))
    assert {row.parts for row in rows} == {len(rows)}
    assert {row.turn_id for row in rows} == {rows[0].turn_id}


def test_one_of_two_claims_has_it_until_its_time_is_over(desk):
    seed_id = note(desk, SOUL)["SOUL.md"]
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: claim(desk, seed_id), range(8)))
    assert sum(found is not None for found in claims) == 1
    desk.sql("UPDATE identity_seeds SET run_at = clock_timestamp()")
    assert claim(desk, seed_id) is not None


def test_each_try_waits_longer_than_the_one_before(desk):
    seed_id = note(desk, SOUL)["SOUL.md"]
    waits = []
    for _ in range(12):
        desk.sql("UPDATE identity_seeds SET run_at = clock_timestamp()")
        assert claim(desk, seed_id, lease=20.0)
        wait = "SELECT extract(epoch FROM run_at - clock_timestamp())::float8 AS s"
        waits.append(desk.sql(f"{wait} FROM identity_seeds")[0].s)
    assert waits[0] == pytest.approx(20, abs=2)
    assert waits[1] == pytest.approx(40, abs=2)
    assert waits[8] == pytest.approx(waits[-1], abs=2)
    assert 3600 < waits[-1] < 7200


def test_twins_that_both_hold_a_claim_capture_once(desk):
    seed_id = note(desk, SOUL)["SOUL.md"]
    first = claim(desk, seed_id)
    desk.sql("UPDATE identity_seeds SET run_at = clock_timestamp()")
    second = claim(desk, seed_id)
    with ThreadPoolExecutor(2) as pool:
        done = [found for found, _ in pool.map(lambda one: capture(desk, one), (first, second))]
    assert sorted(done) == [False, True]
    assert len(said(desk)) == 1


def test_one_that_is_killed_in_the_middle_leaves_nothing_half_done(desk):
    seed = claim(desk, note(desk, SOUL)["SOUL.md"])
    session = desk.run(identity.open_identity, PAIR, "bot", SessionProfile())

    def die():
        with desk.database.transaction() as connection:
            assert identity.capture_seed(connection, seed, session)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die()
    assert said(desk) == []
    (line,) = desk.sql("SELECT content, done_at FROM identity_seeds")
    assert (line.content, line.done_at) == (SOUL.text, None)
    done, _ = capture(desk, seed)
    assert done
    assert len(said(desk)) == 1


def test_the_relay_finds_what_nobody_works_on_and_each_once_a_while(desk):
    take = identity.take_undone
    ids = note(desk, SOUL, USER)
    assert sorted(desk.run(take, again=60.0, most=10)) == sorted(ids.values())
    assert desk.run(take, again=60.0, most=10) == []
    assert claim(desk, ids["SOUL.md"])
    assert desk.run(take, again=0.0, most=10) == [ids["USER.md"]]
    capture(desk, claim(desk, ids["USER.md"]))
    assert desk.run(take, again=0.0, most=10) == []
    desk.sql("UPDATE identity_seeds SET run_at = clock_timestamp()")
    assert desk.run(take, again=0.0, most=10) == [ids["SOUL.md"]]


def test_the_relays_query_reads_what_is_undone_and_no_more(desk):
    note(desk, SOUL)
    desk.sql(
        "INSERT INTO identity_seeds"
        " (workspace_id, peer, source, sha256, turn_id, kind, agent, owner, done_at)"
        " SELECT workspace_id, 'p' || n, source, sha256, gen_random_uuid(), kind, agent, owner,"
        " now() FROM identity_seeds, generate_series(1, 20000) n"
    )
    desk.sql("ANALYZE identity_seeds")
    parameters = {"again": 1.0, "most": 10}
    with desk.database.statement() as connection:
        plan = connection.execute(text(f"EXPLAIN {identity._TAKE.text}"), parameters).scalars()
        assert "ix_identity_seeds_undone" in " ".join(plan)


@pytest.mark.parametrize(
    ("key", "value"),
    [("agentMemoryMode", "local"), ("memoryMode", "local"), ("saveMessages", False)],
)
def test_a_setting_in_postgres_keeps_a_seed_here(desk, key, value):
    ids = note(desk, SOUL, USER)
    set_mode(desk, key, value)
    seeds = {source: claim(desk, seed_id) for source, seed_id in ids.items()}
    assert seeds["SOUL.md"].kept is not None
    assert (seeds["USER.md"].kept is None) == (key == "agentMemoryMode")
    desk.run(identity.withdraw, seeds["SOUL.md"].id)
    assert desk.sql("SELECT FROM identity_seeds WHERE content LIKE '%kind%'") == []
    assert set(note(desk, SOUL)) == {"SOUL.md"}  # noted anew, when the mode allows it


def test_what_the_agents_process_was_told_keeps_a_seed_here_on_any_worker(desk):
    given = SessionProfile(given={"agentMemoryMode": "local"})
    seed = claim(desk, note(desk, SOUL, profile=given)["SOUL.md"])
    assert seed.kept == "agentMemoryMode is local"
    set_mode(desk, "agentMemoryMode", "hybrid")  # comes behind keyword arguments
    desk.sql("UPDATE identity_seeds SET run_at = clock_timestamp()")
    assert claim(desk, seed.id).kept is not None


@pytest.mark.parametrize("scope", ["workspace", "agent", "session"])
def test_a_mode_changed_after_the_claim_is_seen_by_the_capture_itself(desk, scope):
    seed = claim(desk, note(desk, SOUL)["SOUL.md"])
    session = desk.run(identity.open_identity, PAIR, "bot", SessionProfile())
    subject = {"workspace": "", "agent": "bot", "session": str(session.id)}[scope]
    set_mode(desk, "agentMemoryMode", "local", Scope(scope), subject)
    assert seed.kept is None
    with pytest.raises(KeptHereError):
        capture(desk, seed)
    assert said(desk) == []
    (line,) = desk.sql("SELECT done_at FROM identity_seeds")
    assert line.done_at is None


def test_a_session_that_was_deleted_meanwhile_leaves_the_seed_undone(desk):
    seed = claim(desk, note(desk, SOUL)["SOUL.md"])
    session = desk.run(identity.open_identity, PAIR, "bot", SessionProfile())
    desk.sql("DELETE FROM sessions")
    with desk.database.transaction() as connection:
        assert not identity.capture_seed(connection, seed, session)
    assert capture(desk, seed)[0]


def test_the_ledger_tells_how_far_each_seed_is(desk):
    note(desk, SOUL, USER, NAME, pair=Pair("other", "bot", "ann"))
    ids = note(desk, SOUL, USER, NAME)
    states = lambda: {one.source: one.state for one in desk.run(ledger, PAIR)}  # noqa: E731
    assert set(states().values()) == {"waiting"}
    for source in ("SOUL.md", "USER.md"):
        capture(desk, claim(desk, ids[source]))
    desk.run(identity.failed, ids[NAME.source], "Honcho is away")
    assert states() == {"SOUL.md": "captured", "USER.md": "captured", NAME.source: "waiting"}
    errors = {one.source: one.last_error for one in desk.run(ledger, PAIR)}
    assert errors[NAME.source] == "Honcho is away"
    desk.sql("UPDATE cursors SET last_saved_index = 1")
    desk.run(identity.finish, ids[NAME.source])
    assert set(states().values()) == {"sent"}
    assert {one.last_error for one in desk.run(ledger, PAIR)} == {None}
    desk.sql("UPDATE messages SET delivery = 'quarantined' WHERE peer = 'ann'")
    desk.sql("DELETE FROM sessions WHERE key LIKE 'identity-bot%'")
    assert states() == {"SOUL.md": "gone", "USER.md": "quarantined", NAME.source: "sent"}


def test_a_seed_whose_line_was_lost_is_not_captured_twice(desk):
    """Its rows' ids are made from what the ledger is unique by, and not from the line."""
    capture(desk, claim(desk, note(desk, SOUL)["SOUL.md"]))
    desk.sql("DELETE FROM identity_seeds")
    done, _ = capture(desk, claim(desk, note(desk, SOUL)["SOUL.md"]))
    assert done
    assert len(said(desk)) == 1
    assert uuid.UUID(str(said(desk)[0].turn_id)) == policy.seed_turn(
        "w", "bot", "SOUL.md", policy.digest(SOUL.text)
    )
