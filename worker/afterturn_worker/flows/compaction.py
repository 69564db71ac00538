"""Compaction: what lies further back of a history becomes a summary, under a lease of its own.

Planned from token counts, made by the first kind of summary that can, stored step by step: each
builds on the one before, so that what is read is the last summary and what is new. No transaction
is open while a model or a Honcho is asked. What a killed worker had in hand is made again when its
lease has run out, from what was stored until then.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from afterturn_models.policy.compaction import due, plan
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.store.compaction_texts import Reach
from afterturn_models.store.compactions import Summary
from afterturn_worker.flows.compacting import Made, Outcome, Step
from afterturn_worker.flows.summarising import Part, SummaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from afterturn_models.compaction_settings import CompactionSettings
    from afterturn_models.policy.compaction import Cut, Line
    from afterturn_models.store.compactions import CompactionClaim
    from afterturn_worker.flows.compacting import CompactionLimits, CompactionStore
    from afterturn_worker.flows.summarising import Summariser

log = structlog.get_logger("afterturn.compaction")

_PAGE = 2000  # rows of a plan that are read at once
_MOST_LINES = 20_000  # rows that are planned at once: what lies behind is the next run's
_LONGEST_WAIT = 3600.0  # seconds that a server may ask us to wait
_NONE_COULD = "no summary could be made in the way that compactionSummary asks for"


class LeaseLostError(Exception):
    """Another worker has the session's compaction."""


