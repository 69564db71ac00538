"""Calling a tool: arguments checked, the ask made under its deadline, an answer in any case.

A model reads the answer, so a failure is a sentence that it can act on, never an exception. Whom a
tool means is not the model's to say: "user" is whoever speaks in the session's open turn.
"""

from __future__ import annotations

import difflib
import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterturn.local_files import LocalFiles
from afterturn.modes import CurrentModes
from afterturn.tools.answers import answer, error
from afterturn.tools.arguments import checked
from afterturn.tools.local import LocalTools
from afterturn.tools.parameters import ArgumentError, Who
from afterturn.tools.schemas import offered
from afterturn.tools.table import MOST_TOKENS, TOOLS
from afterturn_models.asks import Failure, Op
from afterturn_models.errors import AfterturnError, StoreUnavailableError
from afterturn_models.store.workers import MISSING_AFTER, workers
from afterturn_models.values import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn.services import Services
    from afterturn.session import Session
    from afterturn.tools.table import Names, Tool
    from afterturn_models.recall_settings import RecallSettings

log = logging.getLogger("afterturn.tools")

_WRITES = frozenset({Op.CONCLUDE, Op.SET_PROFILE})
_OFF = "memory tools are off here (recallMode is context): what is known is in the prompt already"
_AWAY = "memory cannot be reached now (Postgres is away); go on without it"
_NO_WORKER = "memory cannot be reached now: no worker runs (a person starts one: afterturn worker)"
_NOT_HERE = "there are no local memory files for who speaks here"
_NOTHING = "nothing that is known bears on it; this is no outage"
_LONGEST_NAME = 64


class Toolbox:
    """The tools of one session as they are now: who speaks in it, and under which settings."""

    def __init__(self, services: Services, session: Session, speaker: str) -> None:
        """`speaker` is the peer whom "user" means."""
        self._services = services
        self._session = session
        self._who = Who(speaker, session.agent_peer, session.key)

    def offered(self, names: Names) -> list[dict[str, Any]]:
        """Give the schemas of what may be called, under a set of names.

        Raises ValueError for a set that there is not.
        """
        return offered(names, mode=self._settings.recall_mode, local=self._local is not None)

    def call(self, name: str, arguments: Mapping[str, Any] | str | None) -> str:
        """Call a tool; gives JSON, with an `error` where there is no answer. Never raises."""
        try:
            return self._called(_tool(name), arguments)
        except StoreUnavailableError as problem:
            self._services.capturer.note_away(problem)
            return error(_AWAY, failure=Failure.OUTAGE)
        except (ArgumentError, AfterturnError) as problem:
            return error(str(problem))
        except Exception:  # a host's loop goes on whatever happens here; the log has the defect
            log.exception("a tool failed")
            return error("this tool failed; go on without it")

    def _called(self, tool: Tool, arguments: Mapping[str, Any] | str | None) -> str:
        if self._settings.recall_mode == "context":
            return error(_OFF)
        given = {**tool.fixed, **checked(tool, arguments, self._who)}
        if tool.op is None:
            return self._locally(tool, given)
        op = tool.op if isinstance(tool.op, Op) else tool.op(given)
        kept_here = self._kept_here(op, given)
        return (
            error(kept_here, failure=Failure.LOCAL) if kept_here else self._asked(tool, op, given)
        )

    def _locally(self, tool: Tool, given: Mapping[str, Any]) -> str:
        if self._local is None:
            return error(_NOT_HERE)
        return answer(self._local.call(tool.name, given), MOST_TOKENS)

    def _asked(self, tool: Tool, op: Op, given: dict[str, Any]) -> str:
        opened = self._session.opened()
        if opened is None or self._services.capturer.away:
            return error(_AWAY, failure=Failure.OUTAGE)
        if not attended(self._services):
            return error(_NO_WORKER, failure=Failure.OUTAGE)
        settings = self._services.settings
        said = self._services.asker.ask(
            opened.id,
            op,
            {name: value for name, value in given.items() if name != "list"},
            user=self._who.user,
            seconds=settings.ask_seconds if tool.deadline == "llm" else settings.tool_seconds,
        )
        if said.failure is not None:
            return error(said.sentence, failure=said.failure)
        value = dict(said.value) if isinstance(said.value, dict) else {"answer": said.value}
        if op is Op.DIALECTIC and not value.get("answer"):
            value["note"] = _NOTHING
        return answer(value, given.get("tokens", MOST_TOKENS))

    def _kept_here(self, op: Op, given: Mapping[str, Any]) -> str:
        """Say why this text may not leave the machine; "" where it may.

        The words of a user whose memory is local are no query, and facts about a peer whose
        memory is local are written here. What Honcho knew before may be read and deleted.
        """
        stays, saves = CurrentModes(self._services, self._session)(), self._session.in_force.saves
        user, agent = (mode is Mode.LOCAL or not saves for mode in stays)
        if "query" in given and user:
            instead = "; use memory_search" if self._local else ""
            return f"the user's memory stays on this machine: no query leaves it{instead}"
        about = given.get("about", "user")
        if op in _WRITES and (agent if about == "agent" else user):
            file = "MEMORY.md" if about == "agent" else "USER.md"
            return f"the {about}'s memory stays on this machine: write it to {file} instead"
        return ""

    @property
    def _settings(self) -> RecallSettings:
        return self._session.in_force.settings

    @cached_property
    def _local(self) -> LocalTools | None:
        """The tools over local files, where they are the files of the one who speaks."""
        settings, folder = self._services.settings, self._session.memory_folder
        owner = self._session.in_force.owner or settings.peer_name
        if self._who.user != owner or not (folder or settings.qmd_command):
            return None
        modes = CurrentModes(self._services, self._session)
        files = LocalFiles(Path(folder).expanduser(), modes) if folder else None
        return LocalTools(files, settings.qmd_command, settings.tool_seconds)


def attended(services: Services) -> bool:
    """Tell whether any worker has beaten lately: without one nobody would answer.

    Raises StoreUnavailableError.
    """
    with services.database.statement() as connection:
        seen = workers(connection)
    return any(one.beat_age is None or one.beat_age < MISSING_AFTER for one in seen)


def _tool(name: str) -> Tool:
    tool = TOOLS.get(name)
    if tool is None:
        said = str(name)[:_LONGEST_NAME]
        near = difflib.get_close_matches(said, TOOLS, n=1, cutoff=0.5)
        ours = ", ".join(one.name for one in TOOLS.values() if not one.alias_of)
        hint = f"did you mean {near[0]}?" if near else f"there are {ours}"
        raise ArgumentError(f"there is no tool {said!r}; {hint}")
    return tool
