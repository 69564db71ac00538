"""The summary of the conversation's own sentences: bounded, stable, harmless, in any script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.extractive import SaidLine, summarise
from afterturn_models.policy.fence import neutralise
from afterturn_models.policy.sentences import sentences
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.values import Role
from afterturn_sandbox.dialogues import shipped

LINES = st.lists(
    st.builds(SaidLine, st.sampled_from(list(Role)), st.just("ana"), st.text(max_size=300)),
    max_size=12,
)


def user(text):
    return SaidLine(Role.USER, "ana", text)


def long_talk():
    said = []
    for dialogue in shipped():
        for turn in dialogue.turns:
            said += [user(turn.said), SaidLine(Role.ASSISTANT, "agent", turn.reply or "Yes.")]
    return said


@given(st.text(max_size=400), LINES, st.integers(0, 300))
def test_it_is_within_its_budget_harmless_and_the_same_again(previous, said, tokens):
    found = summarise(previous, said, tokens, keep=["a"])
    assert estimate_tokens(found) <= tokens
    assert neutralise(found) == found
    assert found == summarise(previous, said, tokens, keep=["a"])


def test_with_nothing_new_it_stays_as_it_is():
    once = summarise("", long_talk(), 500)
    assert summarise(once, [], 500) == once
    assert summarise(once, long_talk()[:3], 2000).startswith(once)


def test_it_says_who_said_it_in_their_order():
    found = summarise(
        "",
        [
            user("My name is Ana Torres. I moved to Oslo in 2024."),
            SaidLine(Role.TOOL, "weather", "Oslo: 12 degrees"),
            SaidLine(Role.ASSISTANT, "agent", "It is 12 degrees in Oslo today."),
        ],
        200,
    )
    assert found.splitlines() == [
        "- ana: My name is Ana Torres.",
        "- ana: I moved to Oslo in 2024.",
        "- weather: Oslo: 12 degrees",
        "- agent: It is 12 degrees in Oslo today.",
    ]


def test_what_is_to_be_kept_comes_first_and_survives_every_summary_after_it():
    facts = ["vault code 7719", "Ålesund", "金庫の番号"]
    said = long_talk()
    said.insert(3, user("By the way, the VAULT code 7719 is for you alone. Thanks."))
    said.insert(30, user("We sail from Ålesund."))
    said.insert(50, user("金庫の番号は四桁です。ありがとう。"))
    found = summarise("", said, 120, keep=facts)
    for _ in range(5):
        assert "VAULT code 7719" in found
        assert "Ålesund" in found
        assert "金庫の番号" in found
        found = summarise(found, long_talk(), 120, keep=facts)


def test_the_last_word_on_what_is_to_be_kept_counts_where_there_is_room_for_one():
    said = [user(f"The deadline is on the {n}th of May, as we said before.") for n in range(10, 30)]
    assert "29th of May" in summarise("", said, 22, keep=["deadline"])


def test_a_long_sentence_is_cut_around_what_is_to_be_kept():
    text = "so " * 500 + "the code is 7719 " + "and on " * 500
    found = summarise("", [user(text)], 120, keep=["code is 7719"])
    assert "code is 7719" in found


def test_facts_come_before_thanks():
    said = [user("Thanks!"), user("Great."), user("My flight to Lima is on 3 May at 14:05.")]
    expected = "- ana: My flight to Lima is on 3 May at 14:05."
    assert summarise("", said, estimate_tokens(expected) + 1) == expected


def test_old_and_new_share_the_room():
    old = summarise("", [user(f"Fact {n} about the old house in Bergen.") for n in range(60)], 300)
    found = summarise(old, [user(f"Rule {n} for the new boat in Porto.") for n in range(60)], 300)
    assert found.count("Bergen") > 3
    assert found.count("Porto") > 3


def test_what_was_said_again_is_not_told_again():
    said = [user("I live in Oslo since 2024.")] * 5
    assert summarise("", said, 200) == "- ana: I live in Oslo since 2024."
    assert summarise(summarise("", said, 200), said, 200) == "- ana: I live in Oslo since 2024."


def test_a_summary_by_anybody_else_is_gone_on_with():
    told = "## Facts\nAna lives in Oslo. " + "She has told of many things. " * 40
    found = summarise(told, [user("I have moved to Bergen on 2 May.")], 150)
    assert "Ana lives in Oslo." in found
    assert "Bergen" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Who pays 3.50 at P.f. Chang's. Yes.", ["Dr. Who pays 3.50 at P.f. Chang's.", "Yes."]),
        ("see e.g. the docs.\nnext line", ["see e.g. the docs.", "next line"]),
        ("他来了。真的吗\uff1f“好\uff01”走吧", ["他来了。", "真的吗\uff1f", "“好\uff01”", "走吧"]),
        ("मैं ठीक हूँ। और आप? हाँ॥", ["मैं ठीक हूँ।", "और आप?", "हाँ॥"]),
        ("كيف حالك؟ أنا بخير. شكرا", ["كيف حالك؟", "أنا بخير.", "شكرا"]),
        ("یہ ٹھیک ہے\u06d4 جی", ["یہ ٹھیک ہے\u06d4", "جی"]),
        ("  \u200b \n\n", []),
    ],
)
def test_sentences_end_where_each_script_ends_them(text, expected):
    assert list(sentences(text)) == expected


@given(st.text(max_size=300))
def test_no_sentence_loses_a_letter(text):
    kept = "".join("".join(sentences(text)).split())
    assert kept.replace("\u200b", "") == "".join(
        "".join(part for part in text.splitlines() if any(sentences(part))).split()
    ).replace("\u200b", "")
