"""A provider's prompt cache: what one request said, the next one begins with, byte for byte.

As users report of others: injection that changes the system prompt breaks the cache. A real worker
and the stand-in fetch; the agent builds each request as it should and is started again half way.
"""

from __future__ import annotations

import itertools
import json

import pytest

from afterturn import Memory
from afterturn.prompt import FENCE
from afterturn_models.prefetched import context_task_id, result_key
from support.waiting import eventually

TURNS = 50
RESTART = 25
LONG = "I like long letters about my garden. " * 1500


class Agent:
    """An agent that keeps no history of its own: system, replay, and what is sent now."""

    def __init__(self, look, **settings):
        self._look = look
        self._settings = settings | {"peer_name": settings["injection"]}
        self.requests = []
        self.start()

    def start(self):
        self.memory = Memory.open(**self._settings)
        self.session = self.memory.session(name=self._settings["injection"])

    def restart(self):
        self.memory.close()
        self.start()

    def ask(self, text):
        """Begin a turn, and send the request that it makes."""
        turn = self.session.begin_turn(text)
        request = [
            {"role": "system", "content": turn.system},
            *self.session.replay(1000),
            {"role": "user", "content": turn.sent},
        ]
        self.requests.append([json.dumps(message).encode() for message in request])
        return turn

    def fetched(self):
        """Wait until what the workers fetched after the last turn waits for the next."""
        opened = self.session.opened()
        turn = self._look("SELECT turns FROM sessions WHERE id = %(id)s", id=opened.id)[0]["turns"]
        key = result_key(context_task_id(opened.id, turn))
        redis = self.memory._services.popper._redis
        eventually(lambda: redis.exists(key))


@pytest.fixture
def look(stack_env):
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(
        stack_env["AFTERTURN_DATABASE_URL"], autocommit=True, row_factory=dict_row
    ) as there:
        yield lambda statement, **parameters: there.execute(statement, parameters).fetchall()


@pytest.fixture
def known_users(stack_env, start_worker):
    """Have a worker that is up, and for each injection a user of whom something is known."""
    start_worker().ready()
    for user in ("every-turn", "first-turn", "frozen"):
        with Memory.open(peer_name=user) as memory:
            earlier = memory.session(name=f"earlier-{user}")
            earlier.begin_turn("My name is Ann. I like tea. I live in Porto.").end("Hello Ann.")
            assert earlier.flush(20)


def talk(agent):
    """Have a conversation with all that happens in one."""
    contexts = 0
    for number in range(1, TURNS + 1):
        if number == RESTART:
            agent.restart()
        text = LONG + str(number) if number % 11 == 0 else f"I like thing number {number}."
        turn = agent.ask(text)
        contexts += FENCE in turn.context
        if number % 7 == 0:
            continue  # interrupted: nobody ends it
        if number % 5 == 0:
            turn.add("assistant", "Let me look it up.")
            turn.add("tool", "twelve degrees")
        turn.end(
            f"[[reply_to_current]] Reply number {number}." if number % 3 == 0 else f"Re {number}."
        )
        # The settings with an injection at the start fetch nothing later.
        if number % 6 == 0 and agent.session.in_force.settings.injection == "every-turn":
            agent.fetched()
    return contexts


def assert_cached(requests):
    """See that each request begins with all that the one before it said."""
    assert len(requests) == TURNS
    assert len({request[0] for request in requests}) == 1, "the system part has changed"
    for before, after in itertools.pairwise(requests):
        assert after[: len(before)] == before
        assert len(after) > len(before)


def test_every_request_begins_with_the_one_before_wherever_memory_goes(known_users, look):
    """One worker serves all three: its start takes longer than they do."""
    in_every_turn(look)
    in_the_first_turn_and_it_stays_where_it_was(look)
    frozen_and_the_same_in_a_process_that_was_started_again(look)


def in_every_turn(look):
    agent = Agent(look, injection="every-turn")
    contexts = talk(agent)
    assert contexts >= 8  # and more, where a worker was quick
    assert_cached(agent.requests)
    agent.memory.close()


def in_the_first_turn_and_it_stays_where_it_was(look):
    agent = Agent(look, injection="first-turn", first_turn_base_wait=20)
    assert talk(agent) == 1
    assert "tea" in agent.requests[0][-1].decode()
    assert_cached(agent.requests)
    agent.memory.close()


def frozen_and_the_same_in_a_process_that_was_started_again(look):
    agent = Agent(look, injection="frozen", first_turn_base_wait=20)
    assert talk(agent) == 0
    assert "tea" in agent.requests[0][0].decode()
    assert_cached(agent.requests)
    agent.memory.close()


def test_a_window_that_moves_keeps_most_of_what_was_cached(memory):
    """With a limit the beginning leaps, so that it moves in few of the requests."""
    session = memory.session(name="talk")
    kept = 0
    before = []
    for number in range(200):
        turn = session.begin_turn(f"u{number}")
        request = [*session.replay(20), {"role": "user", "content": turn.sent}]
        kept += request[: len(before)] == before
        before = request
        turn.end(f"a{number}")
    assert kept >= 180
