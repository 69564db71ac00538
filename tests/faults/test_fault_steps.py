"""The suite kills where it says it does: each step is recognised by its own statement alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from afterturn_models.store import capture, cursors
from afterturn_models.store.many_leases import CURSORS, Step
from afterturn_models.store.sessions import OpenSession
from afterturn_models.values import Claim, Intent, NewMessage, Postponement, Role
from support.faults.events import Shape, draw
from support.faults.reading import STATEMENTS, HttpReader, PostgresReader, step_of


class Asked(Exception):  # noqa: N818 - it carries a statement, and is nobody's error
    """What a store function asks of its connection."""


class Asking:
    """A connection that only tells what it is asked."""

    def execute(self, statement: Any, *_: Any, **__: Any) -> None:
        raise Asked(statement.decode() if isinstance(statement, bytes) else str(statement))

    exec_driver_sql = execute


def _statement(ask: Callable[[Any], object]) -> str:
    with pytest.raises(Asked) as asked:
        ask(Asking())
    return str(asked.value)


_CLAIM = Claim(
    session_id=uuid.uuid4(),
    epoch=1,
    workspace="w",
    agent_peer="bot",
    last_saved_index=0,
    due_index=2,
    attempts=0,
    intent=None,
    settled=False,
)
_ROW = NewMessage(uuid.uuid4(), Role.USER, "ann", "yes")
_OPEN = OpenSession(_CLAIM.session_id, 1, "s", turns=0, last_index=0)
_STORE: dict[str, Callable[[Any], object]] = {
    "claim": lambda to: cursors.claim(to, _CLAIM.session_id, owner="w1", lease=1),
    "intent": lambda to: cursors.advance(to, _CLAIM, saved=1, intent=None, lease=1),
    "release": lambda to: cursors.release(to, _CLAIM, saved=2),
    "postpone": lambda to: cursors.postpone(to, _CLAIM, Postponement(saved=1, seconds=1)),
    "capture": lambda to: capture.capture_turn(
        to, _OPEN, "bot", uuid.uuid4(), [_ROW], capture.WritePolicy()
    ),
}


@pytest.mark.parametrize("step", STATEMENTS)
def test_each_step_is_recognised_by_what_the_store_says(step: str) -> None:
    assert step_of(_statement(_STORE[step])) == step


_MANY: dict[str, Callable[[Any], object]] = {
    "claim": lambda to: CURSORS.claim(to, {}, owner="w1", lease=1, most=9),
    "intent": lambda to: CURSORS.advance(to, {}, [Step(_CLAIM, 1, Intent(2, 3))], lease=1),
    "release": lambda to: CURSORS.release(to, {}, [Step(_CLAIM, 2)]),
}


@pytest.mark.parametrize("step", _MANY)
def test_a_drain_takes_the_same_steps(step: str) -> None:
    assert step_of(_statement(_MANY[step])) == step


def test_no_other_statement_is_taken_for_a_step() -> None:
    assert step_of(_statement(lambda to: cursors.standing(to, _CLAIM.session_id))) is None


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def test_a_prepared_statement_is_recognised_when_its_text_is_not_on_the_wire() -> None:
    claim = _statement(_STORE["claim"]).encode()
    start = (8).to_bytes(4, "big") + (196608).to_bytes(4, "big")
    prepare = _message(b"P", b"_pg3_0\0" + claim + b"\0\0\0")
    execute = _message(b"B", b"\0_pg3_0\0" + bytes(6)) + _message(b"E", bytes(5))
    reader = PostgresReader()
    assert reader.steps(start) == []
    assert reader.steps(prepare) == []
    for _ in range(2):
        assert reader.steps(execute[:7]) == []  # half of it is no step yet
        assert reader.steps(execute[7:]) == ["claim"]


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        (b"POST /v3/workspaces/w/sessions/s/messages HTTP/1.1", ["post"]),
        (b"POST /v3/workspaces/w/sessions/s/messages/list?size=100 HTTP/1.1", ["look-up"]),
        (b"POST /v3/workspaces/w/sessions/s/peers HTTP/1.1", ["peers"]),
        (b"GET /v3/workspaces/w/sessions/s/context HTTP/1.1", []),
    ],
)
def test_requests_are_told_apart(line: bytes, steps: list[str]) -> None:
    assert HttpReader().steps(line + b"\r\nHost: x\r\n\r\n") == steps


def test_a_seed_always_draws_the_same_schedule() -> None:
    first, again, other = (draw(seed, Shape(), lease=4) for seed in (7, 7, 8))
    assert first == again != other
