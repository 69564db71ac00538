"""Puts the wall clock of a process off by FAULTS_CLOCK_SHIFT seconds, before anything reads it."""

from __future__ import annotations

import datetime as dt
import os
import time

_SHIFT = float(os.environ.get("FAULTS_CLOCK_SHIFT", "0"))
_real = dt.datetime
_real_time, _real_time_ns = time.time, time.time_ns


class _Kind(type(_real)):
    """Lets values made before and after the shift be told for what they are."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _real)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, _real)


class _Shifted(_real, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
        return _real.now(tz) + dt.timedelta(seconds=_SHIFT)

    @classmethod
    def utcnow(cls) -> dt.datetime:
        return _real.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=_SHIFT)

    @classmethod
    def today(cls) -> dt.datetime:
        return cls.now()


if _SHIFT:
    time.time = lambda: _real_time() + _SHIFT
    time.time_ns = lambda: _real_time_ns() + int(_SHIFT * 1e9)
    dt.datetime = _Shifted
