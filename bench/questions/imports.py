"""What does importing the agent's side cost, and what does it load?"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench import floors
from bench.answers import Answer, Bars, Row
from bench.harness import Ratio, Times, ratio

if TYPE_CHECKING:
    from bench.lab import Lab

TITLE = "Importing the agent's side"
_OURS, _ORM = "import afterturn", "ORM, psycopg and redis"
_FOREIGN = ("honcho", "flower", "afterturn_worker")
# Public names come on demand: what an agent calls first is imported too.
_AGENT = "from afterturn import Memory; Memory.open"
_LOADED = f"{_AGENT}; import json, sys; print(json.dumps(sorted(sys.modules)))"


def run(lab: Lab) -> Answer:
    """Import ours and what it builds on, each in a new interpreter, by turns."""
    contestants = {_OURS: _AGENT, _ORM: floors.orm_import()}
    times = {name: Times() for name in (*contestants, "an interpreter")}
    for number in range(1 + lab.rounds(15, 8)):
        for name, what in contestants.items():
            seconds = floors.import_seconds(what)
            if number:  # the first one reads files that the next find in the cache
                times[name].add(seconds)
        began = time.perf_counter()
        floors.interpreter()
        if number:
            times["an interpreter"].add(time.perf_counter() - began)
    loaded = _loaded()
    foreign = sorted({name.partition(".")[0] for name in loaded} & {*_FOREIGN})
    rows = [
        Row(_OURS, _ORM, ratio(times[_OURS], times[_ORM]), 1.25),
        Row(
            "modules of Honcho, Flower or workers that it loads",
            "a count",
            Ratio.exactly(len(foreign)),
            0,
            note=", ".join(foreign),
        ),
    ]
    shown = {name: found.p50 * 1e3 for name, found in times.items()}
    figures: dict[str, Any] = {"ms": shown, "modules": len(loaded), "slowest": _slowest()}
    answer = Answer(rows, figures, Bars("Imports, p50", "ms", shown))
    if answer.missed:
        answer.profile = "\n".join(["own ms, module", *figures["slowest"]])
    return answer


def _loaded() -> list[str]:
    done = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True)
    found: list[str] = json.loads(done.stdout)
    return found


def _slowest(most: int = 16) -> list[str]:
    """Name the modules that take most of the import, by the interpreter's own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", _AGENT],
        check=True,
        capture_output=True,
        text=True,
    )
    found = []
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|", 2)
        if own.strip().isdigit():
            found.append((int(own), name.strip()))
    return [f"{own / 1e3:7.2f} {name}" for own, name in sorted(found, reverse=True)[:most]]
