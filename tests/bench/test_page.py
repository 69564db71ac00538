"""The table: what is shown of a ratio, what counts as met, and where it goes in the docs."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from bench.answers import Answer, Bars, Lines, Row
from bench.harness import Ratio
from bench.page import BEGIN, END, PAGE, number, print_rows, table, write_page
from bench.plots import draw
from bench.questions import NAMES

from support.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def _row(value: float, sense: Any = "at most", aim: float = 1.3, **more: Any) -> Row:
    return Row("a turn", "the floor", Ratio(value, value - 0.1, value + 0.1), aim, sense, **more)


def _report(*rows: Row, plot: Bars | Lines | None = None, profile: str = "") -> dict[str, Any]:
    answer = Answer([*rows], {"ms": 1}, plot, profile).as_json() | {"title": "T", "seconds": 1.0}
    here = {"cores": 2, "cpu": "a CPU", "memory_gib": 8.0, "system": "Linux", "python": "3.11"}
    return {
        "machine": {**here, "load": 0.5},
        "short": True,
        "seconds": 90.0,
        "questions": {"q": answer},
    }


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (_row(1.3), True),
        (_row(1.304), True),  # shown as 1.30
        (_row(1.31), False),
        (_row(200, "at least", 200), True),
        (_row(199.9, "at least", 200), False),
        (_row(1.0, "less than", 1.0), False),
        (_row(0.99, "less than", 1.0), True),
        (_row(math.nan), False),
        (Row("a turn", "a rival", None, 20, "at least"), False),
    ],
)
def test_what_is_met(row: Row, met: bool) -> None:
    assert row.met is met


def test_a_row_that_is_missed_stays_with_its_note_and_its_profile() -> None:
    row = Row("a turn", "a rival", None, 20, "at least", "not measured: it is not there")
    report = _report(_row(1.2), row, profile="  1.0  where.py")
    shown = table(report)
    assert "| a turn | the floor | 1.20 | 1.10 to 1.30 | ≤ 1.3 | met |" in shown
    assert "| a turn | a rival | - | - | ≥ 20 | **missed** |" in shown
    assert "- a turn: not measured: it is not there." in shown
    out = io.StringIO()
    print_rows(report["questions"]["q"], out)
    assert "MISSED a turn" in out.getvalue()
    assert "where.py" in out.getvalue()


def test_the_report_is_json_without_what_json_has_not() -> None:
    one = _report(Row("a", "b", Ratio(2.0, math.nan, math.nan), 3))
    read = json.loads(json.dumps(one, allow_nan=False))
    assert read["questions"]["q"]["rows"][0]["ratio"] == {"value": 2.0, "low": None, "high": None}
    assert "| a | b | 2.00 | - | ≤ 3 | met |" in table(read)


def test_the_table_takes_the_place_between_its_marks_again_and_again(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "performance.md"
    page.parent.mkdir()
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for value in (1.2, 1.4):
        write_page(_report(_row(value)), page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n| question |")
    assert text.endswith(f"{END}\nafter\n")
    assert "1.40" in text
    assert "1.20" not in text
    assert [*page.parent.iterdir()] == [page]


def test_a_page_without_marks_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "other.md"
    page.write_text("text\n")
    with pytest.raises(ValueError, match="no place for the table"):
        write_page(_report(_row(1.2)), page)
    assert page.read_text() == "text\n"


def test_the_docs_have_a_place_for_it() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert text.index(BEGIN) < text.index(END)


def test_every_question_is_a_file_and_every_file_a_question() -> None:
    there = {path.stem for path in (ROOT / "bench/questions").glob("*.py")} - {"__init__"}
    assert there == {*NAMES}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.0105, "0.0105"), (1.0, "1.00"), (12.345, "12.3"), (412.3, "412"), (None, "-")],
)
def test_numbers_have_three_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_plots_are_drawn_as_svg_and_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the dependency group bench is not installed")
    bars = Bars("A turn", "ms", {"afterturn": 1.0, "inline": 400.0}, log=True)
    lines = Lines("History", "messages", "ms", (100, 2_500), {"afterturn": [1.0, 1.1]})
    for plot in (bars, lines):
        made = draw(_report(_row(1.2), _row(9.9), plot=plot), tmp_path)
        assert {path.name for path in made} == {"ratios.svg", "ratios.png", "q.svg", "q.png"}
        assert all(path.stat().st_size > 1_000 for path in made)
