"""How `make` sets up `.venv`: once, whatever happened to it, in any folder, two at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# A project of one file, whose build needs nothing: these tests install nothing from anywhere.
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "small"
version = "1"
"""
BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    place = pathlib.Path(__file__).parent
    with zipfile.ZipFile(pathlib.Path(folder, "small-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("small.pth", f"{place}\\n")
        info = "small-1.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return "small-1-py3-none-any.whl"
"""


def _checkout(folder: Path) -> Path:
    """Make a checkout of the small project, with our own programs in it."""
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "requirements-dev.lock").write_text("# nothing\n")
    return folder


def _start(folder: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["/bin/sh", "deploy/with-python.sh", "deploy/environment.py"],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable, **env},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )


def _set_up(folder: Path, **env: str) -> str:
    process = _start(folder, **env)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def _imports_from(folder: Path) -> str:
    asked = "import backend; print(backend.__file__)"
    return subprocess.check_output([folder / ".venv/bin/python", "-c", asked], cwd="/", text=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Set up one checkout by two processes at once; gives it, and what they said."""
    folder = _checkout(tmp_path_factory.mktemp("a place") / "with spaces & more")
    both = [_start(folder), _start(folder)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    return folder, said


def test_two_at_once_set_up_one(made: tuple[Path, list[str]]) -> None:
    folder, said = made
    assert sum("Setting up .venv" in words for words in said) == 1
    assert _imports_from(folder).strip() == str(folder / "backend.py")


def test_the_second_time_takes_no_time(made: tuple[Path, list[str]]) -> None:
    folder, _ = made
    began = time.perf_counter()
    assert _set_up(folder) == ""
    assert time.perf_counter() - began < 1


def test_a_changed_project_is_installed_anew_and_the_rest_stays(
    made: tuple[Path, list[str]],
) -> None:
    folder, _ = made
    kept = folder / ".venv" / "kept"
    kept.touch()
    (folder / "pyproject.toml").write_text(PYPROJECT + 'description = "changed"\n')
    assert _set_up(folder) == ""
    assert kept.exists()
    (folder / "requirements-dev.lock").write_text("# changed\n")
    assert "Installing" in _set_up(folder)
    assert kept.exists()


def test_settings_of_pip_that_lead_elsewhere_do_not_count(made: tuple[Path, list[str]]) -> None:
    folder, _ = made
    (folder / "requirements-dev.lock").write_text("# once more\n")
    elsewhere = folder.parent / "elsewhere"
    _set_up(folder, PIP_TARGET=str(elsewhere), PIP_USER="1")
    assert not elsewhere.exists()


def test_what_cannot_be_installed_is_said_and_tried_again(made: tuple[Path, list[str]]) -> None:
    folder, _ = made
    (folder / "requirements-dev.lock").write_text("no-such-thing==1\n")  # without a hash
    for _ in range(2):
        process = _start(folder, PIP_NO_INDEX="1")
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "afterturn: .venv could not be set up" in said
        assert "No matching distribution" in said
        assert "Traceback" not in said
    (folder / "requirements-dev.lock").write_text("# mended\n")
    assert "Installing" in _set_up(folder)


def test_a_vanished_python_and_a_moved_checkout_are_set_up_anew(
    made: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, _ = made
    python = folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert "Setting up .venv" in _set_up(folder)
    assert _set_up(folder) == ""

    moved = folder.rename(tmp_path / "moved")
    assert "Setting up .venv" in _set_up(moved)
    assert _imports_from(moved).strip() == str(moved / "backend.py")
    moved.rename(folder)


def test_without_a_python_it_says_what_to_install(tmp_path: Path) -> None:
    shim = tmp_path / "python3"  # a version manager's, without a version behind it
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    said = subprocess.run(
        ["/bin/sh", ROOT / "deploy/with-python.sh", "x.py"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "no Python 3.11 or newer" in said.stderr


def test_a_python_without_ensurepip_is_told_apart(tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    shim.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac\n')
    shim.chmod(0o755)
    said = subprocess.run(
        ["/bin/sh", ROOT / "deploy/with-python.sh", "x.py"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "python3 cannot make virtual environments" in said.stderr
    assert "apt install python3-venv" in said.stderr
