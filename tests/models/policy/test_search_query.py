"""Search queries: what people type, as words of an index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.search_query import MOST_CHARACTERS, QueryError, parse_query


@pytest.mark.parametrize(
    ("said", "asked", "phrases"),
    [
        ("keys shelf", "(('keys')) & (('shelf'))", (("keys",), ("shelf",))),
        ('"the shelf" keys', "(('the' <-> 'shelf')) & (('keys'))", (("the", "shelf"), ("keys",))),
        ("“the shelf”", "(('the' <-> 'shelf'))", (("the", "shelf"),)),
        ("keys -shelf", "(('keys')) & (!('shelf'))", (("keys",),)),
        ('keys -"the shelf"', "(('keys')) & (!('the' <-> 'shelf'))", (("keys",),)),
        ("a or b OR c d", "(('a') | ('b') | ('c')) & (('d'))", (("a",), ("b",), ("c",), ("d",))),
        ("or keys or", "(('keys'))", (("keys",),)),
        ('"or"', "(('or'))", (("or",),)),
        (
            "src/foo_bar.py",
            "(('src' <-> 'foo' <-> 'bar' <-> 'py'))",
            (("src", "foo", "bar", "py"),),
        ),
        ('"not closed', "(('not' <-> 'closed'))", (("not", "closed"),)),
        ("東京都", "(('東京' & '京都'))", (("東京都",),)),
        ("都", "(('都':*))", (("都",),)),
        ("東京tower", "(('東京' & 'tower'))", (("東京", "tower"),)),
        ("\uff46\uff55\uff4c\uff4c", "(('full'))", (("full",),)),
    ],
)
def test_words_phrases_and_pairs(said, asked, phrases):
    query = parse_query(said)
    assert (query.tsquery, query.phrases) == (asked, phrases)


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ("cat elephant", ("elephant",)),
        ("cat or elephant", ("cat", "elephant")),
        ("cat -elephant", ("cat",)),
        ("a or -b", ()),
        ("a or -b cat", ("cat",)),
        ("foo.python", ("python",)),
        ("東京都", ("東京都",)),
    ],
)
def test_what_every_hit_has(said, needed):
    assert parse_query(said).needed == needed


@pytest.mark.parametrize("said", ["", "  ", "?!", "-keys", '""', "or", "…"])
def test_nothing_to_search_for_is_said(said):
    with pytest.raises(QueryError, match="no word"):
        parse_query(said)


def test_a_query_of_any_length_is_bounded():
    with pytest.raises(QueryError, match=str(MOST_CHARACTERS)):
        parse_query("a" * (MOST_CHARACTERS + 1))
    assert len(parse_query("a" * MOST_CHARACTERS).phrases[0][0]) == MOST_CHARACTERS


@given(st.text(max_size=60))
def test_quotes_and_operators_are_never_part_of_a_word(said):
    try:
        query = parse_query(said)
    except QueryError:
        return
    assert query.tsquery.count("'") % 2 == 0
    words = query.tsquery.split("'")[1::2]
    assert all(words)
    assert not set("".join(words)) & set("'\\&|!()<>:*\" \0")
