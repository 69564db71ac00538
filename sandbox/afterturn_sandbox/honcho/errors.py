"""The refusals of the stand-in, with the statuses and bodies that Honcho answers."""

from typing import Any


class ApiError(Exception):
    """A request that is answered with `status` and `{"detail": detail}`."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def not_found(detail: str) -> ApiError:
    """404 with `detail`."""
    return ApiError(404, detail)


def missing_peer(name: str, workspace: str) -> ApiError:
    """404 for a peer that the workspace does not have."""
    return not_found(f"Peer {name} not found in workspace {workspace}")


def missing_session(name: str, workspace: str) -> ApiError:
    """404 for a session that the workspace does not have."""
    return not_found(f"Session {name} not found in workspace {workspace}")


def invalid(detail: Any) -> ApiError:
    """422 with `detail`: a sentence, or a list of what pydantic found wrong in a body."""
    return ApiError(422, detail)


def unauthorized(detail: str = "the key does not reach this resource") -> ApiError:
    """401: no token, a foreign one, or one for another resource."""
    return ApiError(401, detail)


def conflict(detail: str) -> ApiError:
    """409 with `detail`."""
    return ApiError(409, detail)


def unexpected() -> ApiError:
    """500 with the body recorded from Honcho; the server closes the connection after it."""
    return ApiError(500, "An unexpected error occurred")
