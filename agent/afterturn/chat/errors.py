"""What goes wrong between the agent and its model, as sentences for the person who waits.

ModelError
├── NothingConfiguredError  no model is configured, or none is named
└── ContextTooLongError     the request is longer than the model's window; less history may fit
"""

from __future__ import annotations

from afterturn_models.errors import AfterturnError


class ModelError(AfterturnError):
    """The model gave no answer, or not all of it."""


class NothingConfiguredError(ModelError):
    """It is not said which model to talk to."""


class ContextTooLongError(ModelError):
    """The request is longer than the model takes."""
