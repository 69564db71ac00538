"""One request as the routes see it, and what they answer; the 422s of bodies are made here."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from afterturn_sandbox.honcho.errors import ApiError, invalid
from afterturn_sandbox.honcho.queries import PageQuery

if TYPE_CHECKING:
    from afterturn_sandbox.honcho.auth import Identity
    from afterturn_sandbox.honcho.state import State

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


@dataclass(slots=True)
class Reply:
    """An answer: `payload` as JSON, or nothing at all for 204; or events, streamed one by one."""

    payload: Any = None
    status: int = 200
    events: list[str] | None = None


@dataclass(slots=True)
class Page:
    """Which part of a list is asked for."""

    number: int
    size: int
    reverse: bool

    def answer(self, items: list[dict[str, Any]], total: int) -> Reply:
        """Return the page's body, with the count of pages that fastapi-pagination gives."""
        pages = -(-total // self.size)
        return Reply(
            {
                "items": items,
                "total": total,
                "page": self.number,
                "size": self.size,
                "pages": pages,
            }
        )

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.number - 1) * self.size


@dataclass(slots=True)
class Call:
    """A request whose route is found and whose sender is known."""

    state: "State"
    identity: "Identity"
    params: dict[str, str]
    query: Mapping[str, list[str]]
    body: bytes = b""
    form: Mapping[str, Any] = field(default_factory=dict)

    @property
    def workspace(self) -> str:
        """The workspace in the path."""
        return self.params["workspace_id"]

    def parse(self, model: type[M]) -> M:
        """Return the body as `model`.

        Raises:
            ApiError: 422, in FastAPI's form.
        """
        adapter: TypeAdapter[M] = _adapter(model)
        return validate(adapter, self.body)

    def parse_optional(self, model: type[M]) -> M:
        """Return the body as `model`; a missing or null one is `model()`, as list routes allow."""
        if not self.body or self.body.strip() == b"null":
            return model()
        return self.parse(model)

    def parse_query(self, model: type[M]) -> M:
        """Return the query string as `model`; the last of a repeated key counts, save for lists.

        Raises:
            ApiError: 422, in FastAPI's form.
        """
        given: dict[str, Any] = {}
        for name, about in model.model_fields.items():
            values = self.query.get(name)
            if values:
                given[name] = values if "list" in str(about.annotation) else values[-1]
        try:
            return model.model_validate(given)
        except ValidationError as error:
            raise invalid(_details(error, "query")) from error

    def page(self) -> Page:
        """Return the page that the query asks for: 50 items by default, at most 100."""
        asked = self.parse_query(PageQuery)
        return Page(asked.page, asked.size, bool(asked.reverse))


@cache
def _adapter(model: type[M]) -> TypeAdapter[M]:
    return TypeAdapter(model)


def validate(adapter: TypeAdapter[T], body: bytes) -> T:
    """`body` as `adapter`'s type.

    Bodies are first validated by pydantic's own JSON parser, which is twice as fast; only a body
    that it refuses is parsed again as FastAPI does, so that the 422 says where and why as Honcho's does.

    Raises:
        ApiError: 422 with FastAPI's list of errors.
    """
    try:
        return adapter.validate_json(body)
    except ValidationError:
        pass
    try:
        return adapter.validate_python(_loads(body), from_attributes=True)
    except ValidationError as error:
        raise invalid(_details(error, "body")) from error


def _loads(body: bytes) -> Any:
    if not body:
        raise _refusal("missing", ["body"], "Field required", None)
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise _refusal(
            "json_invalid", ["body", error.pos], "the body is not JSON", {}, {"error": error.msg}
        ) from error
    except UnicodeDecodeError as error:
        raise ApiError(400, "the body is not UTF-8 text") from error


def _refusal(
    kind: str, loc: list[str | int], msg: str, given: Any, ctx: dict[str, Any] | None = None
) -> ApiError:
    entry: dict[str, Any] = {"type": kind, "loc": loc, "msg": msg, "input": given}
    return invalid([entry | ({"ctx": ctx} if ctx else {})])


def missing_fields(names: Iterable[str]) -> ApiError:
    """Return the 422 for form fields that are not there."""
    return invalid(
        [
            {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}
            for name in names
        ]
    )


def _details(error: ValidationError, where: str) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    for entry in error.errors(include_url=False):
        detail: dict[str, Any] = {**entry, "loc": [where, *entry["loc"]]}
        ctx = entry.get("ctx")
        if ctx is not None:  # an exception in it becomes {}, as FastAPI's encoder makes it
            detail["ctx"] = {k: {} if isinstance(v, Exception) else v for k, v in ctx.items()}
        details.append(detail)
    return details
