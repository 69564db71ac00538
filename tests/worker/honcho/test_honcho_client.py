"""The Honcho client on the real SDK, over HTTP, against the stand-in."""

from __future__ import annotations

import os
import time
import traceback
import uuid
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from honcho import Honcho
from honcho.http.exceptions import HonchoError

from afterturn_models.errors import (
    AccessRefused,
    HonchoFailure,
    InvalidIdError,
    Missing,
    OutcomeUnknown,
    RateLimited,
    Rejected,
)
from afterturn_models.values import AGENT_OBSERVING, USER_OBSERVING, Outgoing, Role
from afterturn_worker.honcho.client import HonchoClient

MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"
SECRET = "the-secret-word"
KEY = "hch-v3-the-key"


def message(index: int = 1, content: str = "hello", peer: str = "ann", **more: Any) -> Outgoing:
    said = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=index)
    return Outgoing(uuid.uuid4(), index, Role.USER, peer, "s", content, said, **more)


@pytest.fixture
def client(honcho) -> Iterator[HonchoClient]:
    made = HonchoClient(honcho.url, None)
    yield made
    made.close()


@pytest.fixture
def warm(client: HonchoClient, workspace: str) -> HonchoClient:
    """The client, after the one request that the SDK makes first."""
    client.find(workspace, "s", [uuid.uuid4()], deadline=10)
    return client


def failing(honcho, fault: str, **settings: Any) -> None:
    honcho.control.add_rule(fault, method="POST", path=MESSAGES, **settings)


def posts(honcho) -> int:
    """How often a POST of messages was seen, whatever was answered."""
    return honcho.control.rules()[0]["seen"]


def stored(honcho, workspace: str) -> list[dict[str, Any]]:
    try:
        return honcho.control.messages(workspace, "s")
    except ValueError:
        return []  # no such session


