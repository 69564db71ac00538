"""What an agent process imports and runs: `Memory` and the command line."""

from afterturn.local_files import LocalFileError, LocalFiles, WriteRefused
from afterturn.memory import Memory
from afterturn.recall import Recall
from afterturn.searching import Hit
from afterturn.session import Session
from afterturn.turn import Turn, TurnResult
from afterturn_models.errors import (
    AfterturnError,
    CaptureError,
    ConfigurationError,
    SchemaError,
    StoreUnavailableError,
)
from afterturn_models.store.history import SessionInfo
from afterturn_models.values import ContextResult, Message

__all__ = [
    "AfterturnError",
    "CaptureError",
    "ConfigurationError",
    "ContextResult",
    "Hit",
    "LocalFileError",
    "LocalFiles",
    "Memory",
    "Message",
    "Recall",
    "SchemaError",
    "Session",
    "SessionInfo",
    "StoreUnavailableError",
    "Turn",
    "TurnResult",
    "WriteRefused",
]
