"""Agents that talk until a file is there: `python -m support.steady_talker COUNT FOLDER`.

Each is a process of its own with a session of its own, and writes a line for each turn into
FOLDER/<name>.jsonl: what was said, when the turn's end began, and which local files it could write.
They stop when FOLDER/stop is there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from afterturn import Memory, WriteRefused
from afterturn.local_files import LocalFiles


def main() -> int:
    """Fork the agents and wait for them; gives how many failed."""
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    children = [os.fork() or _talk(f"a{number}", folder) for number in range(count)]
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def _talk(name: str, folder: Path) -> int:
    with Memory.open() as memory, (folder / f"{name}.jsonl").open("a") as log:
        session = memory.session(name=name)
        files = memory.local_files(folder / name, session)
        number = 0
        while not (folder / "stop").exists():
            said, reply = f"{name} asks {number}", f"{name} is told {number}"
            turn = session.begin_turn(said)
            began = time.time()
            turn.end(reply)
            wrote_at = time.time()
            written = [file for file in ("USER.md", "MEMORY.md") if _written(files, file)]
            line = {"said": said, "reply": reply, "began": began}
            log.write(json.dumps({**line, "wrote_at": wrote_at, "written": written}) + "\n")
            log.flush()
            number += 1
            time.sleep(0.02)
    sys.exit(0)


def _written(files: LocalFiles, name: str) -> bool:
    try:
        files.append(name, "Drinks tea.")
    except WriteRefused:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
