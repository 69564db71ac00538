"""Long conversations for tests: the shipped dialogues joined, with calls of tools in between."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import asdict
from itertools import chain, cycle, pairwise
from typing import Any

from afterturn.chat_turns import message_tokens
from afterturn.rows import CaptureRules, Said, rows
from afterturn_models.policy.fence import CLOSE, FENCE
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.token_counter import TokenCounter
from afterturn_models.values import Delivery, Message, Role, ToolCall
from afterturn_sandbox.dialogues import shipped

_NOTE = f"<{FENCE}>\n[From earlier in this conversation"
AT = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
PASSAGE = '{"rows": [' + ", ".join(f'{{"id": {n}, "name": "entry {n}"}}' for n in range(400)) + "]}"


def turns(tokens: int):
    """Give turns as (user's words, [(assistant's, calls)], reply) that come to `tokens` together.

    Every third has two rounds of calls, one of which gives much.
    """
    found, spent_ = [], 0
    spoken = chain.from_iterable(dialogue.turns for dialogue in cycle(shipped()))
    for number, turn in enumerate(spoken, 1):
        rounds = _rounds(number) if number % 3 == 0 else []
        found.append((f"{turn.said} (note {number})", rounds, turn.reply or "Yes."))
        said = [turn.said, turn.reply or "", *(text for text, _ in rounds)]
        said += [answer for _, calls in rounds for *_, answer in calls]
        spent_ += sum(map(estimate_tokens, said))
        if spent_ >= tokens:
            break
    return found


def _rounds(number: int):
    first = ("look", f"call_{number}_a", {"at": number}, PASSAGE[: 40 * (number % 90)])
    second = ("weigh", f"call_{number}_b", {}, f"{number} grams")
    third = ("look", f"call_{number}_a", {"again": True}, "nothing more")
    return [("Let me look.", [first, second]), ("", [third])]


def talk(session: Any, said: Any) -> None:
    """Have all of it said in a session."""
    for words, rounds, reply in said:
        turn = session.begin_turn(words)
        for text, calls in rounds:
            turn.add("assistant", text)
            for name, call_id, arguments, answer in calls:
                turn.add("tool", answer, name=name, call_id=call_id, arguments=arguments)
        turn.end(reply)


def at_once(look: Any, key: str, said: Any) -> None:
    """Have all of it captured in an empty session by one statement: what `talk` comes to, sooner."""
    plain = [
        {
            "id": str(row.id), "index": row.index, "turn": row.turn, "role": row.role,
            "peer": row.peer, "content": row.content, "part": row.part, "parts": row.parts,
            "tokens": row.tokens, "details": {"call": asdict(row.call)} if row.call else None,
        }
        for row in captured(said)
    ]  # fmt: skip
    look.query(
        "INSERT INTO messages (id, session_id, index, turn_id, turn, role, peer, honcho_session,"
        " content, delivery, part, parts, tokens, details, at)"
        " SELECT r.id, %(session)s, r.index, gen_random_uuid(), r.turn, r.role, r.peer, %(key)s,"
        " r.content, 'local', r.part, r.parts, r.tokens, r.details, now()"
        " FROM jsonb_to_recordset(CAST(%(rows)s AS jsonb)) AS r (id uuid, index bigint,"
        " turn bigint, role text, peer text, content text, part smallint, parts smallint,"
        " tokens integer, details jsonb)",
        session=look.id(key),
        key=key,
        rows=json.dumps(plain),
    )
    look.query(
        "UPDATE sessions SET next_index = %(next)s, turns = %(turns)s WHERE id = %(session)s",
        next=len(plain) + 1,
        turns=len(said),
        session=look.id(key),
    )


def captured(said: Any, *, counter: TokenCounter | None = None) -> list[Message]:
    """Give the rows that all of it is captured as, without a database."""
    rules = CaptureRules(counter=counter or TokenCounter())
    made: list[Message] = []
    for number, turn in enumerate(said, 1):
        for row in rows(uuid.uuid4(), list(_said(*turn)), rules):
            call = row.metadata.get("call")
            made.append(
                Message(
                    row.id, len(made) + 1, number, row.role, row.peer, row.content, AT,
                    Delivery.SEND, row.part, row.parts, row.metadata.get("sent", row.content),
                    row.tokens, ToolCall(**call) if call else None, row.metadata.get("counted"),
                )
            )  # fmt: skip
    return made


def _said(words: str, rounds: Any, reply: str | None):
    yield Said(Role.USER, "user", words, AT)
    for text, calls in rounds:
        yield Said(Role.ASSISTANT, "agent", text, AT)
        for name, call_id, arguments, answer in calls:
            call = ToolCall(call_id, name, json.dumps(arguments))
            yield Said(Role.TOOL, "agent", answer, AT, call=call)
    if reply is not None:
        yield Said(Role.ASSISTANT, "agent", reply, AT)


def request(said: Any) -> list[dict[str, Any]]:
    """Give all of it as a request would have it, written down here and not made of rows."""
    made: list[dict[str, Any]] = []
    for words, rounds, reply in said:
        made.append({"role": "user", "content": words})
        for text, calls in rounds:
            listed = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(arguments)},
                }
                for name, call_id, arguments, _ in calls
            ]
            made.append({"role": "assistant", "content": text or None, "tool_calls": listed})
            made += [
                {"role": "tool", "tool_call_id": call_id, "content": answer}
                for _, call_id, _, answer in calls
            ]
        made.append({"role": "assistant", "content": reply})
    return made


def apart(messages: Any) -> list[dict[str, Any]]:
    """Give a request's messages with the note as one of its own, where it is joined to another."""
    found: list[dict[str, Any]] = []
    for message in messages:
        text = message["content"] or ""
        note, end, words = text.partition(f"\n{CLOSE}\n\n")
        if message["role"] == "user" and text.startswith(_NOTE) and end:
            found.append({"role": "user", "content": f"{note}\n{CLOSE}"})
            text = words
        found.append({**message, "content": text} if message["content"] else message)
    return found


def in_turns(messages: Any) -> bool:
    """Tell whether roles alternate: user and agent by turns, tools behind the agent's calls."""
    return all(
        one["role"] == "tool" or one["role"] != before["role"] for before, one in pairwise(messages)
    )


def spent(messages: Any, counted: Any = estimate_tokens) -> int:
    """Count a whole request anew, from its texts alone."""
    return sum(message_tokens(message, counted) for message in messages)


def unpaired(messages: Any) -> list[str]:
    """Name what an API would refuse: calls without answers right behind them, and the reverse."""
    wrong: list[str] = []
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] in waiting:
                waiting.remove(message["tool_call_id"])
            else:
                wrong.append(f"answer to {message['tool_call_id']}")
            continue
        wrong += [f"call {one}" for one in waiting]
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        if len(set(waiting)) != len(waiting):
            wrong.append("two calls of one id")
    return wrong + [f"call {one}" for one in waiting]
