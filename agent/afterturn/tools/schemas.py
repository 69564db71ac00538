"""Schemas: tools as chat models are told of them, made from the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from afterturn.tools.table import TOOLS, Names

if TYPE_CHECKING:
    from afterturn.tools.table import Tool


def schema(tool: Tool) -> dict[str, Any]:
    """Describe one tool in the form that OpenAI's API takes, and others after it."""
    properties = {parameter.name: parameter.schema() for parameter in tool.parameters}
    needed = [parameter.name for parameter in tool.parameters if parameter.required]
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if needed:
        parameters["required"] = needed
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.says, "parameters": parameters},
    }


def offered(names: Names, *, mode: str, local: bool) -> list[dict[str, Any]]:
    """Give the schemas of a set of names, always in the same order.

    None where `mode` (recallMode) is `context`: memory is then injected and not asked for. Tools
    over local files are among them where `local`. Raises ValueError for a set that there is not.
    """
    if names not in get_args(Names):
        raise ValueError(
            f"{names!r} is no set of names; use afterturn, hermes, openclaw or nanobot"
        )
    if mode == "context":
        return []
    return [
        schema(tool)
        for tool in TOOLS.values()
        if names in tool.sets and (local or tool.deadline != "local")
    ]
