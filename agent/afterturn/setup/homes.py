"""Finds the homes of Hermes, OpenClaw and nanobot: where each keeps personas and Honcho settings.

Nothing is read here but their configuration, and nothing at all is written there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import ConfigurationError
from afterturn_models.lenient_json import read_lenient
from afterturn_models.sources import honcho_file
from afterturn_models.store.agents import provisional_peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PLUGIN = "openclaw-honcho"
_OPENCLAW_OWNER = "owner"  # the peer that the plugin gives every owner
_MAIN = "main"


@dataclass(frozen=True, slots=True)
class Room:
    """A folder with persona files: of the configured agent, or of `agent`, by its id there."""

    folder: Path
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """Objects that say something of Honcho in a program's file, the nearest first.

    `blocks` are paths of names in the file, for who may read the key that stands in one of them;
    `implied` is what the program does where nothing is said.
    """

    file: Path
    parts: tuple[Mapping[str, Any], ...] = field(repr=False)
    blocks: tuple[tuple[str, ...], ...]
    implied: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Home:
    """A home that was found. `unread` says why its configuration could not be read."""

    program: str
    folder: Path
    rooms: tuple[Room, ...]
    said: Said | None = None
    unread: str | None = None


def find_homes(env: Mapping[str, str] = os.environ) -> list[Home]:
    """Give every home of another agent that is there."""
    return [*_hermes(env), *_openclaw(env), *_nanobot()]


def _hermes(env: Mapping[str, str]) -> Iterator[Home]:
    usual = Path.home() / ".hermes"
    folder = _folder(env.get("HERMES_HOME")) or usual
    if not folder.is_dir():
        return
    rooms = tuple(Room(one) for one in (folder, folder / "memories") if one.is_dir())
    files = (folder / "honcho.json", usual / "honcho.json")
    try:
        said = _hermes_says(next((one for one in files if one.is_file()), None))
    except ConfigurationError as error:
        yield Home("Hermes", folder, rooms, unread=str(error))
    else:
        yield Home("Hermes", folder, rooms, said)


def _hermes_says(path: Path | None) -> Said | None:
    """Read Hermes' own file, or else its block in the file that everybody shares."""
    implied = {"workspace": "hermes", "ai_peer": "hermes"}
    if path is not None:
        root = read_lenient(path)
        return Said(path, (_at(root, "hosts", "hermes"), root), (("hosts", "hermes"), ()), implied)
    block = _at(read_lenient(honcho_file()), "hosts", "hermes")
    return Said(honcho_file(), (block,), (("hosts", "hermes"),), implied) if block else None


def _openclaw(env: Mapping[str, str]) -> Iterator[Home]:
    usual = [Path.home() / name for name in (".openclaw", ".clawdbot", ".moltbot")]
    given = _folder(env.get("OPENCLAW_STATE_DIR"))
    for folder in [given] if given else usual:
        if not folder.is_dir():
            continue
        path = _folder(env.get("OPENCLAW_CONFIG_PATH")) or folder / "openclaw.json"
        try:
            root = read_lenient(path)
        except ConfigurationError as error:
            yield Home("OpenClaw", folder, tuple(_workspaces(folder, {})), unread=str(error))
        else:
            rooms = tuple(_workspaces(folder, root))
            yield Home("OpenClaw", folder, rooms, _openclaw_says(path, root))


def _openclaw_says(path: Path, root: Mapping[str, Any]) -> Said | None:
    blocks = (("plugins", "entries", _PLUGIN, "config"), ("plugins", _PLUGIN, "config"))
    found = [block for block in blocks if _at(root, *block)]
    implied = {
        "workspace": "openclaw",
        "peer_name": _OPENCLAW_OWNER,
        "ai_peer": provisional_peer(_default_agent(root)),
    }
    parts = tuple(_at(root, *block) for block in found)
    return Said(path, parts, tuple(found), implied) if found else None


def _workspaces(folder: Path, root: Mapping[str, Any]) -> list[Room]:
    """Give the workspaces of OpenClaw's agents; those of its default agent are ours."""
    default = _default_agent(root)
    rooms = []
    for agent in _agents(root):
        own = None if agent["id"] == default else agent["id"]
        given = [agent.get(name) for name in ("workspace", "workspaceDir")]
        rooms += [Room(Path(one).expanduser(), own) for one in given if isinstance(one, str)]
        rooms.append(Room(folder / "agents" / agent["id"] / "workspace", own))
    shared = _at(root, "agents", "defaults").get("workspace")
    if isinstance(shared, str):
        rooms.append(Room(Path(shared).expanduser()))
    rooms.append(Room(folder / "workspace"))
    for other in sorted(folder.glob("workspace-*")):
        agent_id = other.name.removeprefix("workspace-").lower()
        rooms.append(Room(other, None if agent_id == default else agent_id))
    return _different(rooms)


def _different(rooms: Iterable[Room]) -> list[Room]:
    """Give rooms that are there, each once, whichever way it was found first."""
    found: dict[str, Room] = {}
    for room in rooms:
        if room.folder.is_dir():
            found.setdefault(os.path.realpath(room.folder), room)
    return list(found.values())


def _agents(root: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = _at(root, "agents").get("list")
    agents = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    named = [
        {**one, "id": _plain_id(one.get("id")) or (_MAIN if number == 0 else f"a{number + 1}")}
        for number, one in enumerate(agents)
    ]
    return named or [{"id": _MAIN}]


def _plain_id(value: Any) -> str:
    """Give an agent's id as OpenClaw compares it; "" for none, or one that would leave the folder."""
    plain = value.strip().lower() if isinstance(value, str) else ""
    return "" if "/" in plain or plain in {".", ".."} else plain


def _default_agent(root: Mapping[str, Any]) -> str:
    agents = _agents(root)
    chosen = next((one for one in agents if one.get("default") is True), agents[0])
    return str(chosen["id"])


def _nanobot() -> Iterator[Home]:
    folder = Path.home() / ".nanobot"
    if not folder.is_dir():
        return
    path = folder / "config.json"
    try:
        root = read_lenient(path)
    except ConfigurationError as error:
        yield Home("nanobot", folder, _nanobot_rooms(folder, {}), unread=str(error))
        return
    blocks = (("honcho",), ("plugins", _PLUGIN, "config"))
    found = tuple(block for block in blocks if _at(root, *block))
    parts = tuple(_at(root, *block) for block in found)
    said = Said(path, parts, found, {"workspace": "nanobot"}) if found else None
    yield Home("nanobot", folder, _nanobot_rooms(folder, root), said)


def _nanobot_rooms(folder: Path, root: Mapping[str, Any]) -> tuple[Room, ...]:
    given = _at(root, "agents", "defaults").get("workspace")
    own = [Path(given).expanduser()] if isinstance(given, str) else []
    places = [*own, folder / "workspace"]
    return tuple(_different(Room(one) for place in places for one in (place, place / "memory")))


def _at(root: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Give the object at a path of names; {} where there is none."""
    found: Any = root
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _folder(text: str | None) -> Path | None:
    return Path(text.strip()).expanduser() if text and text.strip() else None
