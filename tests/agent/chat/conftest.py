"""What the tests of the chat share: an endpoint that answers as it is told to, and a screen."""

from __future__ import annotations

import pytest

from afterturn.chat.endpoint import Endpoint
from afterturn.chat.loop import Agent
from afterturn.chat.model import EndpointModel
from support.llm_server import LlmServer


class Recorder:
    """A screen that keeps what it was shown."""

    def __init__(self):
        self.text = ""
        self.notes = []
        self.called = []
        self.waited = 0

    def waiting(self):
        self.waited += 1

    def say(self, piece):
        self.text += piece

    def said(self, said):
        pass

    def calling(self, calls):
        self.called.append([call.name for call in calls])

    def note(self, sentence):
        self.notes.append(sentence)


@pytest.fixture
def llm():
    with LlmServer() as server:
        yield server


@pytest.fixture
def screen():
    return Recorder()


@pytest.fixture
def quick(monkeypatch):
    """Wait between attempts for no time that counts."""
    monkeypatch.setattr("afterturn.chat.model._WAITS", (0.01, 0.01))


@pytest.fixture
def model(llm, screen, quick):
    """Give a function that makes the client of the endpoint."""

    made = []

    def make(**more):
        known = {"base_url": llm.url, "model": "test-model", "key": "sk-of-ann", **more}
        made.append(EndpointModel(Endpoint(**known), screen.note))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def agent(open_memory, model, screen):
    """Give a function that makes an agent in the session `talk`."""

    def make(*, memory=None, **more):
        session = (memory or open_memory()).session(name="talk")
        return Agent(session, model(), screen, **{"budget": 10_000, **more})

    return make
