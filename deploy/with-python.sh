#!/bin/sh
# Runs a program with the first Python on PATH that is new enough to make .venv, or with $PYTHON:
#   sh deploy/with-python.sh PROGRAM [ARGUMENT…]
set -eu

# Each candidate is run, not only looked up: a version manager's shim may be there without a Python.
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
makes_venvs='import ensurepip, venv'
incomplete=''

for candidate in "${PYTHON:-python3.14}" python3.13 python3.12 python3.11 python3 python; do
    if "$candidate" -ISc "$new_enough" >/dev/null 2>&1; then
        if "$candidate" -ISc "$makes_venvs" >/dev/null 2>&1; then
            exec "$candidate" "$@"
        fi
        incomplete="${incomplete:-$candidate}"
    fi
    # Whoever names a Python wants that one or none.
    if [ -n "${PYTHON:-}" ]; then break; fi
done

if [ -n "$incomplete" ]; then
    echo "afterturn: $incomplete cannot make virtual environments: its ensurepip module is missing." >&2
    echo "On Debian and Ubuntu install it with: sudo apt install python3-venv" >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "afterturn: PYTHON=$PYTHON does not run, or is older than Python 3.11." >&2
else
    echo "afterturn: no Python 3.11 or newer on PATH." >&2
    echo "Install one (apt install python3 python3-venv, brew install python) or name it: make setup PYTHON=/path/to/python3" >&2
fi
exit 1
