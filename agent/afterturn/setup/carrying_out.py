"""Carries a plan out: the file in one write, and then what can be done only once it says so.

Whatever ends it in between, the configuration is whole: the old one before that write, the new one
after it. What was not done then is done by running setup again.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from afterturn.cli.effective import DEFAULT, Whose, effective
from afterturn.identity import Seeding, seed
from afterturn.services import Services
from afterturn.setup.honcho_key import keep_key
from afterturn_models import migrate
from afterturn_models.config_file import set_all_in_file
from afterturn_models.errors import AfterturnError
from afterturn_models.settings import load
from afterturn_models.sources import our_file, stack_file
from afterturn_models.store.identity import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from afterturn.setup.asking import Asker
    from afterturn.setup.personas import Persona
    from afterturn.setup.plan import Plan


@dataclass(slots=True)
class Done:
    """What was done. `failed` says what was not, and why; `warnings` what does not count, and why."""

    written: bool = False
    started: bool = False
    migrated: bool = False
    seeded: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {name: getattr(self, name) for name in Done.__slots__}


def carry_out(plan: Plan, asker: Asker) -> Done:
    """Do what is planned, and tell each step; Ctrl-C leaves out what was not begun."""
    done = Done()
    try:
        _write(plan, done, asker)
        _start(plan, done, asker)
        _migrate(plan, done, asker)
        _seed(plan, done, asker)
        done.warnings += _not_counting(plan)
    except KeyboardInterrupt:
        done.interrupted = True
    return done


@contextmanager
def _noting(done: Done, what: str) -> Iterator[None]:
    try:
        yield
    except AfterturnError as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        done.failed.append(f"{what}: {error}")


def _interrupted(error: BaseException | None) -> bool:
    """Tell whether Ctrl-C is at the root of an error: cleaning up after it may fail in turn."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _write(plan: Plan, done: Done, asker: Asker) -> None:
    """Write our file; an error of this step ends it all, since the rest rests on it."""
    if plan.values or plan.key is not None:
        key = plan.key.reveal() if plan.key is not None else None
        done.written = set_all_in_file(our_file(), plan.values, key=key, private=True)
    if plan.key_at is not None:
        kept = keep_key(plan.key_at)
        done.written = kept.ok or done.written
        if not kept.ok:
            done.failed.append(f"Honcho's key: {kept.said}")
    if done.written:
        asker.say(f"{our_file()} is written.")


def _start(plan: Plan, done: Done, asker: Asker) -> None:
    if not plan.start:
        return
    asker.say("Starting the embedded servers…")
    ended = subprocess.run(
        [sys.executable, "-m", "afterturn", "up", "--detach"],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    done.started = ended.returncode == 0
    if done.started:
        asker.say("They run in the background; afterturn down stops them.")
    else:
        reason = ended.stderr.strip().rpartition("\n")[2].removeprefix("afterturn: ")
        done.failed.append(f"afterturn up: {reason}")


def _migrate(plan: Plan, done: Done, asker: Asker) -> None:
    if not plan.migrate:
        return
    with _noting(done, "migrate"):
        migrate.migrate(load().settings.need_database_url())
        done.migrated = True
        asker.say("The database is migrated.")


def _seed(plan: Plan, done: Done, asker: Asker) -> None:
    if not plan.personas:
        return
    with _noting(done, "seeding"):
        services = Services(load())
        try:
            for (folder, agent), personas in _by_folder(plan.personas).items():
                pair = Pair(plan.pair.workspace, agent, plan.pair.owner)
                _note(done, folder, _seed_folder(services, folder, pair, personas))
        finally:
            services.close()
        asker.say(f"{len(done.seeded)} files are on their way to Honcho.")


def _by_folder(personas: Sequence[Persona]) -> dict[tuple[Path, str], list[Persona]]:
    found: dict[tuple[Path, str], list[Persona]] = {}
    for one in personas:
        found.setdefault((one.folder, one.agent), []).append(one)
    return found


def _seed_folder(
    services: Services, folder: Path, pair: Pair, personas: Sequence[Persona]
) -> Seeding:
    return seed(
        services.database,
        services.dispatcher.send,
        pair,
        services.profile,
        folder,
        names=[one.name for one in personas],
    )


def _note(done: Done, folder: Path, came: Seeding) -> None:
    done.seeded += [str(folder / name) for name in came.new]
    done.known += [str(folder / name) for name in came.known]
    done.skipped += [f"{folder / name} {why}" for name, why in came.skipped.items()]
    done.failed += [f"{folder}: {why}" for why in came.refused.values()]


def _not_counting(plan: Plan) -> list[str]:
    """Name what our file says now and something else overrules."""
    found = effective(Whose())
    warnings = []
    for name, value in plan.values.items():
        origin, key = found.origin(name), to_camel(name)
        if value is None and origin not in {DEFAULT, str(stack_file())}:
            warnings.append(f"{key} is still said in {origin}")
        elif value is not None and not origin.startswith(str(our_file())):
            warnings.append(f"{key} is said in {origin} as well, which comes first")
    return warnings
