"""Capture: one statement that numbers, decides, inserts and makes due, also beside its twin."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode
from afterturn_models.values import Mode

SCOPES = ("session", "agent", "workspace")
MODES = ("hybrid", "honcho", "local")
MODE_KEYS = ("userMemoryMode", "agentMemoryMode", "memoryMode")


def test_indexes_have_no_gap_under_many_threads(desk, together, said):
    sessions = [desk.open() for _ in range(3)]

    def turns(place):
        for turn in range(10):
            session = sessions[(place + turn) % 3]
            desk.capture(
                session, [said(content=f"{place}.{turn}.{n}") for n in range(1 + turn % 3)]
            )

    together(turns, 8)
    for session in sessions:
        rows = desk.rows(session)
        assert [row.index for row in rows] == list(range(1, len(rows) + 1))
        row = desk.sql("SELECT next_index, turns FROM sessions WHERE id = :s", s=session.id)[0]
        assert row.next_index == len(rows) + 1
        assert desk.cursor(session).due_index == len(rows)
        # Each turn's rows stand together, in the order they were said.
        by_turn = {t: list(rs) for t, rs in itertools.groupby(rows, lambda r: r.turn)}
        assert sorted(by_turn) == list(range(1, row.turns + 1))
        for turn_rows in by_turn.values():
            assert len({r.turn_id for r in turn_rows}) == 1
            assert [r.content.split(".")[2] for r in turn_rows] == [
                str(n) for n in range(len(turn_rows))
            ]
    assert sum(len(desk.rows(session)) for session in sessions) == 8 * (4 * 1 + 3 * 2 + 3 * 3)


def test_a_turn_captured_again_counts_once_and_says_what_came_of_it(desk, said):
    session = desk.open()
    desk.capture(session)
    rows, turn_id = [said(), said("assistant"), said("tool")], uuid.uuid4()
    first = desk.capture(session, rows, turn_id=turn_id)
    desk.capture(session)
    again = desk.capture(session, rows, turn_id=turn_id)
    assert (first.first_index, first.last_index, first.turn, first.due) == (3, 5, 2, True)
    assert (again.first_index, again.last_index, again.turn, again.due) == (3, 5, 2, False)
    assert len(desk.rows(session)) == 7
    assert desk.sql("SELECT turns FROM sessions WHERE id = :s", s=session.id)[0].turns == 3


def test_twins_at_the_same_moment_capture_once(desk, together, said):
    session = desk.open()
    for _ in range(10):
        rows, turn_id = [said(), said("assistant")], uuid.uuid4()

        def twin(_place, rows=rows, turn_id=turn_id):
            try:
                return desk.capture(session, rows, turn_id=turn_id)
            except IntegrityError:  # the twin's commit came first: ask again, as the agent does
                return desk.capture(session, rows, turn_id=turn_id)

        found = together(twin, 4)
        assert len({(c.first_index, c.last_index, c.turn) for c in found}) == 1
        assert sum(c.due for c in found) == 1
    rows = desk.rows(session)
    assert [row.index for row in rows] == list(range(1, 21))
    assert desk.sql("SELECT turns FROM sessions WHERE id = :s", s=session.id)[0].turns == 10


def test_a_refused_capture_leaves_no_trace(desk, said):
    session = desk.open()
    taken = uuid.uuid4()
    desk.capture(session, [said(), said(id=taken)])
    with pytest.raises(IntegrityError):
        desk.capture(session, [said(), said(id=taken)])
    after = desk.capture(session, [said()])
    assert (after.first_index, after.turn) == (3, 2)


scope = st.dictionaries(st.sampled_from(MODE_KEYS), st.sampled_from(MODES))


def test_modes_follow_the_model_at_every_combination_of_scopes(desk, said):
    """Every scope that Postgres holds, the writer's word, and the fallback, against `resolve_mode`."""
    session = desk.open()

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(keyword=scope, scopes=st.tuples(scope, scope, scope), fallback=scope)
    def check(keyword, scopes, fallback):
        desk.sql("DELETE FROM settings")
        for name, values in zip(SCOPES, scopes, strict=True):
            for key, value in values.items():
                desk.set(session, name, key, value)
        rows = [said("user"), said("assistant"), said("tool", local="tool")]
        captured = desk.capture(session, rows, given=keyword, fallback=fallback)
        chain = [keyword, *scopes, fallback]
        user, agent = resolve_mode(chain, USER_KEYS), resolve_mode(chain, AGENT_KEYS)
        assert (captured.user_mode, captured.agent_mode) == (user, agent)
        stored = desk.rows(session)[-3:]
        assert [(r.delivery, r.reason) for r in stored] == [
            ("local", "mode") if user is Mode.LOCAL else ("send", None),
            ("local", "mode") if agent is Mode.LOCAL else ("send", None),
            ("local", "tool"),
        ]

    check()


