"""What holds of every call of the recall side: ids, deadlines, outages, how many requests."""

from __future__ import annotations

import dataclasses
import socket
import time
from contextlib import closing

import pytest

from afterturn_models.errors import (
    AccessRefused,
    InvalidIdError,
    OutcomeUnknown,
    RateLimited,
    Unreachable,
)
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.recall_port import View
from support.recall_calls import RECALL

ANY = r"/v3/.*"
every_call = pytest.mark.parametrize("call", RECALL, ids=lambda call: call.name)


@every_call
def test_how_many_requests_it_makes(met, call):
    requests, _ = met.counted(lambda: call.ask(met.client, met.view()))
    assert requests == call.requests


@every_call
def test_in_an_empty_workspace_there_is_nothing_and_no_error(world, call):
    if not call.writes:
        assert call.ask(world.client, world.view()) == call.nothing


@every_call
@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_an_outage_is_not_nothing_known(world, call, status):
    world.control.add_rule("status", path=ANY, status=status)
    with pytest.raises(OutcomeUnknown):
        call.ask(world.client, world.view())


@every_call
def test_a_rate_limit_and_a_refused_key_are_their_kinds(world, call):
    world.control.add_rule("status", path=ANY, status=429, retry_after=7, count=1)
    with pytest.raises(RateLimited) as limited:
        call.ask(world.client, world.view())
    assert limited.value.retry_after == 7
    world.control.clear()
    world.control.add_rule("status", path=ANY, status=401)
    with pytest.raises(AccessRefused):
        call.ask(world.client, world.view())


@every_call
def test_one_request_that_hangs_ends_at_the_deadline(world, call):
    world.control.add_rule("hang", path=ANY)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        call.ask(world.client, world.view(), 0.4)
    assert 0.3 < time.monotonic() - began < 2


@pytest.mark.parametrize(
    "call", [call for call in RECALL if call.requests > 1], ids=lambda call: call.name
)
def test_the_deadline_is_the_whole_calls(met, call):
    """Each request alone would have been in time."""
    met.control.add_rule("latency", path=ANY, seconds=0.4)
    with pytest.raises(OutcomeUnknown):
        call.ask(met.client, met.view(), 0.6)


@every_call
def test_a_deadline_that_has_passed_is_no_answer_and_no_request(met, call):
    with met.watched() as requests:
        with pytest.raises((Unreachable, OutcomeUnknown), match=r"[Dd]eadline"):
            call.ask(met.client, met.view(), 0.0)
        assert requests() == 0


@every_call
def test_what_cannot_be_reached(call):
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    client = HonchoClient(f"http://127.0.0.1:{port}", None)
    with pytest.raises(Unreachable):
        call.ask(client, View("w", "s", "ann", "bot"))
    client.close()


@pytest.mark.parametrize("bad", ["../../../workspaces/other", "a.b", "", "x" * 101, "ü", "a\n"])
def test_no_request_is_made_for_what_is_no_id(world, bad):
    good = View(world.workspace, "s", "ann", "bot", reach="scope", scope="work")
    fields = ("workspace", "session", "user", "agent", "scope")
    calls = (
        *(call.ask for call in RECALL[:10]),
        lambda client, view: client.card(view, "agent", deadline=5),
    )
    with world.watched() as requests:
        for field in fields:
            view = dataclasses.replace(good, **{field: bad})
            for ask in calls:
                with pytest.raises(InvalidIdError):
                    ask(world.client, view)
        assert requests() == 0


@pytest.mark.parametrize("bad", ["../x", "", "x" * 101])
def test_no_request_is_made_for_other_ids_either(world, bad):
    client, good = world.client, world.workspace
    calls = [
        lambda: client.unconclude(world.view(), "user", bad, deadline=5),
        lambda: client.join_scope(bad, "work", "s", deadline=5),
        lambda: client.join_scope(good, bad, "s", deadline=5),
        lambda: client.join_scope(good, "work", bad, deadline=5),
        lambda: client.note_session(bad, "s", {}, deadline=5),
        lambda: client.note_session(good, bad, {}, deadline=5),
        lambda: client.workspace_metadata(bad, deadline=5),
        lambda: client.set_workspace_metadata(bad, {}, deadline=5),
        lambda: client.peer_of_agent(bad, "main", deadline=5),
        lambda: client.note_agent(bad, "bot", "main", deadline=5),
        lambda: client.note_agent(good, bad, "main", deadline=5),
    ]
    with world.watched() as requests:
        for call in calls:
            with pytest.raises(InvalidIdError):
                call()
        assert requests() == 0
