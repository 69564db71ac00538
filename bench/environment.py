"""The environment of the one rival whose pins collide with ours: `.venv-hermes`, made once.

`python -m bench.environment` makes it; everything else is in `.venv` (the group `bench`).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WANTED = ROOT / "bench" / "rivals" / "hermes.in"
LOCK = WANTED.with_suffix(".lock")
VENV = ROOT / ".venv-hermes"
_STAMP = "afterturn-bench"


def hermes_python() -> Path:
    """Give the Python that has Hermes; BENCH_HERMES_PYTHON names another one.

    Raises RuntimeError where there is none.
    """
    chosen = os.environ.get("BENCH_HERMES_PYTHON")
    python = Path(chosen) if chosen else VENV / "bin" / "python"
    if not python.exists():
        raise RuntimeError("Hermes is not installed; run: python -m bench.environment")
    return python


def main() -> int:
    """Make the environment where it is not there, or not as the lock says; 1 where that fails."""
    source = LOCK if LOCK.exists() else WANTED
    wanted = hashlib.sha256(source.read_bytes()).hexdigest()
    stamp = VENV / _STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    print("Setting up .venv-hermes for the rival that pins its own versions …", file=sys.stderr)
    python = VENV / "bin" / "python"
    pip = ["-Im", "pip", "install", "--quiet", "--disable-pip-version-check"]
    hashed = ["--require-hashes"] if source == LOCK else []
    commands: list[list[str | Path]] = [
        [sys.executable, "-Im", "venv", "--clear", VENV],
        [python, *pip, *hashed, "--only-binary", ":all:", "--requirement", source],
    ]
    for command in commands:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            print(f"the rival Hermes is left out of this run: {said}", file=sys.stderr)
            return 1
    stamp.write_text(wanted)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
