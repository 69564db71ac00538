"""The command line: `afterturn …`, one module a group of commands.

Exit statuses: 0 done; 1 it did not work, and the sentence on stderr says why; 2 wrong usage or
configuration; 130 interrupted.
"""

from __future__ import annotations

import sys

from afterturn.cli.app import build
from afterturn.cli.failures import explained


def main() -> None:
    """Run `afterturn`."""
    with explained():
        build()()
    sys.exit(0)