class TestSend:
    def test_messages_arrive_in_order_with_their_rows_ids(self, client, honcho, workspace):
        sent = [message(i, f"m{i}", "ann" if i % 2 else "bot") for i in range(1, 101)]
        client.send(workspace, "s", sent, deadline=10)
        rows = honcho.control.messages(workspace, "s")
        assert [(r["content"], r["peer_id"]) for r in rows] == [(m.content, m.peer) for m in sent]
        assert [r["metadata"] for r in rows] == [{"afterturn": str(m.id)} for m in sent]
        assert [r["created_at_us"] for r in rows] == [int(m.at.timestamp() * 1e6) for m in sent]
        assert honcho.control.counters()["message_posts"] == 1

    def test_a_part_says_which_as_text(self, client, honcho, workspace):
        client.send(workspace, "s", [message(part=1, parts=3)], deadline=10)
        metadata = honcho.control.messages(workspace, "s")[0]["metadata"]
        assert {**metadata, "afterturn": ""} == {"afterturn": "", "part": "1", "parts": "3"}

    def test_a_kept_client_makes_one_request(self, warm, honcho, workspace):
        honcho.control.reset_counters()
        warm.send(workspace, "s", [message()], deadline=10)
        assert honcho.control.counters()["total"] == 1

    @pytest.mark.parametrize(
        ("fault", "settings", "error", "is_stored"),
        [
            ("status", {"status": 500}, OutcomeUnknown, False),
            ("status", {"status": 502}, OutcomeUnknown, False),
            ("status", {"status": 503}, OutcomeUnknown, False),
            ("status", {"status": 504}, OutcomeUnknown, False),
            ("status", {"status": 408}, OutcomeUnknown, False),
            ("lose_response", {}, OutcomeUnknown, True),
            ("reset_before", {}, OutcomeUnknown, False),
            ("reset_after", {}, OutcomeUnknown, True),
            ("status", {"status": 400}, Rejected, False),
            ("status", {"status": 413}, Rejected, False),
            ("status", {"status": 422}, Rejected, False),
            ("status", {"status": 401}, AccessRefused, False),
            ("status", {"status": 403}, AccessRefused, False),
            ("status", {"status": 404}, Missing, False),
            ("status", {"status": 429}, RateLimited, False),
        ],
    )
    def test_each_failure_is_its_kind_and_was_one_post(
        self, warm, honcho, workspace, fault, settings, error, is_stored
    ):
        failing(honcho, fault, **settings)
        with pytest.raises(HonchoFailure) as found:
            warm.send(workspace, "s", [message(content=SECRET)], deadline=5)
        assert type(found.value) is error
        assert posts(honcho) == 1
        assert len(stored(honcho, workspace)) == is_stored
        assert SECRET not in str(found.value)

    @pytest.mark.parametrize("commit", [True, False])
    def test_a_hang_ends_at_the_deadline_and_its_socket_is_closed(
        self, warm, honcho, workspace, commit
    ):
        failing(honcho, "hang", commit=commit)
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            warm.send(workspace, "s", [message()], deadline=0.5)
        assert 0.4 < time.monotonic() - began < 2
        honcho.control.clear()
        warm.send(workspace, "s", [message()], deadline=5)  # over a connection of its own
        assert len(honcho.control.messages(workspace, "s")) == 1 + commit

    def test_a_slow_drip_ends_at_the_deadline_of_the_whole_request(self, warm, honcho, workspace):
        failing(honcho, "drip", seconds=0.1, chunk=1)
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            warm.send(workspace, "s", [message()], deadline=0.6)
        assert 0.5 < time.monotonic() - began < 2

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_a_rate_limit_says_how_long_in_either_form(self, warm, honcho, workspace, form):
        failing(honcho, "status", status=429, retry_after=30, retry_after_form=form)
        with pytest.raises(RateLimited) as found:
            warm.send(workspace, "s", [message()], deadline=5)
        assert found.value.retry_after == pytest.approx(30, abs=1.5)

    @pytest.mark.parametrize(
        "content", [f"{SECRET} <|endoftext|>", SECRET * 2000], ids=["special token", "too long"]
    )
    def test_what_honcho_refuses_is_not_echoed(self, warm, honcho, workspace, content):
        with pytest.raises(Rejected) as found:
            warm.send(workspace, "s", [message(content=content)], deadline=5)
        assert SECRET not in whole_text(found.value)
        assert "body.messages" in str(found.value)

    @pytest.mark.parametrize("content", [f"{SECRET}\ud800", "   "], ids=["surrogate", "blank"])
    def test_what_the_sdk_refuses_is_not_sent_and_not_echoed(
        self, warm, honcho, workspace, content
    ):
        honcho.control.reset_counters()
        with pytest.raises(HonchoFailure) as found:
            warm.send(workspace, "s", [message(content=content)], deadline=5)
        assert honcho.control.counters()["message_posts"] == 0
        assert SECRET not in whole_text(found.value)


class TestIds:
    BAD = ("../../../workspaces/other/sessions/x", "a.b", "", "x" * 101, "ü", "a\n", "a b")

    @pytest.mark.parametrize("bad", BAD)
    def test_no_request_is_made_for_what_is_no_id(self, client, honcho, bad):
        row = message(peer=bad)
        calls = [
            lambda: client.send(bad, "s", [message()], deadline=5),
            lambda: client.send("w", bad, [message()], deadline=5),
            lambda: client.send("w", "s", [row], deadline=5),
            lambda: client.find("w", bad, [row.id], deadline=5),
            lambda: client.add_peers("w", bad, {"a": USER_OBSERVING}, deadline=5),
            lambda: client.add_peers("w", "s", {bad: USER_OBSERVING}, deadline=5),
            lambda: client.check(bad, deadline=5),
        ]
        for call in calls:
            with pytest.raises(InvalidIdError):
                call()
        assert honcho.control.counters()["total"] == 0


class TestFind:
    def test_it_finds_what_is_there_and_nothing_else(self, client, workspace):
        rows = [message(i) for i in range(1, 6)]
        client.send(workspace, "s", rows[:3], deadline=10)
        client.send(workspace, "other", rows[3:], deadline=10)
        asked = [row.id for row in rows]
        assert client.find(workspace, "s", asked, deadline=10) == set(asked[:3])

    def test_it_finds_more_than_a_page(self, client, workspace):
        rows = [message(i) for i in range(1, 151)]
        client.send(workspace, "s", rows[:100], deadline=10)
        client.send(workspace, "s", rows[100:], deadline=10)
        asked = [row.id for row in rows]
        assert client.find(workspace, "s", asked, deadline=10) == set(asked)

    def test_a_session_that_does_not_exist_holds_nothing(self, client, workspace):
        assert client.find(workspace, "none", [uuid.uuid4()], deadline=10) == set()

    def test_a_look_up_that_fails_is_never_an_empty_answer(self, warm, honcho, workspace):
        honcho.control.add_rule("status", path=f"{MESSAGES}/list", status=500)
        with pytest.raises(OutcomeUnknown):
            warm.find(workspace, "s", [uuid.uuid4()], deadline=5)


