"""Compactions on Postgres: the lease, its epoch, what a commit covers, and what the relay finds."""

from __future__ import annotations

import uuid

import pytest

from afterturn_models.store import compaction_due, compaction_texts, compactions
from afterturn_models.store.capture import WritePolicy, capture_turn
from afterturn_models.store.compaction_texts import Reach
from afterturn_models.store.compactions import Summary
from afterturn_models.values import Role

LEASE = 20.0


@pytest.fixture
def session(desk, said):
    opened = desk.open()
    for number in range(1, 6):
        rows = [said("user", f"number {number}", tokens=10), said("assistant", "ok", tokens=5)]
        desk.capture(opened, rows)
    return opened


@pytest.fixture
def claim(desk):
    def take(session, *, owner="a", lease=LEASE, force=False):
        return desk.run(compactions.claim, session.id, owner=owner, lease=lease, force=force)

    return take


def summary(covers_to, *, covers_from=1, text="so far", **more):
    return Summary(covers_from, covers_to, text, 2, more.pop("made_by", "extractive"), **more)


def test_a_claim_says_what_a_run_needs_to_know(desk, session, claim):
    desk.set(session, "session", "compactionSummary", "off")
    found = claim(session)
    assert (found.session_id, found.workspace, found.total, found.covered) == (
        session.id, "w", 75, 0,
    )  # fmt: skip
    assert (found.last, found.covered_to, found.saved_index, found.failures) == (None, 0, 0, 0)
    assert found.profile.compaction(found.said).compaction_summary == "off"
    assert found.local is False


@pytest.mark.parametrize(
    ("scope", "key", "value"),
    [("workspace", "memoryMode", "local"), ("session", "userMemoryMode", "local"),
     ("agent", "agentMemoryMode", "local"), ("session", "saveMessages", False)],
)  # fmt: skip
def test_a_claim_tells_whether_text_stays_here(desk, session, claim, scope, key, value):
    desk.set(session, scope, key, value)
    assert claim(session).local is True


def test_of_many_at_once_one_has_it(session, claim, together):
    found = together(lambda place: claim(session, owner=str(place)), 12)
    assert len([one for one in found if one is not None]) == 1


def test_of_many_commits_one_counts(desk, session, claim, together):
    held = claim(session)
    done = together(
        lambda place: desk.run(
            compactions.commit, held, summary(6, text=f"by {place}"), after=0, lease=LEASE
        ),
        8,
    )
    assert done.count(True) == 1
    assert desk.sql("SELECT count(*) FROM compactions WHERE session_id = :s", s=session.id) == [
        (1,)
    ]
    assert tokens(desk, session) == (75, 45)


def tokens(desk, session):
    found = desk.sql("SELECT token_total, covered_tokens FROM sessions WHERE id = :s", s=session.id)
    return tuple(found[0])


def test_a_commit_covers_tokens_with_it(desk, session, claim):
    held = claim(session)
    assert desk.run(compactions.commit, held, summary(4), after=0, lease=LEASE)
    assert tokens(desk, session) == (75, 30)
    assert desk.run(compactions.commit, held, summary(7, covers_from=5), after=4, lease=LEASE)
    assert tokens(desk, session) == (75, 30 + 15 + 10)
    assert desk.run(compactions.release, held)
    found = claim(session)
    assert (found.covered, found.covered_to, found.last.covers_from) == (55, 7, 5)
    assert desk.run(compactions.newest, session.id) == found.last
    assert found.last.at is not None


def test_a_turns_capture_tells_what_is_not_covered(desk, session, claim, said):
    desk.run(compactions.commit, claim(session), summary(4), after=0, lease=LEASE)
    rows = [said("user", "more", tokens=7)]
    with desk.database.statement() as connection:
        done = capture_turn(connection, session, "bot", uuid.uuid4(), rows, WritePolicy())
        again = capture_turn(connection, session, "bot", uuid.uuid4(), rows, WritePolicy())
    assert done.uncovered == 75 - 30 + 7
    assert again.uncovered == 0  # captured before: whoever did so has decided


def test_an_epoch_that_is_over_writes_nothing(desk, session, claim):
    frozen = claim(session, lease=0.0)
    current = claim(session, owner="b")
    assert current.epoch == frozen.epoch + 1
    before = desk.sql("SELECT * FROM compaction_states")
    writes = [
        (compactions.commit, (summary(4),), {"after": 0, "lease": LEASE}),
        (compactions.renew, (), {"lease": LEASE}),
        (compactions.cool, ("llm",), {"failures": 1, "seconds": 9.0, "error": "ill"}),
        (compactions.postpone, (), {"seconds": 9.0, "error": "ill"}),
        (compactions.release, (), {}),
    ]
    for write, given, more in writes:
        assert desk.run(write, frozen, *given, **more) is False
    assert desk.sql("SELECT * FROM compaction_states") == before
    assert tokens(desk, session) == (75, 0)
    assert desk.run(compactions.commit, current, summary(4), after=0, lease=LEASE)


def test_nothing_is_stored_before_what_is_there(desk, session, claim):
    held = claim(session)
    desk.run(compactions.commit, held, summary(6), after=0, lease=LEASE)
    assert not desk.run(compactions.commit, held, summary(4), after=0, lease=LEASE)
    assert not desk.run(compactions.commit, held, summary(8), after=4, lease=LEASE)
    assert tokens(desk, session) == (75, 45)


def test_a_lease_that_is_held_keeps_others_out_until_it_runs_out(desk, session, claim):
    held = claim(session)
    assert claim(session, owner="b") is None
    assert claim(session, owner="b", force=True) is None
    assert desk.run(compactions.held, session.id) == "busy"
    desk.sql("UPDATE compaction_states SET lease_until = clock_timestamp()")
    assert claim(session, owner="b").epoch == held.epoch + 1


