"""Commands at real pseudo-terminals: typed to, read from, and interrupted as a person would.

Each runs in a process of its own with the terminal as its controlling one. They are forked from one
process that has imported everything, so that none waits for its imports.
"""

from __future__ import annotations

import importlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from typing import Any

_PROGRAM = "from support.terminals import serve; serve()"


class Terminals:
    """The process from which commands are forked."""

    def __init__(self, folder: str, *modules: str) -> None:
        """`folder` is that of the tests; `modules` are imported too, beside the command line."""
        path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._open: list[Dialogue] = []

    def run(self, *argv: str, ports: dict[str, int] | None = None) -> Dialogue:
        """Start `afterturn …` at a terminal, in this process' environment.

        `ports` stand in for those where servers usually listen: on a test's machine others may.
        """
        master, slave = pty.openpty()
        asked = {
            "tty": os.ttyname(slave),
            "argv": ["afterturn", *argv],
            "env": dict(os.environ),
            "ports": ports or {},
        }
        self._tell(asked)
        dialogue = Dialogue(self, int(self._answer()), master, slave)
        self._open.append(dialogue)
        return dialogue

    def wait(self, pid: int) -> int:
        """Give the exit status of a command that ends."""
        self._tell({"wait": pid})
        return int(self._answer())

    def close(self) -> None:
        """End everything."""
        for dialogue in self._open:
            dialogue.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Dialogue:
    """One command at its terminal."""

    def __init__(self, terminals: Terminals, pid: int, master: int, slave: int) -> None:
        self._terminals = terminals
        self._pid = pid
        self._master = master
        self._slave = slave  # held until the command has it: a terminal that nobody has hangs up
        self._status: int | None = None
        self._seen = 0
        self.said = ""

    def expect(self, text: str, within: float = 30) -> str:
        """Wait until it says `text`, and give what it said until then since the last time."""
        deadline = time.monotonic() + within
        while (at := self.said.find(text, self._seen)) < 0:
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"it did not say {text!r}:\n{self.said}")
        found = self.said[self._seen : at]
        self._seen = at + len(text)
        return found

    def answer(self, question: str, line: str = "") -> str:
        """Wait for a question and answer it by a line; gives what was said before it."""
        found = self.expect(question)
        self.send(line + "\n")
        return found

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.send("\x03")

    def echoes(self) -> bool:
        """Tell whether the terminal shows what is typed, as it should but for a secret."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def ended(self, within: float = 60) -> int:
        """Wait until it ends; gives its exit status."""
        if self._status is None:
            deadline = time.monotonic() + within
            while self._read(deadline - time.monotonic()):
                pass
            assert time.monotonic() < deadline, f"it did not end:\n{self.said}"
            self._status = self._terminals.wait(self._pid)
        return self._status

    def close(self) -> None:
        """End it, if it has not ended."""
        if self._master < 0:
            return
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            self._status = self._terminals.wait(self._pid)
        self._let_go()
        os.close(self._master)
        self._master = -1

    def _read(self, within: float) -> bool:
        """Read what it says; False where it says nothing more."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, within))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the last process has let go of the terminal
            return False
        self._let_go()
        self.said += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def _let_go(self) -> None:
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1


def serve() -> None:
    """Fork commands as they are asked for, one JSON object a line."""
    import afterturn.cli
    import afterturn.setup.carrying_out
    import afterturn.setup.wizard

    del afterturn
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        elif not (answer := os.fork()):
            _become(asked)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _become(asked: dict[str, Any]) -> None:
    from afterturn.cli import main
    from afterturn.setup import servers

    os.setsid()
    terminal = os.open(asked["tty"], os.O_RDWR)  # the first that a session opens is its own
    for descriptor in range(3):
        os.dup2(terminal, descriptor)
    os.close(terminal)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(asked["env"])
    servers.PORTS.update(asked["ports"])
    sys.argv = asked["argv"]
    status = 70
    try:
        main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)
