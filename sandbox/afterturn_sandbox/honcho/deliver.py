"""Webhook events on their way out: signed, one attempt each, after the answer."""

import asyncio
import hashlib
import hmac
import json
import logging

import aiohttp

from afterturn_sandbox.honcho.state import State
from afterturn_sandbox.honcho.values import iso, now_us

_log = logging.getLogger(__name__)
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Courier:
    """Delivers the events that routes left in the state, in the background."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tasks: set[asyncio.Task[None]] = set()

    def dispatch(self) -> None:
        """Send what has been announced, `queue.empty` once the deriver's delay is over."""
        events, self._state.events = self._state.events, []
        for workspace, event in events:
            urls = self._state.store.rows(
                "SELECT url FROM webhooks WHERE workspace = ?", (workspace,)
            )
            delay = self._state.deriver_delay_us / 1e6 if event["type"] == "queue.empty" else 0.0
            for (url,) in urls:
                task = asyncio.create_task(self._post(url, event, delay))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _post(self, url: str, event: dict[str, object], delay: float) -> None:
        await asyncio.sleep(delay)
        data = {key: value for key, value in event.items() if key != "type"}
        payload = {"type": event["type"], "data": data, "timestamp": iso(now_us())}
        body = json.dumps(payload, separators=(",", ":"), sort_keys=True)
        secret = (self._state.webhook_secret or "").encode()
        signature = hmac.new(secret, body.encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Honcho-Signature": signature}
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as client,
                client.post(url, data=body, headers=headers) as response,
            ):
                await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("a webhook event did not reach %s: %s", url, error)
