"""The kinds of summary, and what each may read: Honcho's own, a language model's, one of sentences.

Text that is to stay on this machine goes to no Honcho, and to a model only where that runs on this
machine too. What a summary was made of clings to it: one of such text is such text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from afterturn_models.errors import HonchoFailure, LlmFailure, RateLimited
from afterturn_models.policy.extractive import SaidLine, summarise
from afterturn_models.policy.pruning import prune_tool_output, pruned
from afterturn_models.policy.summary_prompt import accept_summary, summary_request
from afterturn_models.values import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.policy.compaction import CompactionRules, Line
    from afterturn_models.store.compaction_texts import Reach, Said
    from afterturn_models.store.compactions import CompactionClaim
    from afterturn_worker.honcho.recall_port import SessionSummary

TOOL_TOKENS = 400  # of one tool's answer: what was said about it counts for more
_EXTRACT_TOKENS = 64_000  # read at once, so that a worker's memory is bounded
_LINE_TOKENS = 24  # of a request beside the text of one line: who said it, and the JSON around it
_ESCAPED = 0.9  # of a request is text, the rest what marks its quotes and line ends
_PROMPT_TOKENS = 1000  # room for what a request says beside the conversation
_LEAST = 500  # tokens of conversation that go into one request, however small the model
_PAGE = 200  # rows


class SummaryFailure(Exception):  # noqa: N818 - named as the failures that it stands for
    """A kind of summary failed, and is to be left alone for a while."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TextStore(Protocol):
    """What summaries need of Postgres, each method one statement."""

    def said(self, session_id: UUID, *, after: int, upto: int, limit: int) -> Sequence[Said]:
        """Read a page of texts beyond `after` up to `upto`, in order."""
        ...

    def index_of(self, session_id: UUID, row: UUID) -> int | None:
        """Give the index of a row; None where the session has none with this id."""
        ...


class SummaryPort(Protocol):
    """What of a Honcho it takes."""

    def session_summaries(
        self, workspace: str, session: str, *, deadline: float
    ) -> Sequence[SessionSummary]:
        """Read Honcho's own summaries of a session, the longer kind first."""
        ...


class LlmPort(Protocol):
    """A language model; `here` tells whether it runs on this machine."""

    model: str
    here: bool

    def complete(self, messages: Sequence[dict[str, str]], *, tokens: int, deadline: float) -> str:
        """Give its answer; raises LlmFailure."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """What is summarised at once: the rows beyond `after` up to `upto`, on top of `previous`.

    `reach` is where the text of all that, the last summary's included, has been.
    """

    claim: CompactionClaim
    previous: str
    after: int
    upto: int
    reach: Reach
    rules: CompactionRules
    keep: Sequence[str] = ()


class Summariser(Protocol):
    """One kind of summary."""

    kind: str
    made_by: str
    seconds: float  # that one summary takes at most

    def may(self, claim: CompactionClaim, reach: Reach) -> bool:
        """Tell whether text of that reach may be summarised so."""
        ...

    def upto(self, lines: Sequence[Line], rules: CompactionRules) -> int:
        """Give the index up to which it goes at once, of a cut's rows that are left."""
        ...

    def summary(self, part: Part) -> str | None:
        """Summarise; None where it cannot now, and that is no failure. Raises SummaryFailure."""
        ...


class OfHoncho:
    """Honcho's own session summary, where it covers every row of the cut and before it."""

    kind = made_by = "honcho"

    def __init__(self, honcho: SummaryPort, store: TextStore, *, seconds: float) -> None:
        self._honcho = honcho
        self._store = store
        self.seconds = seconds

    def may(self, claim: CompactionClaim, reach: Reach) -> bool:
        """Only where one session of Honcho has all of it, and nothing is kept from it now."""
        return reach.honcho_session is not None and not reach.stays_here and not claim.local

    def upto(self, lines: Sequence[Line], rules: CompactionRules) -> int:  # noqa: ARG002 - the port's
        """All at once: nothing of it is read."""
        return lines[-1].index

    def summary(self, part: Part) -> str | None:
        """Take the longest of Honcho's that reaches as far as the cut, where the cut is there."""
        claim, session = part.claim, part.reach.honcho_session
        if session is None or part.upto > claim.saved_index:
            return None
        try:
            found = self._honcho.session_summaries(claim.workspace, session, deadline=self.seconds)
        except HonchoFailure as failure:
            after = failure.retry_after if isinstance(failure, RateLimited) else None
            raise SummaryFailure(str(failure), retry_after=after) from None
        for one in found:
            reached = self._store.index_of(claim.session_id, one.row)
            if reached is not None and reached >= part.upto:
                text = accept_summary(one.text, part.rules.summary_tokens)
                if text is not None:
                    return text
        return None


