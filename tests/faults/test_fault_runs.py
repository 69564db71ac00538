"""Random schedules on real processes: each captured message arrives once and in order.

A failure names its seed and what was to happen when. The same schedule comes again with
`AFTERTURN_FAULT_RUNS=1 AFTERTURN_FAULT_SEED=<seed> AFTERTURN_FAULT_WORKERS=<n> make faults`; where
it meets the processes is another matter.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from afterturn_models.db import Database
from afterturn_models.signatures import SYNC_SESSION
from support.captured import Captures
from support.faults.audit import audit, settle
from support.faults.events import AFTER_UNKNOWN, MESSAGES, STEPS, Shape, lay_kill
from support.faults.rig import Rig
from support.faults.runs import check, run
from support.faults.tally import Tally
from support.tree import ROOT

# Drawn so that they hold drains, late commits, lost answers, and kills on both sides of a POST.
_SHORT = (128428, 67052)
_LONG = Shape(seconds=4.0, events=12, deep=True)
_SHIFTS = {1: 3600.0, 3: -3600.0, 6: 3600.0}  # clocks that are off, by the worker's place


@pytest.mark.parametrize("seed", _SHORT)
def test_short_schedules_of_fixed_seeds(seed: int, rig: Rig, tally: Tally) -> None:
    outcome = run(rig, seed)
    tally.add(outcome)
    check(outcome)


def test_long_schedules(long_run_of: tuple[int, int], rig_of_all: Rig, tally: Tally) -> None:
    workers, seed = long_run_of
    rig_of_all.crew(workers, _SHIFTS)
    outcome = run(rig_of_all, seed, _LONG, turns=60)
    tally.add(outcome)
    check(outcome)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_each_step(
    step: str, after: bool, rig: Rig, workspace: str, tally: Tally, long_run
) -> None:
    """Before the server gets it, and when its answer is on the way."""
    if step in AFTER_UNKNOWN:
        rig.honcho.control.add_rule("lose_response", path=MESSAGES, count=1)
    counts: Counter[str] = Counter()
    lay_kill(rig, counts, step, after=after)
    database = Database(rig.postgres.url)
    captures = Captures(database, workspace)
    session = captures.open()
    captures.turn(session, "one", "two")
    rig.publish(SYNC_SESSION, session_id=str(session))
    settle(rig, workspace, within=40)
    database.close()
    assert counts.total() == 1
    assert audit(rig, workspace).sound
    done = tally.figures.get("a kill at each step", {"kills": 0})["kills"]
    tally.note("a kill at each step", kills=done + 1)


def test_schedules_in_memory(tally: Tally, scale, long_run) -> None:
    """The machine of the sync's own tests, with as many examples as are asked for."""
    machine = _sync_machine()
    ran = 0

    class Counted(machine.SyncMachine):  # type: ignore[name-defined,misc]  # loaded from its file
        def teardown(self) -> None:
            nonlocal ran
            ran += 1
            super().teardown()

    many = settings(
        max_examples=scale.examples,
        stateful_step_count=12,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Counted, settings=many)
    tally.note("in memory", runs=ran, lost=0, doubled=0, misordered=0)


def _sync_machine() -> ModuleType:
    path = ROOT / "tests" / "worker" / "flows" / "test_sync_machine.py"
    spec = importlib.util.spec_from_file_location("sync_machine", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module
