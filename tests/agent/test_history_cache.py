"""The cache of histories against a model: whatever is written, read and deleted, pages are right."""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afterturn.history as module
from afterturn.history import Histories, SessionGoneError
from afterturn_models.values import Delivery, Message, Role

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SESSIONS = [uuid.UUID(int=n) for n in range(3)]


class World:
    """Sessions as lists: what the statements would give of them."""

    def __init__(self) -> None:
        self.told = {session: [] for session in SESSIONS}

    def write(self, session, count, size):
        rows = self.told.setdefault(session, [])
        for _ in range(count):
            index = len(rows) + 1
            rows.append(
                Message(uuid.uuid4(), index, index, Role.USER, "ann", "x" * size, AT, Delivery.SEND)
            )

    def before(self, _, session, *, before, limit):
        rows = self.told.get(session, [])
        return [m for m in rows if before is None or m.index < before][-limit:]

    def after(self, _, session, *, after, limit):
        return [m for m in self.told.get(session, []) if m.index > after][:limit]

    def newer(self, _, session, *, after, limit):
        return self.after(None, session, after=after, limit=limit) if session in self.told else None

    def info(self, _, session):
        return object() if session in self.told else None

    @contextmanager
    def statement(self):
        yield None


@pytest.fixture(scope="module")
def asked():
    """Give a function that lets the statements tell of another world."""
    with pytest.MonkeyPatch.context() as patch:

        def turn_to(made):
            patch.setattr(module, "page_before", made.before)
            patch.setattr(module, "page_after", made.after)
            patch.setattr(module, "newer", made.newer)
            patch.setattr(module, "session_info", made.info)
            return made

        yield turn_to


limits = st.sampled_from([1, 2, 3, 10, 199, 200, 201, 450])
places = st.one_of(st.integers(-1, 12), st.integers(0, 520))
steps = st.lists(
    st.tuples(
        st.sampled_from(SESSIONS),
        st.one_of(
            st.tuples(st.just("write"), st.sampled_from([1, 2, 5, 180, 250]), st.integers(0, 400)),
            st.tuples(st.just("last"), limits, st.just(0)),
            st.tuples(st.just("before"), limits, places),
            st.tuples(st.just("after"), limits, places),
            st.tuples(st.just("remake"), st.just(0), st.just(0)),
        ),
    ),
    max_size=30,
)


@given(steps, st.integers(1, 3), st.sampled_from([1, 4_000, 300_000, 10_000_000]))
@settings(deadline=None, max_examples=150)
def test_every_page_is_what_postgres_has(asked, steps, entries, room):
    world = asked(World())
    histories = Histories(world, entries, room)
    for session, (what, number, place) in steps:
        if what == "write":
            world.write(session, number, place)
        elif what == "remake":
            del world.told[session]
            with pytest.raises(SessionGoneError):
                histories.page(session, 5)
            world.told[session] = []
        elif what == "after":
            found = histories.page(session, number, after=place)
            assert found == world.after(None, session, limit=number, after=place)
        else:
            before = place if what == "before" else None
            found = histories.page(session, number, before=before)
            assert found == world.before(None, session, limit=number, before=before)
    counted = histories.counters()
    assert counted.bytes <= room
    assert counted.sessions <= entries
