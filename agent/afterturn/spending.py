"""Spending: what was made of the dialectic's budget, beside its limits, for `afterturn status`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from afterturn_models.recall_settings import FIELDS, resolve
from afterturn_models.store.dialectic import accounts
from afterturn_models.store.sessions import workspace_id
from afterturn_models.store.settings import settings_by_scope
from afterturn_models.values import Scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from afterturn_models.recall_settings import RecallSettings
    from afterturn_models.settings import Settings
    from afterturn_models.store.dialectic import Account


def spending(connection: Connection, settings: Settings) -> dict[str, Any] | None:
    """Read the workspace's account and those of the users who use most; None for no workspace.

    The limits are the workspace's: an agent or a session may have been told others.
    """
    home = workspace_id(connection, settings.workspace)
    if home is None:
        return None
    said = settings_by_scope(connection, home, "", None)[Scope.WORKSPACE]
    limits = resolve([said, settings.said(FIELDS)])
    whole, *peers = accounts(connection, home)
    return {
        "workspace": settings.workspace,
        **_windows(whole, limits, ""),
        "peers": [{"peer": one.peer, **_windows(one, limits, "peer_")} for one in peers],
    }


def _windows(account: Account, limits: RecallSettings, whose: str) -> dict[str, dict[str, int]]:
    return {
        window: asdict(use)
        | {
            f"{what}_limit": getattr(limits, f"dialectic_{whose}{what}_per_{window}")
            for what in ("calls", "weight")
        }
        for window, use in (("hour", account.hour), ("day", account.day))
    }


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Give an account as lines for people; none where nothing was asked in the last day."""
    shown = [("Dialectic", found), *((f"  {one['peer']}", one) for one in found["peers"])]
    return [
        (title, "; ".join(f"{_window(one[name])} in the last {name}" for name in ("hour", "day")))
        for title, one in shown
        if one["day"]["calls"] or one["day"]["refused"]
    ]


def _window(use: dict[str, int]) -> str:
    said = [_of(use, "calls", "{} calls"), _of(use, "weight", "weight {}")]
    came = {
        "empty": "knew nothing",
        "unanswered": "without an answer (an outage, a timeout)",
        "refused": "refused",
    }
    return ", ".join(said + [f"{use[name]} {what}" for name, what in came.items() if use[name]])


def _of(use: dict[str, int], what: str, shown: str) -> str:
    limit = use[f"{what}_limit"]
    return shown.format(f"{use[what]}/{limit}" if limit else f"{use[what]}")
