"""Our configuration file as the command line changes it: whole or not at all, and with a backup.

What is in it besides, Honcho's key among it, is written back as it was and looked at by nobody.
"""

from __future__ import annotations

import copy
import fcntl
import json
import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from afterturn_models.errors import ConfigurationError
from afterturn_models.keys import names_of
from afterturn_models.sources import HOST, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PRIVATE = 0o600
_KEY = "apiKey"


def set_in_file(path: Path, field: str, key: str, value: Any) -> None:
    """Say `key` in the file, which is made where there is none; every other name of it goes.

    Raises ConfigurationError for a file that is not one JSON object.
    """

    def change(said: dict[str, Any]) -> bool:
        _forget(said, field)
        said[key] = value
        return True

    _edit(path, change)


def unset_in_file(path: Path, field: str) -> bool:
    """Say nothing of a setting in the file any more, under whatever name; tells whether it did.

    Raises ConfigurationError for a file that is not one JSON object.
    """
    return path.exists() and _edit(path, lambda said: _forget(said, field))


def _forget(said: dict[str, Any], field: str) -> bool:
    hosts = said.get("hosts")
    block = hosts.get(HOST) if isinstance(hosts, dict) else None
    found = [_drop(part, name) for part in (said, block) for name in names_of(field)]
    return any(found)


def _drop(said: Any, name: str) -> bool:
    outer, dot, inner = name.partition(".")
    if not isinstance(said, dict) or outer not in said:
        return False
    if not dot:
        del said[outer]
        return True
    found = _drop(said[outer], inner)
    if found and not said[outer]:
        del said[outer]
    return found


def set_all_in_file(
    path: Path, values: Mapping[str, Any], *, key: str | None = None, private: bool = False
) -> bool:
    """Say `values` by field in one write, None to say nothing of one; tells whether that changed it.

    `key` is Honcho's; a file that holds one has mode 600, and so has a `private` one. Raises
    ConfigurationError for a file that is not one JSON object.
    """

    def change(said: dict[str, Any]) -> bool:
        before = json.dumps(said)
        for field, value in values.items():
            if value is None:
                _forget(said, field)
            elif said.get(to_camel(field)) != value or _says_otherwise(said, field):
                _forget(said, field)
                said[to_camel(field)] = value
        if key is not None:
            _forget(said, _KEY)
            said[_KEY] = key
        return json.dumps(said) != before

    return _edit(path, change, private=private or key is not None)


def _says_otherwise(said: dict[str, Any], field: str) -> bool:
    """Tell whether our block, or another name, says anything of a field beside its own name."""
    rest = {name: value for name, value in said.items() if name != to_camel(field)}
    return _forget(copy.deepcopy(rest), field)


def _edit(path: Path, change: Callable[[dict[str, Any]], bool], *, private: bool = False) -> bool:
    """Change what the file says, one process at a time; tells whether anything was changed.

    A `private` file has mode 600 from then on, and so has its backup.
    """
    target = Path(os.path.realpath(path))  # a link to a folder of dotfiles stays one
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(target):
        text = _text(target)
        said = {} if text is None else parse_object(text, path, keep_keys=True)
        if not change(said):
            return False
        mode = _PRIVATE
        if text is not None:
            mode = _PRIVATE if private else stat.S_IMODE(target.stat().st_mode)
            _write(target.with_name(f"{target.name}.bak"), text, mode)
        _write(target, json.dumps(said, indent=2, ensure_ascii=False) + "\n", mode)
    return True


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} cannot be read: it is not UTF-8 text") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from changing the file until the block ends."""
    lock = path.with_name(f".{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: str, mode: int) -> None:
    """Put `text` at `path`, private until it is whole."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