def compact_session(
    session_id: UUID,
    store: CompactionStore,
    kinds: Sequence[Summariser],
    limits: CompactionLimits,
    *,
    force: bool = False,
    own: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Outcome:
    """Summarise what is due of a session's history, by the first of `kinds` that can.

    Safe to run twice, late, or beside its twin: a lease lets one of them in, and its epoch keeps
    out what a frozen one writes late. `own` is the worker's word on settings. Raises
    StoreUnavailableError; whoever claims it after the lease goes on then.
    """
    claim = store.claim(session_id, lease=limits.lease, force=force)
    if claim is None:
        held = store.held(session_id)
        return Outcome("busy" if held == "free" else held)
    settings = claim.profile.compaction(claim.said, own)
    chosen = _chosen(settings, kinds)
    run = _Run(claim, store, settings, limits, clock=clock, jitter=jitter)
    if not force:
        run.leave_alone(kind for kind, (_, left) in claim.cooling.items() if left > 0)
    try:
        return run.compact(chosen)
    except LeaseLostError:
        return Outcome("busy", tuple(run.made_by), run.position or None)


def _chosen(settings: CompactionSettings, kinds: Sequence[Summariser]) -> list[Summariser]:
    wanted = settings.compaction_summary
    return [kind for kind in kinds if wanted in {"auto", kind.kind}]


class _Run:
    """What one task does for one session while it has the lease."""

    def __init__(
        self,
        claim: CompactionClaim,
        store: CompactionStore,
        settings: CompactionSettings,
        limits: CompactionLimits,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._claim = claim
        self._store = store
        self._settings = settings
        self._rules = settings.rules()
        self._limits = limits
        self._clock = clock
        self._jitter = jitter
        self._until = clock() + limits.slice
        self._cooling: set[str] = set()
        self.position = claim.covered_to
        self.made_by: list[str] = []
        self._errors: list[str] = []

    def leave_alone(self, kinds: Iterable[str]) -> None:
        """Ask nothing of these kinds: they failed a while ago."""
        self._cooling.update(kinds)

    def compact(self, kinds: Sequence[Summariser]) -> Outcome:
        claim = self._claim
        if self._settings.compaction_summary == "off":
            return self._done("off")
        if not claim.forced and not due(claim.total, claim.covered, self._rules):
            return self._done("nothing")
        lines = self._lines()
        cut = plan(lines, claim.covered_to, self._rules, force=claim.forced)
        if cut is None:
            return self._done("nothing")
        return self._cut(cut, [line for line in lines if line.index <= cut.covers_to], kinds)

    def _lines(self) -> list[Line]:
        found: list[Line] = []
        after = self._claim.covered_to
        while len(found) < _MOST_LINES:
            page = self._store.lines(self._claim.session_id, after=after, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                break
            after = page[-1].index
        return found

    def _cut(self, cut: Cut, lines: Sequence[Line], kinds: Sequence[Summariser]) -> Outcome:
        """Summarise a cut, step by step; a step that ends within a turn is not stored yet."""
        last = self._claim.last
        reach = Reach(last.stays_here, last.honcho_session) if last else None
        before = last.text if last else ""
        step = Step(cut.covers_from - 1, cut.covers_from, self.position, before, reach)
        while step.after < cut.covers_to:
            # What is not stored yet would be lost: it is a turn longer than a model's window.
            if self._clock() > self._until and step.stored_to == self.position == step.after:
                self._own(self._store.postpone(self._claim, seconds=0.0, error=None))
                return Outcome("more", tuple(self.made_by), self.position or None)
            left = [line for line in lines if line.index > step.after]
            made = self._summarised(step, left, kinds)
            if made is None:
                return self._failed()
            step = self._stored(made, lines)
        return self._done("compacted")

    def _summarised(
        self, step: Step, left: Sequence[Line], kinds: Sequence[Summariser]
    ) -> Made | None:
        """Make the next summary by the first kind that can; None where none can now."""
        for kind in kinds:
            if kind.kind in self._cooling:
                continue
            upto = kind.upto(left, self._rules)
            reach = self._reach(step, upto)
            if not kind.may(self._claim, reach):
                continue
            part = Part(
                self._claim,
                step.previous,
                step.after,
                upto,
                reach,
                self._rules,
                self._settings.compaction_keep,
            )
            self._own(self._store.renew(self._claim, lease=kind.seconds + self._limits.lease))
            try:
                text = kind.summary(part)
            except SummaryFailure as failure:
                self._cool(kind, failure)
                continue
            if text is not None:
                return Made(step, kind.made_by, text, upto, reach)
            self.leave_alone([kind.kind])  # nor will it for what is left of the cut
        return None

    def _reach(self, step: Step, upto: int) -> Reach:
        """Tell where all text up to `upto` has been: of the rows that are new, and of what was stored.

        The head counts too: a Honcho's summary has it in it.
        """
        new = self._store.reach(self._claim.session_id, after=step.stored_to, upto=upto)
        if step.reach is None:
            return new
        same = new.honcho_session == step.reach.honcho_session
        return Reach(
            stays_here=new.stays_here or step.reach.stays_here,
            honcho_session=new.honcho_session if same else None,
        )

    def _stored(self, made: Made, lines: Sequence[Line]) -> Step:
        """Store a summary where it ends with a turn; give the step that goes on from it."""
        turns = {line.index: line.turn for line in lines}
        step = made.step
        if turns.get(made.upto) == turns.get(made.upto + 1):
            return replace(step, after=made.upto, previous=made.text)
        summary = Summary(
            covers_from=step.covers_from,
            covers_to=made.upto,
            text=made.text,
            tokens=estimate_tokens(made.text),
            made_by=made.made_by,
            stays_here=made.reach.stays_here or self._claim.local,
            honcho_session=made.reach.honcho_session,
        )
        self._own(
            self._store.commit(self._claim, summary, after=step.stored_to, lease=self._limits.lease)
        )
        log.info("compacted", covers_to=made.upto, tokens=summary.tokens, made_by=made.made_by)
        self.made_by.append(made.made_by)
        self.position = made.upto
        reach = Reach(summary.stays_here, summary.honcho_session)
        return Step(made.upto, made.upto + 1, made.upto, made.text, reach)

    def _cool(self, kind: Summariser, failure: SummaryFailure) -> None:
        """Leave a kind alone for a while: in this run, and in those that come until then."""
        failures = self._claim.cooling.get(kind.kind, (0, 0.0))[0] + 1
        seconds = self._limits.backoff.delay(failures, self._jitter())
        if failure.retry_after is not None:
            seconds = max(seconds, min(failure.retry_after, _LONGEST_WAIT))
        error = f"{kind.kind}: {failure}"
        log.warning("summary_failed", kind=kind.kind, error=str(failure), seconds=round(seconds))
        self._cooling.add(kind.kind)
        self._errors.append(error)
        self._own(
            self._store.cool(
                self._claim, kind.kind, failures=failures, seconds=seconds, error=error
            )
        )

    def _failed(self) -> Outcome:
        """Leave a session that nothing summarises now; what was stored until then stays."""
        error = "; ".join(self._errors) or _NONE_COULD
        seconds = self._limits.backoff.delay(self._claim.failures + 1, self._jitter())
        self._own(self._store.postpone(self._claim, seconds=seconds, error=error))
        return Outcome("waiting", tuple(self.made_by), self.position or None, error)

    def _done(self, outcome: str) -> Outcome:
        self._own(self._store.release(self._claim))
        error = "; ".join(self._errors) or None
        return Outcome(outcome, tuple(self.made_by), self.position or None, error)

    def _own(self, done: bool) -> None:
        """Go on only where a fenced statement was done: the lease is still ours."""
        if not done:
            raise LeaseLostError
