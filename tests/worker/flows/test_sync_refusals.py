"""What Honcho refuses for its content: narrowed down, mended or set aside, and nothing else is."""

from __future__ import annotations

import pytest

from afterturn_models.errors import InvalidIdError, Rejected
from afterturn_models.values import Outgoing, Standing
from afterturn_worker.flows.lease import SyncLimits
from support.memory_honcho import Answer, Fate, Taste
from support.memory_ports import TOKEN, Crash
from support.sync_world import LIMITS, World


@pytest.fixture(params=[True, False], ids=["named", "unnamed"])
def world(request: pytest.FixtureRequest) -> World:
    made = World()
    made.honcho.taste = Taste(names_it=request.param)
    return made


def stored(world: World) -> list[Outgoing]:
    return world.honcho.stored["w", "s"]


def deliveries(world: World) -> str:
    return "".join(row.delivery[0] for row in world.cursor.rows)


def test_one_message_is_set_aside_and_the_rest_goes_on(world: World) -> None:
    world.capture("u" * 60 + "x" + "u" * 60)
    assert world.run() is Standing.SYNCED
    assert deliveries(world) == "s" * 60 + "q" + "s" * 60
    assert world.cursor.rows[60].reason == "422 for a reason"
    assert world.exactly_once()
    assert world.honcho.posts <= (6 if world.honcho.taste.names_it else 26)


@pytest.mark.parametrize("said", ["x", "xu", "ux", "xxx", "uxlxu", "lxl", "bxtb"])
def test_wherever_they_stand(world: World, said: str) -> None:
    world.capture(said)
    assert world.run() is Standing.SYNCED
    assert deliveries(world) == "".join({"x": "q", "b": "q", "l": "l"}.get(c, "s") for c in said)
    assert world.exactly_once()
    assert world.cursor.narrowed_to is None


def test_special_tokens_arrive_neutralised_and_marked(world: World) -> None:
    world.capture("u" * 3 + "t" + "u" * 3)
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()
    assert [row.mended for row in stored(world)] == [False] * 3 + [True] + [False] * 3
    assert stored(world)[3].content == "said 4 <\u200c|endoftext|>"
    assert world.cursor.rows[3].content == f"said 4 {TOKEN}"  # history keeps what was said


def test_what_is_refused_mended_too_is_set_aside(world: World) -> None:
    world.capture("ubu")
    world.run()
    assert deliveries(world) == "sqs"
    assert world.cursor.rows[1].mended


@pytest.mark.parametrize("status", [413, 422])
def test_both_statuses_are_about_content(world: World, status: int) -> None:
    world.honcho.taste.status = status
    world.capture("uxu")
    world.run()
    assert deliveries(world) == "sqs"


def test_a_refusal_of_the_request_sets_nothing_aside(world: World) -> None:
    world.capture("uau")
    for _ in range(4):
        world.honcho.sends.append(Fate(Answer.REJECTED))
        assert world.run() is Standing.WAITING
        world.clock.pass_(60)
    assert deliveries(world) == "sss"
    assert (world.cursor.last_error, world.cursor.attempts) == ("400", 4)
    assert world.run() is Standing.SYNCED
    assert world.exactly_once()


def test_narrowing_goes_on_where_the_pace_or_the_slice_ended_it(world: World) -> None:
    """One request a run: whoever began again with a hundred each time would never end."""
    world.capture("u" * 50 + "x" + "u" * 49)
    runs = 0
    while world.cursor.last_saved_index < 100 or world.cursor.intent:
        world.pace.waits.extend([0.0, 0.25])
        world.run()
        world.pace.waits.clear()
        world.clock.pass_(1)
        runs += 1
        assert runs < 20
    assert deliveries(world) == "s" * 50 + "q" + "s" * 49
    assert world.exactly_once()


def test_narrowing_goes_on_after_a_rate_limit(world: World) -> None:
    world.capture("u" * 50 + "x" + "u" * 49)
    for _ in range(20):
        world.honcho.sends.extend([Fate(), Fate(Answer.LIMITED)])
        if world.run() is Standing.SYNCED:
            break
        world.honcho.sends.clear()
        world.clock.pass_(10)
    assert deliveries(world) == "s" * 50 + "q" + "s" * 49
    assert world.exactly_once()


