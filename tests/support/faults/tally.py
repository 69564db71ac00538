"""What a session of the fault suite comes to: a table for people, and JSON for whoever compares."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.faults.runs import Outcome

_PLAIN = ("sent", "local", "lost", "doubled", "misordered", "foreign", "unkept")


@dataclass
class Tally:
    """The outcomes of all runs, and the lines that other shows have to say."""

    outcomes: list[Outcome] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count a run."""
        self.outcomes.append(outcome)

    def note(self, name: str, **figures: Any) -> None:
        """Keep the figures of a show."""
        self.figures[name] = figures

    def as_dict(self) -> dict[str, Any]:
        """Give everything as JSON takes it."""
        found: dict[str, Any] = {"figures": self.figures}
        if self.outcomes:
            found["runs"] = self._runs()
        return found

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        path.write_text(json.dumps(self.as_dict(), indent=2, sort_keys=True) + "\n")

    def lines(self) -> list[str]:
        """Say it in lines."""
        told = []
        if self.outcomes:
            runs = self._runs()
            workers = ", ".join(f"{n} on {w}" for w, n in runs["by_workers"].items())
            told.append(
                f"real processes: {runs['count']} runs ({workers} workers), {runs['sound']} sound"
            )
            told += [f"  {name:28} {runs['rows'][name]:>9}" for name in _PLAIN]
            told += [f"  {name:28} {count:>9}" for name, count in sorted(runs["events"].items())]
            for name, call in runs["calls_ms"].items():
                figures = ", ".join(f"{key} {value:.1f}" for key, value in call.items())
                told.append(f"  agent's {name} (ms): {figures}")
        for name, figures in self.figures.items():
            told.append(f"{name}: " + ", ".join(f"{k} {_shown(v)}" for k, v in figures.items()))
        return told

    def _runs(self) -> dict[str, Any]:
        events: Counter[str] = Counter()
        for outcome in self.outcomes:
            events += outcome.counts
        killed = sum(count for name, count in events.items() if name.startswith("killed "))
        return {
            "count": len(self.outcomes),
            "sound": sum(outcome.audit.sound for outcome in self.outcomes),
            "seeds": [outcome.seed for outcome in self.outcomes],
            "by_workers": dict(Counter(str(outcome.workers) for outcome in self.outcomes)),
            "seconds": round(sum(outcome.seconds for outcome in self.outcomes)),
            "rows": {
                name: sum(getattr(outcome.audit, name) for outcome in self.outcomes)
                for name in _PLAIN
            },
            "events": {**events, "workers killed at a step": killed},
            "calls_ms": {name: self._calls(name) for name in ("open", "begin", "end")},
        }

    def _calls(self, name: str) -> dict[str, float]:
        seconds = sorted(one for outcome in self.outcomes for one in outcome.calls[name])
        return {
            "p50": statistics.median(seconds) * 1e3,
            "p99": seconds[int(len(seconds) * 0.99)] * 1e3,
            "max": seconds[-1] * 1e3,
        }


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