class TestPeers:
    def test_peers_join_with_their_settings_before_their_first_message(
        self, client, honcho, workspace
    ):
        peers = {"ann": USER_OBSERVING, "bot": AGENT_OBSERVING}
        client.add_peers(workspace, "s", peers, deadline=10)
        client.add_peers(workspace, "s", peers, deadline=10)
        with httpx.Client() as http:
            reader = Honcho(base_url=honcho.url, workspace_id=workspace, http_client=http)
            found = {p: reader.session("s").get_peer_configuration(p) for p in peers}
        assert {n: (c.observe_me, c.observe_others) for n, c in found.items()} == {
            "ann": (True, False),
            "bot": (True, True),
        }


class TestKey:
    @pytest.mark.parametrize("key", [None, f"{KEY}-wrong"])
    def test_a_wrong_key_is_said_without_saying_it(self, keyed_honcho, key):
        client = HonchoClient(keyed_honcho.url, key)
        with pytest.raises(AccessRefused, match="HONCHO_API_KEY") as found:
            client.check("w", deadline=5)
        client.close()
        assert KEY not in whole_text(found.value)

    def test_the_right_key_opens(self, keyed_honcho):
        client = HonchoClient(keyed_honcho.url, keyed_honcho.key)
        client.check("w", deadline=5)
        client.send("w", "s", [message()], deadline=5)
        client.close()


class TestSharing:
    def test_sixteen_threads_share_one_client(self, client, honcho, workspace):
        def work(number: int) -> bool:
            name = f"t{number % 16}"
            row = message(number)
            client.send(workspace, name, [row], deadline=10)
            return client.find(workspace, name, [row.id], deadline=10) == {row.id}

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(work, range(160)))
        total = honcho.control.audit(workspace)["total"]
        assert (total["stored"], total["duplicates"]) == (160, 0)

    def test_a_deadline_is_the_calling_threads_own(self, warm, honcho, workspace):
        honcho.control.add_rule("latency", path=f"{MESSAGES}/list", seconds=0.6)
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(warm.find, workspace, "s", [uuid.uuid4()], deadline=0.2)
            assert warm.find(workspace, "s", [uuid.uuid4()], deadline=10) == set()
            with pytest.raises(OutcomeUnknown):
                late.result()

    def test_a_forked_child_builds_its_own(self, stack_env):
        from afterturn_worker import resources as room

        parent = room.resources()
        parent.honcho.check("w", deadline=5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
            child = os.fork()
        if child == 0:  # pragma: no cover - in the child
            own = room.resources()
            own.honcho.check("w", deadline=5)
            os._exit(0 if own is not parent and own.honcho is not parent.honcho else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        parent.honcho.check("w", deadline=5)
        room.dispose()


def test_why_the_sdks_own_retries_are_off(honcho, workspace):
    """With its defaults, an answer that is lost twice stores one message three times."""
    with httpx.Client() as http:
        honcho.control.add_rule("lose_response", method="POST", path=MESSAGES, count=2)
        rival = Honcho(base_url=honcho.url, workspace_id=workspace, http_client=http)
        rival.session("s").add_messages(rival.peer("ann").message("hello"))
        assert len(honcho.control.messages(workspace, "s")) == 3

        honcho.control.add_rule("lose_response", method="POST", path=MESSAGES, count=2)
        ours = Honcho(base_url=honcho.url, workspace_id=workspace, http_client=http, max_retries=0)
        with pytest.raises(HonchoError):
            ours.session("once").add_messages(ours.peer("ann").message("hello"))
        assert len(honcho.control.messages(workspace, "once")) == 1


def whole_text(error: BaseException) -> str:
    """What of an error could end in a log: its text, and its traceback with every cause."""
    return str(error) + "".join(traceback.format_exception(error))
