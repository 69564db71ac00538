"""`/_control`: faults, counters, pace and audits. No part of Honcho's API; loopback only."""

import ipaddress
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from afterturn_sandbox.honcho.audit import audit, rows_of
from afterturn_sandbox.honcho.call import Reply
from afterturn_sandbox.honcho.errors import invalid, not_found
from afterturn_sandbox.honcho.faults import Faults, Rule
from afterturn_sandbox.honcho.state import Counters, State

PREFIX = "/_control/"
_Handler = Callable[[web.BaseRequest, bytes], Any]


class ControlApi:
    """The control endpoint of one stand-in."""

    def __init__(self, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._routes: dict[tuple[str, str], _Handler] = {
            ("GET", "rules"): lambda _r, _b: [rule.model_dump() for rule in faults.rules],
            ("POST", "rules"): self._add_rule,
            ("DELETE", "rules"): self._remove_rules,
            ("GET", "counters"): lambda _r, _b: state.counters.show(),
            ("DELETE", "counters"): self._reset_counters,
            ("PUT", "pace"): self._set_pace,
            ("GET", "messages"): self._messages,
            ("GET", "audit"): self._audit,
        }

    async def answer(self, request: web.BaseRequest) -> Reply:
        """Answer a control request.

        Raises:
            ApiError: 404 for strangers and unknown paths, 422 for a bad rule.
        """
        if not _is_loopback(request.remote):
            raise not_found("Not Found")
        handler = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        if handler is None:
            raise not_found("Not Found")
        try:
            return Reply(handler(request, await request.read()))
        except (ValidationError, KeyError, ValueError) as error:
            raise invalid(str(error)) from error

    def _add_rule(self, _request: web.BaseRequest, body: bytes) -> Any:
        return self._faults.add(Rule.model_validate_json(body)).model_dump()

    def _remove_rules(self, request: web.BaseRequest, _body: bytes) -> Any:
        number = request.query.get("id")
        return {"removed": self._faults.remove(None if number is None else int(number))}

    def _reset_counters(self, _request: web.BaseRequest, _body: bytes) -> Any:
        fresh = Counters()
        for name in Counters.__slots__:  # in place: others hold the same object
            setattr(self._state.counters, name, getattr(fresh, name))
        return fresh.show()

    def _set_pace(self, _request: web.BaseRequest, body: bytes) -> Any:
        pace = json.loads(body)
        if "deriver_delay_seconds" in pace:
            self._state.deriver_delay_us = int(float(pace["deriver_delay_seconds"]) * 1e6)
        if "latency_seconds" in pace:
            self._state.latency_seconds = float(pace["latency_seconds"])
        return {
            "deriver_delay_seconds": self._state.deriver_delay_us / 1e6,
            "latency_seconds": self._state.latency_seconds,
        }

    def _messages(self, request: web.BaseRequest, _body: bytes) -> Any:
        query = request.query
        return rows_of(self._state.store, query["workspace"], query["session"])

    def _audit(self, request: web.BaseRequest, _body: bytes) -> Any:
        query = request.query
        key = query.get("key", "afterturn")
        return audit(self._state.store, query["workspace"], key, query.get("order"))


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
