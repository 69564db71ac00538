"""Seeding by real workers into a real stand-in: each text once, whatever is repeated or killed.

Report 8 (a "one-time" migration that repeats, and fills the memory with junk) is here by name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from afterturn.identity import Seeding, pair_of, seed
from afterturn.services import Services
from afterturn_models.policy import identity as policy
from afterturn_models.policy.identity import Kind
from afterturn_models.settings import load
from afterturn_models.signatures import seed_identity
from afterturn_models.store.identity import open_identity
from afterturn_models.store.identity_ledger import ledger
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.recall_port import View
from support.waiting import eventually
from support.workers import WorkerProcess

Start = Callable[..., WorkerProcess]
MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"
CARD = r"/v3/workspaces/[^/]+/peers/[^/]+/card"
AGENTS = ("SOUL.md", "IDENTITY.md", "AGENTS.md", "BOOTSTRAP.md")
FILES = {**{name: f"I am as {name} says." for name in AGENTS}, "USER.md": "Ann likes tea."}
WHO = {"AFTERTURN_AI_PEER": "clerk", "AFTERTURN_PEER_NAME": "ann"}
SEEDER = """
import sys
from pathlib import Path
from afterturn.identity import pair_of, seed
from afterturn.services import Services
from afterturn_models.settings import load

services = Services(load())
print("ready", flush=True)
for _ in sys.stdin:
    came = seed(services.database, services.dispatcher.send, pair_of(services.settings),
                services.profile, Path(sys.argv[1]))
    print(len(came.new), len(came.known), flush=True)
services.close()
"""


class Place:
    """An agent's home, its process, and the Honcho that it is seeded to."""

    def __init__(self, home: Path, services: Services, honcho, database_url: str) -> None:
        self.home = home
        self.services = services
        self.honcho = honcho
        self.database_url = database_url
        self.pair = pair_of(services.settings)

    def seed(self, *, lose: bool = False) -> Seeding:
        """Seed the home; with `lose` every task is lost."""
        send = (lambda _: None) if lose else self.services.dispatcher.send
        return seed(self.services.database, send, self.pair, self.services.profile, self.home)

    def stored(self, peer: str = "clerk") -> Counter[str]:
        """Count what a peer's seeds are at Honcho."""
        found = self.honcho.control.messages(self.pair.workspace, policy.identity_session(peer))
        assert {row["peer_id"] for row in found} <= {peer}
        return Counter(row["content"] for row in found)

    def card(self) -> tuple[str, ...]:
        """Read the agent's own card."""
        client = HonchoClient(self.honcho.url, None)
        try:
            view = View(self.pair.workspace, "any", "ann", "clerk")
            return client.card(view, "agent", deadline=5)
        finally:
            client.close()

    def done(self) -> bool:
        """Tell whether all that was noted is at Honcho."""
        with self.services.database.statement() as connection:
            found = ledger(connection, self.pair)
        return bool(found) and all(one.state == "sent" for one in found)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Ask Postgres."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "persona"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def place(
    home: Path, stack_env, honcho, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    services = Services(load())
    yield Place(home, services, honcho, database_url)
    services.close()


def wrapped(*names: str) -> Counter[str]:
    """Give what files are at Honcho, each once."""
    return Counter(
        policy.seed_messages(
            Kind.USER if name == "USER.md" else Kind.AGENT, name, FILES[name]
        )[0]
        for name in names
    )  # fmt: skip


def all_there_once(place: Place) -> bool:
    there = place.stored() == wrapped(*AGENTS) and place.stored("ann") == wrapped("USER.md")
    return there and place.card() == ("Name: clerk",)


