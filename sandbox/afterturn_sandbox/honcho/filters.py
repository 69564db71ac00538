"""Honcho's filter language, compiled to SQL: logic, comparisons, metadata, wildcards."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from afterturn_sandbox.honcho.columns import Column, Resource
from afterturn_sandbox.honcho.errors import ApiError, invalid
from afterturn_sandbox.honcho.values import dumps, to_us

_OPERATORS = frozenset({"gte", "lte", "gt", "lt", "ne", "in", "contains", "icontains"})
_COMPARE = {"gte": ">=", "lte": "<=", "gt": ">", "lt": "<", "ne": "IS NOT"}
_MAX_DEPTH = 5


@dataclass(slots=True)
class Condition:
    """A compiled filter: an SQL expression and its parameters."""

    sql: str = "1"
    params: list[Any] = field(default_factory=list)


def compile_filter(resource: Resource, filters: dict[str, Any] | None) -> Condition:
    """Return `filters` as SQL over `resource`'s columns.

    Raises:
        ApiError: 422 on an unknown column, operator or shape.
    """
    if filters is None:
        return Condition()
    try:
        return _all_of(_parts(resource, filters, 0))
    except ApiError:
        raise
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise invalid("these filters make no sense") from error


def _joined(parts: list[Condition], word: str) -> Condition:
    if not parts:
        return Condition()
    sql = f" {word} ".join(f"({part.sql})" for part in parts)
    return Condition(sql, [param for part in parts for param in part.params])


def _all_of(parts: list[Condition]) -> Condition:
    return _joined(parts, "AND")


def _parts(resource: Resource, filters: dict[str, Any], depth: int) -> list[Condition]:
    if depth > _MAX_DEPTH:
        raise invalid(f"filters may be nested {_MAX_DEPTH} deep, not deeper")
    parts: list[Condition] = []
    for key, value in filters.items():
        if key in {"AND", "OR", "NOT"}:
            parts += _logic(resource, key, value, depth)
        else:
            parts += _on_field(resource, key, value)
    return parts


def _logic(resource: Resource, word: str, value: Any, depth: int) -> list[Condition]:
    if not isinstance(value, list):
        raise invalid(f"{word} takes a list of filters, not {_named(value)}")
    nested = [_parts(resource, item, depth + 1) for item in value]
    branches = [_all_of(parts) for parts in nested if parts]
    if not branches:
        return []
    if word == "NOT":  # IS NOT TRUE: what is unset does not match, so it stays
        branches = [Condition(f"({one.sql}) IS NOT TRUE", one.params) for one in branches]
    return [_joined(branches, "OR" if word == "OR" else "AND")]


def _on_field(resource: Resource, key: str, value: Any) -> list[Condition]:
    column = resource.columns.get(key)
    if column is None:
        raise invalid(
            f"Column '{key}' is not allowed to be filtered on or does not exist on {resource.model}"
        )
    if value == "*":
        return []
    if value is None:
        return [Condition(f"{column.sql} IS NULL")]
    if column.kind == "json":
        return _on_json(column, key, value)
    if isinstance(value, list):
        value = {"in": value}
    if isinstance(value, dict):
        return _on_column(column, key, value)
    return [Condition(f"{column.sql} = ?", [_operand(column, key, value)])]


def _on_column(column: Column, key: str, comparisons: dict[str, Any]) -> list[Condition]:
    if not _OPERATORS & comparisons.keys():
        raise invalid(
            f"none of {sorted(comparisons)} compares {key!r}: give a plain value, "
            f"or operators out of {sorted(_OPERATORS)}"
        )
    parts: list[Condition] = []
    for operator, value in comparisons.items():
        _known(operator)
        if value == "*":
            continue
        if value is None:
            if operator != "ne":
                raise invalid(f"{operator!r} compares with no null; only 'ne' does")
            parts.append(Condition(f"{column.sql} IS NOT NULL"))
        elif operator == "in":
            parts += _membership(column.sql, value, lambda one: _operand(column, key, one))
        elif operator in {"contains", "icontains"}:
            if column.kind != "text":
                raise invalid(f"{operator!r} looks into texts, and {key!r} holds none")
            parts.append(_like(column.sql, value))
        else:
            operand = _operand(column, key, value)
            parts.append(Condition(f"{column.sql} {_COMPARE[operator]} ?", [operand]))
    return parts


def _known(operator: str) -> None:
    if operator not in _OPERATORS:
        raise invalid(f"there is no operator {operator!r}")


def _membership(sql: str, values: Any, convert: Callable[[Any], Any]) -> list[Condition]:
    if not isinstance(values, list | dict):
        raise invalid(f"'in' takes a list of values, not {_named(values)}")
    if "*" in values:
        return []
    wanted = json.dumps([convert(value) for value in values])
    return [Condition(f"{sql} IN (SELECT value FROM json_each(?))", [wanted])]  # noqa: S608  # a column of ours


def _like(sql: str, value: Any) -> Condition:
    escaped = str(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Condition(f"{sql} LIKE ? ESCAPE '\\'", [f"%{escaped}%"])


def _operand(column: Column, key: str, value: Any) -> Any:
    if column.kind == "text":
        return _expect(value, str, key, "a string")
    if column.kind == "bool":
        return int(_expect(value, bool, key, "true or false"))
    if column.kind == "time":
        return _moment(_expect(value, str, key, "a time"))
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise invalid(f"{key!r} is a number, which {_named(value)} is not") from error


def _expect(value: Any, kind: type, key: str, words: str) -> Any:
    if isinstance(value, kind):
        return value
    raise invalid(f"{key!r} is compared with {words}, not with {_named(value)}")


def _named(value: Any) -> str:
    """Say in a refusal what was given, without giving it back at any length."""
    return f"{type(value).__name__} {str(value)[:80]!r}"


def _moment(text: str) -> int:
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise invalid(f"{text!r} is no time in ISO 8601") from error
    return to_us(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


def _on_json(column: Column, key: str, value: Any) -> list[Condition]:
    if not isinstance(value, dict | list):
        raise invalid(
            f"{key!r} is filtered with an object, by itself or as the value of 'contains'"
        )
    if isinstance(value, list):
        return [_containment(column, value)]
    if set(value) == {"contains"}:
        return [_containment(column, value["contains"])]
    parts: list[Condition] = []
    for name, wanted in value.items():
        if isinstance(wanted, dict) and _OPERATORS & wanted.keys():
            for operator, operand in wanted.items():
                parts += _on_metadata(column, name, operator, operand)
        elif wanted != "*":
            parts.append(_containment(column, {name: wanted}))
    return parts


def _containment(column: Column, wanted: Any) -> Condition:
    if isinstance(wanted, dict) and len(wanted) == 1:
        (name, value), *_ = wanted.items()
        if isinstance(value, str):  # the common case without leaving SQLite
            sql = (
                f"EXISTS (SELECT 1 FROM json_each({column.sql}) "  # noqa: S608  # a column of ours
                "WHERE key = ? AND type = 'text' AND value = ?)"
            )
            return Condition(sql, [name, value])
    return Condition(f"json_holds({column.sql}, ?)", [dumps(wanted)])


def _text_of(column: Column) -> str:
    """Return the value under a key as Postgres' `->>` gives it: text, or null."""
    return (
        "(SELECT CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "  # noqa: S608  # a column of ours
        f"ELSE CAST(value AS TEXT) END FROM json_each({column.sql}) WHERE key = ?)"
    )


def _on_metadata(column: Column, name: str, operator: str, value: Any) -> list[Condition]:
    _known(operator)
    if value == "*":
        return []
    text = _text_of(column)
    if operator == "in":
        found = _membership(text, value, str)
        return [Condition(one.sql, [name, *one.params]) for one in found]
    if operator in {"contains", "icontains"}:
        like = _like(text, value)
        return [Condition(like.sql, [name, *like.params])]
    # Unlike on a column, null never compares here: Postgres' plain <> over ->>.
    sign = "<>" if operator == "ne" else _COMPARE[operator]
    if isinstance(value, bool):
        return [Condition(f"{text} {sign} ?", [name, str(value).lower()])]
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        if not isinstance(value, str):
            raise invalid(
                f"{operator!r} compares numbers and texts, not {_named(value)}"
            ) from error
        return [Condition(f"{text} {sign} ?", [name, value])]  # dates compare as text
    return [Condition(f"as_number({text}) {sign} ?", [name, number])]
