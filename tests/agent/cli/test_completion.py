"""Completion for bash, zsh and fish: the script that a shell is given, and what it completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

PROGRAM = Path(sys.executable).parent / "afterturn"
SCRIPTS = {
    "bash": ("complete -o default -F _afterturn_completion afterturn", ".bash_completions"),
    "zsh": ("#compdef afterturn", ".zfunc"),
    "fish": ("complete --command afterturn", ".config/fish/completions"),
}


def run(*words, **env):
    return subprocess.run(
        [*words], env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(params=SCRIPTS)
def shell(request, tmp_path):
    """Give a shell's name and a program of that name that runs commands: detection goes by it."""
    fake = tmp_path / request.param
    shutil.copy(shutil.which("bash"), fake)
    return request.param, str(fake)


def test_each_shell_is_shown_its_script(shell):
    name, program = shell
    done = run(program, "-c", f"{quote(str(PROGRAM))} --show-completion; true")
    assert (done.returncode, done.stderr) == (0, "")
    assert SCRIPTS[name][0] in done.stdout
    by_name = run(str(PROGRAM), _AFTERTURN_COMPLETE=f"source_{name}")
    assert SCRIPTS[name][0] in by_name.stdout


def test_each_shell_has_it_installed(shell, empty_environment):
    name, program = shell
    done = run(program, "-c", f"{quote(str(PROGRAM))} --install-completion; true")
    assert f"{name} completion installed in " in done.stdout
    folder = empty_environment.parent / SCRIPTS[name][1]
    assert SCRIPTS[name][0] in next(folder.iterdir()).read_text()


def completed(shell, line):
    """Give what a shell's script would be told of a line."""
    env = {"_AFTERTURN_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        env |= {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    else:
        env |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return run(str(PROGRAM), **env).stdout


@pytest.mark.parametrize("shell_name", SCRIPTS)
def test_commands_and_values_are_completed(shell_name):
    assert "migrate-files" in completed(shell_name, "afterturn migr")
    modes = completed(shell_name, "afterturn mode ")
    assert all(mode in modes for mode in ("hybrid", "honcho", "local"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("afterturn strategy per-r", ["per-repo"]),
        ("afterturn recall ", ["hybrid", "context", "tools"]),
        ("afterturn frequency ", ["async", "turn", "session"]),
        ("afterturn peer --reasoning m", ["minimal", "medium", "max"]),
        ("afterturn search x --from a", ["agent", "all"]),
    ],
)
def test_values_are_those_that_a_setting_may_have(line, found):
    assert completed("bash", line).split() == found
