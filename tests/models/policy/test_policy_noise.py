"""Noise: the defaults, what a configuration adds, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.noise import DEFAULT_NOISE, NoisePatterns, as_regex, machine_context

SENTENCES = (
    "HEARTBEAT_OK",
    "A scheduled reminder has been triggered",
    "Execute your Session Startup sequence now",
    "Queued messages from",
)


def test_the_defaults_are_these():
    assert DEFAULT_NOISE == SENTENCES
    assert NoisePatterns() == NoisePatterns.compile()


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_default_is_noise_alone_and_as_a_beginning(sentence):
    patterns = NoisePatterns.compile()
    assert patterns.matches(sentence)
    assert patterns.matches(f"\n {sentence} and more.\nEven more.")
    assert not patterns.matches(f"He wrote {sentence}")
    assert not patterns.matches(sentence.swapcase())
    assert not patterns.matches(sentence[:-1])


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_defaults_can_be_disabled(sentence):
    assert not NoisePatterns.compile(defaults=False).matches(sentence)
    assert NoisePatterns.compile(["NO_REPLY"], defaults=False).matches("NO_REPLY")


def test_configured_patterns_come_on_top():
    patterns = NoisePatterns.compile(
        ["NO_REPLY", r"/^job \d+ (done|failed)$/im", "/new", "/usr/bin"]
    )
    assert patterns.matches("HEARTBEAT_OK")
    assert patterns.matches("NO_REPLY.")
    assert patterns.matches("summary\nJOB 17 done\nbye")
    assert patterns.matches("/new session")
    assert patterns.matches("/usr/bin/env")
    assert not patterns.matches("usr")
    assert not patterns.matches("a job 17 done")


@pytest.mark.parametrize(
    "pattern", ["/(/", "/[a-/", "/*/", "/(?P<a>/i", "/a{99999999999999999999}/"]
)
def test_a_bad_expression_is_refused_and_named(pattern):
    with pytest.raises(ValueError, match="is not a regular expression") as caught:
        NoisePatterns.compile([pattern])
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize("pattern", ["", "  ", "\n"])
def test_a_blank_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="would match every message"):
        NoisePatterns.compile([pattern])


@pytest.mark.parametrize("written", ["/new", "/usr/bin", "a/b/", "//", "/", "/a/z"])
def test_a_slash_alone_makes_no_expression(written):
    assert as_regex(written) is None


@given(st.text())
def test_without_patterns_nothing_is_noise(text):
    assert not NoisePatterns.compile(defaults=False).matches(text)


@given(st.text(), st.sampled_from(SENTENCES))
def test_what_begins_so_is_noise_whatever_follows(text, sentence):
    assert NoisePatterns().matches(sentence + text)


@given(st.text(min_size=1).filter(str.strip))
def test_any_pattern_compiles_or_is_refused_with_its_name(pattern):
    try:
        patterns = NoisePatterns.compile([pattern], defaults=False)
    except ValueError as error:
        assert repr(pattern) in str(error)  # noqa: PT017  -- either outcome is right
    else:
        assert isinstance(patterns.matches("some text"), bool)


@pytest.mark.parametrize("context", ["cron", "flush", "subagent", " Cron "])
def test_a_machines_context(context):
    assert machine_context(context)


@pytest.mark.parametrize("context", [None, "", "primary", "cli", "cronus", "my subagent"])
def test_any_other_context(context):
    assert not machine_context(context)
