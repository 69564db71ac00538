"""Does a turn end at the price of one commit, even where Redis swallows everything?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import floors, profiles
from bench.answers import Answer, Bars, Row, milliseconds
from bench.blackhole import black_hole
from bench.counts import per_call
from bench.harness import Contestant, interleave, p99, ratio
from bench.lab import hints_sent, said

if TYPE_CHECKING:
    from afterturn import Memory
    from bench.lab import Lab

TITLE = "A turn's end"
_OURS, _HOLE = "turn end", "turn end, Redis black-holed"
_P50, _P99 = 1.5, 3.0
_PROFILED = 200


def run(lab: Lab) -> Answer:
    """Measure it beside a two-row insert with commit, with Redis and with a black hole for it."""
    with lab.place() as place, black_hole() as hole:
        connection = place.connection()
        ours = end(place.memory(), "bench-end")
        contestants = {
            _OURS: ours,
            _HOLE: end(place.memory(redis_url=hole), "bench-hole"),
            floors.INSERT: floors.insert(connection, *said()[0]),
            floors.LPUSH: floors.lpush(place.redis()),
        }
        times = interleave(contestants, rounds=lab.rounds(200, 40))
        floor = times[floors.INSERT]
        rows = [
            row
            for name in (_OURS, _HOLE)
            for row in (
                Row(f"{name} (p50)", floors.INSERT, ratio(times[name], floor), _P50),
                Row(f"{name} (p99)", "its p99", ratio(times[name], floor, p99), _P99),
            )
        ]
        shown = milliseconds(times)
        counts = per_call(ours.run, redis_url=place.redis_url, prepare=ours.prepare)
        answer = Answer(rows, {"ms": shown, "one": counts}, _plot(shown))
        if answer.missed:
            answer.profile = profiles.of(
                ours.run, prepare=ours.prepare, times=_PROFILED, title=TITLE
            )
    return answer


def end(memory: Memory, name: str) -> Contestant:
    """Give a turn's end, in one long conversation of real texts."""
    session, turns = memory.session(name=name), iter(said() * 1_000)
    text, reply = next(turns)
    state: dict[str, Any] = {"turn": session.begin_turn(text), "reply": reply}

    def prepare() -> None:
        """Begin a turn, when the last one's hint is out: people take longer than it does."""
        hints_sent(memory)
        text, state["reply"] = next(turns)
        state["turn"] = session.begin_turn(text)

    return Contestant(lambda: state["turn"].end(state["reply"]), prepare)


def _plot(shown: dict[str, dict[str, float]]) -> Bars:
    return Bars(
        "A turn's end and its floor, p50", "ms", {name: ms["p50"] for name, ms in shown.items()}
    )
