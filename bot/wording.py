"""Has an answer worded by a generator, sentence by sentence, and decides whether it may be said.

A sentence is shown as a draft once the chain of checks has passed it. At the first refusal, when the generator fails or
when time is up, the work stops and what was approved is said instead. Nothing here raises for what a generator did.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation
from bot.core.errors import BotError
from bot.core.protocols import Generator, Prompt
from bot.models import Show
from skills.guard import asks_to_misbehave
from skills.speaking import Chain, sentence_ends

_log = logging.getLogger(__name__)


class Tone(NamedTuple):
    """How an answer is to sound.

    `style` is for models that follow instructions; `sentences` the most it may have (0: any); `avoid` what it may not
    hold; `instead` the words that are said instead of others.
    """

    style: str = ""
    sentences: int = 0
    avoid: tuple[str, ...] = ()
    instead: Mapping[str, str] = {}

    def avoided(self, sentence: str) -> str:
        """The first of the words to avoid that a sentence holds."""
        return next((word for word in self.avoid if _standing(word).search(sentence)), "")

    def said(self, sentence: str) -> str:
        """The sentence with the words that are said instead, capitals as they were."""
        for word, other in self.instead.items():
            sentence = _standing(word).sub(lambda found, other=other: _cased(other, found[0]), sentence)  # type: ignore[misc]
        return sentence


@dataclass(frozen=True, slots=True)
class Manner:
    """How answers are worded. `by_channel` has other tones for some channels; `deadline` in seconds."""

    tone: Tone = field(default_factory=Tone)
    by_channel: Mapping[str, Tone] = field(default_factory=dict)
    max_tokens: int = 160
    deadline: float = 5.0

    def tone_for(self, channel: str) -> Tone:
        """The tone of a channel."""
        return self.by_channel.get(channel, self.tone)


@dataclass(slots=True)
class _Draft:
    """A text under way: `text` is what came so far, `checked` how much of it was checked, `said` what came of that."""

    began: float
    hits: tuple[ev.Hit, ...]
    tone: Tone
    text: str = ""
    checked: int = 0
    said: str = ""
    first: float = 0.0
    passed: dict[str, None] = field(default_factory=dict)
    cited: list[ev.Cited] = field(default_factory=list)

    @property
    def sources(self) -> tuple[str, ...]:
        """What its sentences may rest on."""
        return tuple(f"{hit.title}\n{hit.text}\n{hit.answer or ''}" for hit in self.hits)

    @property
    def full(self) -> bool:
        """Whether it has as many sentences as it may."""
        return 0 < self.tone.sentences <= len(self.cited)

    def add(self, space: str, sentence: str, chunk: str) -> None:
        """Take in a sentence that may be said, and the passage that it rests on."""
        self.first = self.first or time.perf_counter() - self.began
        start = len(self.said) + len(space) if self.said else 0
        self.said += (space if self.said else "") + sentence
        self.cited.append(ev.Cited(start=start, end=len(self.said), chunk=chunk))


class Wording:
    """A generator behind its checks."""

    def __init__(self, generator: Generator, chain: Chain, manner: Manner | None = None) -> None:
        self._generator, self._chain, self._manner = generator, chain, manner or Manner()

    async def word(self, step: st.Generate, state: Conversation, show: Show) -> ev.Generated:
        """What the generator makes of an answer. See `bot.core.events.Generated`."""
        draft = _Draft(time.perf_counter(), step.hits, self._manner.tone_for(state.channel))
        refusal = _steered(step, state)
        try:
            if refusal is None:
                async with asyncio.timeout(self._manner.deadline):
                    refusal = await self._write(self._prompt(step, state, draft.tone), draft, show)
        except TimeoutError:
            refusal = ev.Generated(model="", fallback="late")
        except BotError as error:
            _log.warning("an answer is said as approved, the generator failed: %s", error)
            refusal = ev.Generated(model="", fallback="failed")
        found = refusal or ev.Generated(model="", text=draft.said, cited=tuple(draft.cited))
        failed = {check.name for check in found.checks}
        passed = tuple(ev.Check(name=name) for name in draft.passed if name not in failed)
        seconds = time.perf_counter() - draft.began
        common = {"model": self._generator.id, "first": draft.first, "seconds": seconds}
        return found.model_copy(update={**common, "checks": passed + found.checks})

    def _prompt(self, step: st.Generate, state: Conversation, tone: Tone) -> Prompt:
        understood = state.current.understood if state.current else None
        return Prompt(
            talk=state.history,
            passages=tuple(hit.words for hit in step.hits),
            approved=step.approved,
            tone=tone.style,
            language=understood.language if understood else "",
            max_tokens=self._manner.max_tokens,
        )

    async def _write(self, prompt: Prompt, draft: _Draft, show: Show) -> ev.Generated | None:
        """Let it write and check what comes; None if all may be said, else why not."""
        warming = asyncio.create_task(asyncio.to_thread(self._chain.warm, draft.sources))
        try:
            return await self._written(prompt, draft, show)
        finally:
            await asyncio.gather(warming, return_exceptions=True)

    async def _written(self, prompt: Prompt, draft: _Draft, show: Show) -> ev.Generated | None:
        async with aclosing(self._generator.write(prompt)) as pieces:
            async for piece in pieces:
                if piece.abstained:
                    return ev.Generated(model="", fallback="abstained")
                draft.text += piece.text
                before = draft.checked
                refusal = await self._check(draft, piece.done)
                if refusal is not None:
                    return refusal
                if draft.full:
                    return None
                if draft.checked > before and not piece.done:
                    show(draft.said)
        return _ended(draft)

    async def _check(self, draft: _Draft, done: bool) -> ev.Generated | None:
        """Check the sentences that are complete and were not checked yet; why the first bad one is refused."""
        for end in list(sentence_ends(draft.text, draft.checked, done)):
            part = draft.text[draft.checked : end]
            sentence = part.strip()
            if sentence and not draft.full:
                verdict = await asyncio.to_thread(self._chain.check, sentence, draft.sources)
                if verdict.refused:
                    return _refusal(sentence, verdict.refused, verdict.detail)
                said = draft.tone.said(sentence)
                if word := draft.tone.avoided(said):
                    return _refusal(sentence, "words", f"the word {word}")
                draft.passed.update(dict.fromkeys(verdict.passed))
                draft.add(part[: len(part) - len(part.lstrip())], said, draft.hits[verdict.source].chunk)
            draft.checked = end
        return None


def _steered(step: st.Generate, state: Conversation) -> ev.Generated | None:
    """A message or a passage that tries to steer the wording gets none: what was approved is said."""
    for text in (state.current.text if state.current else "", *(hit.words for hit in step.hits)):
        if tried := asks_to_misbehave(text):
            return ev.Generated(model="", fallback="guard", checks=(ev.Check(name="guard", detail=tried),))
    return None


def _ended(draft: _Draft) -> ev.Generated | None:
    """Whether the text has an end."""
    if not draft.said:
        return ev.Generated(model="", fallback="abstained")
    if draft.said[-1].isalnum() or draft.said[-1] in ",;-(":
        return _refusal(draft.said[draft.cited[-1].start :], "end", "cut short")
    return None


def _refusal(sentence: str, check: str, detail: str) -> ev.Generated:
    return ev.Generated(model="", fallback=check, rejected=sentence, checks=(ev.Check(name=check, detail=detail),))


@lru_cache(maxsize=1024)
def _standing(word: str) -> re.Pattern[str]:
    """The word or phrase where it stands alone."""
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)


def _cased(word: str, like: str) -> str:
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
