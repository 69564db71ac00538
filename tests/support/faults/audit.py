"""The audit of a run: what was captured against what is at Honcho, row by row."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from support.faults.processes import Agent
from support.faults.rig import Rig
from support.waiting import eventually

_ROWS = """
SELECT m.id, m.index, m.turn_id, m.delivery, m.honcho_session
FROM messages m JOIN sessions s ON s.id = m.session_id JOIN workspaces w ON w.id = s.workspace_id
WHERE w.name = %(workspace)s ORDER BY m.session_id, m.index
"""
_UNSETTLED = """
SELECT s.key, c.last_saved_index, s.next_index - 1 AS captured, c.due_index, c.intent_first,
       c.lease_owner, c.parked, c.attempts, c.last_error
FROM cursors c JOIN sessions s ON s.id = c.session_id JOIN workspaces w ON w.id = s.workspace_id
WHERE w.name = %(workspace)s
  AND (c.last_saved_index <> s.next_index - 1 OR c.intent_first IS NOT NULL
       OR c.lease_owner IS NOT NULL OR c.lease_until IS NOT NULL OR c.parked IS NOT NULL)
"""
# A back-off may be minutes long by now; a settling time is waited out.
_NO_BACKOFF = """
UPDATE cursors c SET run_at = clock_timestamp()
FROM sessions s JOIN workspaces w ON w.id = s.workspace_id
WHERE s.id = c.session_id AND w.name = %(workspace)s AND c.settle_at IS NULL
"""


@dataclass
class Audit:
    """What was found, in rows; `sound` where all is as promised."""

    sent: int = 0
    local: int = 0
    lost: int = 0
    doubled: int = 0
    misordered: int = 0
    foreign: int = 0  # there, and nobody captured it for there: local text, strangers
    unkept: int = 0  # acknowledged turns that Postgres does not have whole
    notes: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Tell whether each captured row is there once, in order, and nothing else is."""
        wrong = self.lost, self.doubled, self.misordered, self.foreign, self.unkept
        return not any(wrong)


def settle(rig: Rig, workspace: str, *, within: float) -> None:
    """Wait until every cursor of `workspace` is settled, with all servers and workers well."""
    rig.query(_NO_BACKOFF, workspace=workspace)

    def settled() -> bool:
        rig.tend()
        return not rig.query(_UNSETTLED, workspace=workspace)

    try:
        eventually(settled, within=within, every=0.1)
    except AssertionError as error:
        left = rig.query(_UNSETTLED, workspace=workspace)
        raise AssertionError(f"not settled within {within} s: {left}") from error


def audit(rig: Rig, workspace: str, agent: Agent | None = None) -> Audit:
    """Compare Postgres, the stand-in and the agent's acknowledgements."""
    found = Audit()
    rows = rig.query(_ROWS, workspace=workspace)
    found.sent = sum(row["delivery"] == "send" for row in rows)
    found.local = sum(row["delivery"] == "local" for row in rows)
    if found.sent:
        _compare(rig, workspace, rows, found)
    if agent is not None:
        _acknowledged(rows, agent, found)
    return found


def _compare(rig: Rig, workspace: str, rows: list[dict[str, Any]], found: Audit) -> None:
    wanted: dict[str, list[str]] = {}
    for row in rows:
        if row["delivery"] == "send":
            wanted.setdefault(row["honcho_session"], []).append(str(row["id"]))
    for session, ids in wanted.items():
        stored = rig.honcho.control.messages(workspace, session)
        there = [str(message["metadata"].get("afterturn")) for message in stored]
        times, expected = Counter(there), set(ids)
        found.lost += sum(not times[row] for row in ids)
        found.doubled += sum(count - 1 for row, count in times.items() if row in expected)
        found.foreign += sum(count for row, count in times.items() if row not in expected)
        place = {row: number for number, row in enumerate(ids)}
        order = [place[row] for row in dict.fromkeys(there) if row in place]
        found.misordered += sum(a > b for a, b in itertools.pairwise(order))
    total = rig.honcho.control.audit(workspace)["total"]["stored"]
    found.foreign += total - sum(
        len(rig.honcho.control.messages(workspace, session)) for session in wanted
    )


def _acknowledged(rows: list[dict[str, Any]], agent: Agent, found: Audit) -> None:
    captured = Counter(str(row["turn_id"]) for row in rows)
    for ack in agent.acks():
        if captured[ack["turn"]] != ack["rows"]:
            found.unkept += 1
            found.notes.append(f"{ack['turn']}: {captured[ack['turn']]} of {ack['rows']} rows")
    aside = agent.home / "spool-refused"
    if aside.exists() and any(aside.glob("*.jsonl")):
        found.notes.append("turns were set aside")
