"""Asks: questions that an agent waits for, and the answers to them.

An agent writes the key of `awaited_key`, with its deadline as the key's life on Redis' own clock,
sends an ask on the `interactive` queue, and reads the result back from the Redis backend. A worker
takes that key first: an ask that nobody waits for any more, or that another worker has taken, is
not made, so that no chat is paid for nobody and nothing is written twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID


class Op(StrEnum):
    """What can be asked of Honcho through a worker.

    Arguments by operation (JSON; all optional unless said so; `about` is "user" or "agent"):

    - SESSION: none. Answer {session, messages, summary, peers, unsent}.
    - PROFILE: about. Answer {peer, card: [str]}.
    - SET_PROFILE: about, card: [str] (required). Answer as PROFILE.
    - SEARCH: query (required), from_ ("user" | "agent" | "all"), created_after, created_before
      (ISO 8601), metadata {}, limit, tokens. Answer {messages: [{by, at, text}]}.
    - CONTEXT: about, detail ("card" | "full"), query. Answer {card, representation, summary}.
    - CONCLUSIONS: query (required), about, limit. Answer {conclusions: [{id, text, at}]}.
    - LIST_CONCLUSIONS: about, limit. Answer as CONCLUSIONS.
    - CONCLUDE: about, text (required). Answer {id, text}.
    - UNCONCLUDE: about, id (required). Answer {deleted: id}.
    - DIALECTIC: query (required), about, floor (a level), level (a level that the model asks for);
      `asked` is false where recall asks by itself: `query` is then what the user just said, and
      recall reaches as far as what is injected does. Answer {answer: str | null, level}.
    - QUEUE: about. Answer {pending: units of work until Honcho has derived what the peer said}.
    - DELETE_SESSION: none. Answer {deleted: [str], absent: [str], shared: [str], messages}: the
      sessions of Honcho that were deleted, were not there, or are another session's too and stay.
    - RECALL: query (required). Answer {context: …} as `prefetched.context_payload` has it.
    """

    SESSION = "session"
    PROFILE = "profile"
    SET_PROFILE = "set_profile"
    SEARCH = "search"
    CONTEXT = "context"
    CONCLUSIONS = "conclusions"
    LIST_CONCLUSIONS = "list_conclusions"
    CONCLUDE = "conclude"
    UNCONCLUDE = "unconclude"
    DIALECTIC = "dialectic"
    QUEUE = "queue"
    DELETE_SESSION = "delete_session"
    RECALL = "recall"


class Failure(StrEnum):
    """Why an ask has no answer."""

    TIMEOUT = "timeout"  # not within the deadline; a write may have been made
    OUTAGE = "outage"  # Honcho, Redis, Postgres or the workers cannot be reached
    BUDGET = "budget"  # the dialectic's budget is spent
    REFUSED = "refused"  # Honcho or the worker does not take it as it is
    LOCAL = "local"  # the user's memory stays local: their words are no query
    DEFECT = "defect"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an ask: `value`, or why there is none, and a sentence that says so."""

    value: Any = None
    failure: Failure | None = None
    sentence: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give the answer as a task returns it."""
        if self.failure is None:
            return {"value": self.value}
        return {"failure": self.failure.value, "sentence": self.sentence}


def ask_task_id(session_id: UUID, ask_id: UUID) -> str:
    """Give the task id of an ask, and so the result's place."""
    return f"{session_id}.{ask_id}.ask"


def awaited_key(task_id: str) -> str:
    """Give the Redis key that is there while an ask is waited for and nobody has taken it."""
    return f"afterturn:awaited:{task_id}"


def decode_answer(raw: bytes | str) -> Answer:
    """Read an ask's result as Celery's backend stores it."""
    try:
        meta = json.loads(raw)
        result = meta["result"]
        if meta["status"] == "SUCCESS" and "value" in result:
            return Answer(result["value"])
        if meta["status"] == "SUCCESS":
            return Answer(failure=Failure(result["failure"]), sentence=str(result["sentence"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return Answer(failure=Failure.DEFECT, sentence="the worker failed; its log says why")
