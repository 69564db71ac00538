"""Turns for a spool, and what comes out of it again."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from afterturn.spool import Spool, SpooledTurn
from afterturn_models.store.capture import WritePolicy
from afterturn_models.store.sessions import SessionSpec
from afterturn_models.values import NewMessage, Role


def make_turn(who: str, number: int, filler: str = "") -> SpooledTurn:
    rows = (NewMessage(uuid4(), Role.USER, "ann", f"{who} {number}"),)
    if filler:
        rows += (NewMessage(uuid4(), Role.ASSISTANT, "bot", filler),)
    return SpooledTurn(SessionSpec("w", who, "ann", "bot"), "bot", uuid4(), rows, WritePolicy())


def said(turn: SpooledTurn) -> tuple[str, int]:
    who, number = turn.rows[0].content.split()
    return who, int(number)


def drained(spool: Spool) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    count = spool.drain(lambda turn: found.append(said(turn)))
    assert count == len(found)
    return found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))
