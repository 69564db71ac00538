"""What CPU does a worker add to what the SDK itself takes for the same batches?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.answers import Answer, Bars, Row
from bench.backlog import conversations, drain, fill
from bench.counts import cpu_of
from bench.floors import SdkBatches
from bench.harness import Times, ratio
from bench.lab import LATENCY, said
from bench.worker_profile import drained_here

if TYPE_CHECKING:
    from bench.lab import Lab

TITLE = "CPU of a worker for a synced message"
_THREADS = 32


def run(lab: Lab) -> Answer:
    """Drain backlogs with a worker, and send the same batches by the SDK on one thread, by turns."""
    with lab.place() as place:
        place.honcho(LATENCY)
        memory, connection = place.memory(), place.connection()
        sessions = conversations(memory, connection, _THREADS)
        worker = place.worker(threads=_THREADS)
        drain(place, connection, fill(connection, sessions, 200))
        place.honcho_url = place.stand_in()  # no need for the floor to wait
        sdk = SdkBatches(place, said())
        sdk.send("warm", 20)
        ours, theirs = Times(), Times()
        for number in range(lab.rounds(5, 2)):
            before = cpu_of(worker.pid)
            waiting = fill(connection, sessions, lab.rounds(1_600, 400))
            drain(place, connection, waiting)
            ours.add((cpu_of(worker.pid) - before) / waiting.total * 1e6)
            batches = lab.rounds(200, 80)
            theirs.add(sdk.send(f"round-{number}", batches) / (100 * batches) * 1e6)
    shown = {"afterturn's worker": ours.p50, "the SDK's add_messages alone": theirs.p50}
    row = Row("worker CPU a synced message", "the SDK's add_messages", ratio(ours, theirs), 1.75)
    plot = Bars("CPU a synced message, in batches of 100", "µs", shown)
    answer = Answer([row], {"us": {name: round(us, 1) for name, us in shown.items()}}, plot)
    if answer.missed:
        answer.profile = drained_here(lab)
    return answer
