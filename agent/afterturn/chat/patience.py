"""Patience: the deadline of an answer's first word, also for endpoints that keep a line alive.

The client's own timeout bounds each silence. An endpoint that sends empty lines or comments while
it works breaks every silence without saying a word; so each piece that arrives looks at the clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import httpx2  # what the openai SDK is built on

from afterturn.chat.errors import ModelError
from afterturn.chat.failing import silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from afterturn.chat.assembling import Assembly
    from afterturn.chat.endpoint import Endpoint


def be_patient(
    response: httpx2.Response, began: float, endpoint: Endpoint, assembly: Assembly
) -> None:
    """Have a response that streams raise ModelError once its first word is overdue.

    `began` is when it was asked for, by `time.monotonic`; `assembly` knows whether it has begun.
    """
    stream = cast("httpx2.SyncByteStream", response.stream)  # of a client that is not async
    response.stream = _Watched(stream, began, endpoint, assembly)


class _Watched(httpx2.SyncByteStream):
    def __init__(
        self,
        stream: httpx2.SyncByteStream,
        began: float,
        endpoint: Endpoint,
        assembly: Assembly,
    ) -> None:
        self._stream = stream
        self._began = began
        self._endpoint = endpoint
        self._assembly = assembly

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield piece
            waited = time.monotonic() - self._began
            if not self._assembly.begun and waited > self._endpoint.patience:
                raise ModelError(silent(self._endpoint, begun=False))

    def close(self) -> None:
        self._stream.close()
