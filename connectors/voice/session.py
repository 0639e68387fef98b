"""One call, on any wire: sound in, activity, turns, words, the bot's answer, sound out.

    hear ─▶ tape, detector ─▶ `bot.core.listening.step` ─▶ recognise ─▶ submit ─▶ sentences ─▶ player ─▶ wire

The listener decides; this file performs. It begins to recognise at every pause, so that the words are there when the
turn turns out to be over. Barge-in stops the sound at once; when it was one, the wording of the answer ends and what
was heard of it goes to the log. What a peer sends is bounded: sound is taken little faster than people speak, and no
more of it is kept than the longest turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import numpy as np
import structlog

from bot.core import hearing as h
from bot.core.asides import aside
from bot.core.echo import Echo
from bot.core.errors import BotError
from bot.core.listening import step
from bot.core.messages import Address, Audio, Inbound
from bot.core.protocols import Gateway
from bot.core.speech import RATE, Heard, Speech
from bot.core.spelling import written
from bot.sound import Samples
from connectors.texts import MESSAGE_CHARACTERS, visible
from connectors.voice.answer import Answer, Marks
from connectors.voice.parts import Pace, Parts, Wire
from connectors.voice.player import Line, Player
from connectors.voice.spoken import kept, likely_over, message_of, recognise
from connectors.voice.tape import Tape
from connectors.voice.telling import Teller

_log = structlog.get_logger("understudy.voice")
_FRAME = 512
_SILENCE = np.zeros(_FRAME, np.float32)
_KEPT_MS = 2_000.0
"""Sound that is kept while nobody speaks."""
_LAST_SECONDS = 5.0
"""How long the end of a call waits for the turn under way, to note what of its answer was heard."""


class Call(Teller):
    """One call. A wire makes it, feeds `hear`, `marked` and `key`, and closes it; `over` tells that we hung up."""

    def __init__(self, wire: Wire, gateway: Gateway, parts: Parts, address: Address) -> None:
        super().__init__(wire)
        self.address = address
        self._gateway, self._parts, self._manners = gateway, parts, parts.manners
        self._ear, self._pace, self._echo = parts.ear(), Pace(), Echo()
        self._state = h.Listening()
        self._tape = Tape(self._manners.thresholds.turn_ms / 1000 + 1)
        self._player = Player(wire, parts.speaker, self._speech)
        self._player.failed, self._player.sounded = self.complain, self._sounded
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()
        self._mouth = asyncio.Lock()
        self._final: asyncio.Task[Heard] | None = None
        self._answer: Answer | None = None
        self._answering: asyncio.Task[None] | None = None
        self._marks = Marks(0.0)
        self._carried = ""
        self._last: list[str] = []
        self._opening = self._closed = False
        self._may_keep = False

    # What a wire calls

    async def open(self) -> None:
        """Begin the call: the disclosure is said first."""
        self._spawn(self._pump())
        self._spawn(self._time_out())
        self._opening = True
        self._spawn(self._open())

    async def hear(self, samples: Samples) -> None:
        """Sound from the caller, at `RATE`. Waits when it comes much faster than people speak."""
        await self._pace.take(len(samples) / RATE)
        if self._closed or not len(samples):
            return
        self._tape.add(samples)
        for frame in self._ear.feed(samples):
            await self._signal(self._around(frame))
        if self._state.phase == "quiet":
            self._tape.forget(self._state.now - _KEPT_MS)

    def marked(self, name: str) -> None:
        """A mark came back: all sound before it was played."""
        self._player.marked(name)

    async def key(self, key: str) -> None:
        """A key of the telephone was pressed: 0-9, * or #."""
        if len(key) == 1 and key in "0123456789*#":
            await self._signal(h.Key(key))

    async def say(self, text: str) -> None:
        """What the caller typed instead of saying it."""
        self._take_words(text, Heard(text, self._language, 1.0, 0.0, model="text"))

    async def commit(self) -> None:
        """The caller's turn is over, by their own word."""
        frames = int(self._manners.thresholds.longest_ms / 32) + 2
        for _ in range(frames):
            await self.hear(_SILENCE)

    async def forget(self) -> None:
        """Throw away what was heard of a turn that is not over."""
        async with self._turn:
            self._drop_final()
            self._state = h.Listening(now=self._state.now)

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Give the answer up, as if the caller had spoken. `played_ms`: what of it was played, by the peer's word."""
        if played_ms is not None:
            self._player.played_up_to(int(played_ms * RATE / 1000))
        await self._interrupt()

    async def close(self) -> None:
        """End the call. What of the last answer was not heard is noted."""
        if self._closed:
            return
        self._closed = True
        self.over.set()
        await self._player.stop()
        if self._answer is not None and self._answering is not None and not self._answering.done():
            self._answer.give_up()
            self._parts.hush(self.address.conversation)
            with suppress(TimeoutError, BotError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await asyncio.shield(self._answering)
        self._tell("ended")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._tell_last()

    @property
    def buffered(self) -> int:
        """Bytes of the caller's sound that are kept."""
        return len(self._tape)

    # Listening

    def _around(self, frame: h.Frame) -> h.Frame:
        """The frame, with what the caller hears meanwhile."""
        player = self._player
        self._echo, likeness = self._echo.step(player.level(_FRAME), frame.level)
        at = -1 if self._opening else player.position()
        busy = self._answering is not None and not self._answering.done() and at < 0
        return frame._replace(echo=likeness, played=at, busy=busy or self._opening)

    async def _signal(self, signal: h.Signal) -> None:
        async with self._turn:
            self._state, decisions = step(self._state, signal, self._manners.thresholds)
            for decision in decisions:
                await self._perform(decision)

    async def _perform(self, decision: h.Decision) -> None:
        match decision:
            case h.SpeechBegan():
                self._tell("speech_started", at=decision.at)
                if decision.continues:
                    await self._take_back()
            case h.PartialWanted():
                if self._parts.load.idle:
                    self._spawn(self._hear_partly(decision.start, decision.end))
            case h.MaybeDone():
                self._begin_final(decision.start, decision.end)
            case h.GoesOn() | h.Dropped():
                self._drop_final()
                if isinstance(decision, h.Dropped):
                    self._tell("dropped")
            case h.TurnDone():
                self._end_turn(decision)
            case h.Hold():
                await self._player.hold()
            case h.Resume():
                self._player.resume()
            case h.Interrupt():
                await self._interrupt()
            case h.SilencePrompt():
                self._spawn(self._say_texts(self._manners.still_there))
            case h.GiveUp():
                self._spawn(self._say_goodbye())
            case h.KeysDone():
                self._take_words(decision.keys, Heard(decision.keys, self._language, 1.0, 0.0, model="keys"))

    def _begin_final(self, start: float, end: float) -> None:
        self._drop_final()
        self._marks = Marks(_now() - max(0.0, self._state.now - self._state.spoke) / 1000)
        self._marks.reach("vad_stop")
        self._final = asyncio.create_task(self._recognise(start, end))
        self._spawn(self._hear_finally(self._final, start, end))

    def _drop_final(self) -> None:
        if self._final is not None:
            self._final.cancel()
            self._final = None

    async def _hear_partly(self, start: float, end: float) -> None:
        with suppress(BotError):
            self._parts.load.partial += 1
            try:
                heard = await recognise(self._parts, self.address.conversation, self._tape.cut(start, end))
            finally:
                self._parts.load.partial -= 1
            if self._state.phase == "speaking":
                self._tell("partial", text=heard.text)
                await self._signal(h.Words(heard.text, language=heard.language))

    async def _hear_finally(self, final: asyncio.Task[Heard], start: float, end: float) -> None:
        try:
            heard = await asyncio.shield(final)
        except BotError as error:
            self.complain(error)
            return
        except asyncio.CancelledError:
            if final.cancelled():
                return
            raise
        if self._final is not final:
            return
        self._marks.reach("asr_final")
        likely = likely_over(self._parts, heard, self._tape, start, end)
        await self._signal(h.Words(heard.text, final=True, language=heard.language))
        if likely is not None and self._final is final:
            await self._signal(h.Likely(likely))

    async def _recognise(self, start: float, end: float) -> Heard:
        self._parts.load.final += 1
        try:
            return await recognise(self._parts, self.address.conversation, self._tape.cut(start, end))
        finally:
            self._parts.load.final -= 1

    def _end_turn(self, done: h.TurnDone) -> None:
        final, self._final = self._final, None
        marks = self._marks
        if final is None:
            marks = Marks(_now() - max(0.0, done.waited) / 1000)
            final = asyncio.create_task(self._recognise(done.start, done.end))
        marks.reach("eot")
        self._tell("speech_stopped", at=done.end)
        keep = self._tape.cut(done.start, done.end) if self._may_keep else None
        self._spawn(self._take_turn(final, marks, keep))

    async def _take_turn(self, final: asyncio.Task[Heard], marks: Marks, keep: Samples | None) -> None:
        try:
            heard = await final
        except BotError as error:
            self.complain(error)
            await self._say_texts(self._manners.say_again)
            return
        marks.reach("asr_final")
        text = written(heard.text).strip()
        if not visible(text):
            self._tell("dropped")
            await self._say_texts(self._manners.say_again)
            return
        kind = aside(text, heard.language or self._language)
        if kind == "repeat" and self._last:
            self._tell("final", text=text)
            await self._say_texts(*self._last)
        elif kind != "wait":
            self._take_words(text, heard, marks, await kept(self._parts, keep))

    # Answering

    def _take_words(self, text: str, heard: Heard, marks: Marks | None = None, sound: Audio | None = None) -> None:
        text, self._carried = f"{self._carried} {text}".strip()[:MESSAGE_CHARACTERS], ""
        self._tell("final", text=text, confidence=round(heard.confidence, 3), language=heard.language)
        marks = marks or Marks(_now())
        inbound = message_of(self.address, text, heard, marks.reached, sound)
        before = self._answering
        self._answering = self._spawn(self._respond(inbound, marks, before))
        self._submitted = text

    _submitted = ""

    async def _respond(self, inbound: Inbound, marks: Marks, before: asyncio.Task[None] | None) -> None:
        """Submit what was said and say the answer; one after the other, in the order of the turns."""
        if before is not None:
            await asyncio.wait([before])
        try:
            receipt = await self._gateway.submit(inbound)
            self._tell("turn", turn=receipt.turn, seq=receipt.seq)
            async with self._mouth:
                await self._say_answer(Answer(self._gateway, receipt, self._player, self._saying, marks))
        except BotError as error:
            self.complain(error)
            await self._say_texts(self._manners.say_again)

    async def _say_answer(self, answer: Answer) -> None:
        self._answer, self._last = answer, []
        self._player.begin()
        try:
            await answer.follow()
            await self._player.finished()
        finally:
            await self._player.stop()
        if self._answer is answer:
            self._answer = None
        await answer.record()
        self._tell("said", turn=answer.receipt.turn, interrupted=answer.given_up)

    async def _interrupt(self) -> None:
        """Stop: the answer under way is given up."""
        await self._player.stop()
        answer = self._answer
        if answer is not None and not answer.given_up:
            answer.give_up()
            self._parts.hush(self.address.conversation)
            self._tell("interrupted", turn=answer.receipt.turn)

    async def _take_back(self) -> None:
        """The turn before was not over: its answer is void, and its words belong to what comes now."""
        if self._answering is not None and not self._answering.done():
            self._carried = self._submitted
        await self._interrupt()

    async def _say_texts(self, *texts: str) -> None:
        """Say something that is no message of the conversation."""
        async with self._mouth:
            if self._closed or not any(texts):
                return
            self._player.begin()
            for text in filter(None, texts):
                line = Line()
                self._player.say(line, text)
                self._tell("say", text=text, message="")
            self._player.end()
            await self._player.finished()
            await self._player.stop()
            self._tell("said", turn=0, interrupted=False)

    async def _open(self) -> None:
        await self._say_texts(*self._manners.opening)
        self._opening, self._may_keep = False, self._manners.record

    async def _say_goodbye(self) -> None:
        await self._say_texts(self._manners.farewell)
        self.over.set()

    async def _time_out(self) -> None:
        await asyncio.sleep(self._manners.call_seconds)
        self.over.set()

    # Telling

    @property
    def _language(self) -> str:
        return self._manners.language

    def _speech(self, text: str) -> Speech:
        return Speech(text, self._language, self._manners.voice, self._manners.rate)

    def _saying(self, line: Line, sentence: str) -> None:
        self._last.append(sentence)
        self._tell("say", text=sentence, message=line.message)
        self._spawn(self._signal(h.Reply(self._player.samples, self._asks(), self._player.text)))

    def _asks(self) -> bool:
        return self._player.text.rstrip().endswith(("?", "？"))

    def _sounded(self, stage: str) -> None:
        answer = self._answer
        if answer is None or not answer.marks.reach(stage):
            return
        if stage == "playout":
            reached = answer.marks.reached
            for name, seconds in reached.items():
                self._parts.observe(self.address.conversation, answer.receipt.turn, f"voice_{name}", seconds)
            told = {name: round(seconds, 3) for name, seconds in reached.items()}
            self._tell("latency", turn=answer.receipt.turn, seconds=told)
            self._spawn(self._signal(h.Reply(self._player.samples, self._asks(), self._player.text)))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not isinstance(error, ConnectionError):
            _log.error("call_failed", exc_info=error)
        self.over.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
