"""Renaming: a session gets another name in the middle of its conversation."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from afterturn_models.errors import StoreUnavailableError
from afterturn_models.policy.session_name import Conversation, Naming, session_name
from afterturn_models.policy.text import clean_text, is_blank
from afterturn_models.store.naming import rename_session

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn.services import Services
    from afterturn_models.db import Database
    from afterturn_models.policy.session_name import SessionName
    from afterturn_models.store.sessions import OpenSession, SessionSpec

_TRIES = 3


def renamed(services: Services, spec: SessionSpec, opened: OpenSession, title: str) -> SessionSpec:
    """Rename a session by a title; gives what it is opened with from now on.

    What waits in the spool goes first, under the name that it was captured for. Raises ValueError
    for a title without a character to see, StoreUnavailableError while Postgres is away.
    """
    if is_blank(title):
        raise ValueError("a title needs at least one character to see")
    services.capturer.drain()
    settings = services.names.settings()
    naming = Naming.of(settings.session_strategy, {}, settings.naming_peer())
    name = session_name(naming, Conversation(title=title))
    given = give_name(services.database, opened.id, name, title)
    if given is None:
        raise StoreUnavailableError(f"session {spec.key} was deleted, and cannot be renamed")
    key, source = given
    return replace(spec, key=key, apart=key, source=source, title=clean_text(title))


def give_name(
    database: Database, session: UUID, name: SessionName, title: str
) -> tuple[str, str] | None:
    """Rename a session in Postgres; gives its key and source, None where it is gone."""
    for _ in range(_TRIES - 1):
        with suppress(IntegrityError):  # another session took the name in the same moment
            return _given(database, session, name, title)
    return _given(database, session, name, title)


def _given(
    database: Database, session: UUID, name: SessionName, title: str
) -> tuple[str, str] | None:
    with database.statement() as connection:
        return rename_session(connection, session, name, title=clean_text(title))
