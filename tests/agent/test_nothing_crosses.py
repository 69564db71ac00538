"""Nothing crosses: what is injected for a speaker was fetched about that very person.

Ten thousand random histories of users, platforms, sessions and agents run on the real policy, the
real pops and the real injection, with a Honcho that tells exactly whose words it was given. Who a
person is, is said here once more, in other words than the policy's.
"""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import defaultdict
from dataclasses import dataclass, field, replace

import pytest

from afterturn.awaited import Awaited
from afterturn.injection import Injection
from afterturn.subagents import child_spec
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.who import People, Runtime, Speakers, runtime_peer, user_peer
from afterturn_models.prefetched import (
    context_payload,
    context_task_id,
    dialectic_payload,
    dialectic_task_id,
)
from afterturn_models.profile import SessionProfile
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.store.facts import Met, SessionFacts
from afterturn_models.store.sessions import SessionSpec
from afterturn_models.values import ContextResult
from afterturn_worker.flows.views import view_of

HISTORIES = 10_000
SHARES = 20
PLATFORMS = ["telegram", "slack", "a", "a-b", "user", "agent", "Телега"]
IDS = ["1", "2", "b-1", "ada", "bot", "agent-x", "user-g", "telegram-1", "a b", "telegram:1", "é"]
AGENTS = ["bot", "agent-x", "helper"]
SETTINGS = {name: RecallSettings(injection=name) for name in ("every-turn", "first-turn")}
TOLD = re.compile(r"<(\w):(.+?)>")
Person = tuple[str, ...]
VIEW_OF, CHILD_SPEC = view_of, child_spec  # as they are, whatever a test puts in their place


class Mail:
    """The Redis that results wait in."""

    away = False

    def __init__(self) -> None:
        self.results: dict[str, bytes] = {}

    def put(self, task_id: str, result: object) -> None:
        self.results[task_id] = json.dumps({"status": "SUCCESS", "result": result}).encode()

    def pop(self, task_ids):
        return [self.results.pop(task_id, None) for task_id in task_ids]


@dataclass
class Chat:
    """A session as its agent and its workers have it."""

    spec: SessionSpec
    speakers: Speakers
    profile: SessionProfile
    injection: str
    human: Person | None = None  # for whom a subagent's session is
    met: Met | None = None  # and where they speak
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    authors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.awaited, self.placing = Awaited(), Injection("")
        self.awaited.expect(0)
        self.settings = SETTINGS[self.injection]

    def facts(self) -> SessionFacts:
        """Give what a worker reads, as `store.facts.last_turn` has it."""
        last = self.authors[-1] if self.authors else self.spec.user_peer
        return SessionFacts(
            1, "w", self.spec.key, self.profile.about or last, self.spec.agent_peer,
            profile=self.profile, met=self.met,
        )  # fmt: skip


