"""The settings of one process: every field with its type, its default and what it is.

The one model by which configuration is validated, wherever it comes from: files, environment,
keyword arguments, Postgres, the command line. `settings` reads the sources and fills it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_origin

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from afterturn_models.compaction_settings import CompactionSettings
from afterturn_models.errors import ConfigurationError
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.noise import NoisePatterns
from afterturn_models.policy.text import is_blank
from afterturn_models.policy.write_frequency import ASYNC, parse_frequency
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.values import Mode


def _compiles(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a pattern that is no expression while it can still be said where it stands."""
    NoisePatterns.compile(patterns)
    return patterns


def _switch(value: object) -> object:
    """Read `auto`, and the words that mean yes and no."""
    word = str(value).strip().lower()
    known = {"auto": "auto", "true": True, "1": True, "false": False, "0": False}
    if word not in known:
        raise ValueError(f"{value!r} is no switch; use auto, true or false")
    return known[word]


def _id(value: Any) -> Any:
    """Make an id of a name, and nothing of one that nobody can see."""
    if not value:
        return value
    return "" if is_blank(str(value)) else honcho_id(str(value))


_FREQUENCY_SCHEMA = {
    "anyOf": [
        {"enum": ["async", "turn", "session"]},
        {"type": "integer", "minimum": 1, "maximum": 10_000},
        {"type": "string", "pattern": "^[1-9][0-9]{0,4}$"},
    ]
}
Frequency = Annotated[str, BeforeValidator(parse_frequency), WithJsonSchema(_FREQUENCY_SCHEMA)]
Id = Annotated[str, BeforeValidator(_id)]
Patterns = Annotated[tuple[str, ...], AfterValidator(_compiles)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Enabled = Annotated[Literal["auto"] | bool, BeforeValidator(_switch)]
LEASE_MARGIN = 2.0  # seconds of a lease that no request may use
HOSTED_HONCHO = "https://api.honcho.dev"
LOCAL_HONCHO = "http://localhost:8000"  # where Honcho's SDK looks for the environment `local`


class Settings(RecallSettings, CompactionSettings):
    """The effective settings of one process; immutable.

    Field names are snake_case in Python and in `AFTERTURN_*`, camelCase in files, as the spec
    and the other Honcho integrations write them. Those of recall are in `RecallSettings`,
    those of compaction in `CompactionSettings`.
    """

    # where things are
    database_url: str | None = Field(
        None, description="Postgres: `postgresql://user:password@host:5432/name`"
    )
    redis_url: str | None = Field(None, description="Redis: `redis://:password@host:6379/0`")
    honcho_url: str | None = Field(None, description="where workers find Honcho")
    environment: Literal["production", "local"] = Field(
        "production",
        description=f"`local`: Honcho is at {LOCAL_HONCHO}, where no URL is said",
    )
    enabled: Enabled = Field(
        "auto", description="`false`: nothing is sent to Honcho and nothing recalled"
    )

    # who is who
    workspace: Id = Field("afterturn", min_length=1, description="the workspace at Honcho")
    peer_name: Id = Field("user", min_length=1, description="the user's peer")
    ai_peer: Id = Field("agent", min_length=1, description="the agent's peer")

    # what is written
    memory_mode: Mode | None = Field(
        None, description="`hybrid`, `honcho` or `local`, for both peers; unset: `hybrid`"
    )
    user_memory_mode: Mode | None = Field(None, description="the same for the user's peer")
    agent_memory_mode: Mode | None = Field(None, description="the same for the agent's peer")
    write_frequency: Frequency = Field(
        ASYNC, description="`async`, `turn`, `session`, or a number of turns from 1 to 10000"
    )
    save_messages: bool = Field(True, description="`false`: nothing is sent to Honcho")

    # what is captured
    strip_metadata: bool = Field(
        True, description="strip what platforms and memories write into messages"
    )
    metadata_patterns: Patterns = Field(
        (), description="what else is stripped: texts, or `/regex/`"
    )
    noise_patterns: Patterns = Field(
        (), description="what else is noise: how messages begin, or `/regex/`"
    )
    disable_default_noise_patterns: bool = Field(
        False, description="`true`: only `noisePatterns` are noise"
    )
    sync_tool_messages: bool = Field(False, description="`true`: tool messages are sent too")
    message_max_chars: int = Field(
        24_000, ge=1000, le=25_000, description="how long a message is before it is split"
    )

    # how sessions are named
    session_strategy: Literal["per-directory", "per-repo", "per-session", "global"] = Field(
        "per-directory", description="what a session is made for, where it has no name or title"
    )
    session_peer_prefix: bool = Field(
        False, description="put the user's peer in front of session names"
    )
    gateway_first: bool = Field(
        False, description="a platform's key comes before map, title and directory"
    )
    sessions: dict[str, str] = Field(
        default_factory=dict, description="a map from directories to session names"
    )

    # who a platform's users are
    pin_user_peer: bool = Field(False, description="everyone on a platform is `peerName`")
    user_peer_aliases: dict[str, Id] = Field(
        default_factory=dict, description="a map from a platform's ids to peers"
    )
    runtime_peer_prefix: str | None = Field(
        None, description="what goes in front of a platform's ids that have no alias"
    )

    # what tools may do, in seconds, and where local memory is
    tool_seconds: Seconds = Field(10.0, description="the deadline of a tool that asks no LLM")
    ask_seconds: Seconds = Field(25.0, description="the deadline of a tool that asks one")
    memory_folder: str | None = Field(None, description="the folder of local memory files")
    qmd_command: str | None = Field(None, description="the command that searches local files")
    history_cache_entries: int = Field(
        256, ge=1, le=100_000, description="sessions whose history a process keeps at hand"
    )
    history_cache_bytes: int = Field(
        32_000_000, ge=1_000, le=100_000_000_000, description="the memory that it takes for them"
    )

    # how tokens are counted, and the language model that workers summarise with
    token_encoding: Literal["o200k_base", "cl100k_base"] = Field(
        "o200k_base", description="the encoding of exact token counts"
    )
    token_vocabulary: str | None = Field(
        None, description="the file with its vocabulary; unset: tiktoken's own cache is looked into"
    )
    llm_base_url: str | None = Field(
        None, description="an OpenAI-compatible endpoint: `http://localhost:11434/v1`"
    )
    llm_model: str | None = Field(None, description="the model there that is asked")
    llm_window: int = Field(
        32_000, ge=2000, le=100_000_000, description="tokens of that model's context window"
    )
    llm_seconds: Seconds = Field(
        60.0, description="the deadline of one request to it, from first byte to last"
    )

    # how long things may take, in seconds; together they bound a killed worker's delay:
    # lease + settling + two ticks of the relay
    lease_seconds: Seconds = Field(
        20.0, description="how long a worker may hold a session without renewing"
    )
    request_seconds: Seconds = Field(
        10.0, description=f"the deadline of a request; within the lease by {LEASE_MARGIN:g}"
    )
    settling_seconds: Seconds = Field(
        12.0, description="how long an unknown outcome is left before it is looked up"
    )
    relay_seconds: Seconds = Field(3.0, description="how often the relay looks")
    idle_seconds: Seconds = Field(
        300.0, description="how long a session is quiet before all of it becomes due"
    )
    chat_seconds: Seconds = Field(60.0, description="the deadline of a dialectic answer")
    turn_sync_seconds: Seconds = Field(
        10.0, description="how long `turn.end` waits with the write frequency `turn`"
    )

    # how much all workers together send to one Honcho; 0 is as much as they can
    max_in_flight: int = Field(
        64, ge=0, le=10_000, description="requests with messages under way at once; 0: any number"
    )
    requests_per_second: float = Field(
        0.0, ge=0, le=100_000, description="requests with messages a second; 0: any number"
    )

    # how what it does is watched
    slow_turn_seconds: Seconds = Field(
        0.25, description="a turn that took longer, its model aside, is logged as slow"
    )
    otel: Enabled = Field(
        "auto", description="OpenTelemetry spans; `auto`: where the host or `OTEL_*` has them go"
    )

    @model_validator(mode="after")
    def _request_within_lease(self) -> Self:
        if self.request_seconds + LEASE_MARGIN > self.lease_seconds:
            raise ValueError(
                f"leaseSeconds ({self.lease_seconds:g}) must exceed requestSeconds"
                f" ({self.request_seconds:g}) by {LEASE_MARGIN:g} at least"
            )
        return self

    def need_database_url(self) -> str:
        """Give the database's URL; raises ConfigurationError where none is configured."""
        return _configured(self.database_url, "database", "DATABASE")

    def need_redis_url(self) -> str:
        """Give Redis' URL; raises ConfigurationError where none is configured."""
        return _configured(self.redis_url, "Redis", "REDIS")

    def naming_peer(self) -> str | None:
        """Give the peer that goes in front of session keys; None where none is wanted."""
        return self.peer_name if self.session_peer_prefix else None


def _configured(url: str | None, what: str, variable: str) -> str:
    if not url:
        raise ConfigurationError(
            f"no {what}: set AFTERTURN_{variable}_URL, or start everything with: afterturn up"
        )
    return url


_TRAVELLING = (*RecallSettings.model_fields, *CompactionSettings.model_fields)
# In the order in which they are shown: where things are comes before what is recalled.
FIELDS = (
    *(name for name in Settings.model_fields if name not in _TRAVELLING),
    *_TRAVELLING,
)
# What is an object or a list: JSON in the environment and on the command line.
JSON_FIELDS = frozenset(
    name
    for name, info in Settings.model_fields.items()
    if get_origin(info.annotation) in {dict, tuple}
)
