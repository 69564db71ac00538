"""What a turn costs its agent while something is down, as ratios to a day when all is well.

Nothing is asserted but that no call comes near what is promised as its bound: figures of a shared
machine are printed, not judged.
"""

from __future__ import annotations

import time

from afterturn import Memory
from support.faults.audit import audit, settle
from support.faults.rig import Rig
from support.faults.runs import BEGIN_BOUND, END_BOUND
from support.faults.tally import Tally

_TURNS = 100
_MANY = 1000  # of the long run


def test_begin_and_end_hardly_notice_what_is_down(
    rig: Rig, workspace: str, tally: Tally, scale
) -> None:
    urls, count = (rig.postgres.url, rig.valkey.url), _MANY if scale.long else _TURNS
    _turns(*urls, workspace)  # the first of a process connects and imports
    healthy = _turns(*urls, workspace, count)
    rig.honcho.control.add_rule("hang")
    hanging = _turns(*urls, workspace, count)
    rig.honcho.control.clear()
    rig.valkey.stop()
    try:
        stopped = _turns(*urls, workspace, count)
    finally:
        rig.valkey.start()
    settle(rig, workspace, within=60)
    assert audit(rig, workspace).sound
    tally.note(
        "begin and end, p99 over a healthy p99",
        healthy_ms=_p99(healthy) * 1e3,
        redis_stopped=_p99(stopped) / _p99(healthy),
        honcho_hanging=_p99(hanging) / _p99(healthy),
        slowest_redis_stopped_ms=stopped[-1] * 1e3,
    )
    assert max(stopped[-1], hanging[-1]) < BEGIN_BOUND + END_BOUND


def _turns(database_url: str, redis_url: str, workspace: str, count: int = _TURNS) -> list[float]:
    """Hold turns; gives the seconds that begin and end of each took together, in order."""
    seconds = []
    with Memory.open(database_url=database_url, redis_url=redis_url, workspace=workspace) as memory:
        session = memory.session("calls")
        for _ in range(count):
            began = time.perf_counter()
            session.begin_turn("yes").end("Noted.")
            seconds.append(time.perf_counter() - began)
    return sorted(seconds)


def _p99(seconds: list[float]) -> float:
    return seconds[int(len(seconds) * 0.99) - 1]