def test_eight_processes_five_times_seed_each_file_once(place: Place, start_worker: Start) -> None:
    start_worker("w1")
    start_worker("w2")
    seeders = [
        subprocess.Popen(
            [sys.executable, "-c", SEEDER, str(place.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    assert [one.stdout.readline() for one in seeders] == ["ready\n"] * 8
    told = []
    for _ in range(5):
        for one in seeders:
            one.stdin.write("go\n")
            one.stdin.flush()
        told += [tuple(map(int, one.stdout.readline().split())) for one in seeders]
    for one in seeders:
        one.communicate(timeout=30)
    assert [one.returncode for one in seeders] == [0] * 8
    assert sum(new for new, _ in told) == 5
    assert sum(known for _, known in told) == 8 * 5 * 5 - 5
    eventually(place.done, within=30)
    assert all_there_once(place)
    requests = place.honcho.control.counters()["requests"]
    assert {n for route, n in requests.items() if route.startswith("PUT") and "card" in route} == {
        1
    }
    # No prefetch, and so no chat, was paid for a session in which nobody talks.
    assert not [route for route in requests if "chat" in route]


def test_a_changed_file_is_seeded_once_and_the_others_are_left(
    place: Place, start_worker: Start
) -> None:
    start_worker("w1")
    place.seed()
    eventually(place.done, within=30)
    (place.home / "SOUL.md").write_text("I have changed.")
    assert place.seed().new == ("SOUL.md",)
    place.seed()
    eventually(place.done, within=30)
    changed = policy.seed_messages(Kind.AGENT, "SOUL.md", "I have changed.")
    assert place.stored() == wrapped(*AGENTS) + Counter(changed)
    assert place.stored("ann") == wrapped("USER.md")


def test_report_8_a_migration_that_is_made_once_is_made_once_for_ever(
    place: Place, start_worker: Start, redis_url: str
) -> None:
    """Every start of an agent migrates; tasks come late, twice or never; Redis is emptied."""
    first = start_worker("w1").ready()
    for _ in range(10):
        place.seed()
    eventually(place.done, within=30)
    first.stop()
    for _ in range(10):
        assert place.seed().new == ()
    # Tasks of seeds that are done long ago, each over again.
    for (seed_id,) in place.query("SELECT id FROM identity_seeds"):
        place.services.dispatcher.send(seed_identity(seed_id))
    assert place.services.dispatcher.drain(10)
    start_worker("w2").ready()
    with redis.Redis.from_url(redis_url) as client:
        eventually(lambda: client.llen("afterturn:maintenance") == 0, within=20)
        client.flushall()
    assert place.seed().new == ()
    assert all_there_once(place)


def test_tasks_that_are_lost_are_found_in_the_ledger(place: Place, start_worker: Start) -> None:
    assert len(place.seed(lose=True).new) == 5
    start_worker("w1")
    eventually(place.done, within=30)
    assert all_there_once(place)


def test_a_worker_killed_in_the_middle_of_a_capture_leaves_it_to_the_next(
    place: Place, start_worker: Start
) -> None:
    with place.services.database.statement() as connection:
        session = open_identity(connection, place.pair, "clerk", place.services.profile)
    place.seed()
    with psycopg.connect(place.database_url) as holding:
        # A capture gets as far as the cursor, with its rows inserted, and no further.
        holding.execute("SELECT FROM cursors WHERE session_id = %s FOR UPDATE", (session.id,))
        first = start_worker("w1")
        waiting = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND application_name = 'afterturn-worker' AND query LIKE '%WITH said AS%'"
        )
        eventually(lambda: place.query(waiting), within=30)
        first.kill()
        # Postgres ends what a dead client left once it can: with our lock gone it is rolled back.
    start_worker("w2")
    eventually(place.done, within=40)
    assert all_there_once(place)


def test_a_worker_killed_during_its_posts_doubles_nothing(
    place: Place, start_worker: Start
) -> None:
    """The messages and the card's line had been stored when the worker died."""
    place.honcho.control.add_rule("hang", method="POST", path=MESSAGES, count=1, commit=True)
    place.honcho.control.add_rule("hang", method="PUT", path=CARD, count=1, commit=True)
    place.seed()
    first = start_worker("w1")
    eventually(lambda: all(rule["fired"] for rule in place.honcho.control.rules()), within=30)
    first.kill()
    start_worker("w2")
    eventually(place.done, within=40)
    assert all_there_once(place)


def test_a_big_file_goes_in_parts(place: Place, start_worker: Start) -> None:
    text = "\n\n".join(f"Rule {n}. " + "word " * 70 for n in range(200))
    (place.home / "SOUL.md").write_text(text)
    start_worker("w1")
    place.seed()
    eventually(place.done, within=30)
    parts = policy.seed_messages(Kind.AGENT, "SOUL.md", text)
    assert len(parts) > 2
    assert place.stored() == wrapped(*AGENTS[1:]) + Counter(parts)


def test_what_stays_here_is_not_sent_and_goes_when_the_mode_allows_it(
    place: Place, start_worker: Start
) -> None:
    """The mode changes between the note and the task: the text is withdrawn, and noted later."""
    set_mode = (
        "INSERT INTO settings (workspace_id, scope, subject, key, value)"
        " SELECT id, 'agent', 'clerk', 'agentMemoryMode', '\"{}\"' FROM workspaces"
        " ON CONFLICT (workspace_id, scope, subject, key) DO UPDATE SET value = excluded.value"
    )
    assert len(place.seed(lose=True).new) == 5
    place.query(set_mode.format("local"))
    start_worker("w1")
    eventually(place.done, within=30)
    assert place.query("SELECT source FROM identity_seeds") == [("USER.md",)]
    assert place.stored("ann") == wrapped("USER.md")
    assert place.query("SELECT id FROM messages WHERE peer = 'clerk'") == []
    assert place.card() == ()
    assert set(place.seed().skipped) == set(AGENTS)
    place.query(set_mode.format("hybrid"))
    assert set(place.seed().new) == set(AGENTS)
    eventually(place.done, within=30)
    assert all_there_once(place)


def shown() -> dict[str, Any]:
    """Run `afterturn identity --show --json`."""
    done = subprocess.run(
        [sys.executable, "-m", "afterturn", "identity", "--show", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_show_tells_what_honcho_has_and_whether_it_is_still_deriving(
    place: Place, start_worker: Start
) -> None:
    place.honcho.control.set_pace(deriver_delay_seconds=3600)
    try:
        start_worker("w1")
        place.seed()
        eventually(place.done, within=30)
        before = shown()
        assert before["card"] == ["Name: clerk"]
        assert before["deriving"] == len(AGENTS)
        assert before["representation"] == ""
    finally:
        place.honcho.control.set_pace(deriver_delay_seconds=0)
    after = shown()
    assert after["deriving"] == 0
    assert after["representation"]
    assert {one["state"] for one in after["seeds"]} == {"sent"}