def test_a_cool_down_is_waited_for_unless_it_is_forced(desk, session, claim):
    assert desk.run(compactions.postpone, claim(session), seconds=60.0, error="all ill")
    assert claim(session) is None
    assert desk.run(compactions.held, session.id) == "waiting"
    forced = claim(session, force=True)
    assert (forced.forced, forced.failures) == (True, 1)
    desk.sql("UPDATE compaction_states SET lease_until = clock_timestamp(), run_at = now()")
    assert claim(session).forced  # whoever takes it up where that one died
    found = claim(desk.open())
    assert (found.forced, found.failures) == (False, 0)


def test_kinds_cool_by_themselves(desk, session, claim):
    held = claim(session)
    for kind, seconds in (("llm", 60.0), ("honcho", 5.0)):
        desk.run(compactions.cool, held, kind, failures=2, seconds=seconds, error=f"{kind}: ill")
    desk.run(compactions.release, held)
    found = claim(session)
    assert {kind: failures for kind, (failures, _) in found.cooling.items()} == {
        "llm": 2, "honcho": 2,
    }  # fmt: skip
    assert 50 < found.cooling["llm"][1] <= 60
    desk.run(compactions.commit, found, summary(4, made_by="llm:m"), after=0, lease=LEASE)
    desk.run(compactions.release, found)
    assert set(claim(session).cooling) == {"honcho"}


def test_a_session_that_is_gone(desk, claim):
    opened = desk.open()
    desk.sql("DELETE FROM sessions WHERE id = :s", s=opened.id)
    assert claim(opened) is None
    assert desk.run(compactions.held, opened.id) == "gone"
    desk.run(compaction_due.want, opened.id)
    assert desk.sql("SELECT count(*) FROM compaction_states") == [(0,)]


def test_the_relay_finds_what_is_wanted_and_nobody_does(desk, session, claim):
    take = lambda: desk.run(compaction_due.take_wanted, again=60.0, most=10)  # noqa: E731 - said thrice
    assert take() == []
    for _ in range(2):
        desk.run(compaction_due.want, session.id)
    assert take() == [session.id]
    assert take() == []  # hinted a moment ago, by any relay
    desk.sql("UPDATE compaction_states SET relayed_at = NULL")
    held = claim(session)
    assert take() == []
    desk.sql(
        "UPDATE compaction_states SET lease_until = clock_timestamp()"
    )  # its worker was killed
    assert take() == [session.id]
    desk.sql("UPDATE compaction_states SET relayed_at = NULL")
    desk.run(compactions.release, held)
    assert take() == []


def test_pages_are_bounded_and_in_order(desk, session):
    read = lambda after: desk.run(compaction_texts.lines, session.id, after=after, limit=4)  # noqa: E731
    assert [(one.index, one.turn, one.role, one.tokens) for one in read(4)] == [
        (5, 3, Role.USER, 10), (6, 3, Role.ASSISTANT, 5), (7, 4, Role.USER, 10), (8, 4, Role.ASSISTANT, 5),
    ]  # fmt: skip
    assert len(read(8)) == 2
    page = desk.run(compaction_texts.said, session.id, after=2, upto=5, limit=2)
    assert [(one.index, one.speaker, one.text) for one in page] == [
        (3, "ann", "number 2"),
        (4, "bot", "ok"),
    ]


def test_a_row_that_was_not_counted_is_estimated(desk, said):
    opened = desk.open()
    desk.capture(opened, [said("user", "x" * 400)])
    (line,) = desk.run(compaction_texts.lines, opened.id, after=0, limit=9)
    assert line.tokens == 101


def test_a_tool_is_named_by_its_call(desk, said):
    opened = desk.open()
    desk.capture(opened, [said("tool", "42", local="tool", metadata={"call": {"name": "sum"}})])
    (row,) = desk.run(compaction_texts.said, opened.id, after=0, upto=9, limit=9)
    assert (row.role, row.speaker) == (Role.TOOL, "sum")


def test_where_text_has_been(desk, said):
    opened = desk.open()
    desk.capture(opened)  # 1, 2: sent
    desk.capture(opened, [said("user", "HEARTBEAT", local="noise")])  # 3
    desk.capture(opened, [said("tool", "rows", local="tool")])  # 4
    desk.capture(opened, given={"userMemoryMode": "local"})  # 5, 6
    desk.capture(opened, [said("user", "x", local="machine")])  # 7
    name = opened.honcho_session
    expected = {
        (0, 2): Reach(False, name), (0, 3): Reach(False, name), (0, 4): Reach(False, None),
        (3, 4): Reach(False, None), (4, 5): Reach(True, None), (5, 6): Reach(False, name),
        (6, 7): Reach(True, None), (0, 7): Reach(True, None), (7, 9): Reach(False, None),
    }  # fmt: skip
    found = {
        (after, upto): desk.run(compaction_texts.reach, opened.id, after=after, upto=upto)
        for after, upto in expected
    }
    assert found == expected
    desk.sql("UPDATE messages SET honcho_session = 'before' WHERE index = 1")
    assert desk.run(compaction_texts.reach, opened.id, after=0, upto=2) == Reach(False, None)
    desk.sql("UPDATE messages SET late = 'due' WHERE index = 2")
    assert desk.run(compaction_texts.reach, opened.id, after=1, upto=2) == Reach(False, None)


def test_a_rows_index(desk, session):
    row = desk.rows(session)[3]
    assert desk.run(compaction_texts.index_of, session.id, row.id) == 4
    assert desk.run(compaction_texts.index_of, desk.open().id, row.id) is None
    assert desk.run(compaction_texts.index_of, session.id, uuid.uuid4()) is None
