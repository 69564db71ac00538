"""Arguments: what a model gave a tool, read as leniently as is safe and checked all the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from afterturn.tools.parameters import ArgumentError, Who

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn.tools.table import Tool


def checked(tool: Tool, arguments: Mapping[str, Any] | str | None, who: Who) -> dict[str, Any]:
    """Give the arguments of the ask, by their names there, from an object or JSON.

    What a model says beyond the parameters is let be. Raises ArgumentError.
    """
    said = _object(arguments)
    given = {one.key or one.name: one.value(said, who) for one in tool.parameters}
    return {name: value for name, value in given.items() if value is not None}


def _object(arguments: Any) -> Mapping[str, Any]:
    if isinstance(arguments, str | bytes):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            raise ArgumentError("the arguments must be one JSON object") from None
    if not arguments:
        return {}
    if not isinstance(arguments, dict):
        raise ArgumentError("the arguments must be one JSON object")
    return arguments
