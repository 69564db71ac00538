"""The table of tools: everything that schemas, calls and docs say of one is made from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from afterturn.tools.parameters import ArgumentError, Parameter
from afterturn_models.asks import Op
from afterturn_models.policy.reasoning import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Deadline = Literal["fast", "llm", "local"]
Names = Literal["afterturn", "hermes", "openclaw", "nanobot"]
MOST_TOKENS = 2000  # of any answer: it goes into the prompt and stays there


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool that a model may call.

    `op` is what is asked of a worker, or what chooses it from the arguments (raises ArgumentError
    where they do not go together); None for a tool over local files. `fixed` goes with each ask.
    `alias_of` is the tool of ours that does the same under another name; `sets` are the sets of
    names in which it is offered.
    """

    name: str
    says: str
    op: Op | Callable[[Mapping[str, Any]], Op] | None
    parameters: tuple[Parameter, ...] = ()
    deadline: Deadline = "fast"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    alias_of: str | None = None
    sets: tuple[Names, ...] = ("afterturn",)


def _profile(given: Mapping[str, Any]) -> Op:
    return Op.SET_PROFILE if "card" in given else Op.PROFILE


def _conclude(given: Mapping[str, Any]) -> Op:
    wanted = [name for name in ("text", "id", "list") if given.get(name)]
    if wanted in ([], ["list"]) and (wanted or "query" in given):
        return Op.CONCLUSIONS if "query" in given else Op.LIST_CONCLUSIONS
    if len(wanted) != 1:
        raise ArgumentError("give one of conclusion, delete_id or list")
    return Op.CONCLUDE if wanted == ["text"] else Op.UNCONCLUDE


_QUERY = Parameter("query", required=True)
_PEER = Parameter("peer", "peer", key="about", also=("about", "target"), default="user")
_LIMIT = Parameter("limit", "integer", also=("max_results", "top_k"))
_TOKENS = Parameter("max_tokens", "integer", key="tokens", least=50, most=MOST_TOKENS, default=800)
_TIMES = (
    Parameter("created_after", "time", "ISO 8601", also=("after",)),
    Parameter("created_before", "time", also=("before",)),
)
_ABOUT = Parameter("about", "peer", also=("peer",), default="user")
_LEVELS = {level: level for level in LEVELS}
_OURS_AND_HERMES: tuple[Names, ...] = ("afterturn", "hermes")

_TABLE = (
    Tool(
        "honcho_session",
        "This conversation's memory: summary, members, how many messages are not synced yet.",
        Op.SESSION,
        sets=("afterturn", "openclaw"),
    ),
    Tool(
        "honcho_profile",
        "Read the peer's card of lasting facts; with card, replace it.",
        _profile,
        (_PEER, Parameter("card", "lines", "All facts, one a line")),
        sets=_OURS_AND_HERMES,
    ),
    Tool(
        "honcho_search",
        "Find earlier messages by meaning.",
        Op.SEARCH,
        (
            _QUERY,
            Parameter("from", "by", key="from_", also=("peer", "from_"), default="all"),
            *_TIMES,
            Parameter("metadata", "labels"),
            replace(_LIMIT, default=10),
            _TOKENS,
        ),
        sets=_OURS_AND_HERMES,
    ),
    Tool(
        "honcho_context",
        "What is known of the peer: the card alone, or in full with representation and summary.",
        Op.CONTEXT,
        (
            Parameter(
                "detail",
                "choice",
                choices={"card": "card", "full": "full"},
                default="full",
            ),
            _PEER,
            Parameter("query", says="What it should bear on"),
        ),
        sets=("afterturn", "hermes", "openclaw"),
    ),
    Tool(
        "honcho_search_conclusions",
        "Find facts that were concluded about the peer.",
        Op.CONCLUSIONS,
        (_QUERY, _PEER, replace(_LIMIT, default=10)),
        sets=("afterturn", "openclaw"),
    ),
    Tool(
        "honcho_recall",
        "Ask memory a simple question; an LLM answers, quickly and cheaply.",
        Op.DIALECTIC,
        (_QUERY, _PEER),
        "llm",
        {"floor": "minimal"},
    ),
    Tool(
        "honcho_analyze",
        "Ask memory a question that takes thought; slower, and costs more.",
        Op.DIALECTIC,
        (_QUERY, _PEER),
        "llm",
        {"floor": "medium"},
    ),
    Tool(
        "honcho_conclude",
        "Write down a fact about the peer, delete one by its id, or list them.",
        _conclude,
        (
            Parameter("conclusion", key="text"),
            Parameter("delete_id", key="id"),
            Parameter("list", "flag"),
            Parameter("query", says="Narrows the list"),
            _PEER,
        ),
        sets=_OURS_AND_HERMES,
    ),
    Tool(
        "memory_search",
        "Find passages in the local memory files.",
        None,
        (
            _QUERY,
            Parameter(
                "maxResults",
                "integer",
                key="limit",
                also=("max_results", "limit"),
                most=50,
                default=6,
            ),
        ),
        "local",
        sets=("afterturn", "openclaw"),
    ),
    Tool(
        "memory_get",
        "Read a local memory file, or some of its lines.",
        None,
        (
            Parameter("path", required=True, also=("file",)),
            Parameter("from", "integer", key="first", also=("from_",), most=1_000_000, default=1),
            Parameter("lines", "integer", most=10_000),
        ),
        "local",
        sets=("afterturn", "openclaw"),
    ),
    Tool(
        "honcho_reasoning",
        "Ask memory a question in plain words; an LLM answers.",
        Op.DIALECTIC,
        (
            _QUERY,
            Parameter(
                "reasoning_level", "choice", "Only to override", key="level", choices=_LEVELS
            ),
            _PEER,
        ),
        "llm",
        alias_of="honcho_recall",
        sets=("hermes",),
    ),
    Tool(
        "honcho_ask",
        "Ask memory a question about the user; thorough takes longer and costs more.",
        Op.DIALECTIC,
        (
            _QUERY,
            Parameter(
                "depth",
                "choice",
                key="level",
                choices={"quick": "low", "thorough": "high"},
                default="low",
            ),
            _ABOUT,
            Parameter("session_id", "session"),
        ),
        "llm",
        alias_of="honcho_recall",
        sets=("openclaw",),
    ),
    Tool(
        "query_user_context",
        "Ask what is known about the user; an LLM answers.",
        Op.DIALECTIC,
        (_QUERY,),
        "llm",
        {"about": "user"},
        alias_of="honcho_recall",
        sets=("nanobot",),
    ),
    Tool(
        "honcho_search_messages",
        "Find earlier messages by meaning.",
        Op.SEARCH,
        (
            _QUERY,
            Parameter("from", "by", key="from_", also=("from_",), default="all"),
            _ABOUT,
            Parameter("metadata", "labels"),
            *_TIMES,
            replace(_LIMIT, default=10),
        ),
        fixed={"tokens": MOST_TOKENS},
        alias_of="honcho_search",
        sets=("openclaw",),
    ),
)
TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _TABLE}
