"""`python -m bench`: measure, print ratios, draw plots, and write the table into the docs."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.answers import Answer, Row
from bench.page import PAGE, print_rows, write_page
from bench.plots import draw
from bench.questions import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.lab import Lab


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the questions; 1 where one of them could not be asked."""
    options = _options(arguments)
    # Imported once it is known that there is something to do.
    from bench.lab import Lab, clean_environment
    from bench.machine import machine

    # What was started is ended however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began, found = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="afterturn-bench-") as folder:
        clean_environment(Path(folder))
        here = machine()
        with Lab(Path(folder), short=options.short) as lab:
            for name in options.only or NAMES:
                found[name] = _ask(lab, name)
        report = {
            "machine": here,
            "short": options.short,
            "seconds": round(time.monotonic() - began, 1),
            "questions": found,
        }
        _keep(report, options)  # in here: what draws leaves a cache in its home
    return int(any("error" in one for one in found.values()))


def _keep(report: dict[str, Any], options: argparse.Namespace) -> None:
    """Write what was asked for."""
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.plots:
        draw(report, options.plots)
    if options.page:
        write_page(report, options.page)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer rounds, smaller backlogs")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--plots", type=Path, help="draw plots into this folder")
    parser.add_argument(
        "--page", type=Path, nargs="?", const=PAGE, help=f"write the table into it ({PAGE})"
    )
    options = parser.parse_args(arguments)
    if options.page and options.only:
        parser.error("--page writes the whole table: leave --only out")
    return options


def _ask(lab: Lab, name: str) -> dict[str, Any]:
    """Ask one question; what goes wrong with it leaves the others their answers."""
    question = import_module(f"bench.questions.{name}")
    began = time.monotonic()
    before = {**os.environ}
    try:
        answer: Answer = question.run(lab)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this question's
        traceback.print_exc()
        row = Row(question.TITLE, "", None, 0.0, note=f"not measured: {error}")
        found = {**Answer([row]).as_json(), "error": str(error)}
    else:
        found = answer.as_json()
    finally:
        os.environ.clear()
        os.environ.update(before)
    found |= {"title": question.TITLE, "seconds": round(time.monotonic() - began, 1)}
    print_rows(found, sys.stdout)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
