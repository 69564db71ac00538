"""Trivial messages: what is not worth a question, in several languages, and what is."""

# ruff: noqa: RUF001 - signs of other scripts, as people type them

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.trivial import is_trivial


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "ok", "OK!", "Ok.", "okay…", "k", "thanks", "Thank you!!", "ok, thanks :)",
        "yes", "Yes please", "no", "nope", "hi", "Hey!", "hello", "lgtm", "go ahead",
        "got it 👍", "👍", "🎉🎉🎉", "❤️", "👩‍👩‍👧", "🇩🇪", "...", "?", "!?", "—", "- - -", "\u200b",
        "//", "/new", "/model opus", "/remember-this please do it now", "  /help",
        "ja", "Ja, danke!", "Vielen Dank", "alles klar", "nö", "Guten Morgen!",
        "oui", "merci beaucoup", "D'accord", "d’accord", "Ça marche !",
        "sí", "SI", "muchas gracias", "vale", "obrigado", "va bene", "dank je wel",
        "да", "Спасибо!", "хорошо", "dziękuję", "tamam", "teşekkürler",
        "好的", "谢谢！", "嗯嗯", "はい。", "ありがとうございます", "네", "감사합니다~",
        "شكرا", "हाँ", "ठीक है", "धन्यवाद", "ok ok ok", "Ｏｋ",
    ],
)  # fmt: skip
def test_trivial(text):
    assert is_trivial(text)


@pytest.mark.parametrize(
    "text",
    [
        "Where do I live?", "fix it", "why", "tests?", "no, the other file", "ok, and the second one?",
        "thanks, now deploy it", "42", "2", "/usr/bin/env fails", "/etc/hosts", "a/b",
        "do the next one well", "hello world program", "ja, aber warum?", "não funciona",
        "我住在哪里？", "明日の予定は？", "왜 안 돼요", "где мои ключи", "नमस्ते दुनिया कैसे लिखें",
        "yes " * 6, "-" * 200 + " a heading below a rule", "👍" * 200 + " ship it",
        "not good", "ok" * 200,
    ],
)  # fmt: skip
def test_not_trivial(text):
    assert not is_trivial(text)


@given(st.text())
def test_any_text_is_one_or_the_other(text):
    assert is_trivial(text) in {True, False}


@given(st.text(alphabet="👍🎉❤️😀!?.… \n\t-—*", max_size=2000))
def test_signs_alone_say_nothing(text):
    assert is_trivial(text)


def test_it_is_quick_on_anything():
    assert not is_trivial("x" * 1_000_000)
    assert is_trivial("." * 1_000_000)
