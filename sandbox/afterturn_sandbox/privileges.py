"""Finds how to run a program that refuses root, such as Postgres, whoever starts the sandbox.

An ordinary user runs it directly. For root the ways below are tried in turn on the real program
and the real folder, and the first that works is taken:

1. A user namespace in which root is `nobody`: no file changes hands. Containers often forbid it.
2. `setpriv` to `nobody`, who keeps one of root's capabilities, to pass folders such as /root
   (mode 700): programs and data stay where they are. Without SECBIT no_setuid_fixup, access(2),
   by which Postgres finds its own programs, would ignore that capability.
3. Plain `nobody`, on a copy of the programs beside the data: where capabilities were dropped.
"""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afterturn_sandbox.errors import SandboxError

NOBODY = 65534
_USER_NAMESPACE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
_SETPRIV = (
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    "--bounding-set=-all,+dac_override",
    "--securebits=+no_setuid_fixup",
    "--",
)


@dataclass(frozen=True)
class Runner:
    """A way to run the programs of `home` that gives them the files owned by `uid`."""

    name: str
    home: Path
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    popen: dict[str, Any] = field(default_factory=dict)

    def argv(self, program: str, *arguments: str) -> list[str]:
        """Return the command line that runs `home/bin/<program>`."""
        return [*self.prefix, str(self.home / "bin" / program), *arguments]

    def own(self, tree: Path) -> None:
        """Give `tree` to this way's user, if one of the other ways of root had it.

        Raises SandboxError if it is an ordinary user's, whom root would lock out.
        """
        owner = tree.stat().st_uid
        if owner == self.uid:
            return
        if os.geteuid() != 0 or owner not in {0, NOBODY}:
            raise SandboxError(
                f"{tree} belongs to user {owner}: run this as that user, "
                "or choose another data folder"
            )
        for path in (tree, *tree.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def runner_for(home: Path, folder: Path, libraries: Path | None = None) -> Runner:
    """Return the first way in which the programs of `home` run and write below `folder`.

    `libraries` is a folder beside the package of `home` that a copy of the programs needs too.
    Raises SandboxError if there is none.
    """
    if os.geteuid() != 0:
        return Runner("directly", home, os.geteuid(), os.getegid())
    refusals = []
    for name, make in _ways_of_root(home, folder, libraries):
        runner = make()
        if (refusal := _refusal(runner, folder)) is None:
            return runner
        refusals.append(f"{name}: {refusal}")
    raise SandboxError(
        f"Postgres does not run as root, and no way was found to run it as nobody on {folder} "
        f"({'; '.join(refusals)}); start this as an ordinary user"
    )


def _ways_of_root(
    home: Path, folder: Path, libraries: Path | None
) -> Iterator[tuple[str, Callable[[], Runner]]]:
    """Yield the ways of this module's docstring; a copy is made only if it comes to that."""
    yield "user namespace", lambda: Runner("user namespace", home, 0, 0, _USER_NAMESPACE)
    yield "setpriv", lambda: Runner("setpriv", home, NOBODY, NOBODY, _SETPRIV)
    drop = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    yield (
        "nobody",
        lambda: Runner("nobody", _copy(home, folder, libraries), NOBODY, NOBODY, popen=drop),
    )


def _refusal(runner: Runner, folder: Path) -> str | None:
    """Run a program of each kind this way and write below `folder`; return what went wrong."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".probe-") as probe:
        os.chown(probe, runner.uid, runner.gid)
        write = [*runner.prefix, "/bin/sh", "-c", 'cd "$0" && : > "$0/written"', probe]
        trials = (runner.argv("postgres", "--version"), runner.argv("initdb", "--version"), write)
        for trial in trials:
            try:
                done = subprocess.run(  # noqa: S603 - our own command lines, no shell input
                    trial, capture_output=True, text=True, timeout=30, check=False, cwd="/",
                    **runner.popen,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as error:
                return str(error)
            if done.returncode != 0:
                said: list[str] = done.stderr.strip().splitlines()
                return said[0] if said else f"exit {done.returncode}"
    return None


def _copy(home: Path, folder: Path, libraries: Path | None) -> Path:
    """Copy the programs below `folder` once, in the layout that their library path expects."""
    programs = (home / "bin" / "postgres").stat()
    # Another version is another copy.
    place = folder / f"programs-{programs.st_mtime_ns}-{programs.st_size}"
    copied = place / home.parent.name / home.name
    if copied.exists():
        return copied
    # Renamed when whole, so that a copy that was cut short is never taken for one.
    unfinished = Path(tempfile.mkdtemp(dir=folder, prefix=".programs-"))
    shutil.copytree(home, unfinished / home.parent.name / home.name, symlinks=True)
    if libraries is not None and libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            extra = 0o055 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o044
            path.chmod(path.stat().st_mode | extra)
    for stale in folder.glob("programs-*"):
        shutil.rmtree(stale)
    unfinished.rename(place)
    return copied
