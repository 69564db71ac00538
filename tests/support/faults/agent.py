"""An agent process: real sessions and turns through the real `Memory`, acknowledged line by line.

`python -m support.faults.agent PLAN.json`. Each turn whose end has returned is written down
durably before the next one begins, so that what was captured is known even of a killed agent. One
that is started again goes on where the acknowledgements end.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from afterturn import Memory
from afterturn.spool import Spool
from afterturn_models.sources import home

_LONG_TURN = 60  # messages of a turn that makes a sync take more than one batch


@dataclass(frozen=True)
class Plan:
    """What an agent is to do: `turns` in all, spread over `sessions`, about `pace` seconds apart."""

    acks: str
    seed: int
    sessions: list[str]
    turns: int
    pace: float = 0.05

    def write(self, path: Path) -> None:
        """Write it down for the process."""
        path.write_text(json.dumps(asdict(self)))


def main() -> None:
    """Carry out the plan; ends once every turn is acknowledged and no spool is left."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    done = len(read_acks(plan.acks))
    drawn = random.Random(f"{plan.seed}/{done}")
    # What a user says in a session called quiet stays here, by the writer's own word.
    loud, quiet = Memory.open(), Memory.open(user_memory_mode="local")
    with loud, quiet, Path(plan.acks).open("ab", buffering=0) as acks:
        for _ in range(done, plan.turns):
            name = drawn.choice(plan.sessions)
            ack = converse(quiet if name.startswith("quiet") else loud, name, drawn)
            acks.write(json.dumps(ack).encode() + b"\n")
            os.fsync(acks.fileno())
            time.sleep(drawn.uniform(0, 2 * plan.pace))
        for memory, name in [(quiet if n.startswith("quiet") else loud, n) for n in plan.sessions]:
            while not memory.session(name).flush(0.0) and Spool(home() / "spool").pending():
                time.sleep(0.1)


def converse(memory: Memory, name: str, drawn: random.Random) -> dict[str, Any]:
    """Hold one turn; gives what is to be acknowledged, with the seconds that each call took."""
    times = {}
    began = time.perf_counter()
    session = memory.session(name)
    times["open"], began = time.perf_counter() - began, time.perf_counter()
    turn = session.begin_turn(drawn.choice(["yes", "yes", "and then?", "I live in Porto."]))
    times["begin"] = time.perf_counter() - began
    rows = 2
    if drawn.random() < 0.3:
        turn.add("tool", '{"found": 3}')
        rows += 1
    if drawn.random() < 0.08:
        for place in range(_LONG_TURN):
            turn.add("assistant", f"step {place}")
        rows += _LONG_TURN
    began = time.perf_counter()
    result = turn.end(drawn.choice(["Noted.", "yes", "Anything else?"]))
    times["end"] = time.perf_counter() - began
    return {
        "turn": str(turn.id),
        "session": name,
        "rows": rows,
        "spooled": result.spooled,
        "seconds": times,
    }


def read_acks(path: str | Path) -> list[dict[str, Any]]:
    """Read what was acknowledged; half a line is none."""
    try:
        lines = Path(path).read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


if __name__ == "__main__":
    main()
