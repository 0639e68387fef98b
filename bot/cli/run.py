"""Verbs that run a bot: init, chat, serve, parse."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import SecretStr

from bot.cli.acting import Actions
from bot.cli.drafts import Approved, Drafts, say_approved
from bot.cli.moving import take_over
from bot.cli.output import as_json, console, errors, project_folder, table
from bot.core.errors import InputError
from bot.core.protocols import Utterance

if TYPE_CHECKING:
    from bot.app import Loaded
    from bot.cli.trace import Trace
    from bot.core.messages import Message
    from bot.core.protocols import Gateway, Understanding
    from connectors.console import Console

Dir = Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
HERE = Path()


def init(
    directory: Annotated[Path | None, typer.Argument(help="The folder to make.")] = None,
    template: Annotated[str, typer.Option(help="What to begin with: shop (a whole example) or empty.")] = "shop",
    from_: Annotated[
        Path | None, typer.Option("--from", help="A Rasa project to take over where it is; only bot.yml is written.")
    ] = None,
) -> None:
    """Make a new project, ready to train; or take over a Rasa project where it is."""
    if (directory is None) == (from_ is None):
        raise InputError("name one folder: a new one to make, or --from with that of a Rasa project")
    if from_ is not None:
        take_over(from_)
        return
    from bot.templates import create

    assert directory is not None
    written = create(directory, template)
    console.print(f"{directory} holds a new project ({len(written)} files).")
    steps = ["bot ingest", "bot train", "bot chat"] if (directory / "knowledge").exists() else ["bot train", "bot chat"]
    console.print("Next: " + "; ".join([f"cd {directory}", *steps]), markup=False)


def chat(
    directory: Dir = HERE,
    trace: Annotated[bool, typer.Option("--trace", help="Show how long each stage took.")] = False,
    approved: Approved = False,
    script: Annotated[Path | None, typer.Option(help="Play this file of test conversations first.")] = None,
    actions: Actions = None,
) -> None:
    """Talk to the bot in the terminal."""
    say_approved(approved)
    ok = asyncio.run(_chat(project_folder(directory), script, trace, actions))
    raise typer.Exit(0 if ok else 1)


async def _chat(root: Path, script: Path | None, show_trace: bool, actions: str | None) -> bool:
    from bot.app import Wiring, open_bot
    from bot.cli.trace import Trace
    from bot.telemetry import configure_logging
    from connectors.console import Console

    configure_logging("warning", json=False)
    trace, ok = Trace(), True
    async with open_bot(root, Wiring(observe=trace.observe, actions=actions)) as bot:
        bot.manager.followers.show = Drafts()
        if script is not None:
            ok = await _play_aloud(script, bot.manager, trace, show_trace)
        if sys.stdin.isatty() or script is None:
            if sys.stdin.isatty():
                console.print(
                    f"{bot.settings.server.notice} Type your message; an empty line ends the talk.\n", style="dim"
                )
            await _converse(Console(bot.manager), trace, show_trace)
    return ok


async def _play_aloud(script: Path, gateway: Gateway, trace: Trace, show_trace: bool) -> bool:
    """Play a script and show it as a talk; at the end, how many expectations held and how long the stages took."""
    from bot.scenarios import play, read_scenarios

    played = []
    for scenario in read_scenarios(script):
        played.append(await play(scenario, gateway))
        for result in played[-1].steps:
            console.print(f"you  {result.said}", style="bold", markup=False)
            for message in result.replies:
                _print_message(message)
            for failure in result.failures:
                console.print(f"     expected {failure.expected}; found {failure.found}", style="red", markup=False)
    steps = [step for one in played for step in one.steps]
    good = sum(not step.failures for step in steps)
    console.print(f"\n{good} of {len(steps)} answers as expected\n", style="green" if good == len(steps) else "red")
    if show_trace:
        table("Milliseconds per stage and turn", ["stage", "turns", "p50", "p95", "max"], trace.summary())
    return good == len(steps)


async def _converse(talk: Console, trace: Trace, show_trace: bool) -> None:
    while True:
        try:
            text = await asyncio.to_thread(_ask)
        except (EOFError, KeyboardInterrupt):
            return
        if not text.strip():
            return
        trace.clear()
        outcome = await talk.say(text)
        for message in outcome.messages:
            _print_message(message)
        if show_trace:
            console.print("     " + trace.line(), style="dim", markup=False)


def _ask() -> str:
    return input("you  " if sys.stdin.isatty() else "")


def _print_message(message: Message) -> None:
    from connectors.console import as_text

    lines = as_text(message).splitlines() or [""]
    console.print(f"bot  {lines[0]}", markup=False)
    for line in lines[1:]:
        console.print(f"     {line}", markup=False)
    for number, choice in enumerate(message.choices, start=1):
        console.print(f"     {number}) {choice.title}", style="cyan", markup=False)
    for source in message.sources:
        console.print(f"     source: {source.title}  {source.url or source.document}", style="dim", markup=False)


def serve(
    directory: Dir = HERE,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="bot.yml, else 127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="bot.yml, else 5005")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    actions: Actions = None,
    enable_api: Annotated[bool, typer.Option("--enable-api", help="Serve Rasa's whole HTTP API to operators.")] = False,
    auth_token: Annotated[
        str | None, typer.Option("--auth-token", "-t", envvar="AUTH_TOKEN", help="The operators' token.")
    ] = None,
    jwt_secret: Annotated[
        str | None, typer.Option(envvar="JWT_SECRET", help="Key of JSON Web Tokens for Rasa's HTTP API.")
    ] = None,
    jwt_method: Annotated[str | None, typer.Option(envvar="JWT_METHOD", help="How they are signed: HS256, ...")] = None,
    approved: Approved = False,
) -> None:
    """Serve all channels: the web page, REST, WebSocket."""
    say_approved(approved)
    from bot.cli.review_serving import ServedReview
    from bot.server.run import run
    from bot.serving import serve_project
    from bot.telemetry import configure_logging

    configure_logging(log_level, json=not errors.is_terminal)
    given: dict[str, Any] = {"host": host, "port": port, "enable_api": enable_api or None, "jwt_method": jwt_method}
    given |= {"token": auth_token and SecretStr(auth_token), "jwt_secret": jwt_secret and SecretStr(jwt_secret)}
    changes = {name: value for name, value in given.items() if value is not None}
    run(serve_project(project_folder(directory), changes, _listening, actions, ServedReview))


def _listening(url: str) -> None:
    console.print(f"Listening on {url}", markup=False)


def parse(
    text: Annotated[str, typer.Argument(help="What a customer might say.")],
    project: Annotated[Path, typer.Option("--project", "-p", help="The project folder.")] = HERE,
    json: Json = False,
) -> None:
    """Show what the classifiers make of a text."""
    from bot.app import load_encoder, load_models, patient
    from bot.project import load_project

    root = project_folder(project)
    found = patient(load_project(root))
    loaded = load_models(found, load_encoder(found.settings, root))
    try:
        understood = asyncio.run(_understand(loaded, text))
    finally:
        asyncio.run(loaded.close())
    if json:
        names = ("text", "language", "supported", "intents", "in_scope", "threshold", "entities", "bundle")
        as_json({name: getattr(understood, name) for name in names})
        return
    verdict = "accepted" if understood.intents and understood.in_scope >= understood.threshold else "out of scope"
    console.print(f"language {understood.language}; in scope {understood.in_scope:.2f} ({verdict})")
    table("Intents", ["intent", "probability"], [(item.name, item.score) for item in understood.intents[:5]])
    if understood.entities:
        rows = [(e.type, e.text, str(e.value), f"{e.start}-{e.end}", e.extractor) for e in understood.entities]
        table("Entities", ["type", "text", "value", "characters", "found by"], rows)


async def _understand(loaded: Loaded, text: str) -> Understanding:
    return await loaded.models.understand(Utterance(text=text, now=time.time()))


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (init, chat, serve, parse):
        app.command()(verb)
