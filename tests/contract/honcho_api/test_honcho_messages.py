"""Messages through the SDK: stored whole, in order, found by metadata, refused as Honcho does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
from honcho import Honcho
from honcho.http.exceptions import NotFoundError, UnprocessableEntityError


def contents(session, **options):
    return [one.content for one in session.messages(**options)]


def test_a_batch_is_stored_in_order_with_its_own_times(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s")
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    made = session.add_messages(
        [alice.message(f"m{n}", metadata={"n": str(n)}, created_at=at) for n in range(100)]
    )
    assert [one.content for one in made] == [f"m{n}" for n in range(100)]
    assert all(one.created_at == at for one in made)
    assert contents(session, size=100) == [f"m{n}" for n in range(100)]
    assert contents(session, size=30, reverse=True)[:2] == ["m99", "m98"]


def test_pages_follow_each_other(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s")
    session.add_messages([alice.message(f"m{n}") for n in range(7)])
    page = session.messages(size=3)
    assert (page.total, page.pages, len(page.items)) == (7, 3, 3)
    assert [one.content for one in page] == [f"m{n}" for n in range(7)]


def test_sixteen_threads_store_contiguous_batches(honcho: Honcho):
    """In sessions of their own, so that a real server's contention does not fail the test."""
    honcho.peer("alice")

    def write(thread: int) -> list[str]:
        session = honcho.session(f"t{thread}")
        for batch in range(5):
            session.add_messages(
                [honcho.peer("alice").message(f"{thread}.{batch}.{n}") for n in range(10)]
            )
        return contents(session, size=100)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(write, range(16)))
    for thread, lines in enumerate(found):
        assert lines == [f"{thread}.{b}.{n}" for b in range(5) for n in range(10)]


def test_the_same_batch_twice_is_two_sets_of_rows(honcho: Honcho, raw: httpx.Client):
    body = {"messages": [{"content": "x", "peer_id": "alice", "metadata": {"afterturn": "1"}}]}
    for _ in range(2):
        sent = raw.post("/sessions/s/messages", json=body, headers={"Idempotency-Key": "same"})
        assert sent.status_code == 201
    assert len(contents(honcho.session("s"))) == 2


def test_metadata_is_found_and_replaced(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s")
    made = session.add_messages([alice.message("x", metadata={"a": "1", "b": "2"})])
    session.update_message(made[0], {"c": "3"})
    assert session.get_message(made[0].id).metadata == {"c": "3"}
    with pytest.raises(NotFoundError):
        session.get_message("nope")


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([], "too_short"),
        ([{"content": "x", "peer_id": "alice"}] * 101, "too_long"),
        ([{"content": "y" * 25_001, "peer_id": "alice"}], "string_too_long"),
        ([{"content": "<|endoftext|>", "peer_id": "alice"}], "value_error"),
        ([{"content": "a <|endofprompt|>", "peer_id": "alice"}], "value_error"),
        ([{"peer_id": "alice"}], "missing"),
        ([{"content": 1, "peer_id": "alice"}], "string_type"),
        ([{"content": "x", "peer_id": "a", "created_at": "never"}], "datetime_from_date_parsing"),
        (
            [{"content": "x", "peer_id": "a", "metadata": {str(n): 1 for n in range(101)}}],
            "value_error",
        ),
        ([{"content": "x", "peer_id": "a", "metadata": "text"}], "dict_type"),
    ],
)
def test_a_bad_batch_is_refused_whole(honcho: Honcho, raw: httpx.Client, messages, kind):
    good = [{"content": "good", "peer_id": "alice"}] if 0 < len(messages) < 100 else []
    answer = raw.post("/sessions/s/messages", json={"messages": good + messages})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == kind
    assert contents(honcho.session("s")) == []


def test_limits_are_inclusive(honcho: Honcho):
    alice, session = honcho.peer("alice"), honcho.session("s")
    deep = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    session.add_messages([alice.message("y" * 25_000, metadata=deep)])
    assert contents(session) == ["y" * 25_000]


def test_nuls_are_stripped(honcho: Honcho, raw: httpx.Client):
    body = {"messages": [{"content": "a\x00b", "peer_id": "alice", "metadata": {"k": "c\x00d"}}]}
    assert raw.post("/sessions/s/messages", json=body).status_code == 201
    (one,) = honcho.session("s").messages().items
    assert (one.content, one.metadata) == ("ab", {"k": "cd"})


def test_bodies_that_are_no_json_or_no_object(raw: httpx.Client):
    headers = {"Content-Type": "application/json"}
    answer = raw.post("/sessions/s/messages", content=b"{oops", headers=headers)
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "json_invalid")
    answer = raw.post("/sessions/s/messages", json=[1])
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (
        422,
        "model_attributes_type",
    )


def test_a_bad_session_id_fails_the_server(raw: httpx.Client):
    body = {"messages": [{"content": "x", "peer_id": "alice"}]}
    answer = raw.post("/sessions/a.b/messages", json=body)
    assert (answer.status_code, answer.json()) == (500, {"detail": "An unexpected error occurred"})


def test_messages_make_what_is_missing_without_configuration(raw: httpx.Client):
    body = {"messages": [{"content": "x", "peer_id": "newcomer"}]}
    assert raw.post("/sessions/auto/messages", json=body).status_code == 201
    config = raw.get("/sessions/auto/peers/newcomer/config").json()
    assert config == {"observe_me": None, "observe_others": None}


def test_a_text_file_becomes_messages(honcho: Honcho):
    honcho.peer("alice")
    text = ("z" * 25_000) + "tail"
    made = honcho.session("s").upload_file(
        ("notes.txt", text.encode(), "text/plain"), peer="alice", metadata={"from": "file"}
    )
    assert "".join(one.content for one in made) == text
    assert {one.metadata["from"] for one in made} == {"file"}


def test_the_sdk_raises_what_the_server_refuses(honcho: Honcho):
    honcho.peer("alice")
    with pytest.raises(UnprocessableEntityError):
        honcho.session("s").add_messages([honcho.peer("alice").message("a <|endoftext|> b")])
