"""One turn of a call as it is answered: its sentences on their way to the mouth, and what of them was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.core.errors import BotError
from bot.core.events import Interrupted, Replied, Settled
from bot.core.messages import Message
from bot.core.protocols import Draft, Gateway, Receipt
from bot.core.sentences import Sentences
from connectors.rendering import NOTHING, plain_text
from connectors.voice.player import Line, Player

STAGES = ("vad_stop", "eot", "asr_final", "nlu", "llm_ttft", "tts_ttfb", "playout")


def spoken(message: Message) -> str:
    """What is said for a message: its texts, then each button as a sentence of its own. Sources are not read out."""
    texts = [plain_text(part) for part in message.parts if part.kind not in ("choices", "custom", "audio")]
    titles = [choice.title for choice in message.choices]
    return "\n".join([*filter(None, texts), *(title if title[-1:] in ".!?" else f"{title}." for title in titles)])


@dataclass(slots=True)
class Marks:
    """When the stages of a turn were reached, in seconds after the last sound of speech. `begun` is the loop's time."""

    begun: float
    reached: dict[str, float] = field(default_factory=dict)

    def reach(self, stage: str) -> bool:
        """Note a stage, the first time that it is reached; whether it is the first time."""
        first = stage not in self.reached
        if first:
            self.reached[stage] = max(0.0, asyncio.get_running_loop().time() - self.begun)
        return first


class Answer:
    """What is said in one turn. `said` is told each sentence; `reach` each stage."""

    def __init__(
        self, gateway: Gateway, receipt: Receipt, player: Player, said: Callable[[Line, str], None], marks: Marks
    ) -> None:
        self.receipt, self.marks = receipt, marks
        self._gateway, self._player, self._said = gateway, player, said
        self._lines: list[Line] = []
        self._texts: dict[int, str] = {}
        self._heard: dict[int, str] | None = None
        self._settled = asyncio.Event()

    @property
    def given_up(self) -> bool:
        """Whether nobody listens any more."""
        return self._heard is not None

    def give_up(self) -> None:
        """Say no more of it; call it once the player has stopped."""
        if self._heard is None:
            self._heard = {id(line): heard for line, heard in self._player.unheard()}

    async def follow(self) -> None:
        """Hand the turn's sentences to the player, up to its end, and say so to the player.

        Raises:
            BotError: the log cannot be read on.
        """
        sentences, line = Sentences(), self._next()
        async for news in self._gateway.follow_drafts(self.receipt.conversation, self.receipt.seq):
            if news.turn != self.receipt.turn:
                continue
            if isinstance(news, Draft):
                self.marks.reach("llm_ttft")
                self._say(line, sentences.grow(news.text))
            elif isinstance(news.event, Replied):
                self.marks.reach("nlu")
                line.message, text = news.event.message.id, spoken(news.event.message)
                self._texts[id(line)] = text
                self._say(line, sentences.end(text))
                sentences, line = Sentences(), self._next()
            elif isinstance(news.event, Settled):
                break
        if not self._texts:
            self._say(line, [NOTHING])
        self._settled.set()
        if not self.given_up:
            self._player.end()

    async def record(self) -> None:
        """Once the turn is over, note what of its messages was not heard.

        Raises:
            BotError: it could not be noted.
        """
        await self._settled.wait()
        for line in self._lines:
            whole, heard = self._texts.get(id(line), ""), (self._heard or {}).get(id(line))
            if self._heard is None or not whole:
                continue
            if heard is None and line.text:  # heard to its end
                continue
            await self._gateway.record(self.receipt.conversation, Interrupted(message=line.message, heard=heard or ""))

    def _next(self) -> Line:
        self._lines.append(Line(message=f"{self.receipt.turn}.{len(self._lines) + 1}"))
        return self._lines[-1]

    def _say(self, line: Line, sentences: list[str]) -> None:
        for sentence in sentences:
            if not self.given_up:
                self._player.say(line, sentence)
                self._said(line, sentence)


async def quietly(work: asyncio.Future[None] | None) -> BotError | None:
    """Wait for something; the error raised on purpose that it ended in."""
    if work is None:
        return None
    try:
        await work
    except BotError as error:
        return error
    return None
