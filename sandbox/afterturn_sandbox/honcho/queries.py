"""The query strings that Honcho's routes take."""

from datetime import datetime

from pydantic import BaseModel, Field

from afterturn_sandbox.honcho.models import Curation


class PageQuery(BaseModel):
    """Which page of a list, and in which order."""

    page: int = Field(default=1, ge=1)
    size: int = Field(default=50, ge=1, le=100)
    reverse: bool | None = False


class TargetQuery(BaseModel):
    """Whose card a card route means."""

    target: str | None = None


class PeerContextQuery(TargetQuery, Curation):
    """The parameters of a peer's context."""


class SessionContextQuery(Curation):
    """The parameters of a session's context."""

    tokens: int | None = Field(default=None, le=100_000)
    summary: bool = True
    peer_target: str | None = None
    peer_perspective: str | None = None
    scope: str | None = None
    sessions: list[str] | None = None
    limit_to_session: bool = False


class QueueQuery(BaseModel):
    """Whose part of the queue is asked for."""

    observer_id: str | None = None
    sender_id: str | None = None
    session_id: str | None = None


class CloneQuery(BaseModel):
    """The last message of a clone."""

    message_id: str | None = None


class KeyQuery(BaseModel):
    """What a new key is for."""

    workspace_id: str | None = None
    peer_id: str | None = None
    session_id: str | None = None
    expires_at: datetime | None = None
