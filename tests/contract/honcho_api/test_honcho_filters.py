"""Honcho's filter language over messages, sessions and peers."""

import httpx
import pytest
from honcho import Honcho


@pytest.fixture
def filled(honcho: Honcho) -> Honcho:
    alice, bob = honcho.peer("alice", metadata={"role": "a"}), honcho.peer("bob")
    session = honcho.session("s", metadata={"kind": "chat", "tags": ["x", "y"]})
    session.add_messages(
        [
            alice.message("m0", metadata={"k": "a", "n": 1, "on": True, "deep": {"in_": "v"}}),
            bob.message("m1", metadata={"k": "b", "n": 2, "on": False}),
            alice.message("m2", metadata={"k": "ab%", "n": 10}),
            bob.message("m3"),
        ]
    )
    return honcho


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"metadata": {"k": {"in": ["a", "b", "zz"]}}}, "01"),
        ({"metadata": {"k": {"in": []}}}, ""),
        ({"metadata": {"k": {"in": ["a", "*"]}}}, "0123"),
        ({"metadata": {"k": "a"}}, "0"),
        ({"metadata": {"k": "*"}}, "0123"),
        ({"metadata": {"n": 2}}, "1"),
        ({"metadata": {"on": True}}, "0"),
        ({"metadata": {"on": 1}}, ""),
        ({"metadata": {"deep": {"in_": "v"}}}, "0"),
        ({"metadata": {"n": {"gt": 1}}}, "12"),
        ({"metadata": {"n": {"gte": 2, "lt": 10}}}, "1"),
        ({"metadata": {"n": {"lte": "2"}}}, "01"),
        ({"metadata": {"k": {"contains": "B"}}}, "12"),
        ({"metadata": {"k": {"icontains": "b%"}}}, "2"),
        ({"metadata": {"k": {"contains": "%"}}}, "2"),
        ({"peer_id": "alice"}, "02"),
        ({"peer_id": ["alice", "bob"]}, "0123"),
        ({"peer_id": {"ne": "alice"}}, "13"),
        ({"peer_id": {"in": ["bob"]}}, "13"),
        ({"peer_id": {"contains": "LIC"}}, "02"),
        ({"peer_id": "*"}, "0123"),
        ({"AND": [{"peer_id": "alice"}, {"metadata": {"k": "a"}}]}, "0"),
        ({"OR": [{"metadata": {"k": "a"}}, {"metadata": {"k": "b"}}]}, "01"),
        ({"NOT": [{"metadata": {"k": "a"}}]}, "123"),
        ({"NOT": [{"peer_id": "bob"}], "metadata": {"k": "a"}}, "0"),
        ({"created_at": {"gte": "2024-01-01"}}, "0123"),
        ({"created_at": {"lt": "2024-01-01T00:00:00Z"}}, ""),
        ({"token_count": {"gte": 1}}, "0123"),
        ({"session_id": "other"}, ""),
    ],
)
def test_messages_are_found(filled: Honcho, filters, expected):
    found = filled.session("s").messages(filters=filters)
    assert "".join(one.content[1] for one in found) == expected


@pytest.mark.parametrize(
    ("filters", "detail"),
    [
        (
            {"content": "x"},
            "Column 'content' is not allowed to be filtered on or does not exist on Message",
        ),
        ({"AND": {}}, None),
        ({"peer_id": {"in": "alice"}}, None),
        ({"peer_id": {"odd": 1}}, None),
        ({"peer_id": 7}, None),
        ({"created_at": {"gte": "yesterday"}}, None),
        ({"metadata": "text"}, None),
    ],
)
def test_bad_filters_are_refused(filled: Honcho, raw: httpx.Client, filters, detail):
    answer = raw.post("/sessions/s/messages/list", json={"filters": filters})
    assert answer.status_code == 422
    assert detail is None or answer.json()["detail"] == detail


def test_a_number_compared_with_stored_text_fails_the_server(filled: Honcho, raw: httpx.Client):
    answer = raw.post("/sessions/s/messages/list", json={"filters": {"metadata": {"k": {"gt": 1}}}})
    assert answer.status_code == 500


def test_sessions_and_peers_are_found(filled: Honcho):
    filled.session("other")
    assert [one.id for one in filled.sessions(filters={"metadata": {"kind": "chat"}})] == ["s"]
    assert [one.id for one in filled.sessions(filters={"metadata": {"tags": ["y"]}})] == ["s"]
    assert [one.id for one in filled.sessions(filters={"id": {"ne": "s"}})] == ["other"]
    assert [one.id for one in filled.sessions(filters={"is_active": True})] == ["s", "other"]
    assert [one.id for one in filled.peers(filters={"metadata": {"role": "a"}})] == ["alice"]
    assert [one.id for one in filled.peer("alice").sessions()] == ["s"]


def test_a_column_of_another_resource_does_not_exist(raw: httpx.Client):
    answer = raw.post("/peers/list", json={"filters": {"session_id": "s"}})
    assert answer.status_code == 422
    assert "'session_id'" in answer.json()["detail"]
