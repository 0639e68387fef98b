"""The bot behind `connectors.openai_api`: its names, its encoder, its keys, and copies of conversations."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bot.core.events import Erased, Received, Recorded, ReminderSet
from bot.keys import Keys
from connectors.limits import Limits
from connectors.openai_api import Offer, OpenAIChannel
from connectors.openai_api_quota import Quotas

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tokenizers import Tokenizer

    from bot.app import Bot
    from bot.mailbox import Mailbox
    from bot.manager import Manager
    from skills.encoder import Encoder


class Vocabulary:
    """Counts in tokens of the encoder's vocabulary."""

    def __init__(self, encoder: Encoder) -> None:
        self._tokenizer = _tokenizer(encoder)

    def count(self, text: str) -> int:
        """How many tokens a text has, without those that only mark its ends."""
        return len(self._tokenizer.encode(_whole(text), add_special_tokens=False))

    def cut(self, text: str, most: int) -> str:
        """The beginning of a text that has so many tokens."""
        offsets = self._tokenizer.encode(_whole(text), add_special_tokens=False).offsets
        return text if len(offsets) <= most else text[: offsets[most - 1][1]]


def model_channel(bot: Bot, limits: Limits) -> OpenAIChannel:
    """The channel for a running bot."""
    chosen = bot.settings.openai

    async def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return await asyncio.to_thread(bot.encoder.vectors, texts)

    async def branch(source: str, turn: int, target: str) -> None:
        await copy_past(bot.manager, source, turn, target)

    offer = Offer(
        model=chosen.model or model_name(bot.settings.name),
        embedder=bot.encoder.files.source.name,
        tokens=Vocabulary(bot.encoder),
        embed=embed,
        bundle=lambda: bot.loaded.bundle.id,
        branch=branch,
        keys=Keys(bot.settings.state_folder(bot.root)),
        quotas=Quotas(chosen.requests_per_minute, chosen.tokens_per_minute),
        context=chosen.context_tokens,
        embedder_context=bot.encoder.settings.max_tokens - 2,
    )
    return OpenAIChannel(limits, offer)


def model_name(name: str) -> str:
    """A bot's name as models are named: "Kettle & Co" is "kettle-co"."""
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-") or "bot"


async def copy_past(manager: Manager, source: str, turn: int, target: str) -> None:
    """Begin a conversation with what happened in another one up to the end of a turn. Nothing is done again.

    One that has begun already is left as it is. What is left of a conversation that was erased is not copied: its turns
    are numbered on from what is gone.
    """
    events = await manager.read(source)
    if any(isinstance(recorded.event, Erased) for recorded in events):
        return

    def history(box: Mailbox) -> Iterator[Recorded]:
        return iter(()) if box.state.seq else _up_to(turn, events)

    await manager.write(target, history)


def _up_to(turn: int, events: Sequence[Recorded]) -> Iterator[Recorded]:
    """What belongs to the turns up to one, as a history that this bot did not take itself."""
    last = max(index for index, one in enumerate(events) if one.turn == turn)
    for recorded in events[: last + 1]:
        event = recorded.event
        if recorded.turn > turn or isinstance(event, ReminderSet):  # it falls due once, where it was set
            continue
        if isinstance(event, Received):
            recorded = recorded.model_copy(update={"event": event.model_copy(update={"live": False})})
        yield recorded


def _tokenizer(encoder: Encoder) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(encoder.files.path("tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _whole(text: str) -> str:
    """Without halves of characters, which cannot be encoded; as long as before."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
