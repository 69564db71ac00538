"""How many requests does a message take day by day, and is what was prefetched always there?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bench.answers import Answer, Bars, Row
from bench.counts import http_calls
from bench.harness import Ratio
from bench.lab import LATENCY, said, until

if TYPE_CHECKING:
    from afterturn_sandbox.honcho.control import Control
    from bench.child import Child
    from bench.lab import Lab

TITLE = "Steady conversations"
_TALKS, _PACE = 50, 1.5


def run(lab: Lab) -> Answer:
    """Hold fifty conversations, a turn each 1.5 s, over ours and over the ordinary Celery app."""
    ours, theirs = _ours(lab), _ordinary(lab)
    rows = [
        Row(
            "steady: HTTP requests a message",
            "ordinary Celery app",
            Ratio.exactly(ours["per_message"] / theirs["per_message"]),
            0.5,
        ),
        Row(
            "steady: prefetches ready at the next turn",
            "all",
            Ratio.exactly(ours["ready"] / max(1, ours["warm"])),
            1,
            "at least",
        ),
    ]
    shown = {"afterturn": ours["per_message"], "ordinary Celery app": theirs["per_message"]}
    plot = Bars("Fifty conversations, a turn each 1.5 s", "HTTP requests a message", shown)
    return Answer(rows, {"afterturn": ours, "ordinary Celery app": theirs}, plot)


def _ours(lab: Lab) -> dict[str, Any]:
    with lab.place() as place:
        control = place.honcho(LATENCY)
        place.worker(threads=32)
        return _talk(lab, control, place.child("bench.agent_process"))


def _ordinary(lab: Lab) -> dict[str, Any]:
    with lab.place() as place:
        control = place.honcho(LATENCY)
        agent = place.child("bench.rivals.ordinary")
        place.rival_worker("bench.rivals.ordinary", threads=32)
        return _talk(lab, control, agent)


def _talk(lab: Lab, control: Control, agent: Child) -> dict[str, Any]:
    """Talk once for warmth, then count until the last message of the second time is there."""
    agent.ask("open", talks=_TALKS, texts=said())
    warm, turns = 2, lab.rounds(14, 4)
    agent.ask("talk", talks=_TALKS, turns=warm, pace=_PACE)
    _wait(control, 2 * _TALKS * warm)
    before = http_calls(control)
    found = agent.ask("talk", talks=_TALKS, turns=turns, pace=_PACE)
    messages = 2 * _TALKS * turns
    _wait(control, 2 * _TALKS * warm + messages)
    requests = http_calls(control) - before
    return {
        "requests": requests,
        "messages": messages,
        "per_message": round(requests / messages, 3),
        "ready": found["ready"],
        "warm": found["warm"],
        "by_route": control.counters()["requests"],
    }


def _wait(control: Control, stored: int) -> None:
    """Wait until so many messages are at Honcho, and what was fetched after them is there too."""
    until(lambda: control.counters()["messages_stored"] >= stored, within=180, every=0.1)
    last = -1
    while last != (last := http_calls(control)):
        time.sleep(1.0)
