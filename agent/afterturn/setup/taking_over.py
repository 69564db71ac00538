"""Settings that another program has of Honcho, as ours: what of them may be taken over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from afterturn_models.errors import ConfigurationError
from afterturn_models.keys import translate
from afterturn_models.secret_values import KEY_NAMES, WITHHELD
from afterturn_models.settings_model import FIELDS
from afterturn_models.shared import valid
from afterturn_models.sources import ENV_PREFIX, our_file

if TYPE_CHECKING:
    from pathlib import Path

    from afterturn.setup.homes import Home, Said
    from afterturn_models.settings import Loaded

# What says how that program runs, rather than what it remembers.
_THEIRS = frozenset({"enabled", "database_url", "redis_url"})


@dataclass(frozen=True, slots=True)
class KeyAt:
    """Where a program keeps Honcho's key: workers can take it from there, we never read it."""

    file: Path
    block: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be taken over from one home: values by field; `left` says what cannot, and why."""

    home: Home
    file: Path
    values: dict[str, Any]
    left: tuple[str, ...] = ()
    key: KeyAt | None = None


def offers(homes: list[Home], loaded: Loaded) -> list[Offer]:
    """Give what each home says that is said nowhere of ours; the first home's word on it counts."""
    found: list[Offer] = []
    taken: set[str] = set()
    for home in homes:
        if home.said is None:
            continue
        offer = _offer(home, home.said, loaded, taken)
        taken |= set(offer.values)
        if offer.values or offer.key:
            found.append(offer)
    return found


def _offer(home: Home, said: Said, loaded: Loaded, taken: set[str]) -> Offer:
    values: dict[str, Any] = dict(said.implied)
    left: list[str] = []
    for part in reversed(said.parts):
        read = translate(part, FIELDS, str(said.file))
        values |= read.values
        left += [one for one in read.warnings if one not in left]
    wanted = {}
    for field, value in values.items():
        if field in _THEIRS or field in taken or _ours(field, loaded):
            continue
        try:
            plain = valid(to_camel(field), value)[1]
        except ConfigurationError as error:
            left.append(f"{said.file}: {error}")
            continue
        if plain != loaded.settings.model_dump(mode="json", include={field})[field]:
            wanted[field] = plain
    return Offer(home, said.file, wanted, tuple(left), _key(said))


def _ours(field: str, loaded: Loaded) -> bool:
    """Tell whether a field is said in our file, or in the environment under our name."""
    origin = loaded.origins.get(field, "")
    return origin.startswith((str(our_file()), f"the environment ({ENV_PREFIX}"))


def _key(said: Said) -> KeyAt | None:
    for part, block in zip(said.parts, said.blocks, strict=True):
        if any(part.get(name) is WITHHELD for name in KEY_NAMES):
            return KeyAt(said.file, block)
    return None
