"""Searching histories in Postgres: indexed or not, in any script, and nobody else's."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from afterturn_models.policy.search_query import QueryError, parse_query
from afterturn_models.store.history_search import (
    START,
    Wanted,
    begin_index,
    index_messages,
    search_pair,
    search_session,
    take_unindexed,
)
from afterturn_models.values import Role

SAID = (
    "I left my keys on the shelf by the door",
    "The keys of a dictionary are hashed",
    "Look into src/foo_bar.py, line 12: my_variable is None",
    "東京都に引っ越しました。来月は京都へ行きます",
    "서울에서 친구를 만났어요",
    "ฉันชอบกินข้าวผัดที่กรุงเทพ",
    "Я живу в Москве уже 2019 года",
    "Größe und ÄRGER im Büro",
    "मेरा नाम हिन्दी में लिखो",
    "\uff46\uff55\uff4c\uff4c width and \ufb01ne ligatures",
)
FINDS = [
    ("keys", {1, 2}),
    ("keys shelf", {1}),
    ("KEYS -dictionary", {1}),
    ('"the shelf"', {1}),
    ('"shelf the"', set()),
    ("shelf or hashed", {1, 2}),
    ("foo_bar.py", {3}),
    ("my_variable", {3}),
    ("variable", {3}),
    ("foo", {3}),
    ("東京", {4}),
    ("京都", {4}),
    ("東京都", {4}),
    ("都", {4}),
    ("引っ越し", {4}),
    ("来月 京都", {4}),
    ("大阪", set()),
    ("서울", {5}),
    ("친구", {5}),
    ("กรุงเทพ", {6}),
    ("москве", {7}),
    ("2019", {7}),
    ("größe", {8}),
    ("ärger", {8}),
    ("हिन्दी", {9}),
    ("full width", {10}),
    ("fine", {10}),
    ("nothing", set()),
]


@pytest.fixture
def talk(desk, said):
    session = desk.open("talk")
    for text in SAID:
        desk.capture(session, [said(content=text)])
    return session


def found(desk, session, query, **more):
    asked = Wanted(parse_query(query), more.pop("limit", 50), **more)
    return [one.message.index for one in desk.run(search_session, session.id, asked)]


def left(desk, session):
    """Count the messages that are not indexed."""
    return desk.sql(
        "SELECT count(*) AS n FROM messages m LEFT JOIN message_texts t"
        " ON t.session_id = m.session_id AND t.index = m.index"
        " WHERE m.session_id = :s AND t.index IS NULL",
        s=session.id,
    )[0].n


def index(desk, session, limit=100):
    desk.run(begin_index, session.id)
    return desk.run(index_messages, session.id, limit=limit)


@pytest.mark.parametrize("indexed", [0, 4, len(SAID)])
def test_words_are_found_in_any_script_however_far_the_index_goes(desk, talk, indexed):
    if indexed:
        assert index(desk, talk, indexed) == indexed
    assert left(desk, talk) == len(SAID) - indexed
    assert {query: set(found(desk, talk, query)) for query, _ in FINDS} == dict(FINDS)


def test_an_index_that_goes_all_the_way_is_what_a_search_reads(desk, talk):
    index(desk, talk)
    desk.sql("UPDATE messages SET content = 'overwritten' WHERE session_id = :s", s=talk.id)
    assert found(desk, talk, "shelf") == [1]
    assert found(desk, talk, "overwritten") == []


def test_what_fits_better_comes_first_and_the_newer_of_two_alike(desk, said):
    session = desk.open()
    for text in ("figs and figs", "a fig tree", "one of the figs", "figs here too", "none"):
        desk.capture(session, [said(content=text)])
    assert found(desk, session, "figs") == [1, 4, 3]
    assert found(desk, session, "figs", limit=2) == [1, 4]
    index(desk, session)
    assert found(desk, session, "figs") == [1, 4, 3]


def test_it_is_narrowed_by_role_and_time(desk, said):
    session = desk.open()
    day = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    for n, role in enumerate(("user", "assistant", "tool", "user")):
        desk.capture(session, [said(role, "figs", at=day + dt.timedelta(days=n))])
    for _ in range(2):
        assert found(desk, session, "figs", role=Role.USER) == [4, 1]
        assert found(desk, session, "figs", role=Role.TOOL) == [3]
        assert found(desk, session, "figs", since=day + dt.timedelta(days=1)) == [4, 3, 2]
        assert found(desk, session, "figs", until=day + dt.timedelta(days=1)) == [1]
        index(desk, session)


def test_a_pair_finds_its_own_sessions_and_no_others(desk, said):
    for key, user, agent in (
        ("a", "ann", "bot"), ("b", "ann", "bot"), ("c", "bob", "bot"), ("d", "ann", "cat"),
    ):  # fmt: skip
        session = desk.open(key, user_peer=user, agent_peer=agent)
        desk.capture(session, [said(content=f"figs in {key}", peer="ann")])
        if key in "ac":
            index(desk, session)
    other = desk.open("a", workspace="elsewhere")
    desk.capture(other, [said(content="figs elsewhere")])
    asked = Wanted(parse_query("figs"), 50)
    hits = desk.run(search_pair, "w", "ann", "bot", asked)
    assert [(one.session, one.message.content) for one in hits] == [
        ("b", "figs in b"), ("a", "figs in a"),
    ]  # fmt: skip
    assert desk.run(search_pair, "w", "eve", "bot", asked) == []


def test_batches_go_on_where_the_last_one_ended(desk, talk):
    assert [index(desk, talk, 4) for _ in range(4)] == [4, 4, 2, 0]
    desk.capture(talk)
    assert index(desk, talk, 4) == 2
    rows = desk.sql("SELECT index FROM message_texts ORDER BY index")
    assert [row.index for row in rows] == list(range(1, 13))


def test_two_at_once_index_each_message_once(desk, together, said):
    session = desk.open()
    for n in range(60):
        desk.capture(session, [said(content=f"word{n}")])
    desk.run(begin_index, session.id)

    def work(_):
        done = 0
        while left(desk, session):
            done += desk.run(index_messages, session.id, limit=7)
        return done

    assert sum(together(work, 6)) == 60
    assert desk.sql("SELECT count(*) AS n FROM message_texts")[0].n == 60


def test_a_deleted_session_leaves_nothing_behind(desk, talk):
    index(desk, talk)
    desk.sql("DELETE FROM sessions WHERE id = :s", s=talk.id)
    assert desk.sql("SELECT FROM message_texts") == []
    assert desk.sql("SELECT FROM history_indexes") == []
    assert left(desk, talk) == 0
    assert index(desk, talk) == 0


def sweep(desk, after=START, **more):
    told = {"enough": 3, "idle": 60.0, "again": 60.0, "most": 10, **more}
    return desk.run(take_unindexed, after=after, **told)


def test_a_sweep_finds_what_is_far_behind_or_quiet_once_in_a_while(desk):
    busy, few, quiet, done = (desk.open() for _ in range(4))
    desk.open()  # nothing was ever said in it
    for session, turns in ((busy, 2), (few, 1), (quiet, 1), (done, 2)):
        for _ in range(turns):
            desk.capture(session)
    index(desk, done)
    desk.sql(
        "UPDATE sessions SET last_turn_at = now() - interval '2 min' WHERE id = :s", s=quiet.id
    )
    found, after = sweep(desk)
    assert (set(found), after) == ({busy.id, quiet.id}, START)
    assert sweep(desk) == ([], START)
    assert set(sweep(desk, again=0.0)[0]) == {busy.id, quiet.id}


def test_a_sweep_goes_round_page_by_page(desk):
    sessions = {desk.open().id for _ in range(7)}
    desk.sql("UPDATE sessions SET next_index = 100")
    seen, after, pages = set(), START, 0
    while True:
        found, after = sweep(desk, after, most=3)
        seen |= set(found)
        pages += 1
        if after == START:
            break
    assert (seen, pages) == (sessions, 3)


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(WORD, max_size=5).map(" ".join), st.sampled_from(["{}", '"{}"', "-{}", "a or {}"]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_postgres_reads_every_query(desk, words, form):
    try:
        asked = parse_query(form.format(words))
    except QueryError:
        return
    desk.sql("SELECT to_tsquery('simple', :q)", q=asked.tsquery)


LETTERS = st.text(st.sampled_from("abzéßЖ語東京都한글กี19 .-_'"), min_size=1, max_size=30)


@given(LETTERS, st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_message_is_found_by_each_of_its_words(desk, said, text, data):
    """What is cut out of a message by white space finds it, before it is indexed and after."""
    pieces = [piece for piece in text.split() if any(char.isalnum() for char in piece)]
    assume(pieces)
    session = desk.open()
    desk.capture(session, [said(content=text)])
    piece = data.draw(st.sampled_from(pieces))
    assert found(desk, session, f'"{piece}"') == [1]
    index(desk, session)
    assert found(desk, session, f'"{piece}"') == [1]
