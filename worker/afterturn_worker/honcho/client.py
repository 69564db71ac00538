"""The one Honcho client of a worker process, on the real SDK, behind both of our ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_worker.honcho.async_sending import AsyncSender
from afterturn_worker.honcho.concluding import Concluding
from afterturn_worker.honcho.deleting import Deleting
from afterturn_worker.honcho.knowing import Knowing
from afterturn_worker.honcho.noting import Noting
from afterturn_worker.honcho.searching import Searching
from afterturn_worker.honcho.sending import Sending
from afterturn_worker.honcho.summaries import Summaries

if TYPE_CHECKING:
    from afterturn_worker.honcho.port import HonchoPort
    from afterturn_worker.honcho.recall_port import RecallPort


class HonchoClient(Sending, Knowing, Searching, Concluding, Noting, Deleting, Summaries):
    """`HonchoPort` and `RecallPort` over HTTP; each of its rooms holds one concern."""

    def asynchronous(self) -> AsyncSender:
        """Give a sender to the same Honcho for one event loop, with connections of its own."""
        return AsyncSender(self._url, self._key)


if TYPE_CHECKING:

    def _is_both(client: HonchoClient) -> tuple[HonchoPort, RecallPort]:
        return client, client
