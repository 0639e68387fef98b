"""The verb `voice`: recorded questions, heard and answered aloud, without a network."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel

from bot.cli.output import as_json, console, project_folder
from bot.core.errors import BotError, InputError

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.voice import Voice

HERE = Path()
_LARGEST = 64 << 20
ANSWER = ".answer.wav"


class Told(BaseModel):
    """What became of one file. `seconds` are those of each stage; `audio` is "" if the answer could not be said."""

    file: str
    transcript: str = ""
    language: str = ""
    model: str = ""
    intent: str = ""
    answer: str = ""
    audio: str = ""
    error: str = ""
    seconds: dict[str, float] = {}


def voice(
    files: Annotated[list[Path], typer.Argument(help="WAV files; each is a question.")],
    project: Annotated[Path, typer.Option("--project", "-p", help="The project folder.")] = HERE,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the answers.", show_default="beside each file, as NAME.answer.wav")
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="The files are one conversation, in order.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Listen to recorded questions and answer them aloud. Nothing is written to the project's log."""
    from bot.telemetry import configure_logging

    configure_logging("warning", json=False)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    given = [file for file in files if not file.name.endswith(ANSWER)]
    told = asyncio.run(_listen(project_folder(project), given, out, together, show=not json))
    if json:
        as_json({"files": told})
    raise typer.Exit(1 if any(one.error for one in told) else 0)


async def _listen(root: Path, files: list[Path], out: Path | None, together: bool, show: bool) -> list[Told]:
    from bot.app import Wiring, open_bot

    found: list[Told] = []
    with tempfile.TemporaryDirectory(prefix="understudy-voice-") as folder:
        async with open_bot(root, Wiring(voice=True, patient=True, log=Path(folder) / "log.db")) as bot:
            assert bot.voice is not None
            conversation = uuid.uuid4().hex
            for file in files:
                if not together:
                    conversation = uuid.uuid4().hex
                found.append(await answer_file(bot, bot.voice, file, out or file.parent, conversation))
                if show:
                    _show(found[-1])
    return found


async def answer_file(bot: Bot, voice: Voice, file: Path, out: Path, conversation: str) -> Told:
    """Hear a file, answer it, and write the answer's sound into a folder."""
    told = Told(file=str(file))
    try:
        await _answer(bot, voice, told, out, conversation)
    except BotError as error:
        told.error = str(error)
    return told


async def _answer(bot: Bot, voice: Voice, told: Told, out: Path, conversation: str) -> None:
    from bot.core.events import Failed, Transcribed, Understood
    from bot.core.messages import Address, Audio, Inbound, Message
    from bot.sound import write_wav
    from bot.voice import all_sound, said_aloud
    from connectors.voice.answer import spoken

    begun = time.perf_counter()
    content = _read(Path(told.file))
    key = uuid.uuid4().hex
    message = Message(id=f"u.{key}", parts=(Audio(blob=await bot.store.put_blob(content)),))
    address = Address(channel="voice", conversation=conversation, sender="console")
    receipt = await bot.manager.submit(Inbound(address=address, message=message, key=key))
    outcome = await receipt.settled()
    told.seconds["answered"] = round(time.perf_counter() - begun, 3)
    for recorded in await bot.manager.read(receipt.conversation, receipt.seq):
        event = recorded.event
        if isinstance(event, Transcribed):
            told.transcript, told.language, told.model = event.text, event.language, event.bundle
        elif isinstance(event, Understood):
            told.intent = event.intents[0].name if event.accepted else ""
        elif isinstance(event, Failed):
            told.error = f"{event.stage}: {event.code} {event.detail}".strip()
    told.answer = "\n".join(spoken(one) for one in outcome.messages)
    begun = time.perf_counter()
    sound = all_sound([piece async for piece in said_aloud(voice.parts, told.answer)])
    told.seconds["said"] = round(time.perf_counter() - begun, 3)
    target = out / f"{Path(told.file).stem}{ANSWER}"
    target.write_bytes(write_wav(sound))
    told.audio = str(target)


def _read(file: Path) -> bytes:
    """A WAV file's bytes, looked at before anything is made of them.

    Raises:
        InputError: it is none, too large, or too long.
    """
    from bot.sound import read_wav
    from bot.voice import MOST_SECONDS

    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"{file} is larger than {_LARGEST >> 20} MiB; cut it into questions")
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from None
    read_wav(content, MOST_SECONDS)
    return content


def _show(told: Told) -> None:
    console.print(told.file, style="bold", markup=False)
    if told.error:
        console.print(f"     error   {told.error}", style="red", markup=False)
    console.print(f"     heard   {told.transcript or '(no words)'}", markup=False)
    console.print(f"     intent  {told.intent or '(none)'}", style="dim", markup=False)
    for line in told.answer.splitlines():
        console.print(f"     answer  {line}", markup=False)
    console.print(f"     sound   {told.audio or '(none)'}  {told.seconds}", style="dim", markup=False)


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(voice)
