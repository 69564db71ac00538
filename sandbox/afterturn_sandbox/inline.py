"""The rival's way, for the demo's comparison: the same turns with Honcho called inline."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afterturn_models.errors import Rejected
from afterturn_models.values import Outgoing, Role
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.recall_port import View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from afterturn_sandbox.dialogues import Dialogue, DialogueTurn

_WORKSPACE, _USER, _AGENT = "inline", "user", "agent"
_DEADLINE = 30.0


@dataclass(slots=True)
class Inline:
    """What was measured, in seconds a turn."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)


def sample(
    url: str, dialogues: Sequence[Dialogue], turns: int, progress: Callable[[], None]
) -> Inline:
    """Run up to `turns` turns as an inline integration does, on one client kept open.

    Context is fetched before the model is asked (one read for the user and the summary, one for
    the agent) and the turn's messages are posted after its answer, while the user waits.
    """
    found = Inline()
    honcho = HonchoClient(url, None, connections=2)
    try:
        honcho.check(_WORKSPACE, deadline=_DEADLINE)
        for dialogue in dialogues:
            for said in dialogue.turns:
                if len(found.starts) == turns:
                    return found
                _turn(honcho, dialogue.name, said, found)
                progress()
    finally:
        honcho.close()
    return found


def _turn(honcho: HonchoClient, session: str, said: DialogueTurn, found: Inline) -> None:
    began = time.perf_counter()
    view = View(_WORKSPACE, session, user=_USER, agent=_AGENT)
    honcho.context(view, tokens=2000, deadline=_DEADLINE)
    found.starts.append(time.perf_counter() - began)
    began = time.perf_counter()
    rows = [_row(session, _USER, Role.USER, said.said)]
    if said.reply:
        rows.append(_row(session, _AGENT, Role.ASSISTANT, said.reply))
    with suppress(Rejected):  # a user's own dialogues may hold what is refused: that took time too
        honcho.send(_WORKSPACE, session, rows, deadline=_DEADLINE)
    found.ends.append(time.perf_counter() - began)


def _row(session: str, peer: str, role: Role, content: str) -> Outgoing:
    return Outgoing(uuid.uuid4(), 0, role, peer, session, content, dt.datetime.now(dt.UTC))
