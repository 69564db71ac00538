"""Metadata and scopes: merged where we say so, replaced where Honcho does."""

from __future__ import annotations

import httpx
import pytest
from honcho import Honcho


@pytest.fixture
def reader(honcho, workspace):
    with httpx.Client() as http:
        yield Honcho(base_url=honcho.url, workspace_id=workspace, http_client=http)


class TestScope:
    def test_it_is_made_and_joined_and_may_be_joined_again(self, met, reader):
        for _ in range(2):
            met.client.join_scope(met.workspace, "work", "s", deadline=10)
            met.client.join_scope(met.workspace, "work", "not-there-yet", deadline=10)
        scope = reader.get_scope("work")
        assert {one.id for one in scope.sessions()} == {"s", "not-there-yet"}

    def test_a_session_keeps_its_metadata_and_members(self, met, reader):
        met.client.note_session(met.workspace, "s", {"a": "b"}, deadline=10)
        met.client.join_scope(met.workspace, "work", "s", deadline=10)
        assert reader.session("s").get_metadata() == {"a": "b"}
        assert {"ann", "bot"} <= {peer.id for peer in reader.session("s").peers()}


class TestSession:
    def test_what_others_noted_stays(self, met, reader):
        reader.session("s").set_metadata({"theirs": 1, "ours": "old"})
        met.client.note_session(met.workspace, "s", {"ours": "new"}, deadline=10)
        assert reader.session("s").get_metadata() == {"theirs": 1, "ours": "new"}

    def test_noting_it_again_writes_nothing(self, met):
        def note():
            return met.client.note_session(met.workspace, "s", {"ours": "new"}, deadline=10)

        assert [met.counted(note)[0] for _ in range(2)] == [2, 1]


class TestWorkspace:
    def test_it_is_replaced_as_it_is_given(self, world):
        client = world.client
        for given in ({"agentPeerMap": {"main": "bot"}, "x": 1}, {"agentPeerMap": {}}):
            client.set_workspace_metadata(world.workspace, given, deadline=10)
            assert client.workspace_metadata(world.workspace, deadline=10) == given

    def test_what_is_read_is_the_readers_own(self, world):
        first = world.client.workspace_metadata(world.workspace, deadline=10)
        first["mine"] = 1
        assert world.client.workspace_metadata(world.workspace, deadline=10) == {}


class TestAgents:
    def test_a_renamed_agent_is_found_by_its_id(self, met):
        client, workspace = met.client, met.workspace
        client.note_agent(workspace, "bot", "main", deadline=10)
        assert client.peer_of_agent(workspace, "main", deadline=10) == "bot"
        assert client.peer_of_agent(workspace, "other", deadline=10) is None

    def test_a_peer_that_is_missing_is_made_and_one_that_is_there_keeps_its_metadata(
        self, world, reader
    ):
        reader.peer("bot", metadata={"theirs": 1})
        for peer in ("bot", "new"):
            world.client.note_agent(world.workspace, peer, f"id of {peer}", deadline=10)
        assert reader.peer("bot").get_metadata() == {"theirs": 1, "agentId": "id of bot"}
        found = world.client.peer_of_agent(world.workspace, "id of new", deadline=10)
        assert found == "new"

    def test_noting_it_again_writes_nothing(self, met):
        def note():
            return met.client.note_agent(met.workspace, "bot", "main", deadline=10)

        assert [met.counted(note)[0] for _ in range(2)] == [2, 1]

    @pytest.mark.parametrize("agent_id", ["*", "", "%", "a b ü"])
    def test_no_id_is_a_pattern(self, met, agent_id):
        met.client.note_agent(met.workspace, "bot", "main", deadline=10)
        assert met.client.peer_of_agent(met.workspace, agent_id, deadline=10) is None
