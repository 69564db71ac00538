"""The map of agents on real parts: processes that come at once, workers, and a foreign writer."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Self

import pytest

from afterturn_models.db import Database
from afterturn_models.store.agents import agents, note_agents
from afterturn_worker.honcho.client import HonchoClient
from support.waiting import eventually

AGENTS = """
import sys
from afterturn import Memory
with Memory.open() as memory:
    sessions = [memory.session(name=name, agent=name) for name in sys.argv[1:]]
"""


class ForeignWriter:
    """A program that keeps no lease: it reads, changes its own keys, writes back, and looks."""

    def __init__(self, client: HonchoClient, workspace: str) -> None:
        self._client = client
        self._workspace = workspace
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.written: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            self.written[f"key{len(self.written)}"] = len(self.written)
            self.write()

    def write(self) -> None:
        """Write until what was written is there."""
        while True:
            known = self._client.workspace_metadata(self._workspace, deadline=5)
            if self.written.items() <= known.items():
                return
            merged = {**known, **self.written}
            self._client.set_workspace_metadata(self._workspace, merged, deadline=5)


@pytest.fixture
def client(honcho, stack_env):
    made = HonchoClient(honcho.url, None)
    yield made
    made.close()


def test_agents_of_many_processes_and_the_keys_of_others_are_all_there_in_the_end(
    start_worker, client, workspace, database_url
):
    workers = [start_worker(f"map{number}") for number in range(2)]
    [worker.ready() for worker in workers]
    names = [f"agent{number}" for number in range(16)]
    with ForeignWriter(client, workspace) as foreign:
        processes = [
            subprocess.Popen([sys.executable, "-c", AGENTS, *names[start::4]]) for start in range(4)
        ]
        assert [process.wait(60) for process in processes] == [0] * 4
        database = Database(database_url)

        def mapped():
            with database.statement() as connection:
                found = agents(connection, workspace)
            return len(found) == len(names) + 1 and all(agent.mapped for agent in found)

        eventually(mapped, within=60)
        database.close()
    foreign.write()
    metadata = client.workspace_metadata(workspace, deadline=5)
    expected = {name: f"agent-{name}" for name in names} | {"main": "agent"}
    assert metadata["agentPeerMap"] == expected
    assert foreign.written.items() <= metadata.items()
    assert len(foreign.written) > 3
    for name in names[:3]:
        assert client.peer_of_agent(workspace, name, deadline=5) == f"agent-{name}"


def test_a_lost_task_is_made_up_for_by_the_relay(start_worker, client, workspace, database):
    start_worker().ready()
    with database.statement() as connection:
        note_agents(connection, workspace, {"ada": "agent-ada"})
    eventually(
        lambda: (
            client.workspace_metadata(workspace, deadline=5)
            == {"agentPeerMap": {"ada": "agent-ada"}}
        ),
        within=20,
    )
