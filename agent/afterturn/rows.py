"""What of a turn is captured: its messages stripped, judged and split into rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from afterturn.capture import row_id
from afterturn_models.policy.metadata import MetadataPatterns, Stripped, strip_metadata
from afterturn_models.policy.noise import NoisePatterns, machine_context
from afterturn_models.policy.split import split_text
from afterturn_models.policy.text import clean_text, is_blank
from afterturn_models.token_counter import TokenCounter
from afterturn_models.values import NewMessage, Role

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from afterturn_models.settings import Settings
    from afterturn_models.values import ToolCall


# Honcho takes 25,000 characters. What is captured is what was said, and a special token in it is
# made harmless when it is sent, by one character each: the room left here is for a thousand of them.
PART_CHARACTERS = 24_000


class Said(NamedTuple):
    """One message as the agent handed it over.

    `sent` is what of it the model was sent, where that is not `content`; `frozen` the block of
    memory that was put into the system prompt with it, for good; `call` the call that a tool's
    answer is to; `interrupted` says that it was cut off in the middle.
    """

    role: Role
    peer: str
    content: str
    at: dt.datetime
    sent: str | None = None
    frozen: str | None = None
    call: ToolCall | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """What is stripped, what is noise, whether tool messages are sent, how long a part may be.

    `counter` counts each row, once and for all who read it.
    """

    metadata: MetadataPatterns = field(default_factory=MetadataPatterns)
    noise: NoisePatterns = field(default_factory=NoisePatterns)
    sync_tools: bool = False
    part_characters: int = PART_CHARACTERS
    counter: TokenCounter = field(default_factory=TokenCounter, compare=False)

    @classmethod
    def of(cls, settings: Settings, counter: TokenCounter | None = None) -> CaptureRules:
        """Compile what is configured, once a process; settings have checked every pattern."""
        return cls(
            metadata=MetadataPatterns.compile(
                settings.metadata_patterns, enabled=settings.strip_metadata
            ),
            noise=NoisePatterns.compile(
                settings.noise_patterns, defaults=not settings.disable_default_noise_patterns
            ),
            sync_tools=settings.sync_tool_messages,
            part_characters=min(settings.message_max_chars, PART_CHARACTERS),
            counter=counter or TokenCounter(),
        )

    def askable(self, text: str, origin: str | None = None) -> str | None:
        """Give what of a user's message may be a query; None where all of it stays here."""
        said = strip_metadata(clean_text(text), self.metadata).text
        stays = machine_context(origin) or is_blank(said) or _stays(Role.USER, said, self)
        return None if stays else said


def rows(
    turn_id: UUID, said: Sequence[Said], rules: CaptureRules, *, machine: bool = False
) -> list[NewMessage]:
    """Make the rows of a turn, in order; a long message is several, marked as its parts.

    Every message is one row at least, so that history has it. `machine`: a cron job, a flush or
    a subagent began the turn, and all of it stays here, whatever is said in it. The same words
    make the same rows, ids and all, however often and with whatever behind them.
    """
    return [
        row
        for place, message in enumerate(said)
        for row in _message_rows(turn_id, place, message, rules, machine=machine)
    ]


def _message_rows(
    turn_id: UUID, place: int, said: Said, rules: CaptureRules, *, machine: bool
) -> Iterator[NewMessage]:
    cleaned = clean_text(said.content)
    stripped = strip_metadata(cleaned, rules.metadata)
    sent = cleaned if said.sent is None else said.sent
    stays = "machine" if machine else _stays(said.role, stripped.text, rules)
    parts = split_text(stripped.text, rules.part_characters) or [""]
    for number, part in enumerate(parts):
        yield NewMessage(
            id=row_id(turn_id, place, number),
            role=said.role,
            peer=said.peer,
            content=part,
            at=said.at,
            part=number,
            parts=len(parts),
            tokens=_tokens(said, part, number, rules.counter),
            # Honcho's SDK refuses text without a letter.
            local=stays or ("blank" if is_blank(part) else None),
            metadata=_details(said, stripped, sent, number) | _counted(rules.counter),
        )


def _details(said: Said, stripped: Stripped, sent: str, part: int) -> dict[str, Any]:
    """Give what is kept with a row: the sender, and what a replay needs beyond the row's content.

    `sent` is there only where the model was sent something else than what is captured. It is whole
    on the first part of a long message, and empty on the others: joined they are what was sent.
    """
    found: dict[str, Any] = {}
    if stripped.sender_id:
        found["sender"] = stripped.sender_id
    if sent != stripped.text:
        found["sent"] = "" if part else sent
    if said.frozen is not None and not part:
        found["system"] = said.frozen
    if said.call is not None and not part:
        found["call"] = asdict(said.call)
    if said.interrupted and not part:
        found["interrupted"] = True
    return found


def _tokens(said: Said, part: str, number: int, counter: TokenCounter) -> int:
    """Count a row: its words, and the call that it answers, which goes into the same requests."""
    call = said.call if not number else None
    return counter.count(part) + (counter.count(f"{call.name}{call.arguments}") if call else 0)


def _counted(counter: TokenCounter) -> dict[str, Any]:
    """Say by which encoding a row was counted; nothing, where it was estimated."""
    return {"counted": counter.encoding} if counter.encoding else {}


def _stays(role: Role, text: str, rules: CaptureRules) -> str | None:
    """Say why a message stays here whatever the modes say; None where they decide."""
    if role is Role.TOOL and not rules.sync_tools:
        return "tool"
    return "noise" if rules.noise.matches(text) else None
