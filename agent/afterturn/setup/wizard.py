"""Setup's conversation: what is found, what is asked, and how the answers become a plan.

Nothing is changed here: an answer is a line of the plan, whoever gives it. A script's flags stand
in for the questions that they answer, and its defaults for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from afterturn.setup import key_questions, server_questions
from afterturn.setup.homes import find_homes
from afterturn.setup.personas import find_personas, known_personas
from afterturn.setup.plan import Plan
from afterturn.setup.servers import PARTS
from afterturn.setup.taking_over import offers
from afterturn_models.db import Database
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.secret_values import shown
from afterturn_models.settings import read
from afterturn_models.shared import valid
from afterturn_models.sources import our_file

if TYPE_CHECKING:
    from afterturn.setup.asking import Asker
    from afterturn.setup.homes import Home
    from afterturn.setup.honcho_key import Secret
    from afterturn.setup.personas import Persona
    from afterturn.setup.taking_over import KeyAt, Offer

_NAMES = {
    "workspace": "Workspace at Honcho; who shares it shares its memory",
    "peer_name": "Your name, as the peer that you are",
    "ai_peer": "The agent's name, as the peer that it is",
    "session_strategy": "A session for each (per-directory, per-repo, per-session, global)",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What was said beforehand: answers by field, and whether to do what is not a setting.

    `embedded`: servers that are not named are those of `afterturn up`. `untested`: what does not
    answer is taken all the same. None is "ask".
    """

    answers: dict[str, str] = field(default_factory=dict)
    embedded: bool = False
    untested: bool = False
    key: Secret | None = None
    take_over: bool | None = None
    seed: bool | None = None
    start: bool | None = None


def make_plan(asker: Asker, given: Given) -> Plan:
    """Go through every question; raises ConfigurationError or another error of ours.

    KeyboardInterrupt and EOFError of the asker come through: nothing was changed then.
    """
    plan = Plan(read())
    asker.say(f"Nothing is written before the last question. Our file: {our_file()}")
    for warning in plan.loaded.warnings:
        asker.say(f"Note: {warning}")
    homes = find_homes()
    keys = _take_over(asker, given, plan, homes)
    for part in PARTS:
        server_questions.choose(asker, given, plan, part)
    for name, question in _NAMES.items():
        _ask_name(asker, given, plan, name, question)
    key_questions.choose(asker, given, plan, keys)
    server_questions.offer_start(asker, given, plan)
    _personas(asker, given, plan, homes)
    return plan


def _take_over(asker: Asker, given: Given, plan: Plan, homes: list[Home]) -> list[KeyAt]:
    """Offer other programs' settings; gives where their keys are."""
    if given.take_over is False:
        return []
    found = offers(homes, plan.loaded)
    for home in homes:
        if home.unread:
            asker.say(f"Note: {home.unread}")
    for offer in found:
        if offer.values:
            _take_one(asker, given, plan, offer)
    return [offer.key for offer in found if offer.key is not None]


def _take_one(asker: Asker, given: Given, plan: Plan, offer: Offer) -> None:
    asker.head(f"{offer.home.program} has settings of Honcho in {offer.file}:")
    for name, value in offer.values.items():
        asker.say(f"    {to_camel(name)}: {shown(name, value)}")
    for reason in offer.left:
        asker.say(f"    left there: {reason}")
    if given.take_over is None and not asker.yes("Take them over?", default=True):
        return
    for name, value in offer.values.items():
        try:
            plan.say(name, value, copy=True)
        except ConfigurationError as error:
            asker.say(f"    left there: {error}")


def _ask_name(asker: Asker, given: Given, plan: Plan, name: str, question: str) -> None:
    """Ask for one setting until its value is one; a script's wrong value is an error."""
    said = given.answers.get(name)
    while True:
        holds = str(getattr(plan.settings, name))
        answer = said if said is not None else asker.ask(question, holds)
        try:
            value: Any = valid(to_camel(name), answer)[1]
            plan.say(name, value, copy=said is not None)
        except ConfigurationError as error:
            if said is not None or not asker.interactive:
                raise
            asker.say(str(error))
            continue
        if value != answer:
            asker.say(f"    As an id of Honcho's that is {value}.")
        return


def _personas(asker: Asker, given: Given, plan: Plan, homes: list[Home]) -> None:
    """Show what may be seeded, home by home, and ask."""
    if given.seed is False:
        return
    found = _found_personas(plan, homes)
    for home in homes:
        of_home = [one for one in found if one.program == home.program and _in(one, home)]
        new = [one for one in of_home if one.new]
        if not of_home or not (new or asker.interactive):
            continue
        asker.head(f"{home.program} keeps personas in {home.folder}:")
        for one in of_home:
            asker.say(f"    {one.path}: {one.state}")
        question = f"Seed {len(new)} files, each once for ever?"
        if new and (given.seed or asker.yes(question, default=True)):
            _plan_seeding(asker, plan, new)


def _in(one: Persona, home: Home) -> bool:
    return any(one.folder == room.folder for room in home.rooms)


def _plan_seeding(asker: Asker, plan: Plan, new: list[Persona]) -> None:
    settings = plan.settings
    if (settings.database_url and settings.redis_url) or plan.start:
        plan.personas += new
        return
    asker.say("    There is no database yet: run setup again once `afterturn up` runs.")


def _found_personas(plan: Plan, homes: list[Home]) -> list[Persona]:
    """Find persona files, with what a database that answers knows of them."""
    url = plan.settings.database_url
    if not homes or not url or plan.migrate or plan.start:
        return find_personas(homes, plan.pair)
    try:
        database = Database(url, pool_size=1, name="afterturn-setup")
        try:
            with database.statement() as connection:
                return known_personas(connection, homes, plan.pair)
        finally:
            database.close()
    except AfterturnError:
        return find_personas(homes, plan.pair)
