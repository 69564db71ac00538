"""The table: printed as it comes, and written into the docs between its marks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bench.child import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path("docs/performance.md")
BEGIN, END = "<!-- bench: table -->", "<!-- bench: end of table -->"
_NONE = "-"
SIGN = {"at most": "≤", "at least": "≥", "less than": "<"}
_HEAD = "| question | over | ratio | 95% interval | aim | |\n|---|---|---|---|---|---|"


def print_rows(answer: dict[str, Any], out: TextIO) -> None:
    """Print what one question answered, and where the time goes where it is not as it is to be."""
    for row in answer["rows"]:
        state = "met   " if row["met"] else "MISSED"
        print(
            f"{state} {row['what']}: {_value(row)} x {row['over']} ({_interval(row)};"
            f" aim {_aim(row)}){'; ' + row['note'] if row['note'] else ''}",
            file=out,
            flush=True,
        )
    if answer["profile"]:
        print(answer["profile"], file=out, flush=True)


def table(report: dict[str, Any]) -> str:
    """Give the table of a report, and on what it was measured."""
    lines = [_line(row) for answer in report["questions"].values() for row in answer["rows"]]
    return "\n".join([_HEAD, *lines, "", *_notes(report), _machine(report)])


def write_page(report: dict[str, Any], path: Path) -> None:
    """Put the table between the marks of a page. Raises ValueError where the marks are missing."""
    place = path if path.is_absolute() else ROOT / path
    text = place.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the table: {BEGIN} … {END}")
    draft = place.with_suffix(".draft")
    draft.write_text(f"{before}{BEGIN}\n{table(report)}\n{END}{after}", encoding="utf-8")
    draft.replace(place)


def _line(row: dict[str, Any]) -> str:
    state = "met" if row["met"] else "**missed**"
    return f"| {row['what']} | {row['over']} | {_value(row)} | {_interval(row)} | {_aim(row)} | {state} |"


def _notes(report: dict[str, Any]) -> Iterator[str]:
    for answer in report["questions"].values():
        for row in answer["rows"]:
            if row["note"]:
                yield f"- {row['what']}: {row['note']}."
    yield ""


def _machine(report: dict[str, Any]) -> str:
    here = report["machine"]
    mode = "short" if report["short"] else "full"
    return (
        f"{here['cores']} cores ({here['cpu']}), {here['memory_gib']:g} GiB, {here['system']},"
        f" Python {here['python']}; {mode} run of {report['seconds'] / 60:.1f} minutes,"
        f" load {here['load']:g} before it."
    )


def _value(row: dict[str, Any]) -> str:
    return _NONE if row["ratio"] is None else number(row["ratio"]["value"])


def _interval(row: dict[str, Any]) -> str:
    if row["ratio"] is None or row["ratio"]["low"] is None:
        return _NONE
    low, high = row["ratio"]["low"], row["ratio"]["high"]
    return "counted" if low == high else f"{number(low)} to {number(high)}"


def _aim(row: dict[str, Any]) -> str:
    return f"{SIGN[row['sense']]} {row['aim']:g}"


def number(value: float | None) -> str:
    """Give a ratio with three digits that mean something."""
    if value is None or math.isnan(value):
        return _NONE
    if not value:
        return "0"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
