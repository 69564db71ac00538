"""Tool messages of a turn: the call that a tool's answer is to, as it is kept with the answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from afterturn_models.policy.text import clean_text
from afterturn_models.values import Role, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping


def answered_call(
    role: Role,
    name: str | None,
    call_id: str | None,
    arguments: Mapping[str, Any] | str | None,
) -> ToolCall | None:
    """Give the call that a message answers; None where nothing is said of one.

    Raises ValueError for a call on what no tool said, and for arguments that are no JSON.
    """
    if name is None and call_id is None and arguments is None:
        return None
    if role is not Role.TOOL:
        raise ValueError(f"name, call_id and arguments belong to a tool's answer, not to {role}")
    return ToolCall(
        id=clean_text(call_id or ""),
        name=clean_text(name or ""),
        arguments=clean_text(_as_json(arguments)),
    )


def _as_json(arguments: Mapping[str, Any] | str | None) -> str:
    """Give arguments as a model writes them; text stays as it is, whatever the model made of it."""
    if isinstance(arguments, str):
        return arguments
    try:
        return json.dumps(dict(arguments or {}), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("a tool call's arguments are a JSON object or its text") from None
