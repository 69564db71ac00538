"""The past of a session: its messages by page, as a request has them, and searching in it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from afterturn.compacting import compacted
from afterturn.history import SessionGoneError
from afterturn.prompting import prompt_messages, read_rows, room_beside
from afterturn.replay import REPLAYED, replayed
from afterturn.searching import Hit, in_session, wanted
from afterturn.spool import SpoolError
from afterturn.timings.loading import loads as marked
from afterturn_models.errors import StoreUnavailableError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from afterturn.compacting import CompactionOutcome
    from afterturn.in_force import InForce
    from afterturn.services import Services
    from afterturn.timings.marks import Loads
    from afterturn_models.store.history import SessionInfo
    from afterturn_models.store.sessions import OpenSession
    from afterturn_models.values import Message

T = TypeVar("T")
PAGE = 200  # messages of a page, where all of a history is read


class Past:
    """What a session can tell of itself; none of it costs more the longer the session is."""

    _services: Services
    _speaker: str
    loads: Loads

    @property
    def in_force(self) -> InForce:
        """What holds for this session."""
        raise NotImplementedError

    @property
    def system(self) -> str:
        """What belongs into the system prompt: the same bytes from the first turn on."""
        raise NotImplementedError

    @marked
    def history(
        self, limit: int = 50, before: int | None = None, after: int | None = None
    ) -> list[Message]:
        """Give up to `limit` messages, oldest first: the last ones, or a page next to an index.

        Those `before` the index of a message are the ones that come right before it, those `after`
        it the ones right behind; `before=page[0].index` and `after=page[-1].index` turn the page.
        Raises ValueError for both at once, StoreUnavailableError while Postgres is away.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1")
        if before is not None and after is not None:
            raise ValueError("a page is before an index or after it: say one of the two")
        histories = self._services.histories
        return self._there(lambda id_: histories.page(id_, limit, before=before, after=after))

    def messages(self, after: int = 0) -> Iterator[Message]:
        """Give every message beyond index `after`, oldest first, a page at a time."""
        while page := self.history(PAGE, after=after):
            yield from page
            after = page[-1].index

    def info(self) -> SessionInfo:
        """Give what is known of the session without reading a message: counts, tokens, lag, times.

        Raises StoreUnavailableError while Postgres is away.
        """
        return self._there(self._services.histories.info)

    def search(
        self,
        query: str,
        limit: int = 20,
        *,
        role: str | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> list[Hit]:
        """Find messages of this session by their words, best first, the newer of two alike.

        `query` is as in web searches: all words, "a phrase", this or that, -without. `role` is
        `user`, `assistant` or `tool`; `since` is inclusive, `until` exclusive. Complete up to the
        last turn that ended. Raises ValueError for what cannot be searched for,
        StoreUnavailableError while Postgres is away.
        """
        asked = wanted(query, limit, role, since, until)
        return self._there(lambda id_: in_session(self._services.database, id_, asked))

    def compact(self, wait: float = 30.0, *, force: bool = False) -> CompactionOutcome | None:
        """Have what lies further back of the history summarised now, where that is due.

        Gives what came of it; None where no worker said so within `wait` seconds: it may go on all
        the same. `force`: whatever its length, all but the turns that always stay. Nothing is
        deleted by it. Raises StoreUnavailableError while Postgres is away.
        """
        return compacted(self._services, self._need_open().id, seconds=wait, force=force)

    @marked
    def replay(self, limit: int = REPLAYED, *, tools: bool = False) -> list[dict[str, str]]:
        """Give the last turns as a request has them, oldest first, each byte as it was sent.

        At most `limit` whole turns: `[{"role": "user" | "assistant", "content": ...}]`, and what
        tools said with `tools`. The window leaps by half of itself where it must move, so that
        most requests begin as the one before did, and a provider's cache still knows them. In a
        shared chat it is for whoever speaks in the last turn that began: what was remembered
        beside the words of others stays out. Raises StoreUnavailableError while Postgres is away.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1")
        opened = self._need_open()
        with suppress(SpoolError):  # what is spooled comes as soon as it can be read
            self._services.capturer.drain()
        found = self._services.histories.replay(opened.id, limit, tools=tools)
        return replayed(found, speaker=None if self.in_force.about else self._speaker)

    @marked
    def prompt_messages(self, budget: int, *, system: bool = False) -> list[dict[str, Any]]:
        """Give the conversation for a request, oldest first, within `budget` tokens in all.

        The first turns, a note with the newest summary, and as many whole last turns as fit, calls
        of tools beside their answers: where all fits, each byte as it was sent. What is left out is
        said in the note, and the history has it. A turn that is open is no part of it. With
        `system` the system prompt stands in front. Raises ValueError for a budget that has not 500
        tokens beside that, StoreUnavailableError while Postgres is away.
        """
        services = self._services
        first = self.system if system else ""
        room = room_beside(first, budget, services.counter)
        opened = self._need_open()
        with suppress(SpoolError):  # what is spooled comes as soon as it can be read
            services.capturer.drain()
        head_turns = self.in_force.compaction.compaction_head_turns
        rows = read_rows(services.database, opened.id, room, head_turns=head_turns)
        speaker = None if self.in_force.about else self._speaker
        said = prompt_messages(rows, room, services.counter, speaker=speaker)
        return [{"role": "system", "content": first}, *said] if first else said

    def _there(self, read: Callable[[UUID], T]) -> T:
        """Read of the session; where it was deleted, of the new one that its name means now."""
        for _ in range(2):
            try:
                return read(self._need_open().id)
            except SessionGoneError:
                self._reopen()
        raise StoreUnavailableError("the session is being deleted; try again")

    def _need_open(self) -> OpenSession:
        raise NotImplementedError

    def _reopen(self) -> None:
        raise NotImplementedError
