"""The bodies that Honcho's routes take: pydantic models, so that a 422 is worded as pydantic words it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)

from afterturn_sandbox.honcho.fields import (
    MAX_CONTENT,
    Filters,
    Metadata,
    Name,
    ReasoningLevel,
    ScopeName,
    ScopeOption,
    Text,
    check_scope_name,
    check_url,
    refuse_special_tokens,
)
from afterturn_sandbox.honcho.values import without_nul


class Reasoning(BaseModel):
    """Whether messages are reasoned over."""

    enabled: bool | None = None
    custom_instructions: str | None = None


class PeerCardUse(BaseModel):
    """Whether peer cards are used and made."""

    use: bool | None = None
    create: bool | None = None


class SummaryUse(BaseModel):
    """When summaries are made."""

    enabled: bool | None = None
    messages_per_short_summary: int | None = Field(default=None, ge=10)
    messages_per_long_summary: int | None = Field(default=None, ge=20)

    @model_validator(mode="after")
    def _ordered(self) -> "SummaryUse":
        given = [
            every
            for every in (self.messages_per_short_summary, self.messages_per_long_summary)
            if every is not None
        ]
        if given != sorted(set(given)):
            raise ValueError("short summaries have to come more often than long ones")
        return self


class DreamUse(BaseModel):
    """Whether dreams run."""

    enabled: bool | None = None


class Configuration(BaseModel):
    """A workspace's or a session's configuration; unknown keys are kept."""

    model_config = ConfigDict(extra="allow")

    reasoning: Reasoning | None = None
    peer_card: PeerCardUse | None = None
    summary: SummaryUse | None = None
    dream: DreamUse | None = None


class WorkspaceCreate(BaseModel):
    """Get or create a workspace."""

    id: Name
    metadata: Metadata = {}
    configuration: Configuration = Field(default_factory=Configuration)


class ConfiguredUpdate(BaseModel):
    """New metadata or configuration of a workspace or a session."""

    metadata: Metadata | None = None
    configuration: Configuration | None = None


class PeerUpdate(BaseModel):
    """New metadata or configuration of a peer."""

    metadata: Metadata | None = None
    configuration: Metadata | None = None


class PeerCreate(PeerUpdate):
    """Get or create a peer."""

    id: Name


class Listing(BaseModel):
    """The filters of a list."""

    filters: Filters = None


class PeerListing(Listing):
    """The filters of a list of peers, and which kinds it holds."""

    kind: Literal["scope", "all"] | None = None


class MemberConfig(BaseModel):
    """What a peer observes in one session."""

    observe_me: bool | None = None
    observe_others: bool | None = None


class SessionCreate(ConfiguredUpdate):
    """Get or create a session, with peers and scopes."""

    id: Name
    peers: dict[str, MemberConfig] | None = None
    scopes: Annotated[list[ScopeName], Field(max_length=100)] | None = None


class MessageConfig(BaseModel):
    """One message's own configuration."""

    reasoning: Reasoning | None = None


class MessageCreate(BaseModel):
    """One message of a batch."""

    content: Annotated[str, Field(max_length=MAX_CONTENT), AfterValidator(without_nul)]
    peer_id: str
    metadata: Metadata | None = None
    configuration: MessageConfig | None = None
    created_at: datetime | None = None

    @model_validator(mode="after")
    def _tokens(self) -> "MessageCreate":
        refuse_special_tokens(self.content)
        return self


class MessageBatch(BaseModel):
    """1 to 100 messages, stored whole or not at all."""

    messages: list[MessageCreate] = Field(min_length=1, max_length=100)


class MessageUpdate(BaseModel):
    """New metadata of a message."""

    metadata: Metadata | None = None


class Search(BaseModel):
    """A search of a peer's or a session's messages."""

    query: Text
    filters: Filters = None
    limit: int = Field(default=10, ge=1, le=100)


class WorkspaceSearch(Search):
    """A search of a workspace's messages."""

    scope: str | None = None


class ConclusionCreate(BaseModel):
    """One conclusion of a batch."""

    content: Annotated[str, Field(min_length=1, max_length=65_535), AfterValidator(without_nul)]
    observer_id: str
    observed_id: str
    session_id: str | None = None

    @model_validator(mode="after")
    def _tokens(self) -> "ConclusionCreate":
        refuse_special_tokens(self.content)
        return self


class ConclusionBatch(BaseModel):
    """1 to 100 conclusions."""

    conclusions: list[ConclusionCreate] = Field(min_length=1, max_length=100)


class ConclusionQuery(BaseModel):
    """A search of conclusions."""

    query: str
    top_k: int = Field(default=10, ge=1, le=100)
    distance: float | None = Field(default=None, ge=0.0, le=1.0)
    filters: Filters = None


class Recall(BaseModel):
    """What confines a question or a representation: a session, filters or scopes; and its target."""

    session_id: str | None = None
    filters: Filters = None
    scope: ScopeOption | None = None
    target: str | None = None


class Dialectic(Recall):
    """A question about a peer."""

    query: Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(without_nul)]
    stream: bool = False
    reasoning_level: ReasoningLevel = "low"
    response_format: dict[str, Any] | None = None


class Curation(BaseModel):
    """How a representation is chosen from all that is known."""

    search_query: str | None = None
    search_top_k: int | None = Field(default=None, ge=1, le=100)
    search_max_distance: float | None = Field(default=None, ge=0.0, le=1.0)
    include_most_frequent: bool | None = None
    max_conclusions: int | None = Field(default=None, ge=1, le=100)


class RepresentationGet(Recall, Curation):
    """A peer's representation, confined and curated."""


class CardSet(BaseModel):
    """A peer card to set as it is."""

    peer_card: Annotated[list[str], BeforeValidator(without_nul)]


class ScopeCreate(BaseModel):
    """Get or create a scope."""

    id: Annotated[str, Field(min_length=1), AfterValidator(check_scope_name)]
    metadata: Metadata | None = None


class ScopeSessions(BaseModel):
    """The sessions that a scope is to take in."""

    session_ids: list[str] = Field(min_length=1, max_length=100)


class Dream(BaseModel):
    """A dream to schedule."""

    observer: str
    observed: str | None = None
    dream_type: Literal["omni", "card_refresh"]
    session_id: str | None = None
    rebuild: bool = False


class WebhookCreate(BaseModel):
    """A webhook's address."""

    url: Annotated[str, AfterValidator(check_url)]


MEMBERS: TypeAdapter[dict[str, MemberConfig]] = TypeAdapter(dict[str, MemberConfig])
NAMES: TypeAdapter[list[str]] = TypeAdapter(list[str])
BATCH: TypeAdapter[MessageBatch] = TypeAdapter(MessageBatch)