def test_another_agents_and_another_sessions_settings_do_not_count(desk):
    session, other = desk.open(), desk.open()
    desk.set(other, "session", "memoryMode", "local")
    desk.sql(
        "INSERT INTO settings (workspace_id, scope, subject, key, value)"
        " VALUES (:w, 'agent', 'another', 'memoryMode', '\"local\"')",
        w=session.workspace_id,
    )
    elsewhere = desk.open("x", workspace="w2")
    desk.set(elsewhere, "workspace", "memoryMode", "local")
    assert desk.capture(session).user_mode is Mode.HYBRID
    assert desk.capture(other).user_mode is Mode.LOCAL
    assert desk.capture(elsewhere).user_mode is Mode.LOCAL


@pytest.mark.parametrize("key", ["writeFrequency", "saveMessages"])
def test_frequency_and_saving_have_the_same_precedence(desk, key):
    session = desk.open()
    near, far = ("session", "3") if key == "writeFrequency" else ("false", "true")

    def effect(**more):
        captured = desk.capture(session, **more)
        if key == "writeFrequency":
            return captured.frequency
        return "false" if desk.rows(session)[-1].reason == "saveMessages" else "true"

    assert effect(fallback={key: near}) == near
    for scope_name in reversed(SCOPES):
        # the value that the scope before did not say: each nearer scope is seen to win
        near, far = far, near
        desk.set(session, scope_name, key, near)
        assert effect(fallback={key: far}) == near
    assert effect(given={key: far}, fallback={key: near}) == far


def test_values_may_be_json_numbers_and_booleans(desk):
    session = desk.open()
    desk.set(session, "workspace", "writeFrequency", 4)
    desk.set(session, "workspace", "saveMessages", False)
    captured = desk.capture(session)
    assert captured.frequency == "4"
    assert {row.reason for row in desk.rows(session)} == {"saveMessages"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("writeFrequency", "sometimes"),
        ("writeFrequency", 0),
        ("writeFrequency", 10_001),
        ("writeFrequency", 2.5),
        ("memoryMode", "LOCAL"),
        ("userMemoryMode", True),
        ("agentMemoryMode", {}),
        ("saveMessages", "no"),
    ],
)
def test_a_setting_that_no_capture_could_go_by_is_refused_when_it_is_written(desk, key, value):
    with pytest.raises(IntegrityError, match="ck_settings_value"):
        desk.set(desk.open(), "workspace", key, value)


def test_a_null_says_nothing(desk):
    session = desk.open()
    for key in ("writeFrequency", "memoryMode", "saveMessages"):
        desk.set(session, "session", key, None)
    captured = desk.capture(session, fallback={"writeFrequency": "turn", "memoryMode": "honcho"})
    assert (captured.frequency, captured.user_mode) == ("turn", Mode.HONCHO)


@pytest.mark.parametrize("frequency", ["async", "turn"])
def test_every_turn_is_due_where_the_frequency_says_so(desk, frequency):
    session = desk.open()
    for turn in (1, 2):
        assert desk.capture(session, fallback={"writeFrequency": frequency}).due
        assert desk.cursor(session).due_index == 2 * turn


def test_with_session_frequency_nothing_is_due_by_itself(desk):
    session = desk.open()
    assert not any(desk.capture(session, given={"writeFrequency": "session"}).due for _ in range(5))
    assert desk.cursor(session).due_index == 0


