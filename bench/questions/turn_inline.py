"""How much less does a user wait than for a Honcho that is called inline?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.answers import Answer, Bars, Row, milliseconds
from bench.counts import per_call
from bench.harness import Contestant, interleave, p50, ratio, together
from bench.lab import LATENCY, said
from bench.questions.turn_end import end
from bench.questions.turn_start import start
from bench.rivals.inline import Inline
from bench.rivals.threads import Threads

if TYPE_CHECKING:
    from bench.lab import Lab

TITLE = "A turn's start and end, against Honcho called inline"
_START, _END = "afterturn, start", "afterturn, end"
_INLINE_START, _INLINE_END = "inline, start", "inline, end"
_THREADS = "threads, start and end"


def run(lab: Lab) -> Answer:
    """Measure both, with a Honcho that answers in 200 ms; the thread design beside them."""
    with lab.place() as place:
        control = place.honcho(LATENCY)
        memory = place.memory()
        inline = Inline(1, url=place.honcho_url, workspace=f"{place.name}-inline")
        threads = Threads(1, url=place.honcho_url, workspace=f"{place.name}-threads")
        text, reply = said()[0]
        calls = 2
        contestants = {
            _START: start(memory, place.redis(), place.connection()),
            _END: end(memory, "bench-end"),
            _INLINE_START: Contestant(lambda: inline.begin(0, text), calls=calls),
            _INLINE_END: Contestant(lambda: inline.end(0, text, reply), calls=calls),
            # A person reads and writes in between, and by then the threads are done.
            _THREADS: Contestant(lambda: _whole(threads, text, reply), threads.join, calls=calls),
        }
        times = interleave(contestants, rounds=lab.rounds(20, 6))
        counts = per_call(
            lambda: _whole(inline, text, reply),
            redis_url=place.redis_url,
            control=control,
            times=2,
        )
    ours = together(times[_START], times[_END])
    theirs = together(times[_INLINE_START], times[_INLINE_END])
    row = Row(
        "turn start + end, less than inline",
        "inline Honcho at 200 ms",
        ratio(theirs, ours),
        200,
        "at least",
    )
    shown = {
        "afterturn": p50(ours.values) * 1e3,
        "threads": times[_THREADS].p50 * 1e3,
        "inline": p50(theirs.values) * 1e3,
    }
    plot = Bars("A turn's start and end, Honcho at 200 ms, p50", "ms", shown, log=True)
    return Answer([row], {"ms": milliseconds(times), "inline_counts": counts}, plot)


def _whole(rival: Inline, text: str, reply: str) -> None:
    rival.begin(0, text)
    rival.end(0, text, reply)