class History:
    """One random history."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        draw = self.draw
        self.aliases = {
            draw.choice(IDS): draw.choice(["ann", "ada", "telegram-2", "1"])
            for _ in range(draw.choice([0, 0, 1, 2]))
        }
        self.people = People(
            owner=draw.choice(["ada", "user"]),
            named=draw.random() < 0.5,
            pin=draw.random() < 0.05,
            aliases=self.aliases,
            prefix=draw.choice([None, None, None, "", "u", "user-", "tg-"]),
            taken=frozenset({"bot"}),
        )
        self.mail = Mail()
        # Whose words each peer was given, as each agent heard them.
        self.given: dict[tuple[str, str], set[Person]] = defaultdict(set)
        self.echoes: dict[str, set[tuple[Person, str]]] = defaultdict(set)
        self.chats: list[Chat] = []
        self.late: list[tuple[Chat, int, SessionFacts]] = []
        self.checked = 0
        self.through = 0  # how often a subagent saw its human through another

    def person(self, known: Runtime, key: str) -> Person:
        """Say who that is: what an operator means by the settings."""
        if self.people.pin:
            return (self.people.owner,)
        if not known.user_id:
            owner = self.people.named or not known.platform
            return (self.people.owner,) if owner else ("somebody of", key)
        claims = ":" in known.user_id and known.user_id.split(":")[0].isidentifier()
        if known.user_id in self.aliases and not (known.platform and claims):
            return (self.aliases[known.user_id],)
        platform = "" if self.people.prefix is not None else (known.platform or "")
        return ("user", platform, known.user_id)

    def runtime(self) -> Runtime:
        """Draw a user of a platform, or the owner at the command line."""
        if self.draw.random() < 0.15:
            return Runtime()
        return Runtime(self.draw.choice(IDS), None, self.draw.choice(PLATFORMS))

    def open(self) -> Chat:
        """Open a session, shared by its name or a user's own."""
        runtime, agent = self.runtime(), self.draw.choice(AGENTS)
        key = self.draw.choice(["g", "h"])
        if runtime.ids and self.draw.random() < 0.4:
            key = "own-" + runtime_peer(self.people, runtime, agent=agent)
        user = user_peer(self.people, runtime, agent=agent, key=key)
        profile = SessionProfile(owner=self.people.owner)
        spec = SessionSpec("w", key, user, agent)
        known = next((chat for chat in self.chats if chat.spec.key == key), None)
        chat = Chat(
            spec, Speakers(self.people, user, agent, key, runtime), profile,
            self.draw.choice(["every-turn", "every-turn", "first-turn"]),
        )  # fmt: skip
        if known is not None:  # another process, or another opener, of the same session
            chat.id, chat.authors = known.id, known.authors
        self.chats.append(chat)
        return chat

    def spawn(self, chat: Chat, author: str, human: Person) -> Chat:
        """Spawn a subagent while somebody speaks."""
        about = chat.profile.about or author
        agent = self.draw.choice(AGENTS)
        spec = child_spec(
            chat.spec, agent, SessionProfile(owner=self.people.owner), about=about,
            name=self.draw.choice(["plan", None]),
        )  # fmt: skip
        profile = SessionProfile.of(json.loads(spec.profile))
        speakers = Speakers(self.people, spec.user_peer, agent, spec.key)
        met = chat.met or Met(chat.spec.agent_peer, chat.profile)
        child = Chat(spec, speakers, profile, "every-turn", human=chat.human or human, met=met)
        known = next((other for other in self.chats if other.spec.key == spec.key), None)
        if known is not None:
            child.id, child.authors = known.id, known.authors
        self.chats.append(child)
        return child

    def turn(self, chat: Chat) -> None:
        """Have somebody speak, check what they get, and have it captured and fetched for."""
        author, human = None, chat.human or self.person(chat.speakers.runtime, chat.spec.key)
        if chat.speakers.runtime and self.draw.random() < 0.6:
            author = self.draw.choice([*IDS, ""])
            known = Runtime.of(author, platform=chat.speakers.runtime.platform)
            human = self.person(known, chat.spec.key)
            if not author and not self.people.pin:
                human = ("somebody of", chat.spec.key)
        speaker = chat.speakers.peer(author)
        about = chat.profile.about or speaker
        recall = chat.awaited.pop(self.mail, chat.id, about=about)
        placed = chat.placing.place(recall, about, chat.settings)
        self.check(chat, human, about, placed.system + placed.context)
        said = ("agent", chat.spec.user_peer) if chat.human else human
        self.given[chat.spec.agent_peer, speaker].add(said)
        self.echoes[chat.spec.agent_peer].add((human, chat.spec.key))
        chat.authors.append(speaker)
        chat.awaited.expect(len(chat.authors))
        if self.draw.random() < 0.8:
            self.late.append((chat, len(chat.authors), chat.facts()))
        if self.draw.random() < 0.1:
            self.turn(self.spawn(chat, speaker, human))

    def fetch(self) -> None:
        """Have workers do some of what is due, in any order, however late."""
        self.draw.shuffle(self.late)
        for chat, turn, read in self.late[: self.draw.randint(0, 3)]:
            # A worker may have read the facts just before a later turn began.
            facts = read if self.draw.random() < 0.5 else chat.facts()
            if facts is not read and turn != len(chat.authors):
                continue
            view = view_of(facts, SETTINGS["every-turn"], {}, asked=False)
            given = self.given[view.observer("user"), view.user]
            told = " ".join(f"<R:{json.dumps(one)}>" for one in sorted(given))
            self.through += view.through is not None and bool(told)
            own = " ".join(
                f"<A:{json.dumps([one, key])}>"
                for one, key in sorted(self.echoes[view.agent])
                if not view.alone or key == view.session
            )
            known = ContextResult(told, (told,), own)
            about = facts.user_peer
            self.mail.put(context_task_id(chat.id, turn), context_payload(turn, known, about=about))
            answer = dialectic_payload(turn, told or "nothing", about=about)
            self.mail.put(dialectic_task_id(chat.id, turn), answer)
        del self.late[:2]

    def check(self, chat: Chat, human: Person, about: str, injected: str) -> None:
        """Assert that all of it is about this human, and of the agent what they may know."""
        for kind, told in TOLD.findall(injected):
            self.checked += 1
            if kind == "R":
                assert tuple(json.loads(told)) == human, (told, human)
            elif about != self.people.owner:
                assert json.loads(told)[1] == chat.spec.key, (told, chat.spec.key)

    def run(self) -> int:
        """Run it; gives how many things that were injected were checked."""
        for _ in range(self.draw.randint(4, 14)):
            chat = self.draw.choice(self.chats) if self.draw.random() < 0.7 and self.chats else None
            self.turn(chat or self.open())
            self.fetch()
        return self.checked


