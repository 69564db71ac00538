"""Talking: message after message, with commands between, until the person or the pipe ends it."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from afterturn_models.errors import AfterturnError

if TYPE_CHECKING:
    from afterturn.chat.commands import Commands
    from afterturn.chat.loop import Agent, Screen
    from afterturn.chat.terminal import Lines

_KEPT = 20  # sentences of the log between two messages


class Talk:
    """One conversation at a terminal or a pipe; `failed` says whether its last message went wrong.

    Ctrl-C stops a reply, and what was shown of it is kept. At the prompt the second one in a row
    ends the conversation; where nobody types (`typed` is false) the first one does, anywhere.
    """

    def __init__(
        self, agent: Agent, screen: Screen, commands: Commands, lines: Lines, *, typed: bool
    ) -> None:
        self._agent = agent
        self._screen = screen
        self._commands = commands
        self._lines = lines
        self._typed = typed
        self._stopped = False  # the last thing that came from the person was a Ctrl-C
        self._log = LogLines()
        self.failed = False

    def run(self) -> None:
        """Talk until the end. Raises KeyboardInterrupt where nobody types and somebody stops it."""
        with self._log:
            while not self._commands.ended:
                self._tell_log()
                try:
                    line = self._lines.ask()
                except EOFError:
                    break
                except KeyboardInterrupt:
                    if not self._typed:
                        raise
                    if self._stopped:
                        break
                    self._stopped = True
                    self._screen.note("Ctrl-C again ends this, as Ctrl-D does")
                    continue
                self._stopped = False
                if line.strip():
                    self.say(line)
            self._tell_log()

    def say(self, line: str) -> None:
        """Take one line: a command, or a message to the model."""
        self.failed, stopped = False, "stopped"
        try:
            if not self._commands.run(line):
                stopped = "stopped; what was shown is kept"
                self._agent.reply(line.strip())
        except KeyboardInterrupt:
            self._screen.note(stopped)
            self._stopped = True
            if not self._typed:
                raise
        except (AfterturnError, ValueError) as error:
            self.failed = True
            self._screen.note(str(error))

    def _tell_log(self) -> None:
        for line in self._log.take():
            self._screen.note(line)


class LogLines(logging.Handler):
    """Keeps what the library warns of until the screen has room for it: never within a reply."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._logger = logging.getLogger("afterturn")

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line, once."""
        line = record.getMessage()
        if line not in self._lines:
            self._lines.append(line)

    def take(self) -> list[str]:
        """Take what was kept."""
        taken = []
        while self._lines:
            taken.append(self._lines.popleft())
        return taken

    def __enter__(self) -> None:
        """Listen."""
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._logger.removeHandler(self)
