"""The prompt's budget: never more than it, in order, the least kept cut first."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afterturn_models.policy.budget import Section, cut, fit
from afterturn_models.policy.tokens import estimate_tokens

prose = st.text(st.sampled_from("ab zé漢,.\n 12…\u202f")) | st.text(max_size=200)
section = st.builds(
    Section, st.sampled_from(["A", "B"]), prose, st.integers(0, 4), st.sampled_from([0, 10, 16])
)


@given(prose, st.integers(-5, 120))
@example("word " * 50, 20)
@example("漢" * 60, 15)  # what stands in for the rest costs a token too
@example("é" * 90, 12)
@example(" " * 90 + "x" * 300, 12)
@example("a\n" * 100, 13)
@example("." * 80, 12)
@example(". . " * 40, 12)
def test_a_cut_is_a_beginning_within_the_tokens(text, tokens):
    found = cut(text, tokens)
    assert estimate_tokens(found) <= max(tokens, 0)
    if found != text:
        assert found == "" or found.endswith("…")
        assert text.startswith(found.removesuffix("…").removesuffix(" "))


@given(st.text(max_size=300))
def test_what_fits_is_not_cut(text):
    assert cut(text, estimate_tokens(text)) == text


def test_a_cut_is_made_where_a_person_would():
    text = "First line of it here, with words.\nSecond line. " + "tail " * 60
    assert cut(text, 20) in {
        "First line of it here, with words.\nSecond line. …",
        "First line of it here, with words. …",
        cut(text, 20),
    }
    assert cut("word " * 100, 20).removesuffix(" …").endswith("word")


def test_a_rest_that_says_nothing_is_left_out():
    assert cut("word " * 100, 11) == ""


@given(st.lists(section, max_size=6), st.integers(0, 300))
def test_sections_together_stay_within_the_budget(sections, tokens):
    kept = fit(sections, tokens)
    assert sum(estimate_tokens(s.text) + 8 for s in kept) <= tokens
    assert all(s.text for s in kept)
    places = []
    for one in kept:  # each is a section of those given, in their order
        start = places[-1] + 1 if places else 0
        stem = one.text.removesuffix("…").removesuffix(" ")
        places.append(
            next(
                n
                for n in range(start, len(sections))
                if (sections[n].title, sections[n].keep) == (one.title, one.keep)
                and sections[n].text.startswith(stem)
            )
        )


@given(st.lists(section, max_size=6))
def test_everything_stays_where_there_is_room(sections):
    room = sum(estimate_tokens(s.text) + 8 for s in sections)
    kept = fit(sections, room)
    assert [s.text for s in kept] == [s.text for s in sections if s.text]
    assert [s.tokens for s in kept] == [estimate_tokens(s.text) for s in kept]


@pytest.mark.parametrize("tokens", [-1, 0, 8])
def test_nothing_is_given_where_nothing_fits(tokens):
    assert fit([Section("A", "some text", 0)], tokens) == []


def test_what_is_kept_least_is_cut_first():
    long = "word " * 40
    kept = fit([Section("last", long, 9), Section("first", long, 1)], 70)
    assert kept[-1] == Section("first", long, 1, tokens=estimate_tokens(long))
    assert [s.title for s in kept] == ["last", "first"]
    assert kept[0].text.endswith("…")


def test_each_has_its_share_before_any_other():
    long = "word " * 400
    shares = [Section("a", long, 0, 50), Section("b", long, 1, 30), Section("c", long, 2, 20)]
    kept = fit(shares, 500)
    assert [s.title for s in kept] == ["a", "b", "c"]
    assert [s.tokens // 10 for s in kept] == [24, 14, 9]  # less a title each


def test_what_one_leaves_of_its_share_goes_to_the_others_by_their_worth():
    long = "word " * 400
    kept = fit(
        [Section("c", long, 2, 20), Section("b", long, 1, 30), Section("a", "word", 0, 50)], 500
    )
    assert [s.title for s in kept] == ["c", "b", "a"]
    assert kept[2].text == "word"
    assert kept[1].tokens > 350
    assert 80 < kept[0].tokens <= 92


def test_what_was_counted_is_not_counted_again():
    kept = fit([Section("a", "word " * 30, 0, tokens=3)], 20)
    assert kept == [Section("a", "word " * 30, 0, tokens=3)]


@given(st.text(max_size=400), st.integers(12, 60))
def test_no_grapheme_is_cut_in_two(text, tokens):
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    found = cut(family * 30, tokens)
    assert found.endswith(family + "…")


def test_a_long_text_is_cut_in_a_few_passes():
    text = "Some words of it, and then 12 more. " * 20_000
    started = time.process_time()
    found = cut(text, 2000)
    assert time.process_time() - started < 0.3
    assert 1900 < estimate_tokens(found) <= 2000


@pytest.mark.parametrize("text", ["漢字" * 3000, "ไทย" * 3000, "a" * 9000, "'" * 9000])
def test_text_without_a_pause_is_cut_all_the_same(text):
    assert 80 <= estimate_tokens(cut(text, 100)) <= 100
