"""Verification: what was captured held against what a Honcho has, a window at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

_LISTED = 1000  # rows of each kind that a report names; all are counted


@dataclass(slots=True)
class Findings:
    """What a verification found: rows that were looked at, and those that are not as they should.

    `missing` are not there, `doubled` there more than once, `misplaced` behind one that was
    captured after them.
    """

    checked: int = 0
    missing: list[UUID] = field(default_factory=list)
    doubled: list[UUID] = field(default_factory=list)
    misplaced: list[UUID] = field(default_factory=list)


def compare(
    expected: Sequence[UUID], seen: Sequence[UUID], *, late: Collection[UUID] = ()
) -> Findings:
    """Hold the rows `seen` at Honcho, in its order, against those `expected`, in theirs.

    Rows sent `late` (repairs, and out of quarantine) have no order.
    """
    place = {row: index for index, row in enumerate(expected)}
    counts = Counter(row for row in seen if row in place)
    found = Findings(checked=len(expected))
    found.missing = [row for row in expected if row not in counts]
    found.doubled = [row for row in expected if counts[row] > 1]
    furthest = -1
    for row in dict.fromkeys(seen):
        if row not in place or row in late:
            continue
        if place[row] < furthest:
            found.misplaced.append(row)
        furthest = max(furthest, place[row])
    return found


def merged(report: dict[str, Any], found: Findings) -> dict[str, Any]:
    """Add a window's findings to a part's report, which is JSON: counts, and the first rows."""
    added = dict(report)
    added["checked"] = added.get("checked", 0) + found.checked
    for kind in ("missing", "doubled", "misplaced"):
        rows = [str(row) for row in getattr(found, kind)]
        added[kind] = added.get(kind, 0) + len(rows)
        added[f"{kind}_rows"] = [*added.get(f"{kind}_rows", []), *rows][:_LISTED]
    return added
