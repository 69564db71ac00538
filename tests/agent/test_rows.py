"""A turn's rows: stripped, judged, split, and the same again however often they are made."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn.rows import PART_CHARACTERS, CaptureRules, Said, rows
from afterturn_models.policy.special_tokens import neutralise
from afterturn_models.policy.split import MAX_CHARACTERS
from afterturn_models.settings import Settings
from afterturn_models.values import Role

TURN = UUID("6f9b2a52-8a4a-4a4b-9a55-0d8d6b7d1c11")
AT = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
ENVELOPE = """Sender (untrusted metadata):
```json
{"id": "telegram:42", "username": "ana"}
```

"""


def said(content, role=Role.USER):
    return Said(role, role.value, content, AT)


def made(*contents, role=Role.USER, machine=False, **settings):
    rules = CaptureRules.of(Settings(**settings))
    return rows(TURN, [said(content, role) for content in contents], rules, machine=machine)


def test_the_sender_is_read_before_his_envelope_is_stripped():
    (row,) = made(ENVELOPE + "hello")
    assert (row.content, row.metadata["sender"], row.local) == ("hello", "telegram:42", None)


def test_without_stripping_nothing_is_touched_and_no_sender_read():
    (row,) = made(ENVELOPE + "hello", strip_metadata=False)
    assert (row.content, row.metadata) == (ENVELOPE + "hello", {})


def test_every_part_of_a_long_message_names_its_sender():
    found = made(ENVELOPE + "word " * 10_000)
    assert len(found) > 1
    assert {row.metadata["sender"] for row in found} == {"telegram:42"}


def test_recalled_memory_never_comes_back_as_somebodys_words():
    (row,) = made("<afterturn-memory>\nlikes tea\n</afterturn-memory>\n\nwhat do I like?")
    assert row.content == "what do I like?"


def test_what_was_sent_is_kept_where_it_is_not_what_is_captured():
    same, stripped = made("hello", ENVELOPE + "hello")
    assert same.metadata == {}
    assert stripped.metadata["sent"] == ENVELOPE + "hello"
    with_memory = Said(Role.USER, "ann", "hello", AT, sent="hello\n\n<m>tea</m>")
    (row,) = rows(TURN, [with_memory], CaptureRules())
    assert (row.content, row.metadata) == ("hello", {"sent": "hello\n\n<m>tea</m>"})


def test_what_was_sent_is_whole_on_the_first_part_of_a_long_message():
    long = "One sentence. " * 5000
    found = rows(TURN, [Said(Role.USER, "ann", long, AT, sent=long + "<m>tea</m>")], CaptureRules())
    assert [row.metadata["sent"] for row in found] == [
        long + "<m>tea</m>",
        *[""] * (len(found) - 1),
    ]
    assert all(
        row.metadata == {} for row in rows(TURN, [Said(Role.USER, "ann", long, AT)], CaptureRules())
    )


def test_what_was_frozen_is_kept_once_and_an_empty_block_too():
    said = Said(Role.USER, "ann", "One sentence. " * 5000, AT, frozen="<m>tea</m>")
    found = rows(TURN, [said], CaptureRules())
    assert [row.metadata for row in found] == [{"system": "<m>tea</m>"}, *[{}] * (len(found) - 1)]
    (row,) = rows(TURN, [Said(Role.USER, "ann", "hello", AT, frozen="")], CaptureRules())
    assert row.metadata == {"system": ""}


@pytest.mark.parametrize(
    ("text", "origin", "asked"),
    [
        ("hello", None, "hello"),
        (ENVELOPE + "hello", None, "hello"),
        ("a\x00b", None, "ab"),
        ("hello", "cron", None),
        ("hello", "chat", "hello"),
        ("HEARTBEAT_OK", None, None),
        (" \n", None, None),
        (ENVELOPE, None, None),
    ],
)
def test_what_may_be_a_query_is_what_would_be_sent(text, origin, asked):
    assert CaptureRules().askable(text, origin) == asked


def test_patterns_of_ones_own():
    first, second = made(
        "[bot] hello", "PING 3", metadata_patterns=("/^\\[bot\\] /",), noise_patterns=("PING",)
    )
    assert (first.content, first.local) == ("hello", None)
    assert (second.content, second.local) == ("PING 3", "noise")


def test_noise_is_kept_and_stays_here_unless_its_patterns_are_disabled():
    assert [row.local for row in made("HEARTBEAT_OK", "hello")] == ["noise", None]
    (row,) = made("HEARTBEAT_OK", disable_default_noise_patterns=True)
    assert row.local is None


def test_noise_is_judged_by_what_is_left_of_a_message():
    (row,) = made(ENVELOPE + "HEARTBEAT_OK")
    assert (row.content, row.local) == ("HEARTBEAT_OK", "noise")


def test_a_message_that_was_all_metadata_is_a_blank_row_of_its_own():
    (row,) = made(ENVELOPE)
    assert (row.content, row.local, row.metadata["sender"]) == ("", "blank", "telegram:42")


@pytest.mark.parametrize(("sync", "local"), [(False, "tool"), (True, None)])
def test_tool_messages_stay_here_unless_they_are_asked_for(sync, local):
    (row,) = made("12 degrees", role=Role.TOOL, sync_tool_messages=sync)
    assert row.local == local


def test_tool_messages_that_are_sent_are_judged_like_any_other():
    found = made("HEARTBEAT_OK", " ", role=Role.TOOL, sync_tool_messages=True)
    assert [row.local for row in found] == ["noise", "blank"]


def test_a_machines_turn_stays_here_whatever_is_said_in_it():
    assert {row.local for row in made("hello", " ", "HEARTBEAT_OK", machine=True)} == {"machine"}


def test_parts_are_numbered_within_their_message_and_lose_nothing():
    text = "One sentence. " * 5000
    found = made("before", text, "behind")
    parts = found[1:-1]
    assert "".join(row.content for row in parts) == text
    assert [(row.part, row.parts) for row in parts] == [(n, len(parts)) for n in range(len(parts))]
    assert [(row.part, row.parts) for row in (found[0], found[-1])] == [(0, 1), (0, 1)]
    assert all(row.tokens for row in found)


def test_special_tokens_made_harmless_later_still_fit():
    text = ("<|endoftext|>" + "x" * 20) * 3000
    for row in made(text):
        assert len(row.content) <= PART_CHARACTERS
        changed, _ = neutralise(row.content)
        assert len(changed) <= MAX_CHARACTERS


def test_what_postgres_cannot_hold_is_gone_before_anything_is_judged():
    (row,) = made("HEART\x00BEAT_OK \ud800")
    assert (row.content, row.local) == ("HEARTBEAT_OK \ufffd", "noise")


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5), st.text(max_size=60))
def test_the_same_words_make_the_same_rows_whatever_comes_behind_them(contents, more):
    """A reply to a turn that was overtaken is captured behind what is captured already."""
    before = made(*contents)
    after = made(*contents, more)
    assert after[: len(before)] == before
    assert len({row.id for row in after}) == len(after) >= len(contents) + 1
