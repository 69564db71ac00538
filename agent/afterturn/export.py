"""Export: a session's whole history as text, a page at a time, however long it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from afterturn_models.store.history import page_after, summaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from afterturn_models.db import Database
    from afterturn_models.store.history import SessionInfo, Summary
    from afterturn_models.values import Message

Format = Literal["jsonl", "json", "markdown"]
FORMATS: tuple[Format, ...] = ("jsonl", "json", "markdown")
_PAGE = 500  # messages that are held at once, and summaries
_VERSION = 1  # of the shape, so that whoever reads it later knows which it is
Told = tuple[str, dict[str, Any]]  # "message" or "compaction", and what is told of it


def export(database: Database, info: SessionInfo, form: Format) -> Iterator[str]:
    """Give the history that a session has now in pieces of text, with what it was summarised to.

    What is captured meanwhile is no part of it. A summary stands behind the last message that it
    covers. Raises StoreUnavailableError.
    """
    told = _told(database, info)
    return _FORMS[form](_session(info), told)


def _told(database: Database, info: SessionInfo) -> Iterator[Told]:
    made = _summaries(database, info)
    summary = next(made, None)
    for message in _messages(database, info):
        yield "message", as_json(message)
        while summary is not None and summary.covers_to <= message.index:
            yield "compaction", _as_json(summary)
            summary = next(made, None)


def _messages(database: Database, info: SessionInfo) -> Iterator[Message]:
    after = 0
    while after < info.messages:
        limit = min(_PAGE, info.messages - after)
        with database.statement() as connection:
            page = page_after(connection, info.id, after=after, limit=limit)
        if not page:
            return  # it was deleted meanwhile
        yield from page
        after = page[-1].index


def _summaries(database: Database, info: SessionInfo) -> Iterator[Summary]:
    after = 0
    while True:
        with database.statement() as connection:
            page = summaries(connection, info.id, after=after, limit=_PAGE)
        if not page:
            return
        yield from page
        after = page[-1].covers_to


def as_json(message: Message) -> dict[str, Any]:
    """Give a message as JSON: who said what when, and what can be left out where there is none."""
    told: dict[str, Any] = {
        "index": message.index,
        "turn": message.turn,
        "role": message.role.value,
        "peer": message.peer,
        "at": message.at.isoformat(),
        "content": message.content,
        "id": str(message.id),
        "delivery": message.delivery.value,
    }
    if message.parts > 1:
        told |= {"part": message.part, "parts": message.parts}
    if message.sent != message.content:
        told["sent"] = message.sent
    if message.tokens is not None:
        told["tokens"] = message.tokens
    if message.call is not None:
        told["tool"] = asdict(message.call)
    return told


def _as_json(summary: Summary) -> dict[str, Any]:
    return {**asdict(summary), "created_at": summary.created_at.isoformat()}


def _session(info: SessionInfo) -> dict[str, Any]:
    names = ("key", "title", "user_peer", "agent_peer", "messages", "turns")
    known = {name: getattr(info, name) for name in names}
    return {"version": _VERSION, **known, "created_at": info.created_at.isoformat()}


def _jsonl(session: Mapping[str, Any], told: Iterator[Told]) -> Iterator[str]:
    yield _line({"type": "session", **session})
    for kind, value in told:
        yield _line({"type": kind, **value})


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _json(session: Mapping[str, Any], told: Iterator[Told]) -> Iterator[str]:
    """Give one object; summaries come behind all messages, and are few."""
    yield '{"session": ' + json.dumps(session, ensure_ascii=False) + ',\n"messages": ['
    made, between = [], "\n"
    for kind, value in told:
        if kind == "message":
            yield between + json.dumps(value, ensure_ascii=False)
            between = ",\n"
        else:
            made.append(value)
    yield '\n],\n"compactions": ' + json.dumps(made, ensure_ascii=False) + "}\n"


def _markdown(session: Mapping[str, Any], told: Iterator[Told]) -> Iterator[str]:
    yield f"# {session['title'] or session['key']}\n\n"
    yield f"{session['user_peer']} with {session['agent_peer']}, {session['messages']} messages\n"
    for kind, value in told:
        if kind == "message":
            tool = f" · {value['tool']['name']}" if "tool" in value else ""
            who = f"{value['peer']} ({value['role']}){tool}"
            yield f"\n## {value['index']} · {who} · {value['at']}\n\n{value['content']}\n"
        else:
            yield f"\n> Summary of {value['covers_from']} to {value['covers_to']}"
            yield f" ({value['made_by']}):\n>\n{_quoted(value['summary'])}\n"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


_FORMS: Mapping[Format, Callable[[Mapping[str, Any], Iterator[Told]], Iterator[str]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "markdown": _markdown,
}