@pytest.mark.parametrize("method", ["mend", "quarantine"])
@pytest.mark.parametrize("after", [True, False])
def test_a_crash_around_setting_aside(world: World, method: str, *, after: bool) -> None:
    world.capture("ubu")
    real = getattr(world.store, method)

    def crash(*args):
        setattr(world.store, method, real)
        if after:
            real(*args)
        raise Crash

    setattr(world.store, method, crash)
    with pytest.raises(Crash):
        world.run()
    world.until_synced()
    assert deliveries(world) == "sqs"
    assert world.exactly_once()


@pytest.mark.parametrize("method", ["mend", "quarantine"])
def test_who_lost_the_lease_sets_nothing_aside(world: World, method: str) -> None:
    """The next owner, whose Honcho takes it meanwhile, has sent it."""
    world.capture("b")
    real = getattr(world.store, method)

    def slow(*args):
        setattr(world.store, method, real)
        world.clock.pass_(LIMITS.lease + 1)
        world.honcho.taste.takes_all = True
        world.until_synced()
        return real(*args)

    setattr(world.store, method, slow)
    assert world.run() is Standing.BUSY
    assert deliveries(world) == "s"
    assert world.exactly_once()


def test_an_invalid_peer_is_set_aside_alone_and_joins_nothing(world: World) -> None:
    world.capture("uuuu")
    world.cursor.rows[2].peer = "not an id"
    send = world.honcho.send

    def checked(workspace, session, messages, *, deadline):
        for index, row in enumerate(messages):
            if " " in row.peer:
                raise InvalidIdError("no id", index=index, about_content=True)
        send(workspace, session, messages, deadline=deadline)

    world.honcho.send = checked
    assert world.run() is Standing.SYNCED
    assert deliveries(world) == "ssqs"
    assert world.exactly_once()
    assert {peer for _, _, peer in world.honcho.joined} == {"ann", "bot"}


def test_the_rest_of_a_batch_is_narrowed_down_without_doubling_what_is_there(world: World) -> None:
    world.honcho.taste.takes_all = True
    world.capture("uuuuxutu")
    world.honcho.sends.append(Fate(Answer.PARTIAL))
    assert world.run() is Standing.WAITING
    world.honcho.taste.takes_all = False
    for _ in range(30):  # one request a run here too, and each may end in a rate limit
        world.pace.waits.extend([0.0, 0.25])
        if world.run() is Standing.SYNCED:
            break
        world.pace.waits.clear()
        world.clock.pass_(LIMITS.settling + 1)
    assert deliveries(world) == "ssssqsss"
    assert world.exactly_once()


def test_the_pace_keeps_the_rest_of_a_batch_as_such(world: World) -> None:
    """Forgetting which rows are there would double them."""
    world.capture("uuuu")
    world.honcho.sends.append(Fate(Answer.PARTIAL))
    world.run()
    world.clock.pass_(LIMITS.settling + 1)
    world.pace.waits.append(0.25)
    assert world.run() is Standing.WAITING
    assert world.again == [0.25]
    world.until_synced()
    assert world.exactly_once()


def test_the_pace_is_no_failure(world: World) -> None:
    world.capture("u")
    world.pace.waits.append(0.25)
    assert world.run() is Standing.WAITING
    assert (world.cursor.attempts, world.cursor.last_error, world.honcho.posts) == (0, None, 0)
    assert world.cursor.run_at == world.clock.now + 0.25
    world.clock.pass_(0.25)
    assert world.run() is Standing.SYNCED
    assert world.pace.held == 0


def test_a_rate_limit_pauses_everyone_wherever_it_is_met(world: World) -> None:
    world.capture("u")
    world.honcho.others.append(Fate(Answer.LIMITED))  # adding the peers
    world.run()
    world.clock.pass_(10)
    world.honcho.sends.append(Fate(Answer.LIMITED))
    world.run()
    assert world.pace.paused == [3.0, 3.0]
    assert world.pace.held == 0


def test_slow_refusals_end_within_the_lease(world: World) -> None:
    """Each POST has its own renewed lease, and a share that is over is left to another."""
    world.capture("u" * 50 + "x" + "u" * 49)
    send = world.honcho.send

    def slow(*args, **kwargs):
        world.clock.pass_(6)
        send(*args, **kwargs)

    world.honcho.send = slow
    standings = [world.run(SyncLimits(slice=5.0))]
    while standings[-1] is Standing.MORE:
        standings.append(world.run(SyncLimits(slice=5.0)))
        assert len(standings) < 20
    assert standings[-1] is Standing.SYNCED
    assert world.exactly_once()


def test_a_rejection_without_more_is_not_about_content() -> None:
    assert not Rejected("400", status=400).about_content
