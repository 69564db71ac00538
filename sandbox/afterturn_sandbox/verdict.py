"""The demo's verdict: every captured message held against what the Honcho has stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn_models.db import Database
    from afterturn_sandbox.honcho.control import Control

_ROWS = text("""
SELECT s.honcho_session, m.id FROM messages m JOIN sessions s ON s.id = m.session_id
WHERE m.delivery = 'send' ORDER BY s.honcho_session, m.index
""")
_CAPTURED = text("SELECT count(*) FROM messages")


@dataclass(slots=True)
class Verdict:
    """Counts of messages."""

    captured: int
    stored: int = 0
    duplicated: int = 0
    lost: int = 0
    out_of_order: int = 0

    @property
    def whole(self) -> bool:
        """Tell whether every message is stored once and in order."""
        return not (self.duplicated or self.lost or self.out_of_order)


def judge(database: Database, control: Control, workspace: str) -> Verdict:
    """Compare Postgres with the stand-in, row by row."""
    sent: dict[str, list[str]] = {}
    with database.statement() as connection:
        verdict = Verdict(captured=connection.execute(_CAPTURED).scalar_one())
        for session, row in connection.execute(_ROWS):
            sent.setdefault(session, []).append(str(row))
    for session, rows in sent.items():
        stored = [m["metadata"].get("afterturn") for m in control.messages(workspace, session)]
        _compare(rows, stored, verdict)
    return verdict


def _compare(sent: Sequence[str], stored: Sequence[str | None], verdict: Verdict) -> None:
    counts = Counter(stored)
    place = {row: index for index, row in enumerate(sent)}
    # A row without our mark is somebody else's; one with it that belongs elsewhere is one too many.
    ours = sum(count for row, count in counts.items() if row is not None)
    verdict.stored += ours
    verdict.lost += sum(row not in counts for row in sent)
    verdict.duplicated += ours - sum(row in counts for row in sent)
    places = [place[row] for row in dict.fromkeys(stored) if row in place]
    verdict.out_of_order += sum(a > b for a, b in pairwise(places))
