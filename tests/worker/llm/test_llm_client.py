"""The client for a language model, against an endpoint that does what it likes."""

from __future__ import annotations

import sys

import pytest

from afterturn_models.errors import ConfigurationError, LlmFailure
from afterturn_worker.llm.client import LlmClient
from afterturn_worker.llm.key import llm_key
from support.llm_server import Answer, LlmServer
from support.waiting import eventually

SECRET = "sk-very-s3cret"
SAID = [{"role": "user", "content": "Ann's words, which no log is to show"}]


@pytest.fixture
def server():
    with LlmServer("A summary.") as running:
        yield running


@pytest.fixture
def client(server):
    made = LlmClient(server.url, "small", SECRET)
    yield made
    made.close()


def ask(client, deadline=5.0):
    return client.complete(SAID, tokens=100, deadline=deadline)


def test_one_request_one_text(server, client):
    assert ask(client) == "A summary."
    (asked,) = server.asked
    assert (asked.messages, asked.body["model"], asked.body["max_tokens"]) == (SAID, "small", 400)
    assert "max_completion_tokens" not in asked.body
    assert asked.headers["authorization"] == f"Bearer {SECRET}"


def test_without_a_key(server):
    client = LlmClient(server.url, "small", None)
    assert ask(client) == "A summary."
    client.close()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("500", "answers 500"),
        ("429", "answers 429"),
        ("400", "answers 400"),
        ("401", "set AFTERTURN_LLM_API_KEY for the workers"),
        ("404", "knows no model 'small'"),
        ("garbage", "answers what no language model answers"),
        ("cut", "cannot be reached"),
    ],
)
def test_failures_are_sentences_and_nothing_is_repeated(server, client, fault, says):
    server.script(fault)
    with pytest.raises(LlmFailure, match=says) as raised:
        ask(client)
    assert len(server.asked) == 1
    whole = f"{raised.value} {raised.value.__cause__}"
    assert SECRET not in whole
    assert "Ann" not in whole
    assert ask(client) == "A summary."  # the next one is well


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_deadline_bounds_the_whole_request(server, client, fault):
    server.script(fault)
    with pytest.raises(LlmFailure, match=r"did not answer within 0\.5 s"):
        ask(client, 0.5)
    eventually(lambda: server.dropped == 1)  # and its socket is closed


def test_retry_after_is_read(server, client):
    server.script(Answer(fault="429", retry_after=17))
    with pytest.raises(LlmFailure) as raised:
        ask(client)
    assert raised.value.retry_after == 17


def test_an_empty_answer_is_an_empty_text(server, client):
    server.script(Answer(text=""))
    assert ask(client) == ""


def test_nobody_listens():
    client = LlmClient("http://127.0.0.1:9/v1", "small", None)
    with pytest.raises(LlmFailure, match=r"127\.0\.0\.1:9 cannot be reached"):
        ask(client)
    client.close()


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://localhost:11434/v1", True),
        ("http://[::1]:8080/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://192.168.1.7:11434/v1", False),
        ("http://localhost.example.com/v1", False),
        ("http://127.0.0.1@example.com/v1", False),
    ],
)
def test_what_is_this_machine(url, here):
    assert LlmClient(url, "small", None).here is here


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://x/v1", "", "http://"])
def test_what_is_no_url(url):
    with pytest.raises(ConfigurationError, match="llmBaseUrl"):
        LlmClient(url, "small", None)


def test_a_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(LlmFailure, match=r"pip install 'afterturn\[llm\]'"):
        ask(LlmClient("http://127.0.0.1:9/v1", "small", None))


def test_the_key_is_the_first_that_is_set():
    assert llm_key({}) is None
    assert llm_key({"OPENAI_API_KEY": "b"}) == "b"
    assert llm_key({"OPENAI_API_KEY": "b", "AFTERTURN_LLM_API_KEY": " a "}) == "a"
    with pytest.raises(ConfigurationError, match="AFTERTURN_LLM_API_KEY has"):
        llm_key({"AFTERTURN_LLM_API_KEY": "a\nb"})