@pytest.mark.parametrize("share", range(SHARES))
def test_ten_thousand_histories(share):
    """As users report of others: one user's profile leaking to another."""
    checked = through = 0
    for seed in range(share, HISTORIES, SHARES):
        history = History(seed)
        try:
            checked += history.run()
            through += history.through
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
    assert checked > 500
    assert through > 50


def _any_of_them(self, mail, session, *, about):
    """Pop for whoever asks, as a shared chat once had it."""
    return self._pop(mail, session, None)


def _all_at_once(facts, settings, own, *, asked):
    """Let the agent recall of itself what it said to everybody."""
    return replace(VIEW_OF(facts, settings, own, asked=asked), alone=False)


def _of_the_one_who_speaks(facts, settings, own, *, asked):
    """Recall for a subagent of the agent that speaks to it, as that one has it."""
    view = VIEW_OF(facts, settings, own, asked=asked)
    return replace(view, user=facts.profile.observer or view.user)


def _about_the_opener(parent, agent_peer, profile, *, about, name=None):
    """Recall for a subagent about whoever opened the chat, not about who speaks in it."""
    return CHILD_SPEC(parent, agent_peer, profile, about=parent.user_peer, name=name)


@pytest.mark.parametrize(
    ("where", "broken"),
    [
        ("afterturn.awaited.Awaited.pop", _any_of_them),
        ("afterturn_models.policy.who._apart", lambda raw, *_, **__: honcho_id(raw)),
        ("afterturn_models.policy.who.Speakers.peer", lambda self, _: self.user),
        ("test_nothing_crosses.view_of", _all_at_once),
        ("test_nothing_crosses.view_of", _of_the_one_who_speaks),
        ("test_nothing_crosses.child_spec", _about_the_opener),
    ],
)
def test_the_check_itself_sees_a_crossing(monkeypatch, where, broken):
    """Each part that keeps people apart is needed: without it something crosses."""
    if where.startswith("test_"):
        monkeypatch.setitem(globals(), where.rpartition(".")[2], broken)
    else:
        monkeypatch.setattr(where, broken)
    with pytest.raises(AssertionError):
        [History(seed).run() for seed in range(1000)]
