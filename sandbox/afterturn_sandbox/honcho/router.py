"""From a method and a path to a route, with the 404s and 405s that FastAPI answers."""

from collections.abc import Callable
from dataclasses import dataclass

from afterturn_sandbox.honcho.auth import Access
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.errors import ApiError, not_found

Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API. `searches` brings the index up to date first; `form` is a form."""

    method: str
    template: str
    handler: Handler
    access: Access = "workspace"
    searches: bool = False
    form: bool = False


class Router:
    """The table of routes, by their number of path segments."""

    def __init__(self, routes: list[Route]) -> None:
        self._by_length: dict[int, list[tuple[list[str], Route]]] = {}
        # A literal segment beats a parameter, whatever the order of registration.
        for route in sorted(routes, key=lambda one: one.template.count("{")):
            parts = route.template.split("/")
            self._by_length.setdefault(len(parts), []).append((parts, route))

    def knows(self, path: str) -> bool:
        """Return whether some route takes `path`, with whatever method."""
        parts = path.split("/")
        return any(
            _match(pattern, parts) is not None for pattern, _ in self._by_length.get(len(parts), ())
        )

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route for `method` and `path`, and the path's parameters.

        Raises:
            ApiError: 404 for an unknown path, 405 for a known one with another method.
        """
        parts = path.split("/")
        known = False
        for pattern, route in self._by_length.get(len(parts), ()):
            params = _match(pattern, parts)
            if params is None:
                continue
            if route.method == method:
                return route, params
            known = True
        raise ApiError(405, "Method Not Allowed") if known else not_found("Not Found")


def _match(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for expected, given in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            if not given:
                return None
            params[expected[1:-1]] = given
        elif expected != given:
            return None
    return params
