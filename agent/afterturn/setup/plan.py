"""What setup is about to do, as it was asked for and before anything of it is done."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from afterturn_models.secret_values import shown
from afterturn_models.sources import HOST, our_file
from afterturn_models.store.identity import Pair

if TYPE_CHECKING:
    from afterturn.setup.honcho_key import Secret
    from afterturn.setup.personas import Persona
    from afterturn.setup.taking_over import KeyAt
    from afterturn_models.settings import Loaded, Settings


@dataclass(slots=True)
class Plan:
    """What is to be said in our file, and done once it is said.

    `loaded` is what holds before. `values` are by field; None there is for a field of which our
    file is to say nothing any more. `key` was typed; `key_at` is another program's, to be copied.
    `personas` are to be seeded.
    """

    loaded: Loaded
    values: dict[str, Any] = field(default_factory=dict)
    key: Secret | None = None
    key_at: KeyAt | None = None
    start: bool = False
    migrate: bool = False
    personas: list[Persona] = field(default_factory=list)

    def say(self, name: str, value: Any, *, copy: bool = False) -> None:
        """Plan to say `value` of a field in our file, None to say nothing of it there.

        What holds already is said only where it is to be copied. Raises ConfigurationError where
        it cannot be beside the rest.
        """
        rest = {known: one for known, one in self.values.items() if known != name}
        holds = getattr(_saying(rest, self.loaded).settings, name)
        if value != self._in_our_file(name) and (copy or value is None or value != holds):
            _saying({**rest, name: value}, self.loaded)
            rest[name] = value
        self.values = rest

    def _in_our_file(self, name: str) -> Any:
        places = (f"{our_file()} (host {HOST})", str(our_file()))
        said = {source.name: source.values for source in self.loaded.sources}
        return next((said[one][name] for one in places if name in said.get(one, {})), None)

    @property
    def after(self) -> Loaded:
        """Give what holds once the file is written."""
        return _saying(self.values, self.loaded)

    @property
    def settings(self) -> Settings:
        """Give the settings that hold once the file is written."""
        return self.after.settings

    @property
    def pair(self) -> Pair:
        """Give the agent and its owner."""
        return Pair(self.settings.workspace, self.settings.ai_peer, self.settings.peer_name)

    @property
    def writes(self) -> bool:
        """Tell whether our file is to be changed."""
        return bool(self.values) or self.key is not None or self.key_at is not None

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.writes or self.start or self.migrate or self.personas)

    def lines(self) -> list[str]:
        """Say it for a person, with passwords masked."""
        found = [self._line(name, value) for name, value in self.values.items()]
        if self.key is not None:
            found.append("apiKey: the one that you typed, for workers only")
        if self.key_at is not None:
            found.append(f"apiKey: copied by a worker's process from {self.key_at.file}")
        if found:
            found.insert(0, f"Write {our_file()}:")
            found[1:] = [f"    {line}" for line in found[1:]]
        if self.start:
            found.append("Start the embedded servers: afterturn up --detach")
        if self.migrate:
            found.append("Migrate the database to this version's schema")
        if self.personas:
            found.append("Seed, once for ever:")
            found += [f"    {one.path} → {one.peer}" for one in self.personas]
        return found

    def _line(self, name: str, value: Any) -> str:
        if value is None:
            return f"{to_camel(name)}: said no more"
        plain = shown(name, value)
        text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
        return f"{to_camel(name)}: {text}"

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON, with passwords masked."""
        return {
            "file": str(our_file()),
            "settings": {to_camel(name): shown(name, v) for name, v in self.values.items()},
            "key": "typed" if self.key else str(self.key_at.file) if self.key_at else None,
            "start": self.start,
            "migrate": self.migrate,
            "seed": [{"file": str(one.path), "peer": one.peer} for one in self.personas],
        }


def _saying(values: dict[str, Any], loaded: Loaded) -> Loaded:
    for name, value in values.items():
        loaded = loaded.changed(f"{our_file()} (host {HOST})", name, None)
        loaded = loaded.changed(str(our_file()), name, value)
    return loaded
