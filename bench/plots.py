"""The plots, as SVG and PNG: one a question that has one, and one of all ratios over their aims."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from bench.page import SIGN, number

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_OURS, _OTHERS, _MISSED = "#2a6f97", "#a9b4c2", "#c8553d"
_WIDTH = 9.0
_TICKS = (0.1, 0.3, 1.0, 3.0, 10.0)


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what a report has to show; gives the files, none where matplotlib is not there."""
    if importlib.util.find_spec("matplotlib") is None:
        print("no plots: matplotlib is missing (the dependency group bench)", file=sys.stderr)
        return []
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures give the same file, whenever it was drawn.
    mpl.rcParams["svg.hashsalt"] = "afterturn"
    folder.mkdir(parents=True, exist_ok=True)
    made = _save(folder, "ratios", lambda axes: _ratios(axes, report), _rows(report))
    for name, answer in report["questions"].items():
        plot = answer["plot"]
        if plot is not None and plot["kind"] == "Bars":
            made += _save(folder, name, lambda axes, p=plot: _bars(axes, p), len(plot["values"]))
        elif plot is not None:
            made += _save(folder, name, lambda axes, p=plot: _lines(axes, p), 8)
    return made


def _save(folder: Path, name: str, paint: Any, rows: int) -> list[Path]:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(_WIDTH, 1.3 + 0.34 * rows), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    paint(axes)
    made = [folder / f"{name}.svg", folder / f"{name}.png"]
    figure.savefig(made[0], metadata={"Date": None})
    figure.savefig(made[1], dpi=130)
    plt.close(figure)
    return made


def _measured(report: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [row for answer in report["questions"].values() for row in answer["rows"]]
    return [row for row in rows if row["ratio"] and row["aim"]]


def _rows(report: dict[str, Any]) -> int:
    return len(_measured(report))


def _ratios(axes: Axes, report: dict[str, Any]) -> None:
    """Each ratio as a share of its aim, so turned that less than 1 is met."""
    rows = _measured(report)[::-1]
    shares = [min(max(_share(row), _TICKS[0]), _TICKS[-1]) for row in rows]
    bars = axes.barh(range(len(rows)), shares, color=[_OURS if r["met"] else _MISSED for r in rows])
    axes.bar_label(bars, [f"{number(r['ratio']['value'])} ({_aim(r)})" for r in rows], padding=3)
    axes.set_yticks(range(len(rows)), _names(rows))
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_xticks([], minor=True)
    axes.set_xlim(_TICKS[0], _TICKS[-1] * 3)
    axes.margins(y=0.01)
    axes.set_xlabel("share of the aim; left of the line is met")


def _share(row: dict[str, Any]) -> float:
    value: float = row["ratio"]["value"]
    if row["sense"] == "at least":
        return float(row["aim"]) / value if value else _TICKS[-1]
    return value / float(row["aim"])


def _aim(row: dict[str, Any]) -> str:
    return f"{SIGN[row['sense']]} {row['aim']:g}"


def _names(rows: list[dict[str, Any]]) -> list[str]:
    """Name each row, with what it is held against where another is called the same."""
    named = Counter(row["what"] for row in rows)
    return [row["what"] + (f", {row['over']}" if named[row["what"]] > 1 else "") for row in rows]


def _bars(axes: Axes, plot: dict[str, Any]) -> None:
    names, values = [*plot["values"]][::-1], [*plot["values"].values()][::-1]
    bars = axes.barh(names, values, color=[_colour(name) for name in names])
    axes.bar_label(bars, fmt="{:,.3g}", padding=3)
    axes.margins(x=0.15)
    if plot["log"]:
        axes.set_xscale("log")
    axes.set_xlabel(plot["unit"])
    axes.set_title(plot["title"], loc="left")


def _lines(axes: Axes, plot: dict[str, Any]) -> None:
    for name, values in plot["lines"].items():
        axes.plot(plot["x"], values, marker="o", label=name, color=_colour(name))
    if plot["log"]:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(plot["x_label"])
    axes.set_ylabel(plot["unit"])
    axes.set_title(plot["title"], loc="left")
    axes.legend(frameon=False)


def _colour(name: str) -> str:
    return _OURS if name.startswith(("afterturn", "turn ")) else _OTHERS
