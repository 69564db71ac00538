"""A history that is one JSON file, read and written whole in every turn (Hypr-Claw's design)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class WholeFile:
    """A conversation in a file."""

    def __init__(self, path: Path, messages: int, texts: list[tuple[str, str]]) -> None:
        """Begin with a history of so many messages."""
        self._path = path
        turns = [
            {"role": role, "content": text}
            for n in range(messages // 2)
            for role, text in zip(("user", "assistant"), texts[n % len(texts)], strict=True)
        ]
        path.write_text(json.dumps(turns), encoding="utf-8")

    def turn(self, text: str, reply: str) -> None:
        """Load the history, add a turn, save it."""
        history = json.loads(self._path.read_text(encoding="utf-8"))
        history += [
            {"role": "user", "content": text},
            {"role": "assistant", "content": reply},
        ]
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(history), encoding="utf-8")
        draft.replace(self._path)
