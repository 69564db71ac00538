"""Workspaces, peers, sessions, memberships and scopes through the SDK."""

import httpx
import pytest
from honcho import Honcho
from honcho.api_types import PeerConfig, SessionConfiguration, SessionPeerConfig
from honcho.http.exceptions import BadRequestError, NotFoundError, UnprocessableEntityError

SEEN = SessionPeerConfig(observe_me=True, observe_others=False)
WATCHES = SessionPeerConfig(observe_me=True, observe_others=True)


def test_created_is_201_and_got_is_200(raw: httpx.Client):
    for path, body in (
        ("/peers", {"id": "p"}),
        ("/sessions", {"id": "s"}),
        ("/scopes", {"id": "c"}),
    ):
        assert [raw.post(path, json=body).status_code for _ in range(2)] == [201, 200]


def test_metadata_is_replaced_and_configuration_is_kept_apart(honcho: Honcho):
    session, peer = honcho.session("s"), honcho.peer("p")
    for one in (honcho, session, peer):
        one.set_metadata({"a": 1, "b": 2})
        one.set_metadata({"c": 3})
        assert one.get_metadata() == {"c": 3}
    session.set_configuration(SessionConfiguration.model_validate({"summary": {"enabled": False}}))
    assert session.get_configuration().summary.enabled is False
    peer.set_configuration(PeerConfig(observe_me=False))
    assert peer.get_configuration().observe_me is False


def test_members_and_their_configuration(honcho: Honcho):
    alice, helper, session = honcho.peer("alice"), honcho.peer("helper"), honcho.session("s")
    session.add_peers([(alice, SEEN), (helper, WATCHES)])
    assert {one.id for one in session.peers()} == {"alice", "helper"}
    assert session.get_peer_configuration(helper).observe_others is True
    session.add_peers([(alice, WATCHES)])
    assert session.get_peer_configuration(alice).observe_others is False
    session.set_peer_configuration(alice, WATCHES)
    assert session.get_peer_configuration(alice).observe_others is True
    session.remove_peers([alice])
    assert [one.id for one in session.peers()] == ["helper"]
    session.add_peers([(alice, SEEN)])
    assert session.get_peer_configuration(alice).observe_others is False
    session.set_peers([alice])
    assert [one.id for one in session.peers()] == ["alice"]


def test_eleven_observers_are_too_many(honcho: Honcho):
    session = honcho.session("s")
    session.add_peers([(f"o{n}", WATCHES) for n in range(10)])
    with pytest.raises(BadRequestError, match="with 11 observers"):
        session.add_peers([("one-more", WATCHES)])
    assert len(session.peers()) == 10


def test_unknown_peers_and_sessions(honcho: Honcho):
    honcho.session("s")
    with pytest.raises(NotFoundError):
        honcho.session("s").get_peer_configuration("nobody")
    honcho.peer("alice")
    with pytest.raises(NotFoundError, match="alice"):
        honcho.session("s").get_peer_configuration("alice")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "x" * 513, "ü"])
def test_bad_ids_are_refused(raw: httpx.Client, name: str):
    for path in ("/peers", "/sessions"):
        assert raw.post(path, json={"id": name}).status_code == 422


def test_a_deleted_session_is_gone(honcho: Honcho, wait_until):
    alice, session = honcho.peer("alice"), honcho.session("s")
    session.add_messages([alice.message("x")])
    session.delete()
    wait_until(lambda: [one.id for one in honcho.sessions()] == [])


def test_a_clone_has_the_messages_and_members(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s", metadata={"k": "v"})
    session.add_peers([(alice, WATCHES)])
    made = session.add_messages([alice.message(f"m{n}") for n in range(3)])
    copy = session.clone(message_id=made[1].id)
    assert copy.id != "s"
    assert [one.content for one in copy.messages()] == ["m0", "m1"]
    assert copy.get_metadata() == {"k": "v"}
    assert copy.get_peer_configuration(alice).observe_others is True


def test_workspaces_are_listed_and_deleted_when_empty(honcho: Honcho, workspace: str, wait_until):
    honcho.session("s")
    found = honcho.workspaces(filters={"id": workspace})
    assert list(found) == [workspace]
    honcho.session("s").delete()

    def deleted() -> bool:
        honcho.delete_workspace(workspace)
        return list(honcho.workspaces(filters={"id": workspace})) == []

    wait_until(deleted)


def test_scopes(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s")
    session.add_messages([alice.message("I live in Porto.")])
    scope = honcho.scope("work", metadata={"k": "v"})
    scope.add_sessions([session])
    assert [one.id for one in scope.sessions()] == ["s"]
    assert [one.id for one in honcho.scopes()] == ["work"]
    assert honcho.get_scope("work").metadata == {"k": "v"}
    assert set(scope.status()) <= {"s"}
    assert [one.id for one in session.peers()] == ["alice"], "a scope is no peer to be seen"
    assert [one.id for one in honcho.peers()] == ["alice"]
    scope.remove_session(session)
    assert list(scope.sessions()) == []
    with pytest.raises(NotFoundError):
        honcho.get_scope("none")
    with pytest.raises(NotFoundError):
        scope.add_sessions(["missing"])


def test_reserved_names_are_refused(raw: httpx.Client):
    body = {"messages": [{"content": "x", "peer_id": "scope.mine"}]}
    assert raw.post("/sessions/s/messages", json=body).status_code == 422


def test_webhooks(raw: httpx.Client):
    made = raw.post("/webhooks", json={"url": "https://example.com/hook"})
    assert made.status_code in {200, 201}
    assert [one["url"] for one in raw.get("/webhooks").json()["items"]] == [
        "https://example.com/hook"
    ]
    assert raw.post("/webhooks", json={"url": "http://127.0.0.1/x"}).status_code == 422
    assert raw.post("/webhooks", json={"url": "ftp://example.com"}).status_code == 422
    assert raw.delete(f"/webhooks/{made.json()['id']}").status_code == 204
    assert raw.delete(f"/webhooks/{made.json()['id']}").status_code == 404


def test_unknown_routes_and_methods(raw: httpx.Client, honcho_url: str):
    assert raw.get("/nope").json() == {"detail": "Not Found"}
    assert raw.get("/peers").status_code == 405
    moved = raw.get("/webhooks/")
    assert (moved.status_code, httpx.URL(moved.headers["location"]).path[-9:]) == (307, "/webhooks")
    assert raw.get(f"{honcho_url}/health").json() == {"status": "ok"}


def test_too_large_a_page_is_refused(honcho: Honcho):
    with pytest.raises(UnprocessableEntityError):
        honcho.sessions(size=101)
