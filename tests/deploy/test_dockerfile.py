"""The image: it is linted, it is not root's, and it has what it is built from."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

from support.tree import ROOT, read


def _instructions() -> list[str]:
    joined = read("Dockerfile").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def test_hadolint_has_nothing_to_say() -> None:
    program = Path(sysconfig.get_path("scripts"), "hadolint")
    done = subprocess.run(
        [program, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_program_gets_the_signal_itself_and_is_not_root() -> None:
    final = "\n".join(_instructions()).rpartition("\nFROM ")[2].splitlines()
    assert "USER 10001:10001" in final
    assert "STOPSIGNAL SIGTERM" in final
    assert 'ENTRYPOINT ["afterturn"]' in final


def test_every_base_is_pinned_and_the_same() -> None:
    bases = re.findall(r"^FROM (\S+)", read("Dockerfile"), re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases[0])


def test_everything_is_installed_by_its_hash_or_from_here() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&]+)", "\n".join(_instructions()))
    assert installs
    for arguments in installs:
        locked = "--require-hashes" in arguments and ".lock" in arguments
        local = "--no-index" in arguments and "--no-deps" in arguments
        assert locked or local, arguments


def test_what_is_copied_exists_and_passes_the_ignore_file() -> None:
    copied = [
        source
        for line in _instructions()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    allowed = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    assert set(copied) == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_no_secret_is_built_in() -> None:
    assert not re.search(r"(ENV|ARG)[^\n]*(PASSWORD|KEY|AUTH|SECRET|TOKEN)", read("Dockerfile"))
