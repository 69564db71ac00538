"""The questions about Postgres, Redis and Honcho: which one, and whether it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from afterturn.setup.servers import (
    EMBEDDED,
    PARTS,
    candidates,
    runs_in_stack,
    sandbox_missing,
    stack_runs,
)
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.key_place import key_place
from afterturn_models.secret_values import has_password, masked
from afterturn_models.settings_model import HOSTED_HONCHO
from afterturn_models.sources import our_file

if TYPE_CHECKING:
    from afterturn.setup.asking import Asker
    from afterturn.setup.plan import Plan
    from afterturn.setup.probes import Probe
    from afterturn.setup.servers import Candidate, Part
    from afterturn.setup.wizard import Given


class NotUsableError(AfterturnError):
    """A server does not answer as it should, and nobody said to take it all the same."""


def choose(asker: Asker, given: Given, plan: Plan, part: Part) -> None:
    """Ask which server a part is, test it, and plan to say so."""
    asker.head(f"{part.name}. {part.why}")
    found = _offered(plan, part)
    said = given.answers.get(part.field)
    if said is None and given.embedded:
        said = EMBEDDED
    if said is None:
        _list(asker, found)
    while True:
        answer = said if said is not None else _ask(asker, plan, part, found)
        if answer == EMBEDDED:
            _take_embedded(asker, plan, part)
            return
        url = _tested(asker, given, plan, part, answer)
        if url is not None:
            plan.say(part.field, url, copy=said is not None)
            return


def _offered(plan: Plan, part: Part) -> list[Candidate]:
    found = candidates(part, plan.after)
    return [one for one in found if one.url]


def _list(asker: Asker, found: list[Candidate]) -> None:
    for number, one in enumerate(found, 1):
        asker.say(f"    {number}  {masked(one.url)}  ({one.where})")
    asker.say(f"    {EMBEDDED}  the one that `afterturn up` runs on this machine")


def _ask(asker: Asker, plan: Plan, part: Part, found: list[Candidate]) -> str:
    """Ask for a number, a URL or `embedded`; Enter keeps what is there."""
    default = _default(plan, part)
    answer = asker.ask(f"{part.name}: a number, {EMBEDDED}, or a URL", default, masked(default))
    if answer.isdecimal() and 1 <= int(answer) <= len(found):
        return found[int(answer) - 1].url
    return answer


def _default(plan: Plan, part: Part) -> str:
    """Give what is configured; what merely answers on this machine may be another project's."""
    configured: str | None = getattr(plan.settings, part.field)
    if configured and not runs_in_stack(part, plan.after):
        return configured
    hosted = part.field == "honcho_url" and key_place() is not None
    return HOSTED_HONCHO if hosted else EMBEDDED


def _take_embedded(asker: Asker, plan: Plan, part: Part) -> None:
    plan.say(part.field, None)
    missing = sandbox_missing()
    if missing:
        asker.say(f"    {missing}")
    configured = getattr(plan.settings, part.field)
    if configured and not runs_in_stack(part, plan.after):
        origin = plan.after.origins[part.field]
        asker.say(f"    {origin} still says {masked(configured)}, and that counts.")
    elif part.field == "honcho_url" and key_place() is not None:
        asker.say("    There is a key of Honcho's, so `afterturn up` will use the hosted one.")


def _tested(asker: Asker, given: Given, plan: Plan, part: Part, url: str) -> str | None:
    """Test a server; gives its URL as it is to be written, None to ask for another."""
    probe = part.test(url)
    while probe.password and asker.interactive:
        asker.say(f"    {probe.said}")
        password = asker.hidden(
            f"Its password (not shown; Enter: none, to be kept in {our_file()})"
        )
        if not password:
            break
        url = _with_password(url, password)
        probe = part.test(url)
    if part.field == "database_url":
        plan.migrate = False
    if not probe.ok:
        return _all_the_same(asker, given, part, url, probe)
    asker.say(f"    {probe.said}.")
    for warning in probe.warnings:
        asker.say(f"    Warning: {warning}.")
    if probe.migrate:
        plan.migrate = asker.yes("Migrate it to this version's schema?", default=True)
    return url


def _all_the_same(asker: Asker, given: Given, part: Part, url: str, probe: Probe) -> str | None:
    if not asker.interactive and not given.untested:
        raise NotUsableError(
            f"{part.name}: {probe.said}; nothing was written; --untested takes it all the same"
        )
    asker.say(f"    {probe.said}. It has the form {part.form}.")
    if given.untested or asker.yes("Take it all the same?", default=False):
        return url
    if part.field in given.answers:
        raise NotUsableError(f"{part.name}: {probe.said}; nothing was written")
    return None


def _with_password(url: str, password: str) -> str:
    """Put a password into a URL, in place of one that is there."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0] if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def offer_start(asker: Asker, given: Given, plan: Plan) -> None:
    """Offer to start the embedded servers, where some are needed and none run."""
    missing = [part for part in PARTS if not getattr(plan.settings, part.field)]
    needed = [part for part in missing if part.field != "honcho_url" or key_place() is None]
    if not needed or stack_runs() or sandbox_missing():
        return
    asker.head("Nothing runs yet of what `afterturn up` is to run.")
    if given.start is None:
        plan.start = asker.interactive and asker.yes("Start it in the background?", default=True)
    else:
        plan.start = given.start


def refuse_password(url: str, flag: str) -> None:
    """Raise ConfigurationError for a password on a command line, where everybody reads it."""
    if has_password(url):
        raise ConfigurationError(
            f"{flag} holds a password, and a command line is read by others: put the URL into a"
            f" variable and say {flag} env:NAME"
        )
