"""What CPU does a turn cost the agent's process, threads in the background included?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.answers import Answer, Bars, Row
from bench.counts import http_calls
from bench.harness import Times, ratio
from bench.lab import said

if TYPE_CHECKING:
    from bench.lab import Lab

TITLE = "CPU of the agent's process a turn, against the Hermes provider"
_PAUSE = 0.04  # after each start and each end, so that what runs behind a turn is counted with it
_TURNS = 15


def run(lab: Lab) -> Answer:
    """Let every agent hold turns in a process of its own, by turns; workers run beside ours."""
    with lab.place() as place:
        control = place.honcho()
        place.worker(threads=8)
        agents = {
            "afterturn": place.child("bench.agent_process"),
            "Hermes provider": place.hermes(),
            "thread design": place.child("bench.rivals.threads"),
        }
        for agent in agents.values():
            agent.ask("open", talks=1, texts=said())
            agent.ask("turns", count=_TURNS, pause=_PAUSE)
        cpu = {name: Times() for name in agents}
        requests = dict.fromkeys(agents, 0)
        for _ in range(lab.rounds(10, 2)):
            for name, agent in agents.items():
                before = http_calls(control)
                spent = agent.ask("turns", count=_TURNS, pause=_PAUSE)["cpu"]
                cpu[name].add(spent / _TURNS)
                requests[name] += http_calls(control) - before
    shown = {name: round(found.p50 * 1e3, 3) for name, found in cpu.items()}
    row = Row(
        "CPU of the agent's process a turn",
        "Hermes provider",
        ratio(cpu["afterturn"], cpu["Hermes provider"]),
        1.0,
        "less than",
    )
    figures = {"cpu_ms": shown, "http": requests}
    return Answer([row], figures, Bars("CPU of the agent's process a turn", "ms", shown))
