"""The fault suite: one rig for all of it, what it is to do by environment, and what came of it.

`AFTERTURN_FAULT_RUNS` makes it the long one, with so many runs on real processes,
`AFTERTURN_FAULT_WORKERS` says on how many workers each (by default 1, 2, 4 and 8 in turn),
`AFTERTURN_FAULT_EXAMPLES` how many runs in memory, `AFTERTURN_FAULT_SEED` is the first seed, and
`AFTERTURN_FAULT_REPORT` the file that the figures go to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.faults.lines import Line
from support.faults.rig import Rig
from support.faults.tally import Tally

_FIRST_SEED = 20
_tally = pytest.StashKey[Tally]()


@dataclass(frozen=True)
class Scale:
    """How much is to be done."""

    runs: int  # 0: the short suite, with its fixed seeds
    examples: int
    seed: int
    crews: tuple[int, ...]

    @property
    def long(self) -> bool:
        """Tell whether this is the long suite."""
        return self.runs > 0


# Read here: no test sees a setting from outside.
_SCALE = Scale(
    runs=int(os.environ.get("AFTERTURN_FAULT_RUNS") or 0),
    examples=int(os.environ.get("AFTERTURN_FAULT_EXAMPLES") or 1000),
    seed=int(os.environ.get("AFTERTURN_FAULT_SEED") or _FIRST_SEED),
    crews=tuple(
        int(n) for n in (os.environ.get("AFTERTURN_FAULT_WORKERS") or "1,2,4,8").split(",")
    ),
)
_REPORT = os.environ.get("AFTERTURN_FAULT_REPORT")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make each long run a test of its own, crew by crew."""
    if "long_run_of" in metafunc.fixturenames:
        count, crews = _SCALE.runs, _SCALE.crews
        seeds = range(_SCALE.seed, _SCALE.seed + count)
        runs = [(crews[n % len(crews)], seed) for n, seed in enumerate(seeds)]
        runs.sort(key=lambda run: (run[0], run[1]))
        ids = [f"{workers}-workers-seed-{seed}" for workers, seed in runs]
        metafunc.parametrize("long_run_of", runs, ids=ids)


@pytest.fixture(scope="session")
def scale() -> Scale:
    """Say how much is to be done."""
    return _SCALE


@pytest.fixture
def long_run(scale: Scale) -> None:
    """Leave out of `make test` what takes minutes."""
    if not scale.long:
        pytest.skip("takes minutes: make faults")


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """Collect what is to be said at the end."""
    return request.config.stash.setdefault(_tally, Tally())


@pytest.fixture(scope="session")
def rig_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Run one rig for every test here: servers and workers are slow to start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AFTERTURN_", "HONCHO_", "CELERY_")):
                patch.delenv(name)
        with Rig(tmp_path_factory.mktemp("faults")) as rig:
            yield rig


@pytest.fixture
def rig(rig_of_all: Rig) -> Iterator[Rig]:
    """Give the rig, well and with two workers, one with its clock an hour ahead."""
    rig_of_all.crew(2, {1: 3600.0})
    yield rig_of_all
    rig_of_all.honcho.control.clear()
    rig_of_all.each_line(Line.disarm)
    rig_of_all.each_line(Line.heal)
    rig_of_all.tend()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was done, and keep it where a file is named."""
    found = config.stash.get(_tally, None)
    if found is None or not (found.outcomes or found.figures):
        return
    terminalreporter.section("faults")
    if _SCALE.long:
        terminalreporter.write_line(f"first seed {_SCALE.seed}")
    for line in found.lines():
        terminalreporter.write_line(line)
    if _REPORT:
        found.write(Path(_REPORT))
