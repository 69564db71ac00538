"""Does a turn cost the same behind a long history?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench import profiles
from bench.answers import Answer, Lines, Row, milliseconds
from bench.backlog import conversations, fill
from bench.harness import Contestant, Times, interleave, ratio, together
from bench.lab import hints_sent, said
from bench.rivals.whole_file import WholeFile

if TYPE_CHECKING:
    from afterturn import Memory, Session
    from bench.lab import Lab

TITLE = "A turn behind a long history"
_SIZES = (100, 2_500, 50_000)
_LONG = 10_000  # messages from which a file is read and written once a round only


def run(lab: Lab) -> Answer:
    """Measure start and end at each length, and a history that is one JSON file."""
    with lab.place() as place:
        memory, connection = place.memory(), place.connection()
        sessions = dict(zip(_SIZES, conversations(memory, connection, len(_SIZES)), strict=True))
        for size, session in sessions.items():
            fill(connection, (session,), size, settled=True)
        contestants: dict[str, Contestant] = {}
        exchange = said()[0]
        for number, size in enumerate(_SIZES):
            start, end = _turn(memory, memory.session(name=f"talk-{number}"))
            contestants |= {f"start {size}": start, f"end {size}": end}
            file = WholeFile(place.folder / f"history-{size}.json", size, said())
            contestants[f"file {size}"] = Contestant(
                partial(file.turn, *exchange), calls=1 if size > _LONG else None
            )
        times = interleave(contestants, rounds=lab.rounds(60, 15), calls=5, warm_up=10)
        whole = {size: together(times[f"start {size}"], times[f"end {size}"]) for size in _SIZES}
        least, most = min(_SIZES), max(_SIZES)
        row = Row(
            "turn start + end behind 50,000 messages",
            "behind 100",
            ratio(whole[most], whole[least]),
            1.3,
        )
        against = ratio(times[f"file {most}"], whole[most])
        answer = Answer([row], {"ms": milliseconds(times), "file_over_ours": against.value})
        answer.plot = _plot(times, whole)
        if answer.missed:
            long = contestants[f"end {most}"]
            answer.profile = profiles.of(long.run, prepare=long.prepare, times=100, title=TITLE)
    return answer


def _turn(memory: Memory, session: Session) -> tuple[Contestant, Contestant]:
    """Give a session's start and its end, each prepared by the other."""
    turns = iter(said() * 1_000)
    state: dict[str, Any] = {"turn": session.begin_turn(next(turns)[0]), "reply": ""}

    def begin() -> None:
        state["turn"] = session.begin_turn(state["text"])

    def end() -> None:
        state["turn"].end(state["reply"])

    def before_begin() -> None:
        state["turn"].end("So be it.")
        state["text"], state["reply"] = next(turns)
        hints_sent(memory)

    def before_end() -> None:
        hints_sent(memory)
        text, state["reply"] = next(turns)
        state["turn"] = session.begin_turn(text)

    return Contestant(begin, before_begin), Contestant(end, before_end)


def _plot(times: dict[str, Times], whole: dict[int, Times]) -> Lines:
    return Lines(
        "A turn behind a history",
        "messages",
        "ms",
        _SIZES,
        {
            "afterturn, start and end": [whole[size].p50 * 1e3 for size in _SIZES],
            "one JSON file": [times[f"file {size}"].p50 * 1e3 for size in _SIZES],
        },
        log=True,
    )
