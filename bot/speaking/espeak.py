"""espeak-ng as a child process for each sentence: small, always there, in a hundred languages.

It is a program of its own under the GPL: it is run, never linked. The text goes in by its standard input, so that no
other user of the machine reads it in the list of processes; the sound comes out as it is made. Leaving the generator
kills the process.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from html import escape

from bot.core.errors import SettingsError, SkillError
from bot.core.speech import RATE, Speech
from bot.sections import SpeakerSettings
from bot.sound import Resampler, Samples, from_pcm16
from bot.speaking.pace import NAME, paced

PROGRAM = "espeak-ng"
MISSING = "espeak-ng is not installed. Debian, Ubuntu: apt-get install espeak-ng; macOS: brew install espeak-ng"
_HEAD = 44
"""Bytes of the WAV header that it writes."""
_PIECE = 16_384
_WORDS_A_MINUTE, _SLOWEST, _FASTEST = 175, 80, 450
_LOUDNESS = "75"
"""Of 200. Its own choice, 100, clips in some languages."""
_VOICES = {"en": "en-gb", "en-us": "en-us", "zh": "cmn"}
"""Voices of languages whose code is not a voice of espeak-ng, or not the one meant."""
_VOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}")
_EMPHASIS = re.compile(r"&lt;(/?)emphasis&gt;")
_LETTER_A = re.compile(r"\bA(?= (?:[A-Z]|zero|one|two|three|four|five|six|seven|eight|nine)\b)|(?<=\w )A(?![\w-])")
"""An A that is no article; English voices name the letter only where a dash follows."""
_WAIT_S = 5.0


class EspeakSpeaker:
    """A `Speaker` by espeak-ng."""

    def __init__(self, settings: SpeakerSettings, program: str, version: str) -> None:
        self._settings, self._program, self._version = settings, program, version

    @classmethod
    async def open(cls, settings: SpeakerSettings) -> EspeakSpeaker:
        """The speaker, if the program is there.

        Raises:
            SettingsError: it is not; says how to install it.
        """
        program = shutil.which(PROGRAM)
        if program is None:
            raise SettingsError(MISSING)
        process = await _start(program, "--version")
        try:
            async with asyncio.timeout(_WAIT_S):
                said, _ = await process.communicate()
        except TimeoutError:
            raise SettingsError(f"{program} --version does not answer; install it again") from None
        finally:
            await _stop(process)
        version = re.search(rb"\d+(\.\d+)+", said)
        return cls(settings, program, version[0].decode() if version else "?")

    @property
    def id(self) -> str:
        """The program and its version, with the voices that were chosen."""
        return " ".join([PROGRAM, self._version, *(f"{key}={name}" for key, name in self._settings.voices.items())])

    async def close(self) -> None:
        """Nothing is kept between sentences."""

    def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """See `Speaker.speak`. Understands `<emphasis>` around words."""
        return paced(self._sound(speech), self._settings, PROGRAM)

    async def _sound(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        voice = self._voice(speech)
        pace = round(min(max(_WORDS_A_MINUTE * speech.rate * self._settings.rate, _SLOWEST), _FASTEST))
        process = await _start(
            self._program, "--stdin", "--stdout", "-m", "-b", "1", "-v", voice, "-s", str(pace), "-a", _LOUDNESS
        )
        try:
            async with aclosing(_spoken(process, _marked(_lettered(speech.text, voice)))) as sound:
                async for piece in sound:
                    yield piece
            if await process.wait():
                raise SkillError(NAME, f"{PROGRAM} cannot speak; does `{PROGRAM} --voices` know the voice {voice!r}?")
        finally:
            await _stop(process)

    def _voice(self, speech: Speech) -> str:
        code, ours = speech.language.lower() or "en", self._settings.voices
        base = code.split("-")[0]
        voice = speech.voice or ours.get(code) or ours.get(base) or _VOICES.get(code) or _VOICES.get(base, base)
        if not _VOICE.fullmatch(voice):
            raise SkillError(NAME, f"{voice[:80]!r} is no name of a voice; see `{PROGRAM} --voices`")
        return voice


async def _start(program: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start it with nothing of our environment: it needs no secret of ours."""
    pipe, void = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        return await asyncio.create_subprocess_exec(
            program, *arguments, stdin=pipe, stdout=pipe, stderr=void, env={"LC_ALL": "C.UTF-8"}, start_new_session=True
        )
    except OSError as error:
        raise SkillError(NAME, f"{program} cannot be started: {error.strerror or error}") from None


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.communicate()


async def _spoken(process: asyncio.subprocess.Process, text: str) -> AsyncGenerator[Samples, None]:
    """Write the text, read the sound; odd bytes wait for their other half."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(ConnectionError):
        process.stdin.write(text.encode("utf-8", "replace"))
        process.stdin.close()
    head = b""
    while len(head) < _HEAD:
        part = await process.stdout.read(_HEAD - len(head))
        if not part:
            return
        head += part
    resampler, rest = Resampler(int.from_bytes(head[24:28], "little"), RATE), b""
    while part := await process.stdout.read(_PIECE):
        part = rest + part
        even = len(part) // 2 * 2
        rest = part[even:]
        yield resampler.run(from_pcm16(part[:even]))
    yield resampler.run(from_pcm16(b""), last=True)


def _lettered(text: str, voice: str) -> str:
    return _LETTER_A.sub("A-", text) if voice.startswith("en") else text


def _marked(text: str) -> str:
    """The text as SSML: nothing in it is markup but the emphasis that we know, nor phonemes in double brackets."""
    plain = escape(text.replace("\0", " ").replace("[", " ").replace("]", " "), quote=False)
    return "<speak>" + _EMPHASIS.sub(_emphasis, plain) + "</speak>"


def _emphasis(match: re.Match[str]) -> str:
    return "</emphasis>" if match[1] else '<emphasis level="moderate">'
