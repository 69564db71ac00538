"""The questions about Honcho's key: where workers find it, whether it is right, and a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn.setup.honcho_key import Secret, try_key
from afterturn.setup.server_questions import NotUsableError
from afterturn.setup.servers import PARTS, runs_in_stack
from afterturn_models.key_place import key_place
from afterturn_models.sources import our_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn.setup.asking import Asker
    from afterturn.setup.honcho_key import Trial
    from afterturn.setup.plan import Plan
    from afterturn.setup.taking_over import KeyAt
    from afterturn.setup.wizard import Given

_HONCHO = next(part for part in PARTS if part.field == "honcho_url")
_PROMPT = "Honcho's key (not shown; Enter: {enter})"


def choose(asker: Asker, given: Given, plan: Plan, others: Sequence[KeyAt]) -> None:
    """Try the key that workers would use, and plan to keep another where one is wanted.

    `others` are places where other programs keep theirs.
    """
    url = plan.settings.honcho_url
    if given.key is not None:
        _take(asker, given, plan, given.key)
        return
    stand_in = not url or (runs_in_stack(_HONCHO, plan.after) and key_place() is None)
    if not url or stand_in:
        return  # it takes none
    asker.head("Honcho's key. Only workers read it, and a process of theirs tries it.")
    if _have(asker, plan, url):
        if not asker.interactive or not asker.yes("Type another key?", default=False):
            return
    elif _take_others(asker, given, plan, url, others):
        return
    _type(asker, given, plan)


def _have(asker: Asker, plan: Plan, url: str) -> bool:
    """Tell whether workers started here have what they need."""
    place = key_place()
    if place is not None:
        asker.say(f"    Workers find one: {place.place}.")
        if place.refused:
            asker.say(f"    They refuse it there: {place.refused}.")
    trial = try_key(url, plan.settings.workspace)
    asker.say(f"    {trial.said}.")
    return trial.ok or (place is not None and trial.state in {"away", "untested"})


def _take_others(asker: Asker, given: Given, plan: Plan, url: str, others: Sequence[KeyAt]) -> bool:
    """Offer the keys of other programs that Honcho takes."""
    for one in others:
        trial = try_key(url, plan.settings.workspace, one)
        asker.say(f"    {one.file} holds a key: {trial.said}.")
        if trial.ok and (given.take_over or asker.yes(f"Copy it into {our_file()}?", default=True)):
            plan.key_at = one
            return True
    return False


def _type(asker: Asker, given: Given, plan: Plan) -> None:
    enter = "as it is" if key_place() is not None else "leave it to the environment"
    while True:
        typed = asker.hidden(_PROMPT.format(enter=enter))
        if not typed or _take(asker, given, plan, Secret(typed)):
            return


def _take(asker: Asker, given: Given, plan: Plan, key: Secret) -> bool:
    """Try a key that was typed and plan to keep it; False to ask for another."""
    url = plan.settings.honcho_url
    trial: Trial | None = try_key(url, plan.settings.workspace, key) if url else None
    if trial is not None:
        asker.say(f"    {trial.said}.")
    if trial is None or trial.ok or _insists(asker, given, trial):
        plan.key = key
        _warn_of_environment(asker)
        return True
    if not asker.interactive or given.key is not None:
        raise NotUsableError(f"Honcho's key: {trial.said}; nothing was written")
    return False


def _insists(asker: Asker, given: Given, trial: Trial) -> bool:
    if trial.state == "wrong":
        return False  # it cannot stand in a header: no worker would take it
    return given.untested or asker.yes(
        "Keep it all the same?", default=trial.state in {"away", "untested"}
    )


def _warn_of_environment(asker: Asker) -> None:
    place = key_place()
    if place is not None and place.place.endswith("in the environment"):
        asker.say(f"    {place.place} comes first: unset it.")
