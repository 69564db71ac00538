"""What an agent process loads when it imports afterturn, and what it must not wait for."""

from __future__ import annotations

import json
import sys

# Workers' things, command lines' things, and what is loaded where it is first needed.
NOT_LOADED = (
    "afterturn_sandbox",
    "afterturn_worker",
    "alembic",
    "celery",
    "flower",
    "honcho",
    "kombu",
    "openai",
    "redis",
    "rich",
    "sqlalchemy.orm",
    "structlog",
    "tiktoken",
    "typer",
)


def test_an_agent_loads_nothing_that_it_does_not_need(run):
    done = run("-c", "import sys, json, afterturn; print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    loaded = {
        module for module in json.loads(done.stdout) if module not in sys.builtin_module_names
    }
    assert [name for name in NOT_LOADED if name in loaded] == []
    assert "afterturn.session" in loaded
