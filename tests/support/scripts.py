"""One script run many times, each in a process of its own that is forked and waits for no imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Self

_SERVE = """
import json, os, sys
script = compile(sys.argv[1], "<script>", "exec")
import afterturn_models.config_file
for line in sys.stdin:
    child = os.fork()
    if not child:
        sys.argv = ["script", *json.loads(line)]
        exec(script, {"__name__": "__main__"})
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Scripts:
    """The process from which a script is forked."""

    def __init__(self, script: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ.copy(),
        )

    def run(self, *arguments: str) -> int:
        """Run the script once; gives its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        """Use it in a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate(timeout=10)
