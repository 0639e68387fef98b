"""A bot with ears and a mouth: voice notes, recorded questions, settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from bot.cli.voice import answer_file
from bot.config import Settings
from bot.core import events as ev
from bot.core.errors import SettingsError
from bot.manager import Manager
from bot.project import NluData
from bot.sections import VoiceSettings
from bot.serving_voice import twilio_offer
from bot.sound import read_wav, write_wav
from bot.store import SqlStore
from bot.turns import Timing
from bot.voice import Voice, likely_words, manners_of, voice_of
from tests.connectors.live import bot as program
from tests.fakes import models
from tests.fakes_voice import Hum, Phrasebook, parts, silence
from tests.test_architecture import files


@dataclass
class Small:
    """As much of a bot as a voice needs."""

    store: SqlStore
    manager: Manager
    settings: Settings = field(default_factory=Settings)
    timings: list[Timing] = field(default_factory=list)
    loaded: Any = None

    def observe(self, timing: Timing) -> None:
        self.timings.append(timing)


@asynccontextmanager
async def spoken(folder: Path, book: Phrasebook) -> AsyncIterator[tuple[Any, Voice]]:
    async with SqlStore(folder / "log.db") as store:
        manager = Manager(store, models(program=program()))
        nlu = NluData(lookups={"product": ("Moka pot", "Gooseneck")}, synonyms={"pots": "Moka pot"})
        small: Any = Small(store, manager, loaded=SimpleNamespace(project=SimpleNamespace(nlu=nlu)))
        voice = voice_of(small, book, Hum(latency=0.0), parts(book))
        manager.models = voice.ears(manager.models)
        try:
            yield small, voice
        finally:
            await manager.close()
            await voice.close()


async def test_a_recorded_question_is_heard_and_answered_aloud(tmp_path: Path) -> None:
    book = Phrasebook("plain thing")
    question = tmp_path / "question.wav"
    question.write_bytes(write_wav(book.sound("plain thing")))
    async with spoken(tmp_path, book) as (small, voice):
        told = await answer_file(small, voice, question, tmp_path, "c")
        facts = [recorded.event for recorded in await small.store.read("c")]
    assert (told.transcript, told.intent, told.answer, told.error) == ("plain thing", "plain", "Hi there.", "")
    assert len(read_wav((tmp_path / "question.answer.wav").read_bytes())) == len("Hi there.") * 800
    assert any(isinstance(fact, ev.Transcribed) and fact.bundle == "phrasebook" for fact in facts)
    assert book.asked[0].words == ("Moka pot", "Gooseneck", "pots")
    assert "transcribe" not in [timing.stage for timing in small.timings]


async def test_silence_is_asked_for_again(tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    question.write_bytes(write_wav(silence(1.0)))
    async with spoken(tmp_path, Phrasebook("plain thing")) as (small, voice):
        told = await answer_file(small, voice, question, tmp_path, "c")
    assert (told.transcript, told.intent, told.error) == ("", "", "") and told.answer


@pytest.mark.parametrize("content", [b"", b"ID3 a song", write_wav(silence(61.0))], ids=["empty", "song", "long"])
async def test_what_is_no_question_is_an_error_of_its_own(tmp_path: Path, content: bytes) -> None:
    question = tmp_path / "question.wav"
    question.write_bytes(content)
    async with spoken(tmp_path, Phrasebook()) as (small, voice):
        told = await answer_file(small, voice, question, tmp_path, "c")
        missing = await answer_file(small, voice, tmp_path / "none.wav", tmp_path, "c")
    assert told.error and not told.audio and "cannot be read" in missing.error


def test_the_disclosure_is_the_servers_notice_unless_there_is_another() -> None:
    assert manners_of(VoiceSettings(), "A machine.", "de").opening == ("A machine.",)
    chosen = VoiceSettings(disclosure="Hello, I am a bot.", record=True, greeting="How can I help?")
    notice = VoiceSettings().record_notice
    assert manners_of(chosen, "A machine.", "de").opening == ("Hello, I am a bot.", notice, "How can I help?")


def test_a_token_of_twilio_needs_our_address() -> None:
    assert twilio_offer(VoiceSettings()) is None
    with pytest.raises(SettingsError, match="public_url"):
        twilio_offer(VoiceSettings(twilio_token=SecretStr("t")))
    offer = twilio_offer(VoiceSettings(twilio_token=SecretStr("t"), public_url="wss://bot.example"))
    assert offer is not None and offer.token == "t"


def test_likely_words_are_few_and_told_once() -> None:
    nlu = NluData(lookups={"a": tuple(f"w{number}" for number in range(900)), "b": ("w1", " ")})
    small: Any = SimpleNamespace(loaded=SimpleNamespace(project=SimpleNamespace(nlu=nlu)))
    words = likely_words(small)
    assert len(words) == 500 and len(set(words)) == 500


def test_a_bot_without_calls_loads_nothing_of_voice() -> None:
    ours = (
        "bot.voice",
        "bot.serving_voice",
        "bot.speaking",
        "connectors.voice",
        "skills.speech",
        "skills.voice_activity",
    )
    for file in files():
        if not file.name.startswith((*ours, "training", "skills")):
            assert not [name for name in file.at_load if name.startswith(ours)], file.name
