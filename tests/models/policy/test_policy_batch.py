"""Batches: a prefix of what was captured, in order, as much as one request may carry."""

from __future__ import annotations

import datetime as dt
import uuid

from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.batch import MAX_MESSAGES, next_batch
from afterturn_models.values import Intent, Outgoing, Role

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def rows_of(*specs, first=1):
    return [
        Outgoing(uuid.uuid4(), index, Role.USER, "ann", session, content, AT)
        for index, (session, content) in enumerate(specs, first)
    ]


spec = st.tuples(st.sampled_from("ab"), st.none() | st.sampled_from(["x", "é" * 40, "y" * 900]))


@given(
    st.lists(spec, max_size=60),
    st.integers(1, 12),
    st.integers(1, 5000),
    st.integers(1, 10**9),
)
def test_batches_cover_everything_once_in_order_within_the_bounds(specs, most, most_bytes, first):
    rows = rows_of(*specs, first=first)
    left, sent = rows, []
    while left:
        batch = next_batch(left, most=most, most_bytes=most_bytes)
        assert batch.first == left[0].index
        assert batch.last >= batch.first  # there is always progress
        taken = [row for row in left if row.index <= batch.last]
        assert [row for row in taken if row.content is not None] == list(batch.messages)
        assert len(batch.messages) <= most
        assert len({row.honcho_session for row in batch.messages}) <= 1
        size = sum(len(row.content.encode()) + 200 for row in batch.messages)
        assert size <= most_bytes or len(batch.messages) == 1
        assert batch.intent == Intent(batch.first, batch.last)
        sent += batch.messages
        left = left[len(taken) :]
    assert sent == [row for row in rows if row.content is not None]
    assert next_batch([], most=most) is None


@given(st.lists(spec, min_size=1, max_size=60), st.integers(1, 12))
def test_a_batch_ends_only_where_it_must(specs, most):
    rows = rows_of(*specs)
    batch = next_batch(rows, most=most)
    behind = [row for row in rows if row.index > batch.last]
    if behind:
        assert behind[0].content is not None
        full = len(batch.messages) == most
        assert full or behind[0].honcho_session != batch.messages[0].honcho_session


def test_honcho_takes_a_hundred():
    batch = next_batch(rows_of(*[("a", "x")] * 150))
    assert (MAX_MESSAGES, len(batch.messages), batch.last) == (100, 100, 100)


def test_rows_that_stay_here_pass_without_a_message():
    batch = next_batch(rows_of(*[("a", None)] * 150))
    assert (batch.messages, batch.last) == ((), 150)


def test_a_message_of_another_session_does_not_stop_at_rows_that_stay():
    batch = next_batch(rows_of(("a", "x"), ("b", None), ("a", "y"), ("b", "z")))
    assert ([m.content for m in batch.messages], batch.last) == (["x", "y"], 3)


def test_one_message_alone_is_never_too_large():
    batch = next_batch(rows_of(("a", "x" * 5000), ("a", "y")), most_bytes=100)
    assert (len(batch.messages), batch.last) == (1, 1)