class OfModel:
    """A language model's, in steps that fit its window."""

    kind = "llm"

    def __init__(self, model: LlmPort, store: TextStore, *, window: int, seconds: float) -> None:
        self._model = model
        self._store = store
        self._window = window
        self.seconds = seconds
        self.made_by = f"llm:{model.model}"

    def may(self, claim: CompactionClaim, reach: Reach) -> bool:
        """Whatever may leave this machine; all else only where the model is on it."""
        return self._model.here or not (reach.stays_here or claim.local)

    def upto(self, lines: Sequence[Line], rules: CompactionRules) -> int:
        """As far as one request goes."""
        return _within(lines, self._room(rules), each=_LINE_TOKENS)

    def summary(self, part: Part) -> str | None:
        """Ask the model once."""
        room, tokens = self._room(part.rules), self._tokens(part.rules)
        # A message may be longer than the model's window, and is then read at both ends.
        lines = [
            SaidLine(one.role, one.speaker, prune_tool_output(one.text, room))
            for one in pruned(_said(self._store, part), TOOL_TOKENS)
        ]
        request = summary_request(part.previous, lines, tokens, keep=part.keep)
        try:
            answer = self._model.complete(request, tokens=tokens, deadline=self.seconds)
        except LlmFailure as failure:
            raise SummaryFailure(str(failure), retry_after=failure.retry_after) from None
        text = accept_summary(answer, tokens)
        if text is None:
            raise SummaryFailure(f"{self._model.model} gave no summary")
        return text

    def _tokens(self, rules: CompactionRules) -> int:
        return min(rules.summary_tokens, self._window // 6)

    def _room(self, rules: CompactionRules) -> int:
        """Give the tokens of conversation in one request, beside two summaries and the prompt."""
        room = self._window - 3 * self._tokens(rules) - _PROMPT_TOKENS
        return max(_LEAST, int(room * _ESCAPED))


class OfSentences:
    """Sentences of the conversation itself: it needs nothing, and never fails."""

    kind = made_by = "extractive"
    seconds = 0.0

    def __init__(self, store: TextStore) -> None:
        self._store = store

    def may(self, claim: CompactionClaim, reach: Reach) -> bool:  # noqa: ARG002 - the port's
        """Summarise any: it is made here."""
        return True

    def upto(self, lines: Sequence[Line], rules: CompactionRules) -> int:  # noqa: ARG002 - the port's
        """As far as a worker reads at once."""
        return _within(lines, _EXTRACT_TOKENS)

    def summary(self, part: Part) -> str | None:
        """Choose sentences."""
        lines = pruned(_said(self._store, part), TOOL_TOKENS)
        return summarise(part.previous, lines, part.rules.summary_tokens, keep=part.keep)


def _within(lines: Sequence[Line], tokens: int, *, each: int = 0) -> int:
    """Give the index of the last row that goes into `tokens`: of whole turns, where one goes.

    Tools' answers are pruned before, and count as they are then; every row counts `each` besides.
    One goes in any case.
    """
    used, last, whole = 0, lines[0].index, 0
    for at, line in enumerate(lines):
        text = min(line.tokens, TOOL_TOKENS) if line.role is Role.TOOL else line.tokens
        used += text + each
        if used > tokens and at:
            return whole or last
        last = line.index
        if at + 1 == len(lines) or lines[at + 1].turn != line.turn:
            whole = last
    return last


def _said(store: TextStore, part: Part) -> list[SaidLine]:
    """Read a part's texts, page by page, the parts of a long message joined."""
    found: list[SaidLine] = []
    after = part.after
    while after < part.upto:
        page = store.said(part.claim.session_id, after=after, upto=part.upto, limit=_PAGE)
        if not page:
            break
        for row in page:
            text = row.text
            if row.part and found and found[-1].role is row.role:
                text = found.pop().text + text
            found.append(SaidLine(row.role, row.speaker, text))
        after = page[-1].index
    return [line for line in found if line.text]
