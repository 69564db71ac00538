"""Secrets on real parts: four users of two platforms, alone and in one chat, and no word crosses."""

from __future__ import annotations

import json
from itertools import product

import pytest

from afterturn import Memory

SECRETS = {
    ("telegram", 1): "aardvark",
    ("telegram", 2): "bumblebee",
    ("slack", 1): "cormorant",
    ("slack", 2): "dromedary",
}
QUERY = "Which animal does this person own, aardvark, bumblebee, cormorant or dromedary?"
TOOLS = [
    ("honcho_profile", {}),
    ("honcho_search", {"query": QUERY}),
    ("honcho_context", {"detail": "full"}),
    ("honcho_context", {"detail": "card"}),
    ("honcho_search_conclusions", {"query": QUERY}),
    ("honcho_recall", {"query": QUERY}),
    ("honcho_analyze", {"query": QUERY}),
    ("honcho_session", {}),
]


class Bot:
    """One bot on two platforms, with a chat of its own for each user and one for all."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.own = {
            user: memory.session(platform=user[0], user_id=user[1], agent="bot") for user in SECRETS
        }
        self.shared = {
            platform: memory.session("everybody", platform=platform, agent="bot")
            for platform in ("telegram", "slack")
        }

    def turn(self, user, text, *, shared, wait=0.0):
        """Begin a turn of a user's, in the chat of their own or in the one for all."""
        if shared:
            return self.shared[user[0]].begin_turn(text, author=user[1], wait=wait)
        return self.own[user].begin_turn(text, wait=wait)

    def flush(self) -> None:
        for session in (*self.own.values(), *self.shared.values()):
            assert session.flush(15)


@pytest.fixture
def bot(start_worker, stack_env):
    start_worker(concurrency=8).ready()
    with Memory.open(tool_seconds=20, ask_seconds=20) as memory:
        bot = Bot(memory)
        for user, secret in SECRETS.items():
            bot.turn(user, f"I own an {secret}.", shared=False).end(f"I like your {secret}.")
            bot.turn(user, "I like hiking with all of you.", shared=True).end("I like it too.")
        bot.flush()
        yield bot


def others(user):
    return [secret for other, secret in SECRETS.items() if other != user]


def test_no_secret_is_in_another_users_prompt_or_tools(bot, honcho, workspace):
    """As users report of others: one user's profile leaking to another."""
    seen = set()
    for _, (user, shared) in product(range(2), product(SECRETS, (False, True))):
        turn = bot.turn(user, "What do you know about me?", shared=shared, wait=3)
        prompt = turn.system + turn.context
        assert [secret for secret in others(user) if secret in prompt] == [], (user, shared)
        if SECRETS[user] in turn.context:
            seen.add((user, shared))
        turn.end("Not much.")
    bot.flush()
    assert {user for user, _ in seen} == set(SECRETS)  # there was something that could have leaked
    for user, shared in product(SECRETS, (False, True)):
        turn = bot.turn(user, "Tell me.", shared=shared)
        session = bot.shared[user[0]] if shared else bot.own[user]
        told = ""
        for (name, given), about in product(TOOLS, ("user", "agent")):
            asked = given if name == "honcho_session" else {**given, "peer": about}
            told += session.call_tool(name, json.dumps(asked))
        assert [secret for secret in others(user) if secret in told] == [], (user, shared)
        assert SECRETS[user] in told
        turn.end("That is all.")
    # And, as users report too, every turn of a shared chat written to its opener.
    rows = honcho.control.messages(workspace, "everybody")
    speakers = {row["peer_id"] for row in rows if "hiking" in row["content"]}
    assert speakers == {f"{platform}-{number}" for platform, number in SECRETS}
