"""`afterturn chat`: a conversation with a language model, with memory, at a terminal or a pipe."""

from __future__ import annotations

import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from afterturn.chat.screen import PipeScreen, TerminalScreen
from afterturn.cli.examples import examples
from afterturn.cli.failures import FAILED
from afterturn_models.errors import ConfigurationError, StoreUnavailableError
from afterturn_models.policy.text import is_blank
from afterturn_models.values import Role

if TYPE_CHECKING:
    from afterturn.chat.endpoint import Endpoint
    from afterturn.chat.model import Model
    from afterturn.memory import Memory
    from afterturn.session import Session
    from afterturn_models.settings import Settings
    from afterturn_models.values import Message

_HISTORY_SHARE = 0.75  # of the model's window; the rest is for memory, tools and the reply
_EARLIER = 6  # messages that are shown of a conversation that goes on
_REDIS_SECONDS = 1.0
_UP = "start everything on this machine with: afterturn up"


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command()(chat)


@examples(
    "afterturn chat                            # this directory's conversation",
    "afterturn chat plans --base-url http://localhost:11434/v1 --model llama3.2",
    'afterturn chat plans --once "What did we say about Porto?"',
    "afterturn chat plans < questions.txt      # a message a line",
)
def chat(
    name: Annotated[str | None, typer.Argument(help="A conversation by its name.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="One by its title.")] = None,
    directory: Annotated[
        str | None, typer.Option("--directory", metavar="DIR", help="Another directory's.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="One of its own, whatever is there.")] = False,
    model: Annotated[str | None, typer.Option("--model", help="The model; else llmModel.")] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Its endpoint; else llmBaseUrl.")
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", min=1, help="Seconds for the first word of a reply.")
    ] = 90.0,
    once: Annotated[
        str | None, typer.Option("--once", metavar="MESSAGE", help="Say this, and end.")
    ] = None,
    no_memory_tools: Annotated[
        bool, typer.Option("--no-memory-tools", help="Memory is injected, and not asked for.")
    ] = False,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="No language model: see what memory it would get.")
    ] = False,
) -> None:
    """Talk with a language model that remembers: any endpoint with OpenAI's chat API.

    It goes on with the conversation of this directory, or with the one that is named. The key is
    read from AFTERTURN_LLM_API_KEY, else OPENAI_API_KEY; /help lists what else may be typed.
    """
    from afterturn.chat.commands import HELP, Commands
    from afterturn.chat.endpoint import endpoint
    from afterturn.chat.loop import Agent
    from afterturn.chat.talking import Talk
    from afterturn.chat.terminal import PipedLines, TypedLines, at_terminal
    from afterturn.memory import Memory

    typed = once is None and at_terminal()
    screen = TerminalScreen(sys.stdout) if typed else PipeScreen(sys.stdout, sys.stderr)
    with Memory.open() as memory:
        session = _session(memory, name, title, directory, new=new)
        settings = memory.settings
        found = endpoint(settings, model=model, base_url=base_url, patience=patience)
        with closing(_model(found, screen, scripted=scripted)) as talked_to:
            _welcome(session, talked_to, screen, settings)
            budget = int(settings.context_window * _HISTORY_SHARE)
            tools = not no_memory_tools
            agent = Agent(session, talked_to, screen, budget=budget, tools=tools)
            commands = Commands(agent, screen)
            lines = TypedLines([f"/{word}" for word in HELP]) if typed else PipedLines(sys.stdin)
            talk = Talk(agent, screen, commands, lines, typed=typed)
            talk.run() if once is None else talk.say(once)
    if talk.failed and not typed:
        raise typer.Exit(FAILED)


def _session(
    memory: Memory, name: str | None, title: str | None, directory: str | None, *, new: bool
) -> Session:
    """Open the conversation that is meant. Raises StoreUnavailableError while Postgres is away."""
    given = [one for one in (name, title, directory) if one is not None]
    if len(given) > 1:
        raise ConfigurationError("say one of NAME, --title and --directory")
    if new and (name or directory):
        raise ConfigurationError("--new goes with --title, or alone: it has no name yet")
    place = directory or str(Path.cwd())
    if new:
        session = memory.session(name=f"{Path(place).name or 'chat'}-{uuid.uuid4().hex[:8]}")
    elif name is not None or title is not None:
        session = memory.session(name=name, title=title)
    else:
        session = memory.session(directory=place)
    if session.opened() is None:
        raise StoreUnavailableError(f"Postgres cannot be reached; {_UP}")
    if new and title is not None:
        session.rename(title)
    return session


def _model(found: Endpoint | None, screen: TerminalScreen | PipeScreen, *, scripted: bool) -> Model:
    """Give the model behind an endpoint; without one the scripted one, and how to have another."""
    from afterturn.chat.endpoint import HOW
    from afterturn.chat.model import EndpointModel
    from afterturn.chat.scripted import INSTEAD, ScriptedModel

    if found is not None and not scripted:
        return EndpointModel(found, screen.note)
    if found is None and not scripted:
        screen.note(INSTEAD)
        screen.note(HOW)
    return ScriptedModel()


def _welcome(
    session: Session, model: Model, screen: TerminalScreen | PipeScreen, settings: Settings
) -> None:
    """Show which conversation this is, with which model, and what was said in it last."""
    if isinstance(screen, TerminalScreen):
        screen.note(f"session {session.key}, {model.label}; /help says more")
        screen.earlier(said_last(session, _EARLIER))
    if not _redis_answers(settings.need_redis_url()):
        screen.note(f"Redis cannot be reached: nothing is recalled meanwhile; {_UP}")


def said_last(session: Session, most: int) -> list[Message]:
    """Give the last messages of user and agent in which there is something to see."""
    found = session.history(limit=2 * most)
    spoken = [one for one in found if one.role is not Role.TOOL and not is_blank(one.content)]
    return spoken[-most:]


def _redis_answers(url: str) -> bool:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    try:
        with Redis.from_url(
            url,
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            return bool(client.ping())
    except RedisError:
        return False
