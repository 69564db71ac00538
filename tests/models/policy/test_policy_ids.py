"""Ids: always valid, always the same, and apart where their texts are."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from afterturn_models.policy.ids import MAX_LENGTH, honcho_id, is_valid_id

anything = st.text(max_size=300) | st.text(
    st.characters(categories=["Cs", "Lu", "Nd"]), max_size=20
)
MADE = re.compile(r"[A-Za-z0-9_-]{1,83}-[0-9a-f]{16}")


@given(anything)
@example("")
@example("\ud800")
@example("x" * 101)
@example("-" * 500)
@example("é" * 200)
@example("../../../workspaces/other/sessions/x")
@example("abc\n")
@example("\u212a")  # the Kelvin sign, which normalises to K
def test_every_text_makes_a_valid_id(text):
    made = honcho_id(text)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}", made)
    assert is_valid_id(made)
    assert honcho_id(text) == made
    assert honcho_id(made) == made


@pytest.mark.parametrize("bad", ["", "a b", "abc\n", "a" * 101, "a/b", "٣", "\uff41", ".."])
def test_what_is_no_id(bad):
    assert not is_valid_id(bad)
    assert honcho_id(bad) != bad


@given(st.from_regex(r"[A-Za-z0-9_-]{1,100}", fullmatch=True))
def test_an_id_stays_as_it_is(text):
    assert honcho_id(text) == text


@given(anything, anything)
@example("a b", "a  b")
@example("x" * 101, "x" * 102)
@example("é", "e\u0301")
@example("", "unnamed")
@example("a b", "a.b")
def test_two_texts_that_are_no_ids_never_make_one(one, other):
    assume(one != other)
    assume(not is_valid_id(one) or not is_valid_id(other))
    assert honcho_id(one) != honcho_id(other)


@given(anything)
def test_what_is_made_ends_in_64_bits_of_its_text(text):
    """So an id that was typed can be met only by one that has the form of a made one.

    It would have to end in the very digest of another text: whoever types `honcho_id(text)` as a
    name means that session; no text can be made to meet `alice`.
    """
    assume(not is_valid_id(text))
    made = honcho_id(text)
    assert MADE.fullmatch(made)
    assert len(made) <= MAX_LENGTH
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    assert made.endswith("-" + digest[:16])


def test_an_id_is_the_same_in_every_process():
    text = "Größe: 漢字 \U0001f600"
    code = f"from afterturn_models.policy.ids import honcho_id; print(honcho_id({text!a}))"
    env = {"PYTHONHASHSEED": "7"}
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert printed.stdout.strip() == honcho_id(text)


def test_a_name_stays_readable():
    assert honcho_id("Crème brûlée / 2024").startswith("Creme-brulee-2024-")
    assert honcho_id("漢字").startswith("unnamed-")
    assert honcho_id("漢字", fallback="peer").startswith("peer-")
