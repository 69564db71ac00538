"""Stripping: OpenClaw's six steps, every memory fence, the sender, and the user's own words."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.metadata import (
    DEFAULT,
    FENCES,
    OFF,
    SENTINELS,
    UNTRUSTED,
    MetadataPatterns,
    Stripped,
    strip_metadata,
)

NAMED = (
    "Conversation info (untrusted metadata):",
    "Sender (untrusted metadata):",
    "Thread starter (untrusted, for context):",
    "Replied message (untrusted, for context):",
    "Forwarded message context (untrusted metadata):",
    "Chat history since last reply (untrusted, for context):",
)
FENCED = (
    '<honcho-memory scope="user">\nAda likes tea.\n</honcho-memory>',
    "<honcho-memory>Ada likes tea.</honcho-memory>",
    "<memory-context>\n[System note: background]\nAda likes tea.\n</memory-context>",
    '<afterturn-memory role="background" as-of="2026-03-09">\nAda likes tea.\n</afterturn-memory>',
)
WORDS = st.text(st.sampled_from("abc xyz.?!\n"), max_size=30)


def block(sentinel, payload, *, end="\n"):
    return f"{sentinel}\n```json\n{json.dumps(payload, indent=2)}\n```{end}"


def _lines(count):
    return "\n." * count


def text_of(text, patterns=DEFAULT):
    return strip_metadata(text, patterns).text


def test_the_sentinels_are_these():
    assert SENTINELS == NAMED
    assert set(FENCES) == {"honcho-memory", "memory-context", "afterturn-memory"}


@pytest.mark.parametrize("fence", FENCED)
def test_a_fence_goes_wherever_it_stands(fence):
    assert text_of(f"{fence}\n\nHello.") == "Hello."
    assert text_of(f"Hello.\n\n{fence}") == "Hello."
    assert text_of(f"Hello.\n{fence}\nBye.") == "Hello.\nBye."
    assert text_of(f"Hello {fence} there.") == "Hello there."
    assert text_of(f"one{fence} two") == "one two"
    assert text_of(f"{fence}{fence}\n{fence} Hello.") == "Hello."
    assert text_of(fence) == ""


@pytest.mark.parametrize(
    "text",
    [
        "<honcho-memory> is a tag, I think",
        "what does <memory-context> mean?",
        "</afterturn-memory> closes nothing",
        "</memory-context> before <memory-context>",
        "<memory-context>not the same</honcho-memory>",
        "<honcho-memory-x>another tag</honcho-memory-x>",
        "<honcho-memory/> and <honcho-memory a='b'/> hold nothing</honcho-memory>",
        "<HONCHO-MEMORY>in capitals it is nobody's fence</HONCHO-MEMORY>",
    ],
)
def test_what_is_no_closed_fence_stays(text):
    assert strip_metadata(text) == Stripped(text, None)


def test_fences_within_each_other_go_whole():
    inner = "<memory-context>b</memory-context>"
    assert text_of(f"<memory-context>a{inner}c</memory-context> mine") == "mine"
    assert text_of(f"<honcho-memory>a{inner}c</honcho-memory> mine") == "mine"
    assert text_of(f"mine <honcho-memory>{inner}{inner}</honcho-memory>") == "mine"


def test_fences_that_cross_go_together():
    crossed = "<honcho-memory>a<memory-context>b</honcho-memory>c</memory-context>"
    assert text_of(f"mine {crossed} too") == "mine too"


def test_a_question_about_a_tag_is_not_the_beginning_of_the_fence_behind_it():
    question = "what does <memory-context> mean?"
    assert text_of(f"{question}\n\n<memory-context>\nfacts\n</memory-context>") == question
    assert text_of(f"a </honcho-memory> b {FENCED[0]} c") == "a </honcho-memory> b c"


@pytest.mark.parametrize("comment", ["<!-- honcho: 3 facts -->", "<!--\nHoncho\nmemory\n-->"])
def test_a_comment_that_names_honcho_goes(comment):
    assert text_of(f"Hello {comment} there.") == "Hello there."
    assert text_of(f"{comment}\nHello.") == "Hello."


@pytest.mark.parametrize(
    "text",
    [
        "<!-- a note of mine -->",
        "<!-- honcho is not closed",
        "--> honcho <!--",
        "<!-- mine --> honcho <!-- mine -->",
    ],
)
def test_any_other_comment_stays(text):
    assert text_of(text) == text


def test_an_unclosed_comment_is_not_the_beginning_of_the_next():
    assert text_of("I wrote <!-- there\n<!-- honcho -->\nbye") == "I wrote <!-- there\nbye"


@pytest.mark.parametrize(
    "stamp", ["[Mon 2026-03-09 14:05]", "[Wed 2026-03-11 23:51 PDT]", "[Sun 2026-01-04 00:00 GMT+1]"]
)  # fmt: skip
def test_a_leading_stamp_goes(stamp):
    assert text_of(f"{stamp} Hello.") == "Hello."
    assert text_of(f"{stamp}Hello {stamp}.") == f"Hello {stamp}."
    assert text_of(f"{FENCED[0]}\n{stamp} Hello.") == "Hello."


@pytest.mark.parametrize(
    "text",
    [
        "At [Mon 2026-03-09 14:05] it was",
        "[Monday 2026-03-09 14:05] no",
        "[Mon 2026-3-9 14:05] no",
        "[Mon 2026-03-09 14:05 no",
        "[Mon 2026-03-09 14:05 no\n] no",
    ],
)
def test_what_is_no_leading_stamp_stays(text):
    assert text_of(text) == text


@pytest.mark.parametrize("sentinel", NAMED)
def test_a_sentinel_with_its_json_goes(sentinel):
    payload = {"body": "quoted ``` and\n```\nmore"}
    assert text_of(block(sentinel, payload) + "\nHello.") == "Hello."
    assert text_of("Hello.\n\n" + block(sentinel, [payload])) == "Hello."
    assert text_of(f"Hello.\n\n{block(sentinel, payload)}\nBye.") == "Hello.\n\nBye."
    assert text_of(f"Hello.\n{block(sentinel, payload)}\nBye.") == "Hello.\n\nBye."
    assert text_of(block(sentinel, {}).replace("\n", "\r\n") + "Hello.") == "Hello."


@pytest.mark.parametrize("sentinel", NAMED)
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "{}\nHello.",
        "{}\n\n```json\n{{}}\n```",
        "{}\n```\n{{}}\n```",
        "{}\n```json\n{{}}\nnever closed",
        "{} ```json\n{{}}\n```",
        "I saw {}\n```json\n{{}}\n```",
    ],
)
def test_a_sentinel_without_its_json_stays(sentinel, form):
    text = form.format(sentinel)
    assert strip_metadata(text) == Stripped(text, None)


@pytest.mark.parametrize(
    "sign", ['<<<EXTERNAL_UNTRUSTED_CONTENT id="1">>>', "UNTRUSTED channel metadata (discord)", "Source: web"]
)  # fmt: skip
def test_the_untrusted_context_goes_to_the_end(sign):
    assert text_of(f"Hello.\n\n{UNTRUSTED}\n{sign}\nanything\n\nat all") == "Hello."
    assert text_of(f"Hello.\n{UNTRUSTED}{_lines(6)}\n{sign}\nmore") == "Hello."
    late = f"Hello.\n{UNTRUSTED}{_lines(7)}\n{sign}\nmore"
    assert text_of(late) == late


def test_the_untrusted_header_alone_stays():
    assert text_of(f"Hello.\n{UNTRUSTED}\nmine") == f"Hello.\n{UNTRUSTED}\nmine"
    quoted = f"He wrote {UNTRUSTED}\nSource: him"
    assert text_of(quoted) == quoted
    assert text_of(block(NAMED[0], {}) + f"\nHi.\n{UNTRUSTED}\nSource: x") == "Hi."


@pytest.mark.parametrize(
    "tag", ["[[reply_to_current]]", "[[ reply_to_current ]]", "[[reply_to: 17]]", "[[reply_to:a b]]"]
)  # fmt: skip
def test_leading_reply_tags_go(tag):
    assert text_of(f"{tag} Hello.") == "Hello."
    assert text_of(f"{tag}{tag}\nHello {tag}.") == f"Hello {tag}."
    assert text_of(f"[Mon 2026-03-09 14:05] {tag} Hello.") == "Hello."


@pytest.mark.parametrize(
    "text", ["see [[reply_to_current]]", "[[reply_to]] x", "[[reply_to: ", "[[reply_to:]]", "[[wiki]] x"]
)  # fmt: skip
def test_any_other_brackets_stay(text):
    assert text_of(text) == text


def test_everything_at_once():
    text = (
        f"{FENCED[0]}\n<!-- honcho v3 -->\n[Mon 2026-03-09 14:05 CET] "
        + "".join(block(name, {"sender_id": "U1"}) + "\n" for name in NAMED)
        + f"[[reply_to: 9]] What is\n\n    this?  \n\n{UNTRUSTED}\nSource: channel\nignore"
    )
    assert strip_metadata(text) == Stripped("What is\n\n    this?", "U1")


def test_indentation_of_the_first_line_is_kept():
    assert text_of(block(NAMED[1], {"id": "1"}) + "\n\n    code") == "    code"


def test_switched_off_nothing_is_stripped_or_read():
    text = block(NAMED[0], {"sender_id": "U1"}) + FENCED[0] + "Hi"
    assert MetadataPatterns.compile(["Hi"], enabled=False) is OFF
    assert strip_metadata(text, OFF) == Stripped(text, None)
    assert MetadataPatterns.compile() == DEFAULT


def test_extra_patterns_go_on_top():
    patterns = MetadataPatterns.compile(["(sent from my phone)", r"/^via \w+:\s*/im"])
    text = f"{FENCED[0]}\nVIA relay: Hello (sent from my phone)"
    assert text_of(text, patterns) == "Hello"
    fences_only = MetadataPatterns(envelope=False)
    assert (
        text_of(f"{FENCED[0]}\n[[reply_to_current]] Hi", fences_only) == "[[reply_to_current]] Hi"
    )


@pytest.mark.parametrize("pattern", ["/(/", "", " "])
def test_bad_extra_patterns_are_refused(pattern):
    with pytest.raises(ValueError, match=r"is not a regular expression|empty metadata pattern"):
        MetadataPatterns.compile([pattern])


@given(st.text())
def test_a_text_without_metadata_stays_as_it_is(text):
    assert strip_metadata(text) == Stripped(text, None)


MARKS = st.sampled_from(
    [*FENCED, *NAMED, UNTRUSTED, *(block(name, {"sender_id": "U1"}) for name in NAMED[:2]),
     "<honcho-memory>", "</honcho-memory>", "<memory-context>", "</memory-context>", "<!--", "-->",
     "honcho", "[Mon 2026-03-09 14:05]", "[[reply_to: x]]", "```json", "```", "\n", " ", "word"]
)  # fmt: skip


@given(st.lists(MARKS).map("".join))
def test_nothing_is_added_and_everything_left_stood_there(text):
    left = iter(text)
    assert all(char in left for char in text_of(text))


@given(WORDS, WORDS, st.sampled_from(FENCED))
def test_the_words_around_a_fence_are_kept(before, after, fence):
    assert (
        text_of(before + fence + after).split()
        == (before + "\x00" + after).replace("\x00", "" if before[-1:].strip() else " ").split()
    )


@given(WORDS, st.lists(st.sampled_from(NAMED), max_size=3))
def test_the_words_behind_the_blocks_are_kept(words, names):
    text = "".join(block(name, {"sender_id": "U1"}) for name in names) + words
    assert text_of(text).split() == words.split()


@pytest.mark.parametrize(
    "unit",
    ["<honcho-memory ", "<honcho-memory>", "</honcho-memory>", "<!--", "<!-- honcho -->", " ",
     f"{NAMED[0]}\n```json\n", f"{NAMED[0]}\n", f"{UNTRUSTED}\n", "[[reply_to: ", "[[reply_to:x]] ",
     "[Mon 2026-03-09 14:05 ", "\n", " \n"],
)  # fmt: skip
def test_a_million_characters_of_anything_take_linear_time(unit):
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    for message in (text, "[[reply_to:" + text, "[Mon 2026-03-09 14:05" + text):
        strip_metadata(message)
    assert time.process_time() - began < 3
