"""Who is who: which peer a platform's user is, in Hermes' order, and never another's by accident.

The first that applies counts: the pin, an alias of the runtime id, an alias of the alternate id,
the prefix and the id, the sanitised id, the owner, the session's key. Two users never come out
alike unless an alias or the pin says so: what would meet another name ends in 64 bits of a hash.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from afterturn_models.policy.ids import honcho_id, is_valid_id

if TYPE_CHECKING:
    from collections.abc import Mapping

# What ends like an id that was made may be one, typed by somebody who wants to meet it. A digest
# without a letter is never made, so that a platform's long numbers stay as they are.
_MADE = re.compile(r"-(?=[0-9]*[a-f])[0-9a-f]{16}")
_PLATFORM = re.compile(r"[A-Za-z0-9_]+")
# In front of what is made elsewhere: peers by a session's key, and agents that were given no peer.
_OURS = ("user-", "agent-")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A user as their platform knows them; `alternate_id` is looked up among aliases only."""

    user_id: str | None = None
    alternate_id: str | None = None
    platform: str | None = None

    @classmethod
    def of(
        cls,
        user_id: str | int | None = None,
        alternate_id: str | int | None = None,
        platform: str | None = None,
    ) -> Runtime:
        """Take ids as a platform gives them: numbers too, without the space around them."""
        return cls(_stripped(user_id), _stripped(alternate_id), _stripped(platform))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that there are, in the order in which they count."""
        return tuple(found for found in (self.user_id, self.alternate_id) if found)

    def __bool__(self) -> bool:
        """Tell whether a platform has said anything of the user."""
        return bool(self.ids or self.platform)


@dataclass(frozen=True, slots=True)
class People:
    """What is configured of who is who.

    `owner` is the peerName, `named` whether somebody said it; `aliases` are peers by runtime id,
    or by `platform:id` where equal ids of two platforms are two people. A `prefix` of None
    qualifies an id by its platform, an empty one leaves it bare, as Hermes does. `taken` are
    names that no runtime id may come out as, besides the owner's and those of aliases.
    """

    owner: str
    named: bool = True
    pin: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    prefix: str | None = None
    taken: frozenset[str] = frozenset()

    def spoken_for(self, agent: str) -> frozenset[str]:
        """Give every name that belongs to somebody, the session's agent among them."""
        return self.taken | {self.owner, agent, *self.aliases.values()}


def user_peer(people: People, runtime: Runtime, *, agent: str, key: str, chat: bool = False) -> str:
    """Give the peer of a session's user, an id of Honcho's, the same in every process.

    `agent` is the agent's peer there, and `key` the session's, which the user of a platform's
    `chat` is named after where nothing else is known of them.
    """
    if people.pin:
        return people.owner
    if not runtime.ids:
        if people.named or not (chat or runtime.platform):
            return people.owner
        return _of_chat(key, people.spoken_for(agent))
    for found in runtime.ids:
        alias = _alias(people.aliases, runtime.platform, found)
        if alias:
            return alias
    return runtime_peer(people, runtime, agent=agent)


def runtime_peer(people: People, runtime: Runtime, *, agent: str) -> str:
    """Give the peer of a platform's user of whom neither pin nor alias says anything.

    `runtime` has an id at least. Equal ids of two platforms are two peers, unless a prefix is
    configured: then ids are taken to be unique over all platforms that use it.
    """
    found = runtime.ids[0]
    spoken_for = people.spoken_for(agent)
    if people.prefix is not None:
        raw = people.prefix + found
        return _apart(raw, [people.prefix, found], spoken_for, plain=not raw.startswith(_OURS))
    if runtime.platform:
        raw = f"{runtime.platform}-{found}"
        # Where the platform's name ends must be seen: `a-b` and `c` are not `a` and `b-c`.
        plain = _PLATFORM.fullmatch(runtime.platform) is not None and not raw.startswith(_OURS)
        return _apart(raw, [runtime.platform, found], spoken_for, plain=plain)
    # One that reads like an id with its platform is not that platform's user.
    return _apart(found, ["", found], spoken_for, plain="-" not in found)


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who speaks in one session: its user, and whoever else a shared chat lets in.

    In a session that was opened for a platform, an author is a runtime id of that platform, else
    a peer's name, which the host answers for.
    """

    people: People
    user: str
    agent: str
    key: str
    runtime: Runtime = field(default_factory=Runtime)

    def peer(self, author: str | int | None) -> str:
        """Give the peer of who says something; the session's user where nobody is named.

        Where a platform has an author whom it cannot name, it is somebody of this chat, and not
        its opener.
        """
        if author is None:
            return self.user
        if not self.runtime:
            return honcho_id(str(author)) if author != "" else self.user
        runtime = Runtime.of(author, platform=self.runtime.platform)
        # The opener may be known by more than this id: they are one person either way.
        if runtime.user_id and runtime.user_id == self.runtime.user_id:
            return self.user
        if not (runtime.ids or self.people.pin):
            return _of_chat(self.key, self.people.spoken_for(self.agent))
        return user_peer(self.people, runtime, agent=self.agent, key=self.key)


def _of_chat(key: str, spoken_for: frozenset[str]) -> str:
    return _apart(f"user-{key}", ["", "user", key], spoken_for)


def _alias(aliases: Mapping[str, str], platform: str | None, found: str) -> str | None:
    if platform:
        alias = aliases.get(f"{platform}:{found}")
        # Who may choose an id of their own must not pass for a user of another platform.
        head, colon, _ = found.partition(":")
        if alias or (colon and _PLATFORM.fullmatch(head)):
            return alias or None
    return aliases.get(found) or None


def _apart(raw: str, identity: list[str], spoken_for: frozenset[str], *, plain: bool = True) -> str:
    """Give `raw` where it is an id that nothing else comes out as, else one made of `identity`."""
    made_like = _MADE.fullmatch(raw[-17:]) is not None
    if plain and is_valid_id(raw) and raw not in spoken_for and not made_like:
        return raw
    for attempt in count():
        told = [*identity, attempt] if attempt else identity
        made = honcho_id(json.dumps(told, ensure_ascii=False))
        if made not in spoken_for and _MADE.fullmatch(made[-17:]):
            return made
    raise AssertionError("there is always another id")  # pragma: no cover


def _stripped(value: str | int | None) -> str | None:
    return (str(value).strip() or None) if value is not None else None
