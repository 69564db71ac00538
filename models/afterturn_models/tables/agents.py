"""Agents by the id that their host gives them, and the peers that they are at Honcho."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from afterturn_models.tables.base import Base, Instant, WorkspaceId


class Agent(Base):
    """One entry of a workspace's agentPeerMap; `mapped` once Honcho's metadata has it as well."""

    __tablename__ = "agents"

    workspace_id: Mapped[WorkspaceId] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(primary_key=True)
    peer: Mapped[str]
    mapped: Mapped[bool] = mapped_column(server_default=text("false"))
    updated_at: Mapped[Instant]
