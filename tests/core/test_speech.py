"""The seams of voice are met by what has their methods, and their values are plain."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from bot.core.speech import RATE, Heard, Recogniser, Speaker, Speech, Utterance, Word


class Deaf:
    """Hears nothing."""

    name = "deaf"

    def run(self, batch: Sequence[Utterance]) -> Sequence[Heard]:
        return [Heard("", item.language, 0.0, 1.0, model=self.name) for item in batch]


class Mute:
    """Says nothing."""

    id = "mute"

    async def speak(self, speech: Speech) -> AsyncGenerator[Any, None]:
        for sound in ():
            yield sound

    async def close(self) -> None:
        return None


async def test_what_has_the_methods_is_a_recogniser_or_a_speaker() -> None:
    assert isinstance(Deaf(), Recogniser) and not isinstance(Mute(), Recogniser)
    assert isinstance(Mute(), Speaker) and not isinstance(Deaf(), Speaker)
    assert [sound async for sound in Mute().speak(Speech("Hello."))] == []


def test_what_was_heard_keeps_its_words_with_their_times() -> None:
    assert RATE == 16_000
    assert Deaf().run([Utterance([], language="en")]) == [Heard("", "en", 0.0, 1.0, (), "deaf")]
    word = Word("hello", 0.1, 0.4, 0.9)
    assert Heard("hello", "en", 0.9, 0.0, (word,)).words[0].end == 0.4
