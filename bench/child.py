"""A contestant in a process of its own: one JSON object a line asked, one answered.

Only the standard library: the process may run another environment's Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent


class Child:
    """Runs a module that calls `serve`."""

    def __init__(
        self,
        module: str,
        *,
        env: Mapping[str, str],
        log: Path,
        python: str | Path = sys.executable,
        path: str = str(ROOT),
    ) -> None:
        """Start it, with `path` as its PYTHONPATH; what it says goes to `log`."""
        self._log, self._module = log, module
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                [str(python), "-m", module],
                env={**os.environ, **env, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Have it do something; gives its answer, with `wall` and `cpu`, the seconds it took.

        Raises RuntimeError, with the end of its log, where it failed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, ValueError):
            tail = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self._module} failed at {what!r}:\n{tail}") from None
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        """Use it in a `with` block, which ends it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


def serve(handlers: Mapping[str, Callable[..., dict[str, Any] | None]]) -> None:
    """Answer a parent until it closes the pipe. What handlers print goes to the log."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        began, used = time.perf_counter(), time.process_time()
        answer = handlers[asked.pop("what")](**asked) or {}
        answer |= {"wall": time.perf_counter() - began, "cpu": time.process_time() - used}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
