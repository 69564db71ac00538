"""`python -m bench`: measure and print ratios; `--json FILE` keeps the figures."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from bench import turn
from bench.harness import Times, ratio_interval

# What is measured, over which floor, and the ratio that it is to stay within.
QUESTIONS = (
    ("turn start, warm", "two pipelined GETDELs", 1.3),
    ("turn end", "two-row insert with commit", 1.5),
)


def main() -> None:
    """Run every measurement."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="of 10 calls each")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    for name in [*os.environ]:
        if name.startswith(("AFTERTURN_", "HONCHO_")):
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="afterturn-bench-") as folder:
        os.environ.update(HOME=folder, AFTERTURN_HOME=folder)
        with turn.servers(Path(folder)) as running:
            times = turn.measure(running, rounds=options.rounds)
    figures = [figure(times, *question) for question in QUESTIONS]
    for found in figures:
        low, high = found["interval"]
        print(
            f"{found['what']}: {found['ratio']:.2f} x {found['floor']}"
            f" (95%: {low:.2f}-{high:.2f}; aim ≤ {found['aim']});"
            f" p99 {found['p99_ratio']:.2f} x its p99"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def figure(times: dict[str, Times], what: str, floor: str, aim: float) -> dict[str, object]:
    """Give one row: milliseconds of this run, and the ratios, which are what counts."""
    over, under = times[what], times[floor]
    return {
        "what": what,
        "floor": floor,
        "aim": aim,
        "ratio": over.p50 / under.p50,
        "interval": ratio_interval(over, under),
        "p99_ratio": over.p99 / under.p99,
        "ms": {name: {"p50": t.p50 * 1e3, "p99": t.p99 * 1e3} for name, t in times.items()},
    }


if __name__ == "__main__":
    main()
