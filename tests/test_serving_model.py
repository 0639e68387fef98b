"""Copies of a conversation's past, and the names and counts of the bot as a model."""

from __future__ import annotations

import pytest

from bot.core import events as ev
from bot.serving_model import Vocabulary, copy_past, model_name
from skills.encoder import Encoder, EncoderSettings
from tests.fakes import MemoryStore, managing, models, tell


@pytest.mark.parametrize(
    ("name", "model"), [("Kettle & Co", "kettle-co"), ("茶壶", "茶壶"), ("Bot 2.0", "bot-2.0"), ("!!", "bot")]
)
def test_a_bots_name_becomes_a_models(name: str, model: str) -> None:
    assert model_name(name) == model


async def test_a_copy_has_the_past_up_to_a_turn_and_goes_on_by_itself() -> None:
    store = MemoryStore()
    async with managing(store, models()) as manager:
        for words in ("hello", "bye", "more"):
            await tell(manager, words)
        await copy_past(manager, "c", 2, "copy")
        await copy_past(manager, "c", 1, "copy")  # it has begun: nothing is changed
        copied = store.of("copy")
        original = [one for one in store.of("c") if 0 < one.turn <= 2]
        assert [one.event.kind for one in copied if one.turn] == [one.event.kind for one in original]
        assert not any(one.event.live for one in copied if isinstance(one.event, ev.Received))
        await tell(manager, "hello", conversation="copy")
    said = [one.event.message.text for one in store.of("copy") if isinstance(one.event, ev.Received)]
    assert said == ["hello", "bye", "hello"]


async def test_a_reminder_stays_where_it_was_set() -> None:
    store = MemoryStore()
    async with managing(store, models()) as manager:
        await tell(manager, "hello")
        await manager.record("c", ev.ReminderSet(name="r", intent="bye", due=2e9))
        await tell(manager, "bye")
        await copy_past(manager, "c", 2, "copy")
    assert not any(isinstance(one.event, ev.ReminderSet) for one in store.of("copy"))


async def test_a_conversation_that_was_erased_is_not_copied() -> None:
    store = MemoryStore()
    async with managing(store, models()) as manager:
        await tell(manager, "secret")
        await manager.erase("c")
        await tell(manager, "hello")
        await copy_past(manager, "c", store.of("c")[-1].turn, "copy")
    assert store.of("copy") == []


@pytest.mark.slow
def test_tokens_are_counted_and_cut() -> None:
    tokens = Vocabulary(Encoder.load(settings=EncoderSettings()))
    text = "Caf\u00e9s open at 9:00, don't they? " * 100
    assert tokens.count("") == 0
    assert tokens.count(text) > 126
    assert tokens.cut(text, 4) == "Caf\u00e9s open at 9"
    assert tokens.count(tokens.cut(text, 300)) == 300
    assert tokens.cut("one", 5) == "one"
