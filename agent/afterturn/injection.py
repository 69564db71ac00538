"""Injection: what of a session's recall goes into the prompt, where, and in which of its turns.

`injection` says which, and each keeps a provider's cache in its own way:

- `every-turn`: beside the user's message, in each turn. A context that was popped goes in again
  until its cadence lets a newer one be expected; an answer of the dialectic goes in once.
- `first-turn`: beside the user's message, in the first turn that has anything. A conversation that
  is opened again has had its chance, and gets none.
- `frozen`: into the system prompt, in the conversation's first turn, and those bytes in every later
  one, also after the agent was started again; what was empty then stays empty. In a shared chat
  only the one about whom it is has it there: others see the header alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from afterturn.prompt import context_block
from afterturn.recall import Recall, over
from afterturn_models.policy.block import DIALECTIC

if TYPE_CHECKING:
    from afterturn_models.recall_settings import RecallSettings


class Placed(NamedTuple):
    """What a turn recalls, and where it went.

    `frozen` is the block that was put into the system prompt in this very turn ("" for none), to
    be kept with its first row; None in every other turn.
    """

    recall: Recall | None
    system: str
    context: str
    frozen: str | None = None


class _Kept(NamedTuple):
    recall: Recall
    about: str
    since: int


class Injection:
    """What one session has injected, and what it still may; used under the session's lock."""

    def __init__(self, header: str) -> None:
        """`header` is the system prompt's own part, the same in every turn."""
        self._header = header
        self._frozen: str | None = None
        self._frozen_about: str | None = None
        self._begun = 0
        self._over = False
        self._kept: _Kept | None = None

    def resume(
        self, settings: RecallSettings, turns: int, frozen: str | None, about: str | None
    ) -> None:
        """Go on in a conversation that has so many turns already, and this frozen block."""
        if settings.injection == "frozen" and self._frozen is None and not self._begun:
            self._frozen, self._frozen_about = frozen, about
        self._over = self._over or bool(turns)

    def wants(self, settings: RecallSettings) -> bool:
        """Tell whether anything that is recalled now would go into the prompt."""
        if settings.recall_mode == "tools":
            return False
        if settings.injection == "frozen":
            return self._frozen is None and not self._begun
        return settings.injection == "every-turn" or not self._over

    def place(self, recall: Recall | None, about: str, settings: RecallSettings) -> Placed:
        """Put what a turn recalls about a peer where it belongs; called once a turn, in order."""
        wanted = self.wants(settings)
        self._begun += 1
        if settings.injection == "every-turn" and wanted:
            recall = self._with_kept(recall, about, settings.context_cadence)
        block = _block(recall, settings.context_tokens) if wanted else ""
        if settings.injection != "frozen":
            self._over = self._over or bool(block)
            return Placed(recall, self._header, block)
        if wanted:
            self._frozen, self._frozen_about = block, about
        return Placed(recall, self.system(about), "", self._frozen if wanted else None)

    def system(self, about: str) -> str:
        """Give the system prompt's part: the header, and under it what is frozen about this peer."""
        frozen = self._frozen if self._frozen_about == about else None
        return "\n\n".join(part for part in (self._header, frozen) if part)

    def _with_kept(self, recall: Recall | None, about: str, cadence: int) -> Recall | None:
        """Let the context that was popped last serve until the next may be expected.

        Only for the one about whom it is: in a shared chat another one may speak now.
        """
        if recall is not None and recall.context is not None:
            self._kept = _Kept(recall, about, self._begun)
            return recall
        kept = self._kept
        if kept is None or kept.about != about or self._begun - kept.since >= cadence:
            return recall
        return over(recall, _context_of(kept.recall))


def _context_of(recall: Recall) -> Recall:
    counts = {name: count for name, count in recall.counts.items() if name != DIALECTIC}
    return Recall(context=recall.context, context_turn=recall.context_turn, counts=counts)


def _block(recall: Recall | None, tokens: int) -> str:
    """Assemble the block; what the dialectic was asked about is in its title."""
    if recall is not None and recall.behind:
        recall = replace(recall, current=False)
    return context_block(recall, tokens)
