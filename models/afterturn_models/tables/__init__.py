"""The tables: one file a table or tight group, all on one metadata with named constraints."""

from __future__ import annotations

from afterturn_models.tables.agents import Agent
from afterturn_models.tables.base import Base, metadata
from afterturn_models.tables.compactions import Compaction, CompactionState
from afterturn_models.tables.cursors import Cursor
from afterturn_models.tables.dialectic import DialecticCall
from afterturn_models.tables.histories import HistoryIndex, MessageText
from afterturn_models.tables.identity import IdentitySeed
from afterturn_models.tables.messages import MessageRow
from afterturn_models.tables.peers import Member, Peer
from afterturn_models.tables.resync import ResyncJob, ResyncPart
from afterturn_models.tables.sessions import SessionRow
from afterturn_models.tables.settings import DirectoryMap, Setting
from afterturn_models.tables.workers import WorkerRow
from afterturn_models.tables.workspaces import Workspace

__all__ = [
    "Agent",
    "Base",
    "Compaction",
    "CompactionState",
    "Cursor",
    "DialecticCall",
    "DirectoryMap",
    "HistoryIndex",
    "IdentitySeed",
    "Member",
    "MessageRow",
    "MessageText",
    "Peer",
    "ResyncJob",
    "ResyncPart",
    "SessionRow",
    "Setting",
    "WorkerRow",
    "Workspace",
    "metadata",
]
