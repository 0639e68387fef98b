from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.core.errors import InputError, SkillError
from skills.decoder import Choose, Decoder, Floats, Limits, greedy
from skills.writer import Order, Writer
from tests.skills.decoders import PROMPT, loaded, write_llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("llama")
    write_llama(found)
    return found


@pytest.fixture
def decoder(folder: Path) -> Decoder:
    return loaded(folder, Limits(places=2, room=64))


@asynccontextmanager
async def closing(decoder: Decoder) -> AsyncIterator[Writer]:
    writer = Writer(decoder)
    yield writer
    await writer.close()


@pytest.fixture
async def writer(decoder: Decoder) -> AsyncIterator[Writer]:
    async with closing(decoder) as found:
        yield found


async def text(writer: Writer, prompt: Sequence[int] = PROMPT, limit: int = 9, choose: Choose = greedy) -> list[int]:
    return [token async for token in writer.stream(Order(prompt, choose, limit))]


async def test_more_texts_than_places_are_all_written_as_they_would_be_alone(writer: Writer, folder: Path) -> None:
    prompts = [PROMPT[start : start + 20] for start in range(5)]
    together = await asyncio.gather(*(text(writer, prompt) for prompt in prompts))
    async with closing(loaded(folder)) as other:
        assert together == [await text(other, prompt) for prompt in prompts]


async def test_a_text_ends_before_its_last_token_or_when_there_is_no_room(writer: Writer) -> None:
    whole = await text(writer)
    cut = [token async for token in writer.stream(Order(PROMPT, greedy, 9, frozenset(whole[4:5])))]
    assert cut == whole[: whole.index(whole[4])]
    assert len(await text(writer, limit=99)) == 64 - len(PROMPT) + 1
    with pytest.raises(InputError):
        await text(writer, PROMPT * 2)


async def test_a_caller_that_goes_away_gives_its_place_back(writer: Writer) -> None:
    for _ in range(4):
        stream = writer.stream(Order(PROMPT, greedy, 20))
        await anext(stream)
        await stream.aclose()
    assert len(await text(writer)) == 9


async def test_a_choice_that_fails_ends_its_texts_and_the_next_are_written(writer: Writer) -> None:
    def broken(logits: Floats, written: Sequence[int]) -> int:
        raise ValueError("no such token")

    with pytest.raises(SkillError, match="no such token"):
        await text(writer, choose=broken)
    assert len(await text(writer)) == 9


async def test_closing_tells_those_who_wait(decoder: Decoder) -> None:
    writer = Writer(decoder)
    other = asyncio.create_task(text(writer, limit=60))
    await asyncio.sleep(0)
    await writer.close()
    with pytest.raises(SkillError, match="shutting down"):
        await other