def test_with_a_count_every_nth_turn_is_due(desk):
    session = desk.open()
    due = [desk.capture(session, given={"writeFrequency": "3"}).due for _ in range(7)]
    assert due == [False, False, True, False, False, True, False]
    assert desk.cursor(session).due_index == 12


@given(said_frequencies=st.lists(st.sampled_from(["async", "turn", "session", "1", "2", "3"])))
@settings(
    max_examples=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_change_of_frequency_holds_from_the_next_turn(desk, said_frequencies):
    session = desk.open(uuid.uuid4().hex)
    last_due = 0
    for turn, frequency in enumerate(said_frequencies, 1):
        desk.set(session, "session", "writeFrequency", frequency)
        due = frequency in {"async", "turn"} or (
            frequency != "session" and turn - last_due >= int(frequency)
        )
        last_due = turn if due else last_due
        assert desk.capture(session).due is due
        assert desk.cursor(session).due_index == 2 * last_due


def test_a_rows_own_reason_comes_before_all_others(desk, said):
    session = desk.open()
    rows = [said(local="noise"), said(), said("tool")]
    desk.capture(session, rows, given={"memoryMode": "local", "saveMessages": "true"})
    desk.capture(session, [said(local="noise"), said()], given={"saveMessages": "false"})
    assert [row.reason for row in desk.rows(session)] == [
        "noise", "mode", "mode", "noise", "saveMessages",
    ]  # fmt: skip


def test_what_a_row_carries_is_kept(desk, said):
    session = desk.open()
    at = dt.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    text = "Ünïcödé \U0001f9d1\u200d\U0001f680 \u202e \u0301 漢字 \\N 'quoted' %s :name {} \x7f\n\t"
    metadata = {"nested": {"list": [1, None, "ü"]}, ":x": "%(y)s"}
    rows = [
        said(content=text, at=at, part=1, parts=3, tokens=7, metadata=metadata, peer="guest"),
        said("assistant"),
    ]
    turn_id = uuid.uuid4()
    desk.capture(session, rows, turn_id=turn_id)
    first, second = desk.rows(session)
    assert (first.id, first.turn_id, first.content, first.at) == (rows[0].id, turn_id, text, at)
    assert (first.part, first.parts, first.tokens, first.details) == (1, 3, 7, metadata)
    assert (first.peer, first.honcho_session) == ("guest", session.honcho_session)
    assert (second.tokens, second.details, second.part, second.parts) == (None, None, 0, 1)
    now = desk.sql("SELECT clock_timestamp()")[0][0]
    assert now - dt.timedelta(minutes=1) < second.at <= second.captured_at <= now
    found = desk.sql("SELECT token_total, last_turn_at FROM sessions WHERE id = :s", s=session.id)[
        0
    ]
    assert found.token_total == 7
    assert now - dt.timedelta(minutes=1) < found.last_turn_at <= now


def test_rows_keep_the_session_of_honcho_that_they_were_captured_for(desk):
    session = desk.open()
    desk.capture(session)
    desk.sql("UPDATE sessions SET honcho_session = 'renamed' WHERE id = :s", s=session.id)
    desk.capture(session)
    names = [row.honcho_session for row in desk.rows(session)]
    assert names == [session.honcho_session] * 2 + ["renamed"] * 2


def test_a_deleted_session_takes_nothing(desk):
    session = desk.open()
    desk.capture(session)
    desk.sql("DELETE FROM sessions WHERE id = :s", s=session.id)
    assert desk.capture(session) is None
    assert desk.sql("SELECT FROM messages") == []
    assert desk.sql("SELECT FROM cursors") == []


def test_a_capture_opens_a_closed_session_again(desk):
    session = desk.open()
    desk.sql("UPDATE sessions SET closed_at = clock_timestamp() WHERE id = :s", s=session.id)
    desk.capture(session)
    assert desk.sql("SELECT closed_at FROM sessions WHERE id = :s", s=session.id)[0][0] is None


def test_a_capture_waits_for_no_claim(desk):
    """A lease is no lock: the agent inserts while a worker has the session."""
    session = desk.open()
    desk.capture(session)
    assert desk.claim(session, lease=60) is not None
    assert desk.capture(session).first_index == 3
