"""A client of the stand-in's control endpoint, for tests and benches."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

_TIMEOUT_SECONDS = 60


class Control:
    """The control endpoint of the stand-in at `url`."""

    def __init__(self, url: str) -> None:
        self._base = f"{url.rstrip('/')}/_control"

    def add_rule(self, fault: str, **settings: Any) -> int:
        """Put a fault in force; its id. The settings are those of `faults.Rule`.

        Raises:
            ValueError: the stand-in refused the rule.
        """
        return int(self._call("POST", "rules", body={"fault": fault, **settings})["id"])

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules in force, with how often each was `seen` and has `fired`."""
        found: list[dict[str, Any]] = self._call("GET", "rules")
        return found

    def clear(self, rule: int | None = None) -> int:
        """Lift one rule, or all; how many there were."""
        query = {} if rule is None else {"id": str(rule)}
        return int(self._call("DELETE", "rules", query)["removed"])

    def counters(self) -> dict[str, Any]:
        """Return `requests` by method and route, `statuses`, `faults`, `message_posts`, `chats` and rows stored."""
        found: dict[str, Any] = self._call("GET", "counters")
        return found

    def reset_counters(self) -> None:
        """Count from zero."""
        self._call("DELETE", "counters")

    def set_pace(self, **pace: float) -> None:
        """Set `deriver_delay_seconds` or `latency_seconds`."""
        self._call("PUT", "pace", body=pace)

    def messages(self, workspace: str, session: str) -> list[dict[str, Any]]:
        """Every message of a session: `seq`, `id`, `peer_id`, `content`, `metadata`, times."""
        query = {"workspace": workspace, "session": session}
        found: list[dict[str, Any]] = self._call("GET", "messages", query)
        return found

    def audit(
        self, workspace: str, key: str = "afterturn", order: str | None = None
    ) -> dict[str, Any]:
        """`total` and per `sessions`: `stored`, `duplicates` by `key`, `misordered` by `order`."""
        query = {"workspace": workspace, "key": key} | ({"order": order} if order else {})
        found: dict[str, Any] = self._call("GET", "audit", query)
        return found

    def _call(
        self, method: str, name: str, query: dict[str, str] | None = None, body: Any = None
    ) -> Any:
        url = f"{self._base}/{name}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data=data, method=method)  # noqa: S310  # the caller's own stand-in
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  # as above
                return json.load(response)
        except HTTPError as error:
            with error:  # it holds the connection
                told = error.read().decode()
            raise ValueError(f"the stand-in refused: {told}") from error
